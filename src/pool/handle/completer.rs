//! A handle whose result comes from outside, and the completer that gives it.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::TaskHandle;
use crate::base::error::TaskError;
use crate::cancel::{CancelReason, CancelToken, UntilCancelled};
use crate::task::{GivenTask, make_given};

/// Makes a handle that something other than a task settles, and the [`Completer`] that settles it.
///
/// Use it where a result comes from elsewhere: from another process, from a device, from a runtime,
/// from a callback. The handle can do whatever the handle of a task can do: it is joined, awaited,
/// continued, and put into promises and [sets](crate::TaskSet). It belongs to no pool, and no
/// thread waits for its result unless the handle is joined.
///
/// - [`cancel`](TaskHandle::cancel) asks the completer to stop, and returns `false`. The handle
///   then still waits for what the completer gives it. So does
///   [`cancel_on_drop`](TaskHandle::cancel_on_drop).
/// - [`then`](TaskHandle::then), [`recover`](TaskHandle::recover) and
///   [`finally`](TaskHandle::finally) run their closures on the pool that
///   [`spawn`](fn@crate::spawn) would use where they are called.
/// - A task may wait for the handle. Its worker lends its core to a [spare
///   worker](crate::PoolBuilder::spare_workers) meanwhile, so other tasks run, and one of them may
///   be the one that completes. If more tasks wait than there are workers and spare workers, tasks
///   that are still queued must not be needed for it.
/// - A fork copies both halves. The child's handle waits for the child's completer.
///
/// ```
/// use corepool::handle::{self, Completer};
/// use corepool::TaskHandle;
///
/// /// Some interface that calls back with its answer.
/// fn ask(question: &'static str, answer: impl FnOnce(usize) + Send + 'static) {
///     std::thread::spawn(move || answer(question.len()));
/// }
///
/// let (completer, answer): (Completer<usize>, TaskHandle<usize>) = handle::pair();
/// ask("how long is this?", move |length| completer.complete(length));
/// assert_eq!(answer.join()?, 17);
/// # Ok::<(), corepool::TaskError>(())
/// ```
pub fn pair<T: Send + 'static>() -> (Completer<T>, TaskHandle<T>) {
    let token = CancelToken::new();
    let (task, held) = make_given::<Completer<T>, T>(&token);
    (Completer { task, token, until: None }, TaskHandle::new(held))
}

/// Settles one handle. Made by [`pair`].
///
/// **Dropping** it settles the handle as [`Lost`](TaskError::Lost), so no handle waits in vain.
///
/// If the handle was dropped, nobody wants the result, and settling drops it. That alone does not
/// count as a cancel, because a dropped handle detaches its task.
///
/// ```
/// let (completer, handle) = corepool::handle::pair();
/// completer.complete(7);
/// assert_eq!(handle.join().ok(), Some(7));
/// ```
#[must_use = "a completer that is dropped settles its handle as lost"]
pub struct Completer<T> {
    task: GivenTask<T>,
    token: CancelToken,
    /// What [`poll_cancelled`](Self::poll_cancelled) polls, from its first call on.
    until: Option<UntilCancelled>,
}

impl<T> Completer<T> {
    /// Settles the handle with a value, and wakes what waits for it. Never blocks.
    ///
    /// ```
    /// let (completer, handle) = corepool::handle::pair();
    /// completer.complete(7);
    /// assert_eq!(handle.join()?, 7);
    /// # Ok::<(), corepool::TaskError>(())
    /// ```
    pub fn complete(self, value: T) {
        self.settle(Ok(value));
    }

    /// Settles the handle with a value, or with the reason why there is none.
    ///
    /// ```
    /// use corepool::{WorkerPool, handle};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (completer, answer) = handle::pair();
    /// // Passes on whatever comes of the task, and its panic too.
    /// completer.settle(pool.spawn(|| -> u32 { panic!("no luck") }).join());
    /// assert!(answer.join().unwrap_err().is_panicked());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn settle(self, result: Result<T, TaskError>) {
        self.task.settle(result);
    }

    /// Returns `true` if the handle was cancelled. What happens then is up to the completer: it may
    /// give a value all the same, or settle the handle as [`Cancelled`](TaskError::Cancelled).
    ///
    /// ```
    /// use corepool::{TaskError, handle};
    /// let (completer, handle) = handle::pair::<u32>();
    /// assert!(!completer.is_cancelled());
    /// assert!(!handle.cancel() && !handle.is_finished(), "the completer decides");
    /// assert!(completer.is_cancelled());
    /// completer.settle(Err(TaskError::Cancelled));
    /// assert!(handle.join().unwrap_err().is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns a future that is ready when the handle is cancelled. It borrows nothing.
    ///
    /// ```
    /// let (completer, handle) = corepool::handle::pair::<u32>();
    /// let cancelled = completer.cancelled();
    /// drop(handle.cancel_on_drop());
    /// pollster::block_on(cancelled);
    /// ```
    pub fn cancelled(&self) -> UntilCancelled {
        self.token.cancelled()
    }

    /// Like [`cancelled`](Self::cancelled), for code that is polled itself. The last waker wins.
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// let (mut completer, handle) = corepool::handle::pair::<u32>();
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(completer.poll_cancelled(&mut cx).is_pending());
    /// handle.cancel();
    /// assert!(completer.poll_cancelled(&mut cx).is_ready());
    /// ```
    pub fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<CancelReason> {
        let until = self.until.get_or_insert_with(|| self.token.cancelled());
        Pin::new(until).poll(cx)
    }

    /// Returns the token that is cancelled with the handle, to hand it on to the work that the
    /// result depends on.
    ///
    /// ```
    /// use corepool::{WorkerPool, handle};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (completer, handle) = handle::pair::<u32>();
    /// let token = completer.cancel_token().clone();
    /// pool.task().cancel_token(&token).spawn_with(move |cx| {
    ///     while !cx.is_cancelled() {
    ///         std::thread::yield_now();
    ///     }
    ///     completer.complete(7);
    /// }).detach();
    /// handle.cancel();
    /// // The task ends: it stops early and still has a value, or it never starts.
    /// assert!(handle.join().map_or(true, |value| value == 7));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn cancel_token(&self) -> &CancelToken {
        &self.token
    }
}

// No value lies in the completer, and it is settled whole or not at all.
impl<T> Unpin for Completer<T> {}
impl<T> UnwindSafe for Completer<T> {}
impl<T> RefUnwindSafe for Completer<T> {}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
