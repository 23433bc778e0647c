//! A set as a stream.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::TaskSet;
use crate::base::error::TaskError;

/// Returns the results as the tasks finish, and ends when the set is empty. See
/// [`TaskSet::next_async`].
///
/// The stream is not fused: more tasks can be pushed after the end.
///
/// ```
/// use corepool::{TaskSet, WorkerPool};
/// use futures_core::Stream;
/// use std::{future::poll_fn, pin::Pin};
///
/// let pool = WorkerPool::with_workers(2)?;
/// let mut squares: TaskSet<u32> = (1..=4).map(|n| pool.spawn(move || n * n)).collect();
/// let sum = pollster::block_on(async {
///     let mut sum = 0;
///     while let Some(square) = poll_fn(|cx| Pin::new(&mut squares).poll_next(cx)).await {
///         sum += square?;
///     }
///     Ok::<_, corepool::TaskError>(sum)
/// });
/// assert_eq!(sum?, 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<T> Stream for TaskSet<T> {
    type Item = Result<T, TaskError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        TaskSet::poll_next(self.get_mut(), cx.waker())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}
