//! The optional part of a task: what only bounded, timed, named or otherwise special tasks carry.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Unsettled;
use crate::base::sync::Mutex;
use crate::cancel::{CancelReason, CancelToken, Registration};
use crate::parts::admission::Place;

/// Lies behind the task in the same allocation, so plain tasks do not pay for it.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// When the task was accepted, if the pool records times.
    pub(crate) accepted: Option<Instant>,
    /// The task's place in the order of acceptance, if the pool may have to find the oldest task.
    pub(crate) age: usize,
    /// A name chosen by the user, for reports.
    pub(crate) name: Option<Arc<str>>,
    /// Parts that are rarer still.
    pub(crate) plan: Option<Box<Plan>>,
    /// The task's place in a bounded pool, until it is given back.
    pub(crate) place: Mutex<Option<Place>>,
}

/// What was requested for a task beyond its closure and its name.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The index of the only worker that may run it.
    pub(crate) worker: Option<usize>,
    /// The task must not start after this time.
    pub(crate) start_by: Option<Instant>,
    /// The task is asked to stop when it has run for this long.
    pub(crate) run_for: Option<Duration>,
    /// The count that a token raises when it claims the task. None if no token may claim it.
    pub(crate) unsettled: Option<Arc<Unsettled>>,
    /// Cancelled with the handle, where the result is given by hand: see `given.rs`.
    pub(crate) asks: Option<CancelToken>,
    /// The ties to undo when the task is over.
    pub(crate) ties: Mutex<Vec<Tie>>,
}

/// A token that concerns the task, and the task's place on the token's list.
pub(crate) struct Tie {
    /// First, so that it is dropped first. None if the token had already ended.
    #[expect(dead_code, reason = "only its drop is of interest")]
    pub(crate) registration: Option<Registration>,
    /// The token that says why a running task should stop. None for a token that a running task
    /// ignores.
    pub(crate) token: Option<CancelToken>,
}

impl Extra {
    pub(crate) fn with_place(mut self, place: Option<Place>) -> Self {
        self.place = Mutex::new(place);
        self
    }

    /// Gives the task's place back, if that has not happened yet.
    pub(crate) fn give_place_back(&self) {
        let place = self.place.lock().take();
        drop(place);
    }

    /// The token that is cancelled with the handle, if the task's result is given by hand.
    pub(crate) fn asks(&self) -> Option<&CancelToken> {
        self.plan.as_ref()?.asks.as_ref()
    }

    /// Unties the task from its tokens, because it is over.
    pub(crate) fn untie(&self) {
        if let Some(plan) = &self.plan {
            let ties = std::mem::take(&mut *plan.ties.lock());
            drop(ties);
        }
    }
}

impl Plan {
    /// Why the task was asked to stop, if a token asked it.
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.ties.lock().iter().find_map(|tie| tie.token.as_ref()?.reason())
    }

    pub(crate) fn tie(&self, tie: Tie) {
        self.ties.lock().push(tie);
    }

    /// Whether the task is late: too late to start.
    pub(crate) fn is_late(&self) -> bool {
        self.start_by.is_some_and(|start_by| crate::base::clock::now() >= start_by)
    }
}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tie").field("token", &self.token).finish_non_exhaustive()
    }
}
