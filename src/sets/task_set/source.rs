//! The sources of a set's results. Only this file tells handles from batches.
#![forbid(unsafe_code)]

use std::task::{Poll, Waker};

use crate::base::error::TaskError;
use crate::pool::handle::TaskHandle;
use crate::sets::batch::BatchSource;

/// Returns one or more results, and then is empty.
pub(super) enum Source<T> {
    One(TaskHandle<T>),
    Many(BatchSource<T>),
}

impl<T> Source<T> {
    /// Takes a result if there is one; otherwise leaves the waker for the next one. Runs no task.
    pub(super) fn poll(&mut self, waker: impl FnOnce() -> Waker) -> Poll<Result<T, TaskError>> {
        match self {
            Self::One(handle) if handle.is_finished() => handle.poll_elsewhere(Waker::noop()),
            Self::One(handle) => handle.poll_elsewhere(&waker()),
            Self::Many(batch) => match batch.try_take() {
                Some(result) => Poll::Ready(result),
                None => wait_for_batch(batch, &waker()),
            },
        }
    }

    /// The batch, if the source is one.
    #[inline]
    pub(super) fn as_batch(&mut self) -> Option<&mut BatchSource<T>> {
        match self {
            Self::One(_) => None,
            Self::Many(batch) => Some(batch),
        }
    }

    /// Runs one task now, if one has not started and this thread runs such tasks in place.
    pub(super) fn run_one_here(&mut self) -> Option<Result<T, TaskError>> {
        match self {
            Self::One(handle) => handle.run_in_place(),
            // This may return the result of another item; any result will do.
            Self::Many(batch) => batch.run_one_here().then(|| batch.try_take()).flatten(),
        }
    }

    /// Takes a result that no thread will produce, because the task belongs to a parent process.
    pub(super) fn take_lost(&mut self) -> Option<Result<T, TaskError>> {
        match self {
            Self::One(handle) if handle.is_lost() => {
                handle.give_up();
                Some(Err(TaskError::Lost))
            }
            Self::One(_) => None,
            Self::Many(batch) => batch.take_lost().map(Err),
        }
    }

    /// How many results are still to be taken.
    pub(super) fn left(&self) -> usize {
        match self {
            Self::One(handle) => usize::from(!handle.is_spent()),
            Self::Many(batch) => batch.left(),
        }
    }

    /// Which of its tasks, counted from 0, returned the last result.
    pub(super) fn last_taken(&self) -> u64 {
        match self {
            Self::One(_) => 0,
            Self::Many(batch) => u64::from(batch.last_taken()),
        }
    }

    /// Cancels the tasks that have not finished.
    pub(super) fn cancel(&self) {
        match self {
            Self::One(handle) => {
                handle.cancel();
            }
            Self::Many(batch) => batch.cancel(),
        }
    }
}

fn wait_for_batch<T>(batch: &mut BatchSource<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    while batch.set_waker(waker) {
        if let Some(result) = batch.try_take() {
            return Poll::Ready(result);
        }
    }
    Poll::Pending
}
