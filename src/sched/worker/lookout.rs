//! The lookout: while there are fork-join calls, one of the workers that have nothing to do naps
//! instead of sleeping.
//!
//! What a call leaves on its thread's line (its row of fork-join jobs) wakes no worker, because
//! most calls are over before one could arrive. So a worker must look, whatever that thread does.
//! Naps are short while calls come and go, and grow with the time for which nothing has changed.
//! While naps are long, a thread that adds something to its line calls the lookout.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::{Found, Worker};
use crate::base::clock;
use crate::parts::idle::Retract;
use crate::sched::hub::Looker;

/// Work left on a line is seen within this time, while naps are short.
const SHORT_NAP: Duration = Duration::from_micros(80);
/// A nap is this part (one in this many) of the time for which nothing has changed.
const NAP_SHARE: u32 = 10;
/// How long the naps may become while the lookout only stands in the way of guests that compute. A
/// guest is a thread that is no worker of the pool and takes part in its fork-join calls.
const LONGEST_NAP_IN_THE_WAY: Duration = Duration::from_millis(5);
/// A guest may be waiting, in a loop of its own, for what it has left. So the lookout takes
/// something after this time.
const LONGEST_STAND_BACK: Duration = Duration::from_millis(10);
/// In calls that last longer than this, a worker that does not get its core is let loose: its pin
/// is lifted, so that the kernel can move it. In a series of short calls it would only get in the
/// way of the thread that makes them, which is what has its core.
const LONG_CALL: Duration = Duration::from_micros(250);
/// The lookout sleeps after this many naps in which there was no call.
const QUIET_NAPS: u32 = 10;

/// What the lookout saw last.
struct Sight {
    calls: usize,
    /// Since when nothing has changed.
    since: Instant,
    nap: Duration,
    /// For how many naps there was no call.
    quiet: u32,
    guests_ran: Duration,
}

impl Worker {
    /// Sleeps until the worker is off the free list, and counts as searching. Returns what it has
    /// found on a line meanwhile.
    pub(super) fn sleep(&mut self) -> Option<Found> {
        self.slot().counters.parks.raise();
        let found = if self.begin_lookout() {
            self.is_listed = true;
            let found = self.watch();
            self.is_listed = false;
            found
        } else {
            None
        };
        if found.is_none() {
            // The token has come, or no lookout is needed.
            self.slot().parker.park();
        }
        // A spare worker may be woken once too often, at the end of the pool.
        while self.is_spare && self.hub.idle.lists(self.index) {
            self.slot().parker.park();
        }
        found
    }

    /// Returns whether this worker must watch. If not, it may sleep: another worker watches, or
    /// there are no calls and a thread that begins one calls a worker.
    fn begin_lookout(&self) -> bool {
        if !self.hub.has_calls() {
            let _asked = self.hub.ask_for_calls();
            if !self.hub.has_calls() {
                return false;
            }
        }
        self.hub.lookout.begin(self.index)
    }

    /// Naps and looks. Returns `None` if the worker's token is there or on its way, or if there is
    /// nothing left to watch.
    fn watch(&mut self) -> Option<Found> {
        let now = clock::now();
        let mut sight = Sight {
            calls: self.hub.count_calls(),
            since: now,
            nap: SHORT_NAP,
            quiet: 0,
            guests_ran: Duration::ZERO,
        };
        loop {
            if self.slot().parker.park_until(clock::after(sight.nap)) {
                // Keep the token for `sleep`.
                self.slot().parker.unpark();
                self.hub.end_lookout(self.index);
                return None;
            }
            if !self.hub.lookout.is(self.index) {
                // Another worker was called in its place. This one stays on the list.
                return None;
            }
            if let Some(found) = self.look_out(&mut sight) {
                if self.hub.idle.retract(self.index) == Retract::WakeIsComing {
                    self.slot().parker.park();
                }
                self.hub.end_lookout(self.index);
                return Some(found);
            }
            if sight.quiet > QUIET_NAPS {
                self.hub.lookout.end(self.index);
                if !self.begin_lookout() {
                    return None;
                }
                sight.quiet = 0;
            }
        }
    }

    fn look_out(&mut self, sight: &mut Sight) -> Option<Found> {
        let now = clock::now();
        let calls = self.hub.count_calls();
        let has_calls = self.hub.has_calls();
        if calls != sight.calls {
            *sight = Sight { calls, since: now, nap: SHORT_NAP, quiet: 0, ..*sight };
        } else {
            if now.saturating_duration_since(sight.since) > LONG_CALL {
                self.hub.look_after_late(Looker::Waits);
            }
            if !has_calls {
                sight.quiet += 1;
                return None;
            }
        }
        if has_calls {
            if self.stand_back_if_in_the_way(sight, now) {
                // No line asks for a call: the naps are short enough, and each call would only
                // bring this worker back here.
                return None;
            }
            self.is_sure_of_its_core = true;
            let found = self.find_part().or_else(|| self.wait_for_part_if_young());
            self.is_sure_of_its_core = false;
            if found.is_some() {
                return found;
            }
            let quiet = now.saturating_duration_since(sight.since);
            sight.nap = SHORT_NAP.max(quiet / NAP_SHARE);
        }
        if sight.nap > 2 * SHORT_NAP && self.hub.ask_for_calls() {
            // What was added before the lines were asked called no worker.
            sight.nap = SHORT_NAP;
        }
        None
    }

    /// Waits if a call has just begun, because it may continue.
    fn wait_for_part_if_young(&mut self) -> Option<Found> {
        if self.sees_young_call { self.wait_for_part() } else { None }
    }

    /// Stands back for a while if there are as many guests as free workers and they compute,
    /// because this worker then has no core. Returns whether it stands back.
    fn stand_back_if_in_the_way(&self, sight: &mut Sight, now: Instant) -> bool {
        if !self.is_one_too_many() {
            self.hub.lookout.stand_back(None);
            return false;
        }
        let ran = self.hub.time_of_guests();
        let before = std::mem::replace(&mut sight.guests_ran, ran);
        let computes = ran.saturating_sub(before) * 2 > sight.nap;
        let is_patient = computes && self.hub.lookout.stand_back(Some(now)) < LONGEST_STAND_BACK;
        if is_patient {
            sight.nap = (sight.nap * 2).min(LONGEST_NAP_IN_THE_WAY);
        } else {
            self.hub.lookout.stand_back(None);
        }
        is_patient
    }
}
