//! The optional part of a task: what only bounded, timed or named tasks carry.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::admission::Permit;
use crate::sync::Mutex;

/// Lies behind the task in the same allocation, so that plain tasks pay nothing for it.
#[derive(Debug)]
pub(crate) struct Extra {
    /// When the task was accepted, if the pool records times.
    pub(crate) accepted: Option<Instant>,
    /// The task's place in the order of acceptance, if the pool may have to find the oldest.
    pub(crate) age: usize,
    /// A name of the user's, for reports.
    pub(crate) name: Option<Arc<str>>,
    /// The task's place in a bounded pool, until it is given back.
    permit: Mutex<Option<Permit>>,
}

impl Extra {
    pub(crate) fn new(
        accepted: Option<Instant>,
        age: usize,
        name: Option<Arc<str>>,
        permit: Option<Permit>,
    ) -> Self {
        Self { accepted, age, name, permit: Mutex::new(permit) }
    }

    /// Gives the task's place back, if that has not happened.
    pub(crate) fn give_place_back(&self) {
        let permit = self.permit.lock().take();
        drop(permit);
    }
}
