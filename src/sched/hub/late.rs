//! Detects workers that do not get their core, and lets them loose.
//!
//! A worker is pinned to its core. If other threads have that core, the worker waits for them while
//! other cores are idle. So a thread that wakes a worker notes the time. Threads that nap or wait
//! while others work look after each nap. A worker that is *late* (woken, but not arrived in time)
//! or that gets too little of its core while at work is *let loose*: it may run on any core of the
//! pool. It pins itself again some time later, when it goes to sleep. `late.md` has the cases.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::{Hub, Slot};
use crate::base::clock;
use crate::base::sync::plain::{AtomicU32, AtomicU64};
use crate::base::sync::{Ordering, thread_local};
use crate::os::affinity;
use crate::parts::event::PoolEvent;
use crate::parts::metrics::{self, ThreadClock};
use crate::sched::config::Config;

/// A woken worker is late after this time, in microseconds. A wake-up takes about ten.
const LATE: u64 = 100;
/// How long a thread that waits for a task sleeps before its first look. Each later sleep is twice
/// as long. Not shorter than the tick of most kernels: see `late.md`.
pub(crate) const FIRST_NAP: Duration = Duration::from_millis(4);
/// The share of time on a core that a worker at work should have at least, in eighths.
const LEAST_EIGHTHS: u32 = 5;
/// The shortest time that a worker stays loose, in microseconds. If its pin then lasts for less
/// than [`LONG_PIN`] times as long, the next loose period is twice as long, up to [`MOST_LOOSE`]:
/// under steady load pins only cost.
const LEAST_LOOSE: u64 = 10_000;
const MOST_LOOSE: u64 = 1_000_000;
const LONG_PIN: u64 = 10;
/// How many workers are checked for whether they get their cores, at most.
const MOST_LOOKED_AT: usize = 8;

/// The kernel is asked for the state of at most one thread in this time, in microseconds, after the
/// first [`MOST_LOOKED_AT`]. An answer takes about 10. Workers that sleep in user code look starved
/// until it comes, and there may be many of them.
const BETWEEN_QUESTIONS: u64 = 500;

/// Whether any pool of this process has been pinned so far.
static ARE_PINS: AtomicU32 = AtomicU32::new(0);

/// Whether a wait for a task may be a wait for a core.
#[inline]
pub(crate) fn are_pins() -> bool {
    // ORDERING: a hint; the pool that is waited for was made before.
    ARE_PINS.load(Ordering::Relaxed) != 0
}

/// A pool's state for detecting late workers.
#[derive(Debug)]
pub(crate) struct Late {
    /// Whether workers are pinned and may run elsewhere.
    is_on: bool,
    born: Instant,
    /// Since when pushes have relied on woken workers, or 0 once all of them have arrived. A hint.
    woken_at: CachePadded<AtomicU64>,
    /// Up to when the questions asked so far have used up the time for them: see `may_ask`.
    asked_until: AtomicU64,
}

impl Late {
    pub(super) fn new(config: &Config) -> Self {
        // A schedule must replay the same everywhere, and virtual cores have no other users.
        let is_real = !cfg!(any(corepool_shuttle, corepool_virtual));
        let has_others = config.loose_cores.iter().any(|core| *core != config.loose_cores[0]);
        let is_on = is_real && has_others && !config.cores.is_empty();
        if is_on {
            // ORDERING: as in `are_pins`.
            ARE_PINS.store(1, Ordering::Relaxed);
        }
        Self {
            is_on,
            born: clock::now(),
            woken_at: CachePadded::default(),
            asked_until: AtomicU64::default(),
        }
    }

    /// Whether it is time to ask the kernel for the state of a thread.
    fn may_ask(&self, now: u64) -> bool {
        // ORDERING: a lost update costs one question more.
        let until = self.asked_until.load(Ordering::Relaxed);
        let saved = BETWEEN_QUESTIONS * MOST_LOOKED_AT as u64;
        // The clock may have gone backwards.
        let is_allowed = until <= now || until > now + saved;
        if is_allowed {
            let until = if until > now { now } else { until.max(now.saturating_sub(saved)) };
            // ORDERING: as above.
            self.asked_until.store(until + BETWEEN_QUESTIONS, Ordering::Relaxed);
        }
        is_allowed
    }

    /// Microseconds since the pool was made. Never 0.
    fn at(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born).as_micros();
        u64::try_from(age).unwrap_or(u64::MAX - 1) + 1
    }
}

/// Where a worker is between its wake-up and its core. All fields are hints: a thread that acts on
/// one checks the worker's thread itself first.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// When it was woken since it last went to rest, or 0 if it was not.
    woken_at: AtomicU64,
    /// Until when it is loose, or 0 while it is pinned.
    loose_until: AtomicU64,
    /// The core that it is pinned to plus one, or 0 if it is not pinned.
    pinned_to: AtomicU64,
}

impl Arrival {
    /// Clears the wake-up note, because the worker goes to rest.
    pub(crate) fn expect_wake(&self) {
        // ORDERING: a hint.
        self.woken_at.store(0, Ordering::Relaxed);
    }

    pub(crate) fn note_pinned(&self, core: Option<usize>) {
        // ORDERING: hints; written while the lock on the thread's facts is held.
        self.loose_until.store(0, Ordering::Relaxed);
        self.pinned_to.store(core.map_or(0, |core| core as u64 + 1), Ordering::Relaxed);
    }

    fn note_loose(&self, until: u64) {
        // ORDERING: as above.
        self.loose_until.store(until, Ordering::Relaxed);
        self.pinned_to.store(0, Ordering::Relaxed);
    }

    /// Whether the calling thread, which is the worker's, runs on another core than the one it was
    /// pinned to.
    #[inline]
    pub(crate) fn is_elsewhere(&self) -> bool {
        // ORDERING: as above.
        let core = self.pinned_to.load(Ordering::Relaxed);
        core != 0 && affinity::current_core().is_some_and(|here| here as u64 + 1 != core)
    }

    fn is_loose(&self) -> bool {
        // ORDERING: a hint.
        self.loose_until.load(Ordering::Relaxed) != 0
    }
}

/// How long a worker was last loose, and since when it is pinned. Part of its thread's facts.
#[derive(Debug, Default)]
pub(crate) struct Looseness {
    pinned_at: u64,
    rest: u64,
}

impl Looseness {
    pub(crate) fn note_pinned(&mut self, at: u64) {
        self.pinned_at = at;
    }

    /// Starts a loose period. Returns when it ends.
    fn let_loose(&mut self, now: u64) -> u64 {
        let was_soon = self.rest > 0 && now.saturating_sub(self.pinned_at) < LONG_PIN * self.rest;
        self.rest = if was_soon { (2 * self.rest).min(MOST_LOOSE) } else { LEAST_LOOSE };
        now + self.rest
    }
}

/// What a waiting thread saw of the workers at its last look.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    last: Option<Instant>,
    seen: [Option<(usize, Duration)>; MOST_LOOKED_AT],
}

/// Whether the thread that looks is about to leave its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looker {
    Waits,
    Computes,
}

thread_local! {
    /// `UNTIL_LOOK` counts this thread's pushes that rely on searchers until one of them looks.
    /// `BETWEEN_LOOKS` is the number of pushes from one look to the next.
    static UNTIL_LOOK: Cell<u32> = const { Cell::new(1) };
    static BETWEEN_LOOKS: Cell<u32> = const { Cell::new(1) };
}

/// The most pushes that rely on searchers between two looks at the clock. Odd, so that a thread
/// that alternates between two pools looks after both.
const MOST_BETWEEN_LOOKS: u32 = 7;

/// Makes the calling thread's next push look after the worker that it has just woken. The number of
/// pushes between looks then doubles each time, up to the maximum, so that reading the clock costs
/// little.
pub(super) fn look_soon() {
    // Without thread-locals (at thread exit) there are no looks.
    let _set = UNTIL_LOOK.try_with(|left| left.set(1));
    let _set = BETWEEN_LOOKS.try_with(|between| between.set(1));
}

/// Counts one more push of the calling thread that relies on searchers. Returns whether it must
/// look after them.
#[inline]
fn is_time_to_look() -> bool {
    UNTIL_LOOK
        .try_with(|left| {
            let now_left = left.get().wrapping_sub(1);
            left.set(now_left);
            now_left == 0
        })
        .unwrap_or(false)
}

#[cold]
fn look_later() {
    let _set = BETWEEN_LOOKS.try_with(|between| {
        between.set((2 * between.get()).min(MOST_BETWEEN_LOOKS));
        UNTIL_LOOK.try_with(|left| left.set(between.get()))
    });
}

impl Hub {
    /// Notes that a worker is about to be woken.
    #[inline]
    pub(super) fn note_woken(&self, index: usize) {
        if self.late.is_on {
            let now = self.late.at(clock::now());
            // SeqCst: this thread writes the worker's note first, and then looks at the pool's
            // note. A thread that clears the pool's note looks at the workers' notes after that. So
            // one of the two sees the other.
            self.slots[index].arrival.woken_at.store(now, Ordering::SeqCst);
            if self.late.woken_at.load(Ordering::SeqCst) == 0 {
                // ORDERING: a hint.
                self.late.woken_at.store(now, Ordering::Relaxed);
            }
        }
    }

    /// Called after a push that wakes no worker, because one searches or is on its way to.
    #[inline]
    pub(super) fn mind_searchers(&self) {
        if is_time_to_look() {
            self.look_after_searchers();
        }
    }

    #[cold]
    fn look_after_searchers(&self) {
        look_later();
        // ORDERING: a hint.
        let woken_at = self.late.woken_at.load(Ordering::Relaxed);
        if woken_at == 0 {
            return;
        }
        let now = self.late.at(clock::now());
        // The clock may have gone backwards.
        if now >= woken_at && now < woken_at.saturating_add(LATE) {
            return;
        }
        self.look_after_late(Looker::Computes);
        // SeqCst: as in `note_woken`.
        self.late.woken_at.store(0, Ordering::SeqCst);
        let is_awaited = |slot: &Slot| {
            slot.arrival.woken_at.load(Ordering::SeqCst) != 0 && slot.rests.is_at_rest()
        };
        if self.used_slots().iter().any(is_awaited) {
            // After the work above, which takes time if there are many workers.
            // ORDERING: a hint.
            self.late.woken_at.store(self.late.at(clock::now()), Ordering::Relaxed);
        }
    }

    /// The time on the scale used for workers' pins.
    pub(crate) fn age(&self, now: Instant) -> u64 {
        self.late.at(now)
    }

    /// Whether a worker that was let loose has been loose for long enough.
    #[inline]
    pub(crate) fn may_pin_again(&self, index: usize, now: Instant) -> bool {
        // ORDERING: a hint.
        let until = self.slots[index].arrival.loose_until.load(Ordering::Relaxed);
        until != 0 && self.late.at(now) >= until
    }

    /// Looks after the workers on behalf of a thread that waits for this pool's work. Returns
    /// whether the thread should look again later.
    #[cold]
    pub(crate) fn look_after(&self, looks: &mut Looks) -> bool {
        self.look_after_late(Looker::Waits);
        if !self.late.is_on {
            return false;
        }
        let now = clock::now();
        let before = looks.last.replace(now).map(|last| now.saturating_duration_since(last));
        let seen = std::mem::replace(&mut looks.seen, self.times_at_work());
        let Some(time) = before else { return true };
        for (index, busy) in looks.seen.iter().flatten() {
            let earlier = seen.iter().flatten().find(|(other, _)| other == index);
            let is_starved = earlier.is_some_and(|(_, earlier)| {
                busy.saturating_sub(*earlier) < time * LEAST_EIGHTHS / 8
            });
            if is_starved {
                // Not toward a specific core: see `late.md`.
                self.let_loose(*index, None, now);
            }
        }
        true
    }

    /// Lets loose the workers that were woken and have not arrived. If tasks wait, also wakes
    /// another worker, because the thread that pushed them relies on a worker that was on its way.
    #[cold]
    pub(crate) fn look_after_late(&self, looker: Looker) {
        if !self.late.is_on || self.is_copy() {
            return;
        }
        let now = clock::now();
        let is_late = |slot: &Slot| {
            // ORDERING: a hint.
            let woken_at = slot.arrival.woken_at.load(Ordering::Relaxed);
            woken_at != 0
                && self.late.at(now) >= woken_at.saturating_add(LATE)
                && slot.rests.is_at_rest()
        };
        let late = self.used_slots().iter().enumerate().filter(|(_, slot)| is_late(slot));
        // Not all at once: the caller may be in a push.
        for (index, _) in late.take(MOST_LOOKED_AT) {
            if self.idle.look().has_free() && (self.looks_stocked() || !self.lanes.look_empty()) {
                self.wake_helper();
                self.let_loose(index, None, now);
            } else {
                let here = (looker == Looker::Waits).then(affinity::current_core).flatten();
                self.let_loose(index, here.or_else(|| self.core_of_a_sleeper()), now);
            }
        }
    }

    /// Called when this spare worker's lender resumes while the spare worker is at work. Lets the
    /// spare worker loose if another worker sleeps, because then there is a core for it.
    pub(super) fn make_room(&self, slot: usize) {
        if !self.late.is_on || self.slots[slot].rests.is_at_rest() || self.is_copy() {
            return;
        }
        if self.core_of_a_sleeper().is_some() {
            self.let_loose(slot, None, clock::now());
        }
    }

    /// The core of a worker that sleeps and was not woken.
    fn core_of_a_sleeper(&self) -> Option<usize> {
        let sleeps = |slot: &Slot| {
            // ORDERING: a hint.
            slot.rests.is_at_rest()
                && slot.arrival.woken_at.load(Ordering::Relaxed) == 0
                && !slot.arrival.is_loose()
        };
        let at = self.slots[..self.config.workers].iter().position(sleeps)?;
        self.config.cores.get(at).copied()
    }

    /// The time on a core so far of some workers that are pinned and at work. Leaves out the
    /// calling thread.
    fn times_at_work(&self) -> [Option<(usize, Duration)>; MOST_LOOKED_AT] {
        let mut times = [None; MOST_LOOKED_AT];
        if self.is_copy() {
            return times;
        }
        let own = metrics::of_thread();
        let is_at_work = |slot: &Slot| !slot.rests.is_at_rest() && !slot.arrival.is_loose();
        let at_work = self.used_slots().iter().enumerate().filter(|(_, slot)| is_at_work(slot));
        let busy = at_work.filter_map(|(index, slot)| {
            // A worker that is just pinning itself may have no core to do it on, so do not wait.
            let clock = slot.thread.try_lock()?.clock.filter(|clock| *clock != own)?;
            Some((index, clock.busy()?))
        });
        times.iter_mut().zip(busy).for_each(|(place, time)| *place = Some(time));
        times
    }

    /// Lets a worker run on all cores that the pool may use, if it is pinned and wants to run.
    fn let_loose(&self, index: usize, toward: Option<usize>, now: Instant) {
        let slot = &self.slots[index];
        // The thread takes this lock before it ends, so until then its number belongs to no other
        // thread. The lock's holder may be this very worker, without a core, so do not wait for it
        // here.
        let Some(mut facts) = slot.thread.try_lock() else { return };
        let thread = facts.clock.and_then(ThreadClock::number);
        let (Some(core), Some(thread)) = (facts.core, thread) else { return };
        let toward = toward.filter(|&other| other != core);
        let is_loose = self.late.may_ask(self.late.at(now))
            && affinity::is_runnable(thread)
            && affinity::let_loose(thread, &self.config.loose_cores, toward);
        if !is_loose {
            return;
        }
        facts.set_core(None, None);
        slot.arrival.note_loose(facts.looseness.let_loose(self.late.at(now)));
        drop(facts);
        self.counters.let_loose.raise();
        self.events.tell(PoolEvent::WorkerLetLoose { worker: slot.id, core });
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use super::{
        BETWEEN_QUESTIONS, LEAST_LOOSE, LONG_PIN, Late, Looseness, MOST_LOOKED_AT, MOST_LOOSE,
    };
    use crate::sched::config::Config;

    #[test]
    fn questions_come_in_small_bursts_and_are_rare_after_that() {
        let late = Late::new(&Config::of_workers(1));
        let asked = |from: u64, to: u64| (from..to).filter(|&now| late.may_ask(now)).count();
        let start = 1_000 * BETWEEN_QUESTIONS;
        assert_eq!(asked(start, start + BETWEEN_QUESTIONS), MOST_LOOKED_AT + 1);
        let later = start + BETWEEN_QUESTIONS;
        assert_eq!(asked(later, later + 20 * BETWEEN_QUESTIONS), 20);
        let quiet = 2 * start;
        assert_eq!(asked(quiet, quiet + BETWEEN_QUESTIONS), MOST_LOOKED_AT + 1);
        // The clock went backwards.
        assert!(late.may_ask(5));
        assert!(!late.may_ask(6));
    }

    #[test]
    fn who_has_to_be_let_loose_again_and_again_stays_so_for_longer() {
        let mut looseness = Looseness::default();
        let mut now = 5;
        for times in [1, 2, 4, 8, 16, 32, 64] {
            let until = looseness.let_loose(now);
            assert_eq!(until - now, times * LEAST_LOOSE);
            looseness.note_pinned(until + 3);
            now = until + 3 + times * LEAST_LOOSE;
        }
        assert_eq!(looseness.let_loose(now) - now, MOST_LOOSE);
        // It has had its core for a long time.
        looseness.note_pinned(now);
        now += LONG_PIN * MOST_LOOSE;
        assert_eq!(looseness.let_loose(now) - now, LEAST_LOOSE);
    }
}
