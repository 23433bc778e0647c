//! The iterator and stream that return results as they finish.
#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;
#[cfg(feature = "stream")]
use std::pin::Pin;
#[cfg(feature = "stream")]
use std::task::{Context, Poll};

use super::feed::Feed;
use crate::base::error::TaskError;
use crate::sets::task_set::TaskSet;

/// The results of [`map_unordered`](crate::WorkerPool::map_unordered): an iterator that **blocks**
/// until a result is there. With the feature `stream`, it is also a `Stream`, which does not block.
///
/// Dropping it pulls no more items and cancels the tasks that have not started.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let squares = pool.map_unordered(1..=3_u32, 2, |n| n * n);
/// let sum: u32 = squares.map(Result::unwrap).sum();
/// assert_eq!(sum, 14);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[must_use = "nothing is pulled until a result is asked for"]
pub struct MapUnordered<I, F, R> {
    feed: Feed<I, F>,
    /// Cancels on drop.
    tasks: TaskSet<R>,
}

impl<I, F, R> MapUnordered<I, F, R> {
    pub(super) fn new(feed: Feed<I, F>) -> Self {
        Self { feed, tasks: TaskSet::new().cancel_on_drop() }
    }
}

impl<I, F, R> MapUnordered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    /// Spawns tasks until the window is full or a result is there, but at least one. Returns that
    /// result.
    fn fill(&mut self) -> Option<Result<R, TaskError>> {
        while let Some(handle) = self.feed.spawn(self.tasks.len()) {
            self.tasks.push(handle);
            let result = self.tasks.try_next();
            if result.is_some() {
                return result;
            }
        }
        None
    }
}

/// Returns the results as they finish. **Blocks** while it pulls items, and until a result is
/// there.
impl<I, F, R> Iterator for MapUnordered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill().or_else(|| self.tasks.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(self.tasks.len())
    }
}

impl<I, F, R> FusedIterator for MapUnordered<I, F, R> where Self: Iterator {}

/// Returns the results as they finish. Never waits for a task, but pulls items from the iterator on
/// the polling thread.
#[cfg(feature = "stream")]
impl<I, F, R> futures_core::Stream for MapUnordered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.fill() {
            Some(result) => Poll::Ready(Some(result)),
            None => Pin::new(&mut self.tasks).poll_next(cx),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(self.tasks.len())
    }
}

// Nothing is pinned inside: the iterator is only borrowed, as usual for iterators.
impl<I, F, R> Unpin for MapUnordered<I, F, R> {}

impl<I, F, R> fmt::Debug for MapUnordered<I, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").field("in_flight", &self.tasks.len()).finish_non_exhaustive()
    }
}
