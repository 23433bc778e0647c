//! Checks, while a thread waits for a task, whether the workers get their cores.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::id::PoolId;
use crate::parts::parker::Parker;
use crate::sched::hub::{self, FIRST_NAP, Looks};
use crate::sched::worker;

/// One wait.
#[derive(Debug)]
pub(super) struct Care {
    pool: PoolId,
    /// How long the thread sleeps before its next check. `None` if it need not check.
    nap: Option<Duration>,
    looks: Looks,
}

impl Care {
    /// Not needed on a worker, because a waiting worker lends its core to a spare worker.
    pub(super) fn of(pool: PoolId) -> Self {
        let is_needed = hub::are_pins() && worker::place().is_none();
        Self { pool, nap: is_needed.then_some(FIRST_NAP), looks: Looks::default() }
    }

    /// Like [`Parker::park_lending`]. Each nap is twice as long as the last, so a wait has few of
    /// them.
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
