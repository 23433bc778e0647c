//! Where a set's results come from: the one place that knows of handles.
#![forbid(unsafe_code)]

use std::task::{Poll, Waker};

use crate::error::TaskError;
use crate::handle::TaskHandle;

/// Gives one result or more, and then is empty.
pub(super) enum Source<T> {
    One(TaskHandle<T>),
}

impl<T> Source<T> {
    /// Takes a result that is there, or leaves the waker for the next one. Runs no task.
    pub(super) fn poll(&mut self, waker: impl FnOnce() -> Waker) -> Poll<Result<T, TaskError>> {
        match self {
            Self::One(handle) if handle.is_finished() => handle.poll_elsewhere(Waker::noop()),
            Self::One(handle) => handle.poll_elsewhere(&waker()),
        }
    }

    /// Runs one task here and now, if there is one that nobody has started and this thread runs such in place.
    pub(super) fn run_one_here(&mut self) -> Option<Result<T, TaskError>> {
        match self {
            Self::One(handle) => handle.run_in_place(),
        }
    }

    /// Takes a result that nobody will give any more: the task is a parent process's. Costs a system call.
    pub(super) fn take_lost(&mut self) -> Option<Result<T, TaskError>> {
        match self {
            Self::One(handle) if handle.is_lost() => {
                handle.give_up();
                Some(Err(TaskError::Lost))
            }
            Self::One(_) => None,
        }
    }

    /// How many results are still to be taken.
    pub(super) fn left(&self) -> usize {
        match self {
            Self::One(handle) => usize::from(!handle.is_spent()),
        }
    }

    /// Cancels what has not finished.
    pub(super) fn cancel(&self) {
        match self {
            Self::One(handle) => {
                handle.cancel();
            }
        }
    }
}
