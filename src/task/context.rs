//! What a running task can ask about itself.

use core::fmt;
use core::ptr::NonNull;

use super::raw::{EndWorker, Header};
use crate::cancel::{CancelReason, CancelToken};
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
pub struct TaskContext {
    /// None for work that runs in the caller without a task of its own.
    task: Option<NonNull<Header>>,
    /// What stops such work.
    token: Option<CancelToken>,
    worker: Option<WorkerId>,
}

impl TaskContext {
    /// For a task that is about to run. The caller keeps the task's reference until the run is over;
    /// the context goes to the closure by reference, so it cannot outlive the run.
    pub(super) const fn new(task: NonNull<Header>, worker: Option<WorkerId>) -> Self {
        Self { task: Some(task), token: None, worker }
    }

    /// For a closure that runs at once in its caller.
    pub(crate) const fn without_task(worker: Option<WorkerId>, token: Option<CancelToken>) -> Self {
        Self { task: None, token, worker }
    }

    /// Tells whether the task is to stop: somebody called [`cancel`](crate::TaskHandle::cancel) on it while it runs, its
    /// [token](crate::TaskBuilder::cancel_token) has ended, or its [time](crate::TaskBuilder::run_for) is over.
    ///
    /// Costs one relaxed load: ask as often as you like.
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
        match self.task {
            // SAFETY: whoever made this context holds a reference to the task until the run is over.
            Some(task) => unsafe { Header::of(task) }.state.is_cancel_requested(),
            None => self.token.as_ref().is_some_and(CancelToken::is_cancelled),
        }
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

    /// Says why the task was asked to stop: by its token, because its time is over, or by its handle.
    ///
    /// `None` while it was not.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        if !self.is_cancelled() {
            return None;
        }
        // SAFETY: as in `is_cancelled`.
        let extra = self.task.and_then(|task| unsafe { super::raw::extra(task) });
        let told = match &self.token {
            Some(token) => token.reason(),
            None => extra.and_then(|extra| extra.plan.as_ref()).and_then(|plan| plan.reason()),
        };
        Some(told.unwrap_or(CancelReason::Asked))
    }

    /// Names the worker that runs the task, or that a [spare worker](crate::Builder::spare_workers) stands in for; `None` in a thread that is no worker, which is where
    /// [`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns) may run it.
    #[must_use]
    pub fn worker(&self) -> Option<WorkerId> {
        self.worker
    }

    /// Ends the thread of this worker, as `process.exit()` does in a worker of Node: the task's handle
    /// settles as [`Lost`](crate::TaskError::Lost), and a new thread takes the worker's place.
    ///
    /// Use it when the thread itself is spoilt, say by a C library that keeps broken state in
    /// thread-locals. Destructors on the way run, as they do for a panic; no panic message is printed.
    /// A worker that runs the task in place, because another task waits for it, ends after that other task.
    /// On a thread that is no worker it only loses the task. Where panics abort, this aborts.
    pub fn end_worker(&self) -> ! {
        std::panic::resume_unwind(Box::new(EndWorker))
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
