//! `WorkerPool::install`: runs a closure on a worker while the caller waits for it.

use std::cell::UnsafeCell;
use std::panic;
use std::ptr::NonNull;

use crate::base::clock;
use crate::base::unwind::{self, Payload};
use crate::pool::WorkerPool;
use crate::pool::handle::TaskHandle;
use crate::sched::fork_join;
use crate::sched::hub::{Gate, Hub};
use crate::sched::worker;
use crate::task::{self, Extra, Outcome, TaskContext};

impl WorkerPool {
    /// Runs a closure on one of this pool's workers and waits for it. Inside the closure, the free
    /// fork-join functions use this pool.
    ///
    /// On a worker of this pool, the closure runs in place, at once. Any other thread **blocks**. A
    /// worker of another pool does not sleep meanwhile: if no worker of this pool has started the
    /// closure, the calling worker runs it itself, so that pools that call each other cannot
    /// deadlock. If the pool is closed, or if it displaces the closure as its oldest task
    /// ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)), the closure runs on the calling
    /// thread.
    ///
    /// Use it when the thread matters: for a worker's stack size, name, core or thread-locals.
    /// Otherwise [`join`](Self::join), [`scope`](Self::scope) and [`map`](Self::map) are cheaper
    /// when called directly from outside the pool. The closure counts as a task in
    /// [`metrics`](Self::metrics), but needs no room in a bounded queue.
    ///
    /// # Panics
    /// Panics if the closure panics, with its payload.
    ///
    /// ```
    /// let builder = corepool::WorkerPool::builder().workers(2);
    /// let pool = builder.thread_name(|id| format!("calc-{id}")).build()?;
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
        // A forked child has no workers, but a task of the parent that called `fork` may continue
        // there as if it were on one. Nothing may be left in a queue when this frame ends.
        if worker::index_in(self.hub().id).is_some() || self.hub().is_copy() {
            return fork_join::with_stack_of(self.hub(), |_| op());
        }
        let visit = Visit::new(op);
        visit.go(self.hub());
        match visit.end() {
            Seat::Back(Ok(result)) => result,
            Seat::Back(Err(payload)) => panic::resume_unwind(payload),
            Seat::Waiting(op) => fork_join::with_stack_of(self.hub(), |_| op()),
        }
    }
}

/// A closure on its way to a worker, and its result on the way back. It lies in the caller's frame.
struct Visit<F, R> {
    seat: UnsafeCell<Option<Seat<F, R>>>,
}

enum Seat<F, R> {
    /// No thread has run it.
    Waiting(F),
    Back(Result<R, Payload>),
}

/// What the worker receives: the address of a [`Visit`].
struct Address<F, R>(NonNull<Visit<F, R>>);

// SAFETY: the thread that holds the address runs the closure and leaves the result, so both must be
// `Send`.
unsafe impl<F: Send, R: Send> Send for Address<F, R> {}

impl<F, R> Address<F, R> {
    /// # Safety
    /// - The visit still exists.
    unsafe fn visit(&self) -> &Visit<F, R> {
        // SAFETY: the caller promises that the visit still exists.
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

    /// Waits until the closure has run, or is certain never to run.
    fn go(&self, hub: &Hub) {
        let address = Address(NonNull::from(self));
        let run = move || {
            // SAFETY: the visit's frame waits below for the end of this task.
            unsafe { address.visit() }.run();
        };
        // SAFETY: only the lifetime is erased. The task is settled before this frame ends: `join`
        // returns only then, and does not unwind. Once the task is settled, the closure has run, or
        // it is never touched again except to be dropped, which does nothing.
        let run: Box<dyn FnOnce() + Send + 'static> = unsafe { forget_lifetime(Box::new(run)) };
        let (queued, held) =
            task::make::<F, _, ()>(hub.id, extra(hub), move |_: &TaskContext| run());
        if hub.push(queued, None) == Gate::Closed && held.settle_unrun(Outcome::Closed).is_some() {
            hub.note_settled_in_queue(Outcome::Closed);
        }
        let _settled = TaskHandle::new(held).join();
    }

    fn run(&self) {
        // SAFETY: one thread runs the task, and the thread that owns the frame waits meanwhile.
        let seat = unsafe { &mut *self.seat.get() };
        if let Some(Seat::Waiting(op)) = seat.take() {
            *seat = Some(Seat::Back(unwind::catch(op)));
        }
    }

    fn end(self) -> Seat<F, R> {
        self.seat.into_inner().expect("a run leaves its result")
    }
}

/// What a task of a bounded or timed pool carries. It holds no place in the bounded queue, because
/// `install` takes none.
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
    // SAFETY: the types differ only in the lifetime, and the caller promises not to call the
    // closure after what it borrows is gone.
    unsafe {
        std::mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Box<dyn FnOnce() + Send>>(closure)
    }
}
