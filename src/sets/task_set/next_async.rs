//! The future of a set's next result.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::TaskSet;
use crate::base::error::TaskError;

/// The future returned by [`TaskSet::next_async`].
///
/// It can safely be dropped at any time; no result is lost. If it is polled again after it was
/// ready, it waits for another result.
///
/// ```
/// use corepool::sets::{NextResult, TaskSet};
/// let mut set = TaskSet::<u32>::new();
/// let next: NextResult<'_, u32> = set.next_async();
/// assert!(pollster::block_on(next).is_none());
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct NextResult<'set, T> {
    set: &'set mut TaskSet<T>,
}

impl<'set, T> NextResult<'set, T> {
    pub(super) fn new(set: &'set mut TaskSet<T>) -> Self {
        Self { set }
    }
}

impl<T> Future for NextResult<'_, T> {
    type Output = Option<Result<T, TaskError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.set.poll_next(cx.waker())
    }
}

// Written by hand, so that it requires no more of the results than the set's own `Debug`.
impl<T> fmt::Debug for NextResult<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextResult").field("set", &self.set).finish()
    }
}
