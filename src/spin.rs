//! A short pause before a thread goes to sleep, where another core may finish meanwhile.
//!
//! Waking a sleeping thread costs the waker about 2 µs and the sleeper 5 µs and more, so looking
//! again for about as long as that is worth it, but only where it tends to help: a thread whose
//! last long pause was in vain makes short ones, and tries a long one now and then. Within a pause
//! looks grow apart, because each look takes the cache line away from the thread that is about to
//! write it. On a machine with one core looking again is useless, and the pause is empty.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::time::Duration;

use crate::sync::{spin_loop, thread};

/// A join's long pause: about 5 µs, as long as being woken takes. A hint takes about 25 ns here,
/// and a turn is 1, 2, 4, 8 hints long, then always 16.
const LONG_JOIN: u32 = 16;
/// A searching worker's long pause: about 20 µs. It has to outlast the time that a submitter who
/// slept needs to wake up and come with the next task, or the two would put one another to sleep
/// for ever.
const LONG_SEARCH: u32 = 52;
/// What a turn takes, but for the first ones.
const TURN: Duration = Duration::from_nanos(400);
/// A short one: about 0.4 µs.
const SHORT: u32 = 4;
/// How many short pauses are made for each long one, while long ones are in vain.
const SHORT_ONES: u8 = 15;

/// What a thread has learnt about pausing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    long: u32,
    /// How many short pauses come before the next long one.
    short_ones: u8,
}

/// A pause in turns.
#[derive(Debug)]
pub(crate) struct Spin {
    turn: u32,
    turns: u32,
}

impl Patience {
    /// For a thread that waits for a task's end.
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

    /// A pause that is worth it though a long one lasts for so long: where being woken is known to
    /// take as long.
    pub(crate) fn pause_for(self, time: Duration) -> Spin {
        let turns = u32::try_from(time.as_nanos() / TURN.as_nanos()).unwrap_or(u32::MAX);
        Spin::of_turns(if self.short_ones == 0 { self.long.max(turns) } else { SHORT })
    }

    /// What a pause came to: whether what was waited for came during it.
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
        // A look more or less is the same to a schedule, but each is a step.
        let turns = if cfg!(corepool_shuttle) { turns.min(2) } else { turns };
        Self { turn: 0, turns: if more_than_one_core() { turns } else { 0 } }
    }

    /// Pauses for a turn. Says whether it did: if not, it is time to sleep.
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

/// The pause after an exchange that failed: longer each time, and of a length of its own for each
/// thread, so that those who were in one another's way are not again.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
}

impl Retry {
    const LONGEST: u32 = 8;

    pub(crate) fn pause(&mut self) {
        // A model tries all orders anyway, and each hint is a step of it.
        if !cfg!(any(corepool_loom, corepool_shuttle)) {
            self.failures = (self.failures + 1).min(Self::LONGEST);
            // Each thread has another stack.
            let own = std::ptr::from_ref(self).addr() as u64 >> 4;
            let own = (own ^ u64::from(self.failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            (0..=own & ((1 << self.failures) - 1)).for_each(|_| spin_loop());
        }
    }
}

/// The wait for a thread that stands between two steps, such as those of a push: it needs a few
/// instructions, and a core for them.
///
/// First by giving the core away, which is not enough: a thread that goes before that one by its
/// scheduling policy, as those of `SCHED_FIFO` do, gets the core back at once, for ever. So it
/// sleeps after a while, longer each time.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    turns: u32,
}

impl Gap {
    const YIELDS: u32 = 32;
    const SHORTEST: Duration = Duration::from_micros(20);
    /// 20 µs, doubled so often at most.
    const DOUBLINGS: u32 = 5;

    pub(crate) fn wait(&mut self) {
        let turns = self.turns;
        self.turns = turns.saturating_add(1);
        if cfg!(any(corepool_loom, corepool_shuttle)) {
            // A schedule knows no time.
            spin_loop();
        } else if turns < Self::YIELDS {
            thread::yield_now();
        } else {
            let longer = (turns - Self::YIELDS).min(Self::DOUBLINGS);
            thread::sleep(Self::SHORTEST * (1 << longer));
        }
    }
}

/// So many hints in a row, without a loop around them: a loop would cost more instructions than
/// they.
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
    // Asked of the process, not of the thread: the asking thread may be a worker pinned to one
    // core.
    *ANSWER.get_or_init(|| crate::affinity::usable().parallelism > 1)
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
