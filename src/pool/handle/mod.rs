//! The handle of a task's result: joined by a thread, awaited in async code, or dropped.
//!
//! [`TaskHandle`] is what `spawn` returns. [`pair`] makes a handle without a task, and a
//! [`Completer`] that settles it: for results that come from elsewhere.
#![forbid(unsafe_code)]

mod care;
mod completer;
mod then;
mod wait;

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::base::clock;
use crate::base::error::TaskError;
use crate::parts::habit;
use crate::sched::hub;
use crate::sched::worker::{self, ByPool};
use crate::task::{ClaimedAt, HeldTask, Outcome, Released, Turn};
pub use completer::{Completer, pair};
pub(crate) use then::do_what_waits;
use wait::{is_copy, pause_before_first_poll, wait};

/// The message of the panic when a spent handle is used.
pub(crate) const SPENT: &str = "the handle was used after its result was taken";

/// The result of a task, available now or later.
///
/// [`join`](Self::join) waits for it in a thread. `.await` waits for it in async code, on any
/// runtime or none. Each handle settles exactly once: with the value, or with a [`TaskError`] that
/// says why there is none.
///
/// The result is returned once. [`try_join`](Self::try_join), [`join_timeout`](Self::join_timeout)
/// and `.await` on `&mut handle` leave a **spent** handle behind when they return it: `is_finished`
/// stays `true`, dropping it does nothing, and asking it for a result again panics.
///
/// **Dropping** a handle detaches the task: it still runs, and its value is dropped on the thread
/// that ran it. Use [`cancel_on_drop`](Self::cancel_on_drop) to cancel the task instead.
///
/// **Inside a task** waiting always makes progress. If the awaited task has not started, the waiter
/// runs it in place. If another thread already runs it, the waiter sleeps. It runs no other task
/// meanwhile, because that task could want a lock that the waiter holds.
///
/// Runs in place can nest as deep as memory allows. When a worker reaches the last quarter of its
/// stack, the next task runs on a new thread with a stack of the same size, while the worker waits.
/// There [`TaskContext::worker`](crate::TaskContext::worker) is `None`. The frames of a single task
/// still have to fit into that quarter. So do tasks that are placed on that worker.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let answer = pool.spawn(|| 6 * 7);
/// assert_eq!(answer.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a handle that is dropped detaches its task; call `detach` to say that this is meant"]
pub struct TaskHandle<T> {
    /// `None` once the result was taken.
    held: Option<HeldTask<T>>,
}

impl<T> TaskHandle<T> {
    pub(crate) fn new(held: HeldTask<T>) -> Self {
        Self { held: Some(held) }
    }

    /// Waits for the task and returns its result.
    ///
    /// In a forked child, which has no workers, an unfinished task of the parent's pool is `Lost`.
    ///
    /// This blocks the thread. In async code, `.await` the handle instead. Inside a task, see
    /// [above](Self).
    ///
    /// # Errors
    /// The reason why there is no value: see [`TaskError`].
    ///
    /// # Panics
    /// If the result was already taken.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.spawn(|| 1 + 1).join()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn join(self) -> Result<T, TaskError> {
        let core_is_wanted = habit::waits();
        match self.into_held().try_take() {
            Ok(result) => result,
            Err(held) => match wait(held, None, core_is_wanted) {
                Ok(result) => result,
                Err(_) => unreachable!("a wait without an end came back without a result"),
            },
        }
    }

    /// Like [`join`](Self::join), but gives up after `timeout`. Returns `None` if the task was not
    /// settled in time; then the handle can be used as before. **Blocks** until then.
    ///
    /// Inside a task, the timeout limits the wait and not the run: a task that has not started runs
    /// in place, unless the timeout is zero.
    ///
    /// # Panics
    /// If the result was already taken.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<u32>();
    /// let mut task = pool.spawn(move || wait.recv().unwrap());
    /// assert!(task.join_timeout(Duration::from_millis(1)).is_none());
    /// go.send(7)?;
    /// assert_eq!(task.join_timeout(Duration::from_secs(60)).unwrap()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn join_timeout(&mut self, timeout: Duration) -> Option<Result<T, TaskError>> {
        let core_is_wanted = habit::waits();
        let joined = match self.take_held().try_take() {
            Err(held) if !timeout.is_zero() => {
                wait(held, Some(clock::after(timeout)), core_is_wanted)
            }
            joined => joined,
        };
        joined.map_err(|unsettled| self.held = Some(unsettled)).ok()
    }

    /// Returns the result if the task is settled, and `None` if it is not settled yet. Never
    /// blocks, and runs no task.
    ///
    /// # Panics
    /// If the result was already taken.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let mut task = pool.spawn(|| "done");
    /// let result = loop {
    ///     if let Some(result) = task.try_join() {
    ///         break result;
    ///     }
    ///     std::thread::yield_now();
    /// };
    /// assert_eq!(result?, "done");
    /// assert!(task.is_finished(), "and it is spent now");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_join(&mut self) -> Option<Result<T, TaskError>> {
        assert!(!self.is_spent(), "{SPENT}");
        self.take_if_settled()
    }

    /// Returns `true` if the task is settled, so that `join` would not wait. Stays `true` after the
    /// result was taken.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn(|| 1);
    /// pool.drain();
    /// assert!(task.is_finished());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.held.as_ref().is_none_or(HeldTask::is_settled)
    }

    /// Cancels the task. Returns `true` if that kept it from running.
    ///
    /// A task that has not started never runs: its closure is dropped during this call, and the
    /// handle settles as [`Cancelled`](TaskError::Cancelled). A task that is running continues and
    /// keeps its own result, but it can see the request with
    /// [`TaskContext::is_cancelled`](crate::TaskContext::is_cancelled).
    ///
    /// A handle from a [`pair`] has no task that could be kept from running. There the call asks
    /// the [`Completer`] to stop, and returns `false`.
    ///
    /// Cancelling a continuation also cancels the tasks before it, because no other handle could
    /// cancel them. A continuation made by [`finally`](Self::finally) still runs; then the return
    /// value says whether the task before it was kept from running.
    ///
    /// Never blocks, unless the drop of a closure does.
    ///
    /// ```
    /// use corepool::{TaskError, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let first = pool.spawn(move || wait.recv());
    /// let second = pool.spawn(|| unreachable!("it is cancelled while the first one runs"));
    /// assert!(second.cancel());
    /// assert!(matches!(second.join(), Err(TaskError::Cancelled)));
    /// drop(go);
    /// # let _ = first.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.held.as_ref().is_some_and(cancel)
    }

    /// Lets the task continue on its own. Shows that the handle is dropped on purpose.
    ///
    /// If the task panics, only an event and a counter report it.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (tell, told) = std::sync::mpsc::channel();
    /// pool.spawn(move || tell.send(1)).detach();
    /// assert_eq!(told.recv(), Ok(1));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn detach(mut self) {
        if let Some(held) = &self.held {
            held.cancel_on_drop(false);
        }
        self.held = None;
    }

    /// Makes dropping the handle cancel the task, as [`cancel`](Self::cancel) does.
    ///
    /// Async code that is itself dropped, for example by a timeout, then takes its CPU work with
    /// it.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// drop(pool.spawn(|| 1).cancel_on_drop());
    /// assert_eq!(pool.metrics().cancelled, 1);
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel_on_drop(self) -> Self {
        if let Some(held) = &self.held {
            held.cancel_on_drop(true);
        }
        self
    }

    /// Whether the result was already taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.held.is_none()
    }

    /// Returns the result if this thread has to produce it: by running the task in place, or
    /// because this process is a forked child, where no worker will.
    pub(crate) fn settle_here(&mut self) -> Option<Result<T, TaskError>> {
        if self.is_spent() || self.is_finished() {
            return None;
        }
        let result = self.run_in_place();
        if result.is_some() || !self.is_lost() {
            return result;
        }
        self.give_up();
        Some(Err(TaskError::Lost))
    }

    /// Runs the task now, if the calling thread does a pool's work and the task has not started.
    #[track_caller]
    pub(crate) fn run_in_place(&mut self) -> Option<Result<T, TaskError>> {
        if !worker::runs_in_place() {
            return None;
        }
        match worker::run_in_place(self.take_held()) {
            Ok(result) => Some(result),
            Err(running) => {
                self.held = Some(running);
                None
            }
        }
    }

    /// Like `poll`, but never runs the task, and waits in a forked child too. Check
    /// [`is_lost`](Self::is_lost) before sleeping.
    #[track_caller]
    pub(crate) fn poll_elsewhere(&mut self, waker: &Waker) -> Poll<Result<T, TaskError>> {
        let held = self.held.as_mut().expect(SPENT);
        // If the clone of the user's waker panics, nothing is lost.
        if !held.is_settled() && !held.set_waker(waker) {
            return Poll::Pending;
        }
        match self.held.take().map(HeldTask::try_take) {
            Some(Ok(result)) => Poll::Ready(result),
            _ => unreachable!("a settled task has a result"),
        }
    }

    /// Leaves a waker that is woken when the task settles, or at once if it is already settled.
    pub(crate) fn watch(&mut self, waker: Waker) {
        if self.held.as_mut().expect(SPENT).set_waker(&waker) {
            waker.wake();
        }
    }

    /// Returns the result if it is there and was not taken before. The handle is spent after that.
    #[inline]
    pub(crate) fn take_if_settled(&mut self) -> Option<Result<T, TaskError>> {
        match self.held.take()?.try_take() {
            Ok(result) => Some(result),
            Err(unsettled) => {
                self.held = Some(unsettled);
                None
            }
        }
    }

    /// Releases the task, as if the handle had returned its result.
    pub(crate) fn give_up(&mut self) {
        self.held = None;
    }

    /// Whether the task belongs to a parent process, so that no thread of this process settles it.
    pub(crate) fn is_lost(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_settled() && is_copy(held))
    }

    #[inline]
    #[track_caller]
    fn into_held(mut self) -> HeldTask<T> {
        self.take_held()
    }

    #[inline]
    #[track_caller]
    fn take_held(&mut self) -> HeldTask<T> {
        self.held.take().expect(SPENT)
    }
}

impl<T> Drop for TaskHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            if held.is_cancel_on_drop() {
                cancel(held);
            }
        }
    }
}

/// Waits in async code. The last waker wins. The future can safely be dropped at any time.
///
/// If it is polled on a pool's worker, for example by a small executor inside a task, the rule for
/// waiting inside a task applies: a task that has not started runs in place.
impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// If the result was already taken.
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core_is_wanted = habit::waits();
        if let Some(result) = self.run_in_place() {
            return Poll::Ready(result);
        }
        if let Some(held) = self.held.as_ref().filter(|held| !core_is_wanted && !held.has_waker()) {
            pause_before_first_poll(held);
        }
        match self.poll_elsewhere(cx.waker()) {
            Poll::Pending if self.is_lost() => Poll::Ready(Err(TaskError::Lost)),
            Poll::Pending => {
                // If this settles the task, it also wakes the waker.
                do_what_waits();
                Poll::Pending
            }
            ready => ready,
        }
    }
}

// The value is never pinned in the handle: it lies in the task's allocation and is moved out by
// value.
impl<T> Unpin for TaskHandle<T> {}

// The value is returned whole or not at all, and the task's panic has already come out of the
// handle. So a panic that unwinds past the handle finds nothing half done. The handles of std and
// of the async runtimes are unwind-safe too.
impl<T> UnwindSafe for TaskHandle<T> {}
impl<T> RefUnwindSafe for TaskHandle<T> {}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("is_finished", &self.is_finished()).finish()
    }
}

fn cancel<T>(held: &HeldTask<T>) -> bool {
    if held.runs_anyway() {
        return cancel_before(held);
    }
    if held.is_settled() {
        return false;
    }
    // Looked up before the claim, so that the end of the pool waits until the closure is dropped.
    let hub = hub::find(held.pool());
    let settling = hub.as_deref().and_then(worker::begin_settling);
    let Some(claimed_at) = held.settle_unrun(Outcome::Cancelled) else {
        held.request_cancel();
        return false;
    };
    if let Some(hub) = hub {
        match claimed_at {
            ClaimedAt::Queue => hub.note_settled_in_queue(Outcome::Cancelled),
            ClaimedAt::Link => {
                hub.count_unqueued();
                hub.count_unrun(Outcome::Cancelled);
            }
        }
    }
    // Dropped after the counting, so that a thread that waited for this sees complete counts.
    drop(settling);
    true
}

/// Cancels the task before a continuation that cannot be cancelled itself, if the continuation
/// still waits for it.
#[cold]
fn cancel_before<T>(held: &HeldTask<T>) -> bool {
    let Some(mut chain) = held.pin_those_that_run_anyway() else { return false };
    let was_cancelled = chain.with_bottom(cancel);
    while let Some(released) = chain.release_next() {
        if let Released::Ready(link) = released {
            ByPool::come(link, false);
        }
    }
    was_cancelled
}
