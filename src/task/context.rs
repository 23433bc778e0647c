//! What a running task can ask about itself.

use core::fmt;
use core::ptr::NonNull;

use super::era;
use super::raw::{EndWorker, Header};
use crate::cancel::CancelReason;
use crate::error::Cancelled;
use crate::id::WorkerId;

/// What a task is given when it was spawned by [`spawn_with`](crate::WorkerPool::spawn_with).
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let task = pool.spawn_with(|cx| cx.worker());
/// assert_eq!(task.join()?, Some(corepool::WorkerId::from(0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is `Sync`: the parts of a loop or a scope inside the task can ask it too, on whatever thread
/// they run. They are told of the task that made the call.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let task = pool.spawn_with(|cx| {
///     let done = AtomicUsize::new(0);
///     corepool::for_each(0..1_000, |_| {
///         if !cx.is_cancelled() {
///             done.fetch_add(1, Ordering::Relaxed);
///         }
///     });
///     done.into_inner()
/// });
/// assert_eq!(task.join()?, 1_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TaskContext {
    task: NonNull<Header>,
    worker: Option<WorkerId>,
}

// SAFETY: a context is only ever lent by the thread that runs the task, and what it is lent to ends
// before the run does: so the header is there. Through `&TaskContext` one reads the state word,
// which is atomic, and the ties of the optional part, which lie under a lock. Neither touches the
// closure, the result or the waiter.
unsafe impl Sync for TaskContext {}

impl TaskContext {
    /// For a task that is about to run. The caller keeps the task's reference until the run is
    /// over; the context goes to the closure by reference, so it cannot outlive the run.
    pub(super) const fn new(task: NonNull<Header>, worker: Option<WorkerId>) -> Self {
        Self { task, worker }
    }

    /// Tells whether the task is to stop: somebody called [`cancel`](crate::TaskHandle::cancel) on
    /// it while it runs, its [token](crate::TaskBuilder::cancel_token) has ended, its
    /// [time](crate::TaskBuilder::run_for) is over, or all tasks of the pool [are to
    /// stop](crate::WorkerPool::cancel_all).
    ///
    /// Costs two relaxed loads: ask as often as you like.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (running, started) = mpsc::channel();
    /// let task = pool.spawn_with(move |cx| {
    ///     running.send(()).unwrap();
    ///     while !cx.is_cancelled() {
    ///         std::hint::spin_loop();
    ///     }
    ///     "stopped early"
    /// });
    /// started.recv()?;
    /// task.cancel();
    /// assert_eq!(task.join()?, "stopped early");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        let header = self.header();
        header.state.is_cancel_requested().unwrap_or_else(|era| is_stopped(header, era))
    }

    /// Returns early with `?` from a task that was asked to stop.
    ///
    /// # Errors
    /// [`Cancelled`] if [`is_cancelled`](Self::is_cancelled).
    ///
    /// ```
    /// use corepool::{Cancelled, TaskContext};
    /// fn search(cx: &TaskContext) -> Result<u64, Cancelled> {
    ///     for number in 0..1_000 {
    ///         cx.check()?;
    ///         std::hint::black_box(number);
    ///     }
    ///     Ok(1_000)
    /// }
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.spawn_with(search).join()?, Ok(1_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled::new()) } else { Ok(()) }
    }

    /// Says why the task was asked to stop: by its token, because its time is over, with all others
    /// of its pool, or by its handle.
    ///
    /// `None` while it was not.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        if !self.is_cancelled() {
            return None;
        }
        // SAFETY: as in `header`.
        let extra = unsafe { super::raw::extra(self.task) };
        let told = extra.and_then(|extra| extra.plan.as_ref()?.reason());
        let header = self.header();
        let told = told.or_else(|| era::reason(header.pool(), header.state.era()).ok());
        Some(told.unwrap_or(CancelReason::Asked))
    }

    /// Names the worker that runs the task, or that a [spare worker](crate::Builder::spare_workers)
    /// stands in for; `None` in a thread that is no worker, which is where
    /// [`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns) may run it.
    #[must_use]
    pub fn worker(&self) -> Option<WorkerId> {
        self.worker
    }

    /// Ends the thread of this worker, as `process.exit()` does in a worker of Node: the task's
    /// handle settles as [`Lost`](crate::TaskError::Lost), and a new thread takes the worker's
    /// place.
    ///
    /// Use it when the thread itself is spoilt, say by a C library that keeps broken state in
    /// thread-locals. Destructors on the way run, as they do for a panic; no panic message is
    /// printed.
    ///
    /// A worker whose threads end one soon after another gets the next one only after a rest. A
    /// thread that has lived for less than a second counts; the first of them is replaced at once,
    /// the others after 10 ms, 20 ms and so on up to a second, and the event
    /// [`RespawnDelayed`](crate::PoolEvent::RespawnDelayed) says so. A task that waits, and for
    /// which no other worker is free, ends the rest after the first 10 ms; so does closing the pool
    /// at any time.
    ///
    /// A worker that runs the task in place, because another task waits for it, ends after that
    /// other task. On a thread that is no worker it only loses the task. In a part of a loop or a
    /// scope, it ends the task that made that call. Where panics abort, this aborts.
    pub fn end_worker(&self) -> ! {
        end_worker()
    }

    fn header(&self) -> &Header {
        // SAFETY: whoever made this context holds a reference to the task until the run is over.
        unsafe { Header::of(self.task) }
    }
}

/// Throws what ends the worker that runs this; see [`TaskContext::end_worker`].
pub(crate) fn end_worker() -> ! {
    std::panic::resume_unwind(Box::new(EndWorker))
}

/// Whether the end of an era that the task has seen was meant for it. Notes the answer.
#[cold]
fn is_stopped(task: &Header, era: u32) -> bool {
    match era::reason(task.pool(), era) {
        Ok(_) => {
            task.state.request_cancel();
            true
        }
        Err(today) => {
            task.state.renew(today);
            false
        }
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("worker", &self.worker)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
