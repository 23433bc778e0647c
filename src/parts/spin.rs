//! A short pause (spin) before a thread goes to sleep, in case another core finishes meanwhile.
//!
//! Waking a sleeping thread costs the waker about 2 µs and the sleeper 5 µs or more. So it pays to
//! keep checking for about that long, but only where that tends to succeed. A thread whose last
//! long pause was in vain makes short pauses, and tries a long one now and then. Within a pause the
//! checks become less frequent, because each check takes the cache line away from the thread that
//! is about to write it. On a machine with one core checking is useless, so the pause is empty.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::time::Duration;

use crate::base::sync::{spin_loop, thread};

/// A join's long pause: about 5 µs, as long as it takes to be woken. A spin hint takes about 25 ns
/// here. The turns are 1, 2, 4 and 8 hints long, then always 16.
const LONG_JOIN: u32 = 16;
/// A searching worker's long pause: about 20 µs. It must be longer than a sleeping submitter needs
/// to wake up and bring the next task. Otherwise the two would keep putting each other to sleep.
const LONG_SEARCH: u32 = 52;
/// How long a turn takes, except the first ones.
const TURN: Duration = Duration::from_nanos(400);
/// A short pause: about 0.4 µs.
const SHORT: u32 = 4;
/// How many short pauses are made for each long one while long ones are in vain.
const SHORT_ONES: u8 = 15;

/// What a thread has learnt about pausing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    long: u32,
    /// How many short pauses come before the next long one.
    short_ones: u8,
}

/// A pause, made in turns.
#[derive(Debug)]
pub(crate) struct Spin {
    turn: u32,
    turns: u32,
}

impl Patience {
    /// For a thread that waits for a task to end.
    pub(crate) const fn joining() -> Self {
        Self { long: LONG_JOIN, short_ones: 0 }
    }

    /// For a worker that waits for a task.
    pub(crate) const fn searching() -> Self {
        Self { long: LONG_SEARCH, short_ones: 0 }
    }

    pub(crate) fn pause(self) -> Spin {
        Spin::of_turns(if self.short_ones == 0 { self.long } else { SHORT })
    }

    /// A pause whose long form lasts at least for this time, for waits in which being woken is
    /// known to take as long.
    pub(crate) fn pause_for(self, time: Duration) -> Spin {
        let turns = u32::try_from(time.as_nanos() / TURN.as_nanos()).unwrap_or(u32::MAX);
        Spin::of_turns(if self.short_ones == 0 { self.long.max(turns) } else { SHORT })
    }

    /// Records whether the awaited event came during the pause.
    pub(crate) fn learn(&mut self, came: bool) {
        self.short_ones = match (came, self.short_ones) {
            (true, _) => 0,
            (false, 0) => SHORT_ONES,
            (false, left) => left - 1,
        };
    }
}

impl Spin {
    /// About 0.4 µs.
    pub(crate) fn short() -> Self {
        Self::of_turns(SHORT)
    }

    pub(crate) fn of_turns(turns: u32) -> Self {
        // One check more or less makes no difference to a schedule, but each is a step.
        let turns = if cfg!(corepool_shuttle) { turns.min(2) } else { turns };
        Self { turn: 0, turns: if more_than_one_core() { turns } else { 0 } }
    }

    /// Pauses for one turn. Returns whether it paused; if not, it is time to sleep.
    #[inline]
    pub(crate) fn turn(&mut self) -> bool {
        if self.turn >= self.turns {
            return false;
        }
        match self.turn {
            0 => hints::<1>(),
            1 => hints::<2>(),
            2 => hints::<4>(),
            3 => hints::<8>(),
            _ => hints::<16>(),
        }
        self.turn += 1;
        true
    }
}

/// The pause after a failed exchange. It grows with each failure and its length differs between
/// threads, so that threads which collided do not collide again.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
}

impl Retry {
    const LONGEST: u32 = 8;

    pub(crate) fn pause(&mut self) {
        // A model tries all orders anyway, and each hint is one of its steps.
        if !cfg!(any(corepool_loom, corepool_shuttle)) {
            self.failures = (self.failures + 1).min(Self::LONGEST);
            // Each thread has a different stack.
            let own = std::ptr::from_ref(self).addr() as u64 >> 4;
            let own = (own ^ u64::from(self.failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            (0..=own & ((1 << self.failures) - 1)).for_each(|_| spin_loop());
        }
    }
}

/// The wait for a thread that is between two steps, such as those of a push. That thread needs a
/// few instructions, and a core for them.
///
/// The wait yields the core first, which is not enough. If the waiting thread has precedence by its
/// scheduling policy, as with `SCHED_FIFO`, it gets the core back at once, every time. So after a
/// while it sleeps, longer each time.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    turns: u32,
}

impl Gap {
    const YIELDS: u32 = 32;
    const SHORTEST: Duration = Duration::from_micros(20);
    /// The sleep is 20 µs, doubled at most this often.
    const DOUBLINGS: u32 = 5;

    pub(crate) fn wait(&mut self) {
        let turns = self.turns;
        self.turns = turns.saturating_add(1);
        if cfg!(any(corepool_loom, corepool_shuttle)) {
            // Time does not advance in a schedule.
            spin_loop();
        } else if turns < Self::YIELDS {
            thread::yield_now();
        } else {
            let longer = (turns - Self::YIELDS).min(Self::DOUBLINGS);
            thread::sleep(Self::SHORTEST * (1 << longer));
        }
    }
}

/// Runs this many hints in a row without a loop, because a loop would cost more instructions than
/// the hints.
#[inline]
fn hints<const COUNT: usize>() {
    let _: [(); COUNT] = core::array::from_fn(|_| spin_loop());
}

fn more_than_one_core() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    if cfg!(corepool_shuttle) {
        // A schedule has to be the same wherever it is run again.
        return true;
    }
    // The question is about the process, not the thread, because the calling thread may be a worker
    // pinned to one core.
    *ANSWER.get_or_init(|| crate::os::affinity::usable().parallelism > 1)
}

#[cfg(test)]
mod tests {
    use super::{Patience, SHORT_ONES};

    #[test]
    fn a_pause_in_vain_makes_the_next_ones_short() {
        let mut patience = Patience::joining();
        let long = patience.pause().turns;
        patience.learn(false);
        for _ in 0..SHORT_ONES {
            assert!(patience.pause().turns <= long);
            assert_ne!(patience.short_ones, 0);
            patience.learn(false);
        }
        assert_eq!(patience.pause().turns, long);
        patience.learn(true);
        assert_eq!(patience.pause().turns, long);
    }
}
