//! What a task runs: a closure of the user's, or a link, which continues another task.
#![forbid(unsafe_code)]

use super::TaskRef;
use super::context::TaskContext;
use crate::base::error::TaskError;
use crate::base::unwind::{self, Payload};

/// The first form of a task's contents. The second is the value that it leaves, a `T`.
pub(crate) trait Body<T> {
    /// Whether it stands behind another task. Only then are [`before`](Self::before) and
    /// [`passes_on`](Self::passes_on) called.
    const IS_LINK: bool = false;

    /// Runs the body. A panic in it is returned as a value.
    fn call(self, context: &TaskContext) -> Result<T, Stop>;

    /// The task that this one waits for.
    fn before(&self) -> Option<TaskRef> {
        None
    }

    /// Whether it only passes on the result of the task before it, which is settled now. If so, it
    /// needs no worker.
    fn passes_on(&self) -> bool {
        false
    }

    /// Whether it runs once the task before it is settled, even if its handle or the pool is gone.
    /// Must always return the same answer.
    fn runs_anyway(&self) -> bool {
        false
    }
}

/// Why a body left no value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It panicked with this payload.
    Threw(Payload),
    /// The task before it has no value.
    PassedOn(TaskError),
}

impl<F, T> Body<T> for F
where
    F: FnOnce(&TaskContext) -> T,
{
    #[inline]
    fn call(self, context: &TaskContext) -> Result<T, Stop> {
        unwind::catch(|| self(context)).map_err(Stop::Threw)
    }
}
