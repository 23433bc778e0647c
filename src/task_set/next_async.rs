//! Waiting for a set's next result as a future.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::TaskSet;
use crate::error::TaskError;

/// The future that [`TaskSet::next_async`] gives.
///
/// Dropping it part way is safe, and loses nothing. Polled again after it was ready, it waits for
/// another result.
///
/// ```
/// use corepool::{NextAsync, TaskSet};
/// let mut set = TaskSet::<u32>::new();
/// let next: NextAsync<'_, u32> = set.next_async();
/// assert!(pollster::block_on(next).is_none());
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct NextAsync<'set, T> {
    set: &'set mut TaskSet<T>,
}

impl<'set, T> NextAsync<'set, T> {
    pub(super) fn new(set: &'set mut TaskSet<T>) -> Self {
        Self { set }
    }
}

impl<T> Future for NextAsync<'_, T> {
    type Output = Option<Result<T, TaskError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.set.poll_next(cx.waker())
    }
}

// By hand, so that it asks no more of the results than the set's own does.
impl<T> fmt::Debug for NextAsync<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextAsync").field("set", &self.set).finish()
    }
}
