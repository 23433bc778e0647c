//! Results as they come.
#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;
#[cfg(feature = "stream")]
use std::pin::Pin;
#[cfg(feature = "stream")]
use std::task::{Context, Poll};

use super::feed::Feed;
use crate::error::TaskError;
use crate::task_set::TaskSet;

/// The results of [`map_unordered`](crate::WorkerPool::map_unordered): an iterator that **blocks**
/// until one is there, and with the feature `stream` a `Stream`, which does not.
///
/// Dropping it pulls no more and cancels what has not started.
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
    /// Spawns tasks until the window is full or a result is there, which it gives; but at least
    /// one.
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

/// Gives the results as they come. **Blocks** while it pulls, and until a result is there.
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

/// Gives the results as they come. Never waits for a task, but pulls items from the iterator, on
/// the thread that polls.
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

// Nothing is pinned inside: the iterator is only ever borrowed, as iterators are.
impl<I, F, R> Unpin for MapUnordered<I, F, R> {}

impl<I, F, R> fmt::Debug for MapUnordered<I, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").field("in_flight", &self.tasks.len()).finish_non_exhaustive()
    }
}
