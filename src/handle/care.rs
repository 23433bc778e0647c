//! A thread that waits for a task looks now and then whether the workers get their cores.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::clock;
use crate::hub::{self, FIRST_NAP, Looks};
use crate::id::PoolId;
use crate::parker::Parker;
use crate::worker;

/// One wait.
#[derive(Debug)]
pub(super) struct Care {
    pool: PoolId,
    /// How long it sleeps before it looks next. None if it need not.
    nap: Option<Duration>,
    looks: Looks,
}

impl Care {
    /// Not on a worker: that one lends its core meanwhile.
    pub(super) fn of(pool: PoolId) -> Self {
        let is_needed = hub::are_pins() && worker::place().is_none();
        Self { pool, nap: is_needed.then_some(FIRST_NAP), looks: Looks::default() }
    }

    /// As [`Parker::park_lending`]. Naps become twice as long each time, so a wait has few of them.
    pub(super) fn park(&mut self, parker: &Parker, end: Option<Instant>) -> bool {
        while let Some(nap) = self.nap {
            let soon = clock::after(nap);
            if end.is_some_and(|end| end <= soon) {
                break;
            }
            if parker.park_until(soon) {
                return true;
            }
            let looks_again =
                hub::find(self.pool).is_some_and(|hub| hub.look_after(&mut self.looks));
            self.nap = looks_again.then(|| nap.saturating_mul(2));
        }
        parker.park_lending(end)
    }
}
