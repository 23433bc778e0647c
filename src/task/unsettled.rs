//! What threads that are no workers have taken and not settled yet: the end of a pool waits for it.
//!
//! A worker that finds a task claimed lets go of it, and one that is taken from a queue to be
//! refused is in none. So the workers may all be gone while the thread that ended the token, or
//! refuses the task, still drops the closure. The count is raised before the task is taken. Whoever
//! learned that it was taken, from whomever, before it looks at the count finds it raised: had the
//! look come first, under the lock, the taking would come after what told of it.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use crate::sync::{Mutex, lock};

crate::sync::thread_local! {
    /// How many tasks this thread settles just now, one inside the drop of the other.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// The address of the pool's count to which the innermost of them belongs, or zero.
    static INNERMOST: Cell<usize> = const { Cell::new(0) };
}

/// How many of a pool's tasks are claimed by threads that are no workers, and not settled.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    count: Mutex<Count>,
    /// Held by whoever is about to sleep, from its look at the count on.
    sleep: lock::Mutex<()>,
    none: lock::Condvar,
}

#[derive(Debug, Default)]
struct Count {
    /// How many there are.
    now: usize,
    /// How many there have ever been, for who drains.
    begun: u64,
}

/// One of them; dropped, it is settled.
#[derive(Debug)]
pub(crate) struct Settling {
    unsettled: Arc<Unsettled>,
    /// What was the innermost before.
    outer: usize,
}

impl Unsettled {
    /// Before the task is taken.
    pub(crate) fn raise(&self) {
        let mut count = self.count.lock();
        count.now += 1;
        if !mutant!("settling_uncounted") {
            count.begun += 1;
        }
    }

    /// The claim came to nothing, or the task is settled. Runs no user code.
    pub(super) fn lower(&self) {
        let mut count = self.count.lock();
        count.now -= 1;
        let is_last = count.now == 0;
        drop(count);
        if is_last {
            let sleep = self.sleep.lock();
            self.none.notify_all();
            drop(sleep);
        }
    }

    /// Before tasks are taken from their queues, to be settled on this thread.
    pub(crate) fn begin(self: &Arc<Self>) -> Settling {
        self.raise();
        Arc::clone(self).settle_here()
    }

    /// A task that was claimed with the count raised is settled on this thread from here on.
    pub(crate) fn settle_here(self: Arc<Self>) -> Settling {
        // Where thread-locals are gone, who ends the pool in there would wait for itself; a number
        // alone stays to the thread's end.
        let _counted = HERE.try_with(|here| here.set(here.get() + 1));
        let outer = INNERMOST.try_with(|innermost| innermost.replace(self.address())).unwrap_or(0);
        Settling { unsettled: self, outer }
    }

    /// Whether the innermost task that the calling thread settles just now is one of this pool.
    pub(crate) fn is_settling_here(&self) -> bool {
        INNERMOST.try_with(Cell::get).is_ok_and(|innermost| innermost == self.address())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether somebody settles a task, and it may be waited for: not by a thread that settles one
    /// itself.
    pub(crate) fn is_to_be_waited_for(&self) -> bool {
        !is_here() && self.is_any_left()
    }

    /// How many there have ever been, if there is none that may be waited for.
    pub(crate) fn begun_if_none(&self) -> Option<u64> {
        let count = self.count.lock();
        (count.now == 0 || is_here()).then_some(count.begun)
    }

    /// Whether somebody settles a task, be it the caller.
    pub(super) fn is_any_left(&self) -> bool {
        self.count.lock().now > 0
    }

    /// Waits until all is settled. With an end, says whether it was by then.
    pub(crate) fn wait(&self, end: Option<Instant>) -> bool {
        let mut sleep = self.sleep.lock();
        while self.is_to_be_waited_for() {
            match end {
                None => self.none.wait(&mut sleep),
                Some(end) => {
                    if self.none.wait_until(&mut sleep, end).timed_out() {
                        return !self.is_to_be_waited_for();
                    }
                }
            }
        }
        true
    }
}

/// Whether the calling thread settles a task.
fn is_here() -> bool {
    HERE.try_with(Cell::get).unwrap_or(0) > 0
}

impl Drop for Settling {
    fn drop(&mut self) {
        let _counted = HERE.try_with(|here| here.set(here.get() - 1));
        let _left = INNERMOST.try_with(|innermost| innermost.set(self.outer));
        self.unsettled.lower();
    }
}
