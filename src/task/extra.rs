//! The optional part of a task: what only bounded, timed, named or otherwise special tasks carry.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Unsettled;
use crate::admission::Permit;
use crate::cancel::{CancelReason, CancelToken, Registration};
use crate::sync::Mutex;

/// Lies behind the task in the same allocation, so that plain tasks pay nothing for it.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// When the task was accepted, if the pool records times.
    pub(crate) accepted: Option<Instant>,
    /// The task's place in the order of acceptance, if the pool may have to find the oldest.
    pub(crate) age: usize,
    /// A name of the user's, for reports.
    pub(crate) name: Option<Arc<str>>,
    /// What is rarer still.
    pub(crate) plan: Option<Box<Plan>>,
    /// The task's place in a bounded pool, until it is given back.
    pub(crate) permit: Mutex<Option<Permit>>,
}

/// What a task was asked to be beyond its closure and its name.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The index of the only worker that may run it.
    pub(crate) worker: Option<usize>,
    /// It does not start after this.
    pub(crate) start_by: Option<Instant>,
    /// It is asked to stop when it has run for so long.
    pub(crate) run_for: Option<Duration>,
    /// Whom a token that claims the task is to tell. None if no token may claim it.
    pub(crate) unsettled: Option<Arc<Unsettled>>,
    /// What is to be undone when it is over.
    pub(crate) ties: Mutex<Vec<Tie>>,
}

/// A token that concerns the task, and the task's place on its list.
pub(crate) struct Tie {
    /// First, so that it is dropped first. None if the token had ended before.
    #[expect(dead_code, reason = "only its drop is of interest")]
    pub(crate) registration: Option<Registration>,
    /// What says why a running task is to stop. None for a token that a running task does not heed.
    pub(crate) token: Option<CancelToken>,
}

impl Extra {
    pub(crate) fn with_permit(mut self, permit: Option<Permit>) -> Self {
        self.permit = Mutex::new(permit);
        self
    }

    /// Gives the task's place back, if that has not happened.
    pub(crate) fn give_place_back(&self) {
        let permit = self.permit.lock().take();
        drop(permit);
    }

    /// The task is over: no token concerns it any more.
    pub(crate) fn untie(&self) {
        if let Some(plan) = &self.plan {
            let ties = std::mem::take(&mut *plan.ties.lock());
            drop(ties);
        }
    }
}

impl Plan {
    /// Why it was asked to stop, if a token did that.
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.ties.lock().iter().find_map(|tie| tie.token.as_ref()?.reason())
    }

    pub(crate) fn tie(&self, tie: Tie) {
        self.ties.lock().push(tie);
    }

    /// Whether it is too late to start.
    pub(crate) fn is_late(&self) -> bool {
        self.start_by.is_some_and(|start_by| crate::clock::now() >= start_by)
    }
}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tie").field("token", &self.token).finish_non_exhaustive()
    }
}
