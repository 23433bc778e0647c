//! The lookout: of the workers that have nothing to do one naps instead of sleeping, while there
//! are fork-join calls.
//!
//! What a call leaves on its thread's line wakes nobody, because most calls are over before anybody
//! could come. So somebody has to look, whatever that thread does. Naps are short while calls come
//! and go, and grow with the time for which nothing has changed; while they are long, whoever adds
//! something to a line calls the lookout.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::{Found, Worker};
use crate::clock;
use crate::hub::Looker;
use crate::idle::Retract;

/// What is left is seen within this time, while naps are short.
const SHORT_NAP: Duration = Duration::from_micros(80);
/// A nap is this part of the time for which nothing has changed.
const NAP_SHARE: u32 = 10;
/// Beside guests that compute the lookout only stands in the way: so long may its naps become.
const LONGEST_NAP_IN_THE_WAY: Duration = Duration::from_millis(5);
/// But what a guest has left may be what it waits for, by a loop of its own: after so long the
/// lookout takes something.
const LONGEST_STAND_BACK: Duration = Duration::from_millis(10);
/// In calls that last for longer than this, a worker that does not get its core is let loose. In a
/// series of small ones it would only get into the way of the thread that makes them, which is what
/// has its core.
const LONG_CALL: Duration = Duration::from_micros(250);
/// The lookout sleeps after so many naps in which there was no call.
const QUIET_NAPS: u32 = 10;

/// What the lookout saw last.
struct Watch {
    calls: usize,
    /// Since when nothing has changed.
    since: Instant,
    nap: Duration,
    /// How many naps there was no call.
    quiet: u32,
    guests_ran: Duration,
}

impl Worker {
    /// Sleeps until the worker is off the free list, and counts as searching. Gives what it has
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
            // The token has come, or nobody needs a lookout.
            self.slot().parker.park();
        }
        // A spare worker may be woken once too often, at the end of the pool.
        while self.is_spare && self.hub.idle.lists(self.index) {
            self.slot().parker.park();
        }
        found
    }

    /// Says whether this worker is to watch. If not it may sleep: somebody else watches, or there
    /// are no calls and whoever begins one calls a worker.
    fn begin_lookout(&self) -> bool {
        if !self.hub.has_calls() {
            let _asked = self.hub.ask_for_calls();
            if !self.hub.has_calls() {
                return false;
            }
        }
        self.hub.lookout.begin(self.index)
    }

    /// Naps and looks. `None` if the worker's token is there or on its way, or if there is nothing
    /// to watch any more.
    fn watch(&mut self) -> Option<Found> {
        let now = clock::now();
        let mut watch = Watch {
            calls: self.hub.count_calls(),
            since: now,
            nap: SHORT_NAP,
            quiet: 0,
            guests_ran: Duration::ZERO,
        };
        loop {
            if self.slot().parker.park_until(clock::after(watch.nap)) {
                // Kept for `sleep`.
                self.slot().parker.unpark();
                self.hub.end_lookout(self.index);
                return None;
            }
            if !self.hub.lookout.is(self.index) {
                // Somebody else was called in its place. It stays on the list.
                return None;
            }
            if let Some(found) = self.look_out(&mut watch) {
                if self.hub.idle.retract(self.index) == Retract::WakeIsComing {
                    self.slot().parker.park();
                }
                self.hub.end_lookout(self.index);
                return Some(found);
            }
            if watch.quiet > QUIET_NAPS {
                self.hub.lookout.end(self.index);
                if !self.begin_lookout() {
                    return None;
                }
                watch.quiet = 0;
            }
        }
    }

    fn look_out(&mut self, watch: &mut Watch) -> Option<Found> {
        let now = clock::now();
        let calls = self.hub.count_calls();
        let has_calls = self.hub.has_calls();
        if calls != watch.calls {
            *watch = Watch { calls, since: now, nap: SHORT_NAP, quiet: 0, ..*watch };
        } else {
            if now.saturating_duration_since(watch.since) > LONG_CALL {
                self.hub.look_after_late(Looker::Waits);
            }
            if !has_calls {
                watch.quiet += 1;
                return None;
            }
        }
        if has_calls {
            if self.is_in_the_way(watch, now) {
                // No line asks for a call: its naps are short enough, and each call would only
                // bring it back here.
                return None;
            }
            self.is_sure_of_its_core = true;
            let found = self.find_part().or_else(|| self.wait_for_part_if_young());
            self.is_sure_of_its_core = false;
            if found.is_some() {
                return found;
            }
            let quiet = now.saturating_duration_since(watch.since);
            watch.nap = SHORT_NAP.max(quiet / NAP_SHARE);
        }
        if watch.nap > 2 * SHORT_NAP && self.hub.ask_for_calls() {
            // What was added before the lines were asked called nobody.
            watch.nap = SHORT_NAP;
        }
        None
    }

    /// A call that had just begun may go on.
    fn wait_for_part_if_young(&mut self) -> Option<Found> {
        if self.sees_young_call { self.wait_for_part() } else { None }
    }

    /// Whether there are as many guests as free workers, and they compute: then this worker has no
    /// core. It stands back for a while.
    fn is_in_the_way(&self, watch: &mut Watch, now: Instant) -> bool {
        if !self.is_one_too_many() {
            self.hub.lookout.stand_back(None);
            return false;
        }
        let ran = self.hub.time_of_guests();
        let before = std::mem::replace(&mut watch.guests_ran, ran);
        let computes = ran.saturating_sub(before) * 2 > watch.nap;
        let is_patient = computes && self.hub.lookout.stand_back(Some(now)) < LONGEST_STAND_BACK;
        if is_patient {
            watch.nap = (watch.nap * 2).min(LONGEST_NAP_IN_THE_WAY);
        } else {
            self.hub.lookout.stand_back(None);
        }
        is_patient
    }
}
