//! What a task runs: a closure of the user's, or a link between two tasks.
#![forbid(unsafe_code)]

use super::TaskRef;
use super::context::TaskContext;
use crate::error::TaskError;
use crate::unwind::{self, Payload};

/// The first half of a task's contents; the second is what it leaves, a `T`.
pub(crate) trait Body<T> {
    /// Whether it stands behind another task: only then [`before`](Self::before) and
    /// [`passes_on`](Self::passes_on) are asked.
    const IS_LINK: bool = false;

    /// Runs it. A panic in it comes back as a value.
    fn call(self, context: &TaskContext) -> Result<T, Stop>;

    /// The task that this one waits for.
    fn before(&self) -> Option<TaskRef> {
        None
    }

    /// Whether it only passes on what the task before it left, now that this is settled: then it
    /// needs no worker.
    fn passes_on(&self) -> bool {
        false
    }

    /// Whether it runs whatever becomes of its handle and of the pool, when the task before it is
    /// settled. Always says the same.
    fn runs_anyway(&self) -> bool {
        false
    }
}

/// Why a body left no value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It panicked, and threw this.
    Threw(Payload),
    /// The task before it has none.
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
