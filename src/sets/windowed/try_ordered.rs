//! The iterator and stream that return results in the order of the items, up to the first error of
//! the source, the function or a task.
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

/// The results of [`try_map_ordered`](crate::WorkerPool::try_map_ordered): an iterator that
/// **blocks** until the next result is there. With the feature `stream`, it is also a `Stream`,
/// which does not block. The first error is the last result.
///
/// Dropping it pulls no more items and cancels the tasks that have not started.
///
/// ```
/// type Error = Box<dyn std::error::Error + Send + Sync>;
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let parse = |text: &str| text.parse::<u32>().map_err(Error::from);
/// let mut numbers = pool.try_map_ordered(["1", "x"].map(Ok::<_, Error>), 2, parse);
/// assert_eq!(numbers.next().unwrap()?, 1);
/// assert!(numbers.next().unwrap().is_err());
/// # Ok::<(), Error>(())
/// ```
#[must_use = "nothing is pulled until a result is asked for"]
pub struct TryMapOrdered<I, F, R, E> {
    feed: Feed<I, F>,
    /// In the order of the items.
    handles: VecDeque<TaskHandle<Result<R, E>>>,
    /// The error of the source. It comes after the results of the items that were pulled before it.
    error: Option<E>,
}

impl<I, F, R, E> TryMapOrdered<I, F, R, E> {
    pub(super) fn new(feed: Feed<I, F>) -> Self {
        Self { feed, handles: VecDeque::new(), error: None }
    }

    /// Pulls no more items, and cancels the tasks that have not started.
    fn stop(&mut self) {
        for handle in self.handles.drain(..) {
            handle.cancel();
        }
        self.error = None;
        self.feed.end();
    }

    /// Converts a task's result for the caller. Stops at an error.
    fn settle(&mut self, result: Result<Result<R, E>, TaskError>) -> Result<R, E>
    where
        E: From<TaskError>,
    {
        let result = result.unwrap_or_else(|why| Err(why.into()));
        if result.is_err() {
            self.stop();
        }
        result
    }
}

impl<I, F, T, R, E> TryMapOrdered<I, F, R, E>
where
    I: Iterator<Item = Result<T, E>>,
    T: Send + 'static,
    F: Fn(T) -> Result<R, E> + Send + Sync + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// Spawns tasks until the window is full or the next result is there, but at least one. Stops
    /// if the source fails.
    fn fill(&mut self) {
        while let Some(item) = self.feed.pull(self.handles.len()) {
            match item {
                Ok(item) => self.handles.push_back(self.feed.spawn_task(item)),
                Err(error) => {
                    // Stored before the source is dropped, because that drop may panic.
                    self.error = Some(error);
                    self.feed.end();
                    return;
                }
            }
            if self.handles.front().is_some_and(TaskHandle::is_finished) {
                return;
            }
        }
    }

    fn bounds(&self) -> (usize, Option<usize>) {
        // The next result may be an error, which is then the last result.
        let least = usize::from(!self.handles.is_empty() || self.error.is_some());
        let (_, most) = self.feed.size_hint(self.handles.len());
        (least, most.and_then(|most| most.checked_add(usize::from(self.error.is_some()))))
    }
}

/// Returns the results in the order of the items, up to the first error. **Blocks** while it pulls
/// items, and until the next result is there.
impl<I, F, T, R, E> Iterator for TryMapOrdered<I, F, R, E>
where
    I: Iterator<Item = Result<T, E>>,
    T: Send + 'static,
    F: Fn(T) -> Result<R, E> + Send + Sync + 'static,
    R: Send + 'static,
    E: From<TaskError> + Send + 'static,
{
    type Item = Result<R, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        match self.handles.pop_front() {
            Some(handle) => Some(self.settle(handle.join())),
            None => self.error.take().map(Err),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.bounds()
    }
}

impl<I, F, R, E> FusedIterator for TryMapOrdered<I, F, R, E> where Self: Iterator {}

/// Returns the results in the order of the items, up to the first error. Never waits for a task,
/// but pulls items from the iterator on the polling thread.
#[cfg(feature = "stream")]
impl<I, F, T, R, E> futures_core::Stream for TryMapOrdered<I, F, R, E>
where
    I: Iterator<Item = Result<T, E>>,
    T: Send + 'static,
    F: Fn(T) -> Result<R, E> + Send + Sync + 'static,
    R: Send + 'static,
    E: From<TaskError> + Send + 'static,
{
    type Item = Result<R, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.fill();
        let Some(front) = self.handles.front_mut() else {
            return Poll::Ready(self.error.take().map(Err));
        };
        let result = ready!(Future::poll(Pin::new(front), cx));
        self.handles.pop_front();
        Poll::Ready(Some(self.settle(result)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.bounds()
    }
}

// Nothing is pinned inside: the iterator is only borrowed, as usual for iterators.
impl<I, F, R, E> Unpin for TryMapOrdered<I, F, R, E> {}

impl<I, F, R, E> Drop for TryMapOrdered<I, F, R, E> {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.cancel();
        }
    }
}

impl<I, F, R, E> fmt::Debug for TryMapOrdered<I, F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_flight = self.handles.len();
        f.debug_struct("TryMapOrdered").field("in_flight", &in_flight).finish_non_exhaustive()
    }
}
