//! Running a closure on a worker, and waiting for it there and then.

use std::cell::UnsafeCell;
use std::panic;
use std::ptr::NonNull;

use crate::clock;
use crate::fork;
use crate::handle::TaskHandle;
use crate::hub::{Gate, Hub};
use crate::pool::WorkerPool;
use crate::task::{self, Extra, Outcome, TaskContext};
use crate::unwind::{self, Payload};
use crate::worker;

impl WorkerPool {
    /// Runs a closure on one of this pool's workers and waits for it. Inside, the free fork-join
    /// functions use this pool.
    ///
    /// On a worker of this pool the closure runs at once, where it stands. **Blocks** any other
    /// thread. A worker of another pool does not sleep for it: if no worker of this pool has
    /// started the closure it runs it where it stands, so that pools which call one another do not
    /// wait for ever. If the pool is closed, or displaces it as its oldest task
    /// ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)), the closure runs on the calling
    /// thread.
    ///
    /// Take it where it matters on which thread something runs: for a worker's stack size, name,
    /// core or thread-locals. Else [`join`](Self::join), [`scope`](Self::scope) and
    /// [`map`](Self::map) are cheaper called from outside as they are. The closure counts as a task
    /// in [`metrics`](Self::metrics), but needs no room in a bounded queue.
    ///
    /// # Panics
    /// If the closure panics, with its payload.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(2).thread_name(|id| format!("calc-{id}")).build()?;
    /// let words = vec!["on", "a", "worker"];
    /// let (name, letters) = pool.install(|| {
    ///     let name = std::thread::current().name().map(str::to_owned);
    ///     let (a, b) = corepool::join(|| words[0].len(), || words[2].len());
    ///     (name, a + b)
    /// });
    /// assert!(name.unwrap().starts_with("calc-"));
    /// assert_eq!(letters, 8);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn install<F, R>(&self, op: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        // In a forked child no worker comes, but a task of the parent's that forked may go on as
        // one: nothing may be left in a queue when this frame ends.
        if worker::index_in(self.hub().id).is_some() || self.hub().is_copy() {
            return fork::with_stack_of(self.hub(), |_| op());
        }
        let visit = Visit::new(op);
        visit.go(self.hub());
        match visit.end() {
            Seat::Back(Ok(result)) => result,
            Seat::Back(Err(payload)) => panic::resume_unwind(payload),
            Seat::Waiting(op) => fork::with_stack_of(self.hub(), |_| op()),
        }
    }
}

/// A closure on its way to a worker and back, in its caller's frame.
struct Visit<F, R> {
    seat: UnsafeCell<Option<Seat<F, R>>>,
}

enum Seat<F, R> {
    /// Nobody ran it.
    Waiting(F),
    Back(Result<R, Payload>),
}

/// What the worker gets: the address of a [`Visit`].
struct Address<F, R>(NonNull<Visit<F, R>>);

// SAFETY: whoever has it runs the closure and leaves the result, so both must be `Send`.
unsafe impl<F: Send, R: Send> Send for Address<F, R> {}

impl<F, R> Address<F, R> {
    /// # Safety
    /// - The visit is still there.
    unsafe fn visit(&self) -> &Visit<F, R> {
        // SAFETY: the caller's promise.
        unsafe { self.0.as_ref() }
    }
}

impl<F, R> Visit<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    fn new(op: F) -> Self {
        Self { seat: UnsafeCell::new(Some(Seat::Waiting(op))) }
    }

    /// Waits until the closure was run, or never will be.
    fn go(&self, hub: &Hub) {
        let address = Address(NonNull::from(self));
        let run = move || {
            // SAFETY: the visit's frame waits for the end of the task that this is, below.
            unsafe { address.visit() }.run();
        };
        // SAFETY: only the lifetime is left out. The task is settled before this frame is left:
        // `join` returns only then, and does not unwind; what is settled was run, or its closure is
        // never touched again except for a drop, which does nothing.
        let run: Box<dyn FnOnce() + Send + 'static> = unsafe { forget_lifetime(Box::new(run)) };
        let (queued, held) =
            task::make::<F, _, ()>(hub.id, extra(hub), move |_: &TaskContext| run());
        if hub.push(queued, None) == Gate::Closed && held.settle_unrun(Outcome::Closed).is_some() {
            hub.note_settled_in_queue(Outcome::Closed);
        }
        let _settled = TaskHandle::new(held).join();
    }

    fn run(&self) {
        // SAFETY: one thread runs the task, and the frame's own thread waits meanwhile.
        let seat = unsafe { &mut *self.seat.get() };
        if let Some(Seat::Waiting(op)) = seat.take() {
            *seat = Some(Seat::Back(unwind::catch(op)));
        }
    }

    fn end(self) -> Seat<F, R> {
        self.seat.into_inner().expect("a run leaves its result")
    }
}

/// What a task of a bounded or timed pool carries; but no place, for it takes none.
fn extra(hub: &Hub) -> Option<Extra> {
    let is_extended = hub.admission.is_some() || hub.measures_tasks();
    let accepted = hub.times.as_ref().map(|_| clock::now());
    is_extended.then(|| Extra { accepted, age: hub.next_age(), ..Extra::default() })
}

/// # Safety
/// - The closure is not called after what it borrows is gone.
unsafe fn forget_lifetime<'a>(
    closure: Box<dyn FnOnce() + Send + 'a>,
) -> Box<dyn FnOnce() + Send + 'static> {
    // SAFETY: the types differ in the lifetime only; the caller sees to that.
    unsafe {
        std::mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Box<dyn FnOnce() + Send>>(closure)
    }
}
