//! A set of tasks that returns their results as they finish.
#![forbid(unsafe_code)]

mod next_async;
mod seats;
mod source;
mod broadcast;
mod spawn;
#[cfg(feature = "stream")]
mod stream;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::error::TaskError;
use crate::base::id::TaskId;
use crate::parts::habit;
use crate::parts::parker;
use crate::parts::spin::Patience;
use crate::pool::handle::{self, TaskHandle};
use crate::sets::batch::BatchSource;
pub use next_async::NextResult;
use seats::Seats;
use source::Source;

/// A set of tasks whose results are taken as they finish.
///
/// Use it to handle each result as soon as it is there, or when keeping all results at once would
/// take too much memory: each result leaves the set when it is returned, and its task's memory is
/// freed. To get all results together, in the order of the handles, use
/// [`promise::all`](crate::promise::all).
///
/// As an [`Iterator`] the set **blocks** until the next task has finished, and ends when the set is
/// empty. More tasks can be [pushed](Self::push) at any time, even after the end. In async code,
/// use [`next_async`](Self::next_async), on any runtime or none. With the feature `stream`, the set
/// is also a `Stream`. (If an extension trait for streams is in scope, `set.next()` is ambiguous;
/// name the trait in the call.)
///
/// Results come out in the order in which their tasks settled, even if no thread looked meanwhile.
/// A task that had settled before it was [pushed](Self::push) counts as settled at the push. The
/// results of a [batch](crate::WorkerPool::spawn_batch) come in approximately that order.
///
/// The cost per task does not depend on the size of the set: unfinished tasks are not looked at.
///
/// **Inside a task**, taking a result makes progress even on a pool of one worker. Results that are
/// there come first. If there is none, the set runs one task that has not started in place.
///
/// **Dropping** the set lets all tasks continue, unless [`cancel_on_drop`](Self::cancel_on_drop)
/// was called.
///
/// ```
/// use corepool::{TaskSet, WorkerPool};
/// let pool = WorkerPool::with_workers(2)?;
/// let mut lengths: TaskSet<usize> =
///     ["one", "two", "three"].map(|word| pool.spawn(move || word.len())).into_iter().collect();
/// let mut sum = 0;
/// while let Some(length) = lengths.next() {
///     sum += length?;
///     if sum == 11 {
///         lengths.push(pool.spawn(|| 100));
///     }
/// }
/// assert_eq!(sum, 111);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a set that is dropped detaches its tasks"]
pub struct TaskSet<T> {
    seats: Seats<T>,
    /// What was learnt about waiting for this set.
    patience: Patience,
    cancels_on_drop: bool,
}

impl<T> TaskSet<T> {
    fn of_batch(batch: BatchSource<T>) -> Self {
        let mut set = Self::new();
        if batch.left() > 0 {
            set.seats.add(Source::Many(batch));
        }
        set
    }

    /// Makes an empty set. Does not allocate.
    ///
    /// ```
    /// let set = corepool::TaskSet::<u32>::new();
    /// assert!(set.is_empty());
    /// ```
    pub const fn new() -> Self {
        Self { seats: Seats::new(), patience: Patience::joining(), cancels_on_drop: false }
    }

    /// Adds a task. Never blocks.
    ///
    /// If [`cancel_on_drop`](TaskHandle::cancel_on_drop) was called on the handle, it also applies
    /// in the set. The returned id identifies the task's result in
    /// [`next_with_id`](Self::next_with_id).
    ///
    /// # Panics
    /// If the result of the handle was already taken.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut set = TaskSet::new();
    /// let id = set.push(pool.spawn(|| 7));
    /// assert!(matches!(set.next_with_id(), Some((found, Ok(7))) if found == id));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[track_caller]
    pub fn push(&mut self, handle: TaskHandle<T>) -> TaskId {
        assert!(!handle.is_spent(), "{}", handle::SPENT);
        self.seats.add(Source::One(handle))
    }

    /// Returns how many results have not been taken yet, of finished and unfinished tasks.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let mut set = pool.spawn_batch((0..3).map(|n| move || n));
    /// assert_eq!(set.len(), 3);
    /// set.next();
    /// assert_eq!(set.len(), 2);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.left()
    }

    /// Returns `true` if every result has been taken.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let mut set = pool.spawn_batch([|| 1]);
    /// assert!(!set.is_empty());
    /// set.next();
    /// assert!(set.is_empty());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a result if one is there. Returns `None` if no task has finished or the set is empty;
    /// [`is_empty`](Self::is_empty) tells which.
    ///
    /// Never blocks, and runs no task.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<u32>();
    /// let mut set = TaskSet::from_iter([pool.spawn(move || wait.recv().unwrap())]);
    /// assert!(set.try_next().is_none() && !set.is_empty());
    /// go.send(7)?;
    /// assert_eq!(set.next().unwrap()?, 7);
    /// assert!(set.try_next().is_none() && set.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Option<Result<T, TaskError>> {
        self.seats.take_finished()
    }

    /// Like the iterator's `next`, but also returns the task's id. **Blocks** until there is a
    /// result. Returns `None` if the set is empty.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(2)?;
    /// let mut set = TaskSet::new();
    /// let names: Vec<_> =
    ///     ["a.txt", "b.txt"].map(|name| (set.push(pool.spawn(|| name.len())), name)).into();
    /// while let Some((id, length)) = set.next_with_id() {
    ///     let name = names.iter().find(|entry| entry.0 == id).unwrap().1;
    ///     assert_eq!(length?, name.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_with_id(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        let result = self.next()?;
        Some((self.seats.last_taken(), result))
    }

    /// Like [`try_next`](Self::try_next), but also returns the task's id.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut set = TaskSet::new();
    /// let id = set.push(pool.spawn(|| 7));
    /// pool.drain();
    /// assert!(matches!(set.try_next_with_id(), Some((found, Ok(7))) if found == id));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_next_with_id(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        let result = self.try_next()?;
        Some((self.seats.last_taken(), result))
    }

    /// Like [`next_async`](Self::next_async), but also returns the task's id.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut set = TaskSet::new();
    /// let id = set.push(pool.spawn(|| 7));
    /// let next = pollster::block_on(set.next_async_with_id());
    /// assert!(matches!(next, Some((found, Ok(7))) if found == id));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub async fn next_async_with_id(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        let result = self.next_async().await?;
        Some((self.seats.last_taken(), result))
    }

    /// Like the iterator's `next`, but gives up after `timeout`. **Blocks** until then.
    ///
    /// Returns `None` if no task finished in time, or at once if the set is empty;
    /// [`is_empty`](Self::is_empty) tells which. Nothing is lost, and the call can be repeated.
    ///
    /// Inside a task, the call may take longer than `timeout`, because a task that runs in place is
    /// not interrupted. With a timeout of zero, it runs no task.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// use std::time::Duration;
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<u32>();
    /// let mut set = TaskSet::from_iter([pool.spawn(move || wait.recv().unwrap())]);
    /// assert!(set.next_timeout(Duration::from_millis(1)).is_none());
    /// assert_eq!(set.len(), 1, "there is one to come");
    /// go.send(7)?;
    /// assert_eq!(set.next_timeout(Duration::from_secs(60)).unwrap()?, 7);
    /// assert!(set.next_timeout(Duration::from_secs(60)).is_none() && set.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<T, TaskError>> {
        let next = match self.take_or_end() {
            Poll::Pending if !timeout.is_zero() => self.wait(Some(clock::after(timeout))),
            next => next,
        };
        match next {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    /// Waits in async code for the next result, on any runtime or none. The output is `None` if the
    /// set is empty.
    ///
    /// The future can safely be dropped at any time; no result is lost. The last waker wins. If it
    /// is polled on a pool's worker, it runs a task that has not started, as described
    /// [above](Self).
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(2)?;
    /// let mut squares: TaskSet<u32> = (1..=4).map(|n| pool.spawn(move || n * n)).collect();
    /// let sum = pollster::block_on(async {
    ///     let mut sum = 0;
    ///     while let Some(square) = squares.next_async().await {
    ///         sum += square?;
    ///     }
    ///     Ok::<_, corepool::TaskError>(sum)
    /// });
    /// assert_eq!(sum?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_async(&mut self) -> NextResult<'_, T> {
        NextResult::new(self)
    }

    /// [Cancels](TaskHandle::cancel) every task that has not finished. Their results still come
    /// out: [`Cancelled`](TaskError::Cancelled) for tasks that were not running.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// let set: TaskSet<u32> = (0..10).map(|n| pool.spawn(move || n)).collect();
    /// set.cancel_all();
    /// assert!(set.into_iter().all(|result| result.unwrap_err().is_cancelled()));
    /// # drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel_all(&self) {
        self.seats.cancel_all();
    }

    /// Makes dropping the set cancel the tasks that have not finished by then.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// drop(pool.spawn_batch([|| 1, || 1]).cancel_on_drop());
    /// assert_eq!(pool.metrics().cancelled, 2);
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    /// Takes a result if one is there. Otherwise tells an empty set from one with unfinished tasks.
    fn take_or_end(&mut self) -> Poll<Option<Result<T, TaskError>>> {
        match self.seats.take_finished() {
            Some(result) => Poll::Ready(Some(result)),
            None if self.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Like [`take_or_end`](Self::take_or_end), but runs a task in place where that is due.
    fn advance(&mut self) -> Poll<Option<Result<T, TaskError>>> {
        match self.take_or_end() {
            Poll::Pending => match self.seats.run_one_here() {
                Some(result) => Poll::Ready(Some(result)),
                None => Poll::Pending,
            },
            ready => ready,
        }
    }

    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Result<T, TaskError>>> {
        let _core_is_wanted = habit::waits();
        loop {
            let next = self.advance();
            if next.is_ready() {
                return next;
            }
            if let Some(lost) = self.seats.take_lost() {
                return Poll::Ready(Some(lost));
            }
            if !self.seats.wait(waker) {
                return Poll::Pending;
            }
        }
    }

    /// Waits for the next result, or until the time is over.
    #[cold]
    fn wait(&mut self, end: Option<Instant>) -> Poll<Option<Result<T, TaskError>>> {
        let mut core_is_wanted = habit::waits();
        parker::with_current(|parker, waker| {
            loop {
                let next = self.advance();
                if next.is_ready() {
                    return next;
                }
                let sleeps_at_once = std::mem::take(&mut core_is_wanted);
                if !sleeps_at_once && self.look_again() {
                    continue;
                }
                if let Some(lost) = self.seats.take_lost() {
                    return Poll::Ready(Some(lost));
                }
                if self.seats.wait(waker) {
                    continue;
                }
                if !parker.park_lending(end) {
                    return self.take_or_end();
                }
            }
        })
    }

    /// Spins before the sleep. Returns whether something finished meanwhile.
    fn look_again(&mut self) -> bool {
        let mut pause = self.patience.pause();
        while pause.turn() && self.seats.is_quiet() {}
        let came = !self.seats.is_quiet();
        self.patience.learn(came);
        came
    }
}

/// Returns the results as the tasks finish, and **blocks** until there is one.
///
/// The iterator is not fused: more tasks can be pushed after the end.
impl<T> Iterator for TaskSet<T> {
    type Item = Result<T, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The common case for a batch, first: nothing is wrapped around the result on its way.
        let result = self.seats.take_at_hand();
        if result.is_some() {
            return result;
        }
        let next = match self.take_or_end() {
            Poll::Pending => self.wait(None),
            next => next,
        };
        match next {
            Poll::Ready(next) => next,
            Poll::Pending => unreachable!("a wait without an end came back without a result"),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> Default for TaskSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<TaskHandle<T>> for TaskSet<T> {
    fn extend<I: IntoIterator<Item = TaskHandle<T>>>(&mut self, handles: I) {
        let handles = handles.into_iter();
        self.seats.expect(handles.size_hint().0);
        for handle in handles {
            self.push(handle);
        }
    }
}

impl<T> FromIterator<TaskHandle<T>> for TaskSet<T> {
    fn from_iter<I: IntoIterator<Item = TaskHandle<T>>>(handles: I) -> Self {
        let mut set = Self::new();
        set.extend(handles);
        set
    }
}

impl<T> Drop for TaskSet<T> {
    fn drop(&mut self) {
        if self.cancels_on_drop {
            self.cancel_all();
        }
    }
}

// As for a handle: a result comes out whole or not at all.
impl<T> UnwindSafe for TaskSet<T> {}
impl<T> RefUnwindSafe for TaskSet<T> {}

impl<T> fmt::Debug for TaskSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet").field("len", &self.len()).finish_non_exhaustive()
    }
}
