//! Counts tasks that threads other than workers have taken and not settled yet. The end of a pool
//! waits for them.
//!
//! A worker that finds a task claimed lets go of it. A task that was taken from a queue to be
//! refused is in no queue any more. So all workers may be gone while the thread that ended the
//! token, or that refuses the task, still drops the closure. The count is raised before the task is
//! taken. A thread that has learned in any way that the task was taken therefore finds the count
//! raised. If its look at the count, under the lock, came before the raise, the taking would come
//! after the event that told the thread of it, which is impossible.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use crate::base::sync::{Mutex, lock};

crate::base::sync::thread_local! {
    /// How many tasks this thread is settling, each inside the drop of the one before.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// The address of the count that the innermost of them belongs to, or zero.
    static INNERMOST: Cell<usize> = const { Cell::new(0) };
}

/// The number of a pool's tasks that threads other than workers have claimed and not settled.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    count: Mutex<Count>,
    /// Held by a thread that is about to sleep, from its look at the count on.
    sleep: lock::Mutex<()>,
    none: lock::Condvar,
}

#[derive(Debug, Default)]
struct Count {
    /// How many there are now.
    now: usize,
    /// How many there have ever been, for a thread that drains the pool.
    begun: u64,
}

/// One counted task. Dropping this marks it as settled.
#[derive(Debug)]
pub(crate) struct Settling {
    unsettled: Arc<Unsettled>,
    /// The previous value of `INNERMOST`.
    outer: usize,
}

impl Unsettled {
    /// Called before the task is taken.
    pub(crate) fn raise(&self) {
        let mut count = self.count.lock();
        count.now += 1;
        mutant!("settling_uncounted" => return);
        count.begun += 1;
    }

    /// Called when the claim failed or the task is settled. Runs no user code.
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

    /// Called before tasks are taken from their queues to be settled on this thread.
    pub(crate) fn begin(self: &Arc<Self>) -> Settling {
        self.raise();
        Arc::clone(self).settle_here()
    }

    /// A task that was claimed with the count raised is settled on this thread from here on.
    pub(crate) fn settle_here(self: Arc<Self>) -> Settling {
        // If the count were gone with other thread-locals, a thread that ends the pool from a
        // thread-local's destructor would wait for itself. A plain number has no destructor, so it
        // stays until the thread ends.
        let _counted = HERE.try_with(|here| here.set(here.get() + 1));
        let outer = INNERMOST.try_with(|innermost| innermost.replace(self.address())).unwrap_or(0);
        Settling { unsettled: self, outer }
    }

    /// Whether the innermost task that the calling thread is settling belongs to this pool.
    pub(crate) fn is_settling_here(&self) -> bool {
        INNERMOST.try_with(Cell::get).is_ok_and(|innermost| innermost == self.address())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether a task is being settled that the caller may wait for. A thread that is settling a
    /// task itself must not wait.
    pub(crate) fn is_to_be_waited_for(&self) -> bool {
        !is_here() && self.is_any_left()
    }

    /// How many there have ever been, or `None` while there is one that the caller may wait for.
    pub(crate) fn begun_if_none(&self) -> Option<u64> {
        let count = self.count.lock();
        (count.now == 0 || is_here()).then_some(count.begun)
    }

    /// Whether any thread is settling a task, including the caller.
    pub(super) fn is_any_left(&self) -> bool {
        self.count.lock().now > 0
    }

    /// Waits until all tasks are settled. With an end, returns whether they were settled by then.
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

/// Whether the calling thread is settling a task.
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
