//! How the run of a task ended.
#![forbid(unsafe_code)]

use super::state::Outcome;

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// The outcome did not come from this task's own closure.
    pub(super) passed_on: bool,
}

impl Ended {
    /// The end of a continuation whose closure does not run.
    pub(super) fn passed_on(outcome: Outcome) -> Self {
        Self { outcome, passed_on: true }
    }

    /// Whether the closure ended its worker's thread. A continuation that only passes on that a
    /// task before it was lost ends none.
    pub(crate) fn ends_worker(self) -> bool {
        self.outcome == Outcome::Lost && !self.passed_on
    }
}
