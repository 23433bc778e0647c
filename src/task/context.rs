//! What a running task can ask about itself.

use core::fmt;
use core::ptr::NonNull;

use super::era;
use super::raw::{EndWorker, Header};
use crate::base::error::Cancelled;
use crate::base::id::WorkerId;
use crate::cancel::CancelReason;

/// The context of a running task, passed to closures of
/// [`spawn_with`](crate::WorkerPool::spawn_with).
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let task = pool.spawn_with(|cx| cx.worker());
/// assert_eq!(task.join()?, Some(corepool::WorkerId::from(0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is `Sync`, so the parts of a loop or a scope inside the task can use it too, on any thread.
/// They get the answers of the task that made the call.
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

// SAFETY: only the thread that runs the task lends the context, and every borrow ends before the
// run does. So the header is alive. `&TaskContext` gives access to the state word, which is atomic,
// and to the ties of the optional part, which lie under a lock. Neither touches the closure, the
// result or the waiter.
unsafe impl Sync for TaskContext {}

impl TaskContext {
    /// For a task that is about to run. The caller keeps the task's reference until the run is
    /// over. The closure gets the context by reference, so the context cannot outlive the run.
    pub(super) const fn new(task: NonNull<Header>, worker: Option<WorkerId>) -> Self {
        Self { task, worker }
    }

    /// Returns `true` if the task should stop. This is so once one of these has happened:
    /// - [`cancel`](crate::TaskHandle::cancel) was called while the task runs;
    /// - its [token](crate::TaskBuilder::cancel_token) has ended;
    /// - its [time limit](crate::TaskBuilder::run_for) is over;
    /// - all tasks of the pool [were asked to stop](crate::WorkerPool::cancel_all).
    ///
    /// This costs two relaxed loads, so call it as often as you like.
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

    /// Returns an error if the task was asked to stop, for an early return with `?`.
    ///
    /// # Errors
    /// [`Cancelled`] if [`is_cancelled`](Self::is_cancelled).
    ///
    /// ```
    /// use corepool::cancel::Cancelled;
    /// use corepool::TaskContext;
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

    /// Returns why the task was asked to stop: by its token, because its time is over, together
    /// with all tasks of its pool, or through its handle.
    ///
    /// Returns `None` if the task was not asked to stop.
    ///
    /// ```
    /// use corepool::cancel::CancelReason;
    /// use corepool::{CancelToken, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let token = CancelToken::new();
    /// let task = pool.task().cancel_token(&token).spawn_with(|cx| {
    ///     while !cx.is_cancelled() {
    ///         std::thread::yield_now();
    ///     }
    ///     cx.cancel_reason()
    /// });
    /// token.cancel();
    /// assert!(matches!(task.join(), Ok(Some(CancelReason::Asked)) | Err(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        if !self.is_cancelled() {
            return None;
        }
        // SAFETY: the creator of this context holds a reference to the task until the run is over.
        let extra = unsafe { super::raw::extra(self.task) };
        let told = extra.and_then(|extra| extra.plan.as_ref()?.reason());
        let header = self.header();
        let told = told.or_else(|| era::reason(header.pool(), header.state.era()).ok());
        Some(told.unwrap_or(CancelReason::Asked))
    }

    /// Returns the worker that runs the task, or the worker that a [spare
    /// worker](crate::PoolBuilder::spare_workers) stands in for.
    ///
    /// Returns `None` on a thread that is not a worker.
    /// [`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns) may run the task on such a thread.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(3)?;
    /// let worker = pool.spawn_with(|cx| cx.worker()).join()?;
    /// assert!(worker.is_some_and(|id| id.index() < 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker(&self) -> Option<WorkerId> {
        self.worker
    }

    /// Ends the thread of this worker, as `process.exit()` does in a worker of Node. The task's
    /// handle settles as [`Lost`](crate::TaskError::Lost), and a new thread takes the worker's
    /// place.
    ///
    /// Use it when the thread itself is unusable, for example because a C library keeps broken
    /// state in thread-locals. The stack unwinds and destructors run, as in a panic, but no panic
    /// message is printed.
    ///
    /// If a worker's threads keep ending within a second of their start, the replacements are
    /// delayed. The first such thread is replaced at once, the next ones after 10 ms, 20 ms and so
    /// on, up to one second. The event [`RespawnDelayed`](crate::PoolEvent::RespawnDelayed) reports
    /// each delay. If a task waits and no other worker is free, the delay ends after the first 10
    /// ms. Closing the pool ends the delay at any time.
    ///
    /// If a worker runs this task in place because another task waits for it, the thread ends after
    /// that other task. On a thread that is not a worker, only the task is lost. In a part of a
    /// loop or a scope, this ends the task that made that call. Where panics abort, this aborts.
    ///
    /// ```
    /// use corepool::{TaskError, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let task = pool.spawn_with(|cx| cx.end_worker());
    /// assert!(matches!(task.join(), Err(TaskError::Lost)));
    /// assert_eq!(pool.spawn(|| 1).join()?, 1, "a new thread serves");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_worker(&self) -> ! {
        end_worker()
    }

    fn header(&self) -> &Header {
        // SAFETY: the creator of this context holds a reference to the task until the run is over.
        unsafe { Header::of(self.task) }
    }
}

/// Throws the payload that ends the current worker; see [`TaskContext::end_worker`].
pub(crate) fn end_worker() -> ! {
    std::panic::resume_unwind(Box::new(EndWorker))
}

/// Whether the end of an era that the task has seen was meant for it. Records the answer in the
/// task.
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
