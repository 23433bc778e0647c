//! The iterator and stream that return results in the order of the items.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
#[cfg(feature = "stream")]
use std::pin::Pin;
#[cfg(feature = "stream")]
use std::task::{Context, Poll, ready};

use super::feed::Feed;
use crate::base::error::TaskError;
use crate::pool::handle::TaskHandle;

/// The results of [`map_ordered`](crate::WorkerPool::map_ordered): an iterator that **blocks**
/// until the next result is there. With the feature `stream`, it is also a `Stream`, which does not
/// block.
///
/// Dropping it pulls no more items and cancels the tasks that have not started.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let mut squares = pool.map_ordered(1..=3_u32, 2, |n| n * n);
/// assert_eq!(squares.next().unwrap()?, 1);
/// assert_eq!(squares.next().unwrap()?, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is pulled until a result is asked for"]
pub struct MapOrdered<I, F, R> {
    feed: Feed<I, F>,
    /// In the order of the items.
    handles: VecDeque<TaskHandle<R>>,
}

impl<I, F, R> MapOrdered<I, F, R> {
    pub(super) fn new(feed: Feed<I, F>) -> Self {
        Self { feed, handles: VecDeque::new() }
    }
}

impl<I, F, R> MapOrdered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    /// Spawns tasks until the window is full or the next result is there, but at least one.
    fn fill(&mut self) {
        while let Some(handle) = self.feed.spawn(self.handles.len()) {
            self.handles.push_back(handle);
            if self.handles.front().is_some_and(TaskHandle::is_finished) {
                return;
            }
        }
    }
}

/// Returns the results in the order of the items. **Blocks** while it pulls items, and until the
/// next result is there.
impl<I, F, R> Iterator for MapOrdered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        Some(self.handles.pop_front()?.join())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(self.handles.len())
    }
}

impl<I, F, R> FusedIterator for MapOrdered<I, F, R> where Self: Iterator {}

/// Returns the results in the order of the items. Never waits for a task, but pulls items from the
/// iterator on the polling thread.
#[cfg(feature = "stream")]
impl<I, F, R> futures_core::Stream for MapOrdered<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.fill();
        let Some(front) = self.handles.front_mut() else { return Poll::Ready(None) };
        let result = ready!(Future::poll(Pin::new(front), cx));
        self.handles.pop_front();
        Poll::Ready(Some(result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(self.handles.len())
    }
}

// Nothing is pinned inside: the iterator is only borrowed, as usual for iterators.
impl<I, F, R> Unpin for MapOrdered<I, F, R> {}

impl<I, F, R> Drop for MapOrdered<I, F, R> {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.cancel();
        }
    }
}

impl<I, F, R> fmt::Debug for MapOrdered<I, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapOrdered").field("in_flight", &self.handles.len()).finish_non_exhaustive()
    }
}
