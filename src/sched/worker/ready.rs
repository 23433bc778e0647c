//! How the builder waits for its workers: a count, and a place for the first failure.
//!
//! This is not a channel, because channels wait on the standard library's park token, and that
//! token is the user's.
#![forbid(unsafe_code)]

use crate::base::id::WorkerId;
use crate::base::sync::lock::{Condvar, Mutex};

/// What a new worker reports: it serves, or its start hook panicked.
pub(super) type Word = Result<(), (WorkerId, String)>;

/// What the workers of a new pool have reported so far.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    workers: usize,
    bad: Option<(WorkerId, String)>,
}

impl Readiness {
    pub(super) fn say(&self, word: Word) {
        let mut said = self.said.lock();
        said.workers += 1;
        if let Err(bad) = word {
            said.bad.get_or_insert(bad);
        }
        self.changed.notify_one();
    }

    /// Waits until `workers` workers have reported.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn wait_for(&self, workers: usize) -> Result<(), (WorkerId, String)> {
        let mut said = self.said.lock();
        self.changed.wait_while(&mut said, |said| said.workers < workers);
        said.bad.take().map_or(Ok(()), Err)
    }
}
