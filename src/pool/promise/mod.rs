//! Several handles as one: wait for all of them, or for the first.
//!
//! A [`Promise`] can be joined in a thread, with or without a timeout, and awaited. It takes
//! results in the order in which the tasks settle, so the cost per handle does not depend on how
//! many handles there are.
//!
//! **A task fails if its result is a [`TaskError`]**: it panicked, was cancelled, or expired. A
//! task whose closure returns a `Result` has a value even if that is an `Err`.
//!
//! ```
//! use corepool::{WorkerPool, promise};
//! let pool = WorkerPool::with_workers(2)?;
//! let squares = promise::all((1..=4).map(|n| pool.spawn(move || n * n)));
//! assert_eq!(squares.join()?, [1, 4, 9, 16]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! If it matters which task settles first, each handle gets a waker of a watch (`parts/watch/`)
//! when the promise is made. The watch records the order of settling, even while no thread looks.
//!
//! [`all_settled`] does not need the order. Its first look takes every result that is there, and
//! leaves a waker with each of the other handles.
//!
//! After that, only handles whose wakers were woken are looked at. No result is missed, because
//! each wait has this order: take what was woken, leave the waiter's waker, ask whether something
//! was woken meanwhile. A task that settles before the last step is seen by that step; a task that
//! settles after it finds the waker. A handle returns its result once. After that it is spent, even
//! if its slot is woken again.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;
mod rule;

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::error::TaskError;
use crate::parts::habit;
use crate::parts::parker;
use crate::parts::watch::Watch;
use crate::pool::handle::{self, TaskHandle};
pub use rule::{All, AllSettled, Any, Race, Rule};

/// Waits for all tasks. The output is their values in the order of the handles, or the first
/// failure as soon as it happens.
///
/// The first failure is that of the task that settled first. Tasks that had settled before this
/// call count first, in the order of the handles. After a failure, the remaining tasks are
/// [cancelled](TaskHandle::cancel). With no handles, the value is an empty vector.
///
/// # Panics
/// If the result of one of the handles was already taken.
///
/// ```
/// use corepool::{TaskError, WorkerPool, promise};
/// let pool = WorkerPool::with_workers(2)?;
/// let tasks = [pool.spawn(|| 1), pool.spawn(|| panic!("no")), pool.spawn(|| 3)];
/// assert!(matches!(promise::all(tasks).join(), Err(TaskError::Panicked(_))));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[track_caller]
pub fn all<T>(handles: impl IntoIterator<Item = TaskHandle<T>>) -> Promise<All<T>> {
    Promise::new(handles)
}

/// Waits for all tasks. The output is the result of each, in the order of the handles.
///
/// # Panics
/// If the result of one of the handles was already taken.
///
/// ```
/// use corepool::{WorkerPool, promise};
/// let pool = WorkerPool::with_workers(2)?;
/// let results = promise::all_settled([pool.spawn(|| 1), pool.spawn(|| panic!("no"))]).join();
/// assert!(results[0].is_ok() && results[1].is_err());
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[track_caller]
pub fn all_settled<T>(handles: impl IntoIterator<Item = TaskHandle<T>>) -> Promise<AllSettled<T>> {
    Promise::new(handles)
}

/// Waits for the first success. If there is none, the output is all errors, in the order of the
/// handles.
///
/// The first success is the one that settled first, no matter when the promise is polled. Tasks
/// that had settled before this call count first, in the order of the handles.
///
/// The other tasks continue. Use [`cancel_on_drop`](Promise::cancel_on_drop) to cancel them.
///
/// # Panics
/// If the result of one of the handles was already taken.
///
/// ```
/// use corepool::{WorkerPool, promise};
/// let pool = WorkerPool::with_workers(2)?;
/// let tasks = [pool.spawn(|| panic!("no")), pool.spawn(|| 2)];
/// assert_eq!(promise::any(tasks).join().unwrap(), 2);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[track_caller]
pub fn any<T>(handles: impl IntoIterator<Item = TaskHandle<T>>) -> Promise<Any<T>> {
    Promise::new(handles)
}

/// Waits for the first task that settles, with a value or an error.
///
/// The first task is the one that settled first, no matter when the promise is polled. Tasks that
/// had settled before this call count first, in the order of the handles.
///
/// The other tasks continue, as with [`any`]. With no handles, the result is
/// [`TaskError::Rejected`] with [`Refusal::Empty`](crate::errors::Refusal::Empty), because nothing
/// will settle.
///
/// # Panics
/// If the result of one of the handles was already taken.
///
/// ```
/// use corepool::{WorkerPool, promise};
/// let pool = WorkerPool::with_workers(2)?;
/// let (_never, wait) = std::sync::mpsc::channel::<()>();
/// let slow = pool.spawn(move || wait.recv().map_or(1, |()| 2));
/// let first = promise::race([slow, pool.spawn(|| 3)]).join()?;
/// assert_eq!(first, 3);
/// # drop(_never);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn race<T>(handles: impl IntoIterator<Item = TaskHandle<T>>) -> Promise<Race<T>> {
    Promise::new(handles)
}

/// Several handles that are waited for as one. See [`all`], [`all_settled`], [`any`] and [`race`].
///
/// **Dropping** it lets all tasks continue, unless [`cancel_on_drop`](Self::cancel_on_drop) was
/// called.
///
/// ```
/// use corepool::{WorkerPool, promise};
/// let pool = WorkerPool::with_workers(1)?;
/// let both = promise::all([pool.spawn(|| 1), pool.spawn(|| 2)]);
/// assert_eq!(both.join()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nobody waits for the tasks until it is joined or awaited"]
pub struct Promise<R: Rule> {
    /// `None` once the output was taken.
    rule: Option<R>,
    /// A spent handle has returned its result.
    handles: Vec<TaskHandle<R::Value>>,
    /// How many handles have not settled, as far as is known.
    left: usize,
    /// If it matters which task settles first, it is there from the beginning. Otherwise it is
    /// there from the first wait on.
    watch: Option<Watch>,
    /// Whether the handles were asked what they need from this thread: to be run in place, or to be
    /// given up in a forked child.
    has_asked: bool,
    cancels_on_drop: bool,
}

impl<R: Rule> Promise<R> {
    #[track_caller]
    fn new(handles: impl IntoIterator<Item = TaskHandle<R::Value>>) -> Self {
        let mut handles: Vec<_> = handles.into_iter().collect();
        let is_spent = TaskHandle::is_spent;
        assert!(!handles.iter().any(is_spent), "{}", handle::SPENT);
        let left = handles.len();
        let rule = Some(R::new(left));
        let watch = (R::MINDS_ORDER && left > 0).then(|| watch_all(&mut handles));
        Self { rule, handles, left, watch, has_asked: false, cancels_on_drop: false }
    }

    /// Waits for the output.
    ///
    /// **Blocks** the thread. In async code, `.await` the promise instead. Inside a task, tasks
    /// that have not started run in place, as with [`TaskHandle::join`].
    ///
    /// # Panics
    /// If the output was already taken.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// let pool = WorkerPool::with_workers(1)?;
    /// assert_eq!(promise::any([pool.spawn(|| 1)]).join().ok(), Some(1));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[track_caller]
    pub fn join(mut self) -> R::Output {
        self.expect_unspent();
        let output = self.wait(None);
        output.unwrap_or_else(|| unreachable!("a wait without an end came back without an output"))
    }

    /// Like [`join`](Self::join), but gives up after `timeout`. Returns `None` if there is no
    /// output in time; then the promise can be used as before. **Blocks** until then.
    ///
    /// # Panics
    /// If the output was already taken.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// use std::time::Duration;
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<u32>();
    /// let mut both = promise::all([pool.spawn(|| 1), pool.spawn(move || wait.recv().unwrap())]);
    /// assert!(both.join_timeout(Duration::from_millis(1)).is_none());
    /// go.send(2)?;
    /// assert_eq!(both.join_timeout(Duration::from_secs(60)).unwrap()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn join_timeout(&mut self, timeout: Duration) -> Option<R::Output> {
        self.expect_unspent();
        self.wait(Some(clock::after(timeout)))
    }

    /// Returns the output if it is there, and `None` if not yet. Never blocks, but inside a task it
    /// may run tasks that have not started.
    ///
    /// # Panics
    /// If the output was already taken.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<u32>();
    /// let mut first = promise::race([pool.spawn(move || wait.recv().unwrap())]);
    /// assert!(first.try_join().is_none());
    /// go.send(7)?;
    /// assert_eq!(first.join()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_join(&mut self) -> Option<R::Output> {
        self.expect_unspent();
        match self.advance(Waker::noop()) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Returns how many of the tasks have not settled, as of the promise's last look.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv().is_err());
    /// let mut both = promise::all([busy, pool.spawn(|| true)]);
    /// assert!(both.try_join().is_none());
    /// assert_eq!(both.unsettled(), 2);
    /// drop(go);
    /// assert!(both.join().is_ok());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.left
    }

    /// [Cancels](TaskHandle::cancel) every task that has not settled.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// let waits = promise::all([pool.spawn(|| 1)]);
    /// waits.cancel();
    /// assert!(waits.join().unwrap_err().is_cancelled());
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel(&self) {
        self.handles.iter().for_each(|handle| {
            if mutant!("promise_cancel_unasked") {
                return;
            }
            handle.cancel();
        });
    }

    /// Makes the promise cancel the remaining tasks when it is dropped or has its output.
    ///
    /// ```
    /// use corepool::{WorkerPool, promise};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// drop(promise::all([pool.spawn(|| 1)]).cancel_on_drop());
    /// assert_eq!(pool.metrics().cancelled, 1);
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    #[track_caller]
    fn expect_unspent(&self) {
        assert!(self.rule.is_some(), "the promise was used after its output was taken");
    }

    fn wait(&mut self, end: Option<Instant>) -> Option<R::Output> {
        parker::with_current(|parker, waker| {
            loop {
                if let Poll::Ready(output) = self.advance(waker) {
                    return Some(output);
                }
                if !parker.park_lending(end) {
                    return match self.advance(waker) {
                        Poll::Ready(output) => Some(output),
                        Poll::Pending => None,
                    };
                }
            }
        })
    }

    /// Takes what has settled, and leaves a waker if that does not decide the promise.
    #[track_caller]
    fn advance(&mut self, waker: &Waker) -> Poll<R::Output> {
        self.expect_unspent();
        if self.watch.is_none() {
            if let Some(output) = self.look_at_all() {
                return Poll::Ready(output);
            }
        }
        loop {
            if let Some(output) = self.take_settled().or_else(|| self.ask_all()) {
                return Poll::Ready(output);
            }
            handle::do_what_waits();
            let watch = self.watch.as_ref();
            if watch.is_none_or(|watch| !watch.wait(waker) || mutant!("promise_second_look")) {
                return Poll::Pending;
            }
        }
    }

    /// The first look where the order does not matter: takes what has settled so far, and watches
    /// the rest.
    fn look_at_all(&mut self) -> Option<R::Output> {
        self.has_asked = true;
        let many = self.handles.len();
        let rule = self.rule.as_mut()?;
        for (number, handle) in self.handles.iter_mut().enumerate() {
            // A settled task needs no waker: with one it would be counted twice.
            if let Some(result) = handle.take_if_settled() {
                self.left -= 1;
                if rule.take(number, many, result) {
                    return self.finish();
                }
            }
        }
        if self.left == 0 {
            return self.finish();
        }
        let watch = Watch::new(self.handles.len());
        for number in 0..self.handles.len() {
            let output = self.look_at(number, &watch);
            if output.is_some() {
                return output;
            }
        }
        self.watch = Some(watch);
        None
    }

    /// Asks each handle once what it needs from this thread. Results that settle elsewhere
    /// meanwhile come first.
    fn ask_all(&mut self) -> Option<R::Output> {
        if std::mem::replace(&mut self.has_asked, true) {
            return None;
        }
        let _core_is_wanted = habit::waits();
        for number in 0..self.handles.len() {
            let Some(result) = self.handles[number].settle_here() else { continue };
            let output = self.take_settled().or_else(|| self.note(number, result));
            if output.is_some() {
                return output;
            }
        }
        None
    }

    fn take_settled(&mut self) -> Option<R::Output> {
        let watch = self.watch.take()?;
        let mut output = None;
        watch.take(|number| {
            if output.is_none() {
                output = self.look_at(number, &watch);
            }
        });
        self.watch = Some(watch);
        output
    }

    /// Takes this handle's result if it is there; otherwise watches the handle. Returns the output
    /// if the result decides it.
    fn look_at(&mut self, number: usize, watch: &Watch) -> Option<R::Output> {
        let handle = &mut self.handles[number];
        // The first look may have taken it.
        if handle.is_spent() {
            return None;
        }
        let result = match handle.take_if_settled() {
            Some(result) => result,
            None => {
                let waker = watch.waker(number);
                match Pin::new(handle).poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(result) => result,
                    Poll::Pending => return None,
                }
            }
        };
        self.note(number, result)
    }

    /// One more task has settled. Returns the output if that decides it.
    fn note(&mut self, number: usize, result: Settled<R::Value>) -> Option<R::Output> {
        self.left -= 1;
        let is_decided = self.rule.as_mut()?.take(number, self.handles.len(), result);
        if is_decided || self.left == 0 { self.finish() } else { None }
    }

    fn finish(&mut self) -> Option<R::Output> {
        let output = self.rule.take()?.finish();
        if self.cancels_on_drop || output.1 && !mutant!("promise_goes_on") {
            self.cancel();
        }
        Some(output.0)
    }
}

/// Watches each handle from now on, so that the order of settling is known later even if no thread
/// looked meanwhile. Tasks that have settled by now come first, in the order of the handles.
fn watch_all<T>(handles: &mut [TaskHandle<T>]) -> Watch {
    let watch = Watch::new(handles.len());
    for (number, handle) in handles.iter_mut().enumerate() {
        handle.watch(watch.waker(number));
    }
    watch
}

impl<R: Rule> Drop for Promise<R> {
    fn drop(&mut self) {
        if self.cancels_on_drop && !mutant!("promise_lets_go") {
            self.cancel();
        }
    }
}

/// Waits in async code, on any runtime or none. The last waker wins. The promise can safely be
/// dropped at any time.
impl<R: Rule> Future for Promise<R> {
    type Output = R::Output;

    /// # Panics
    /// If the output was already taken.
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.advance(cx.waker())
    }
}

// Nothing is pinned inside: handles are `Unpin`, and results are moved.
impl<R: Rule> Unpin for Promise<R> {}

// As for a handle: a result is taken whole or not at all.
impl<R: Rule> UnwindSafe for Promise<R> {}
impl<R: Rule> RefUnwindSafe for Promise<R> {}

impl<R: Rule> fmt::Debug for Promise<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("unsettled", &self.left).finish_non_exhaustive()
    }
}

/// The result of one task.
pub(crate) type Settled<T> = Result<T, TaskError>;
