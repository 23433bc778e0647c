//! How often a thief takes from another worker, depending on how well it went before.
//!
//! Taking a task to another core costs both cores some cache misses, some hundred nanoseconds in
//! total. For a task of a microsecond that is well spent. A worker that spawns tasks of a few
//! nanoseconds and joins them does best when it is left alone: every visit of a thief slows it down
//! by more than the thief gets done (measured: 85 ns per task instead of 42). So a thief reads the
//! clock once per catch (the tasks that it takes at once). While its catches are cheap, it rarely
//! visits. As soon as a catch was worth it, it visits at once again.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::base::clock;

/// Tasks that take less than this on average are cheap.
const SMALL: Duration = Duration::from_nanos(300);
/// How long to stay away, in turns of a [`Spin`](crate::parts::spin::Spin): from about 3 µs to
/// about 100 µs.
const FIRST_REST: u32 = 8;
const LONGEST_REST: u32 = 256;

/// What a thief has learned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shyness {
    /// When the last catch was made, and how many tasks it had.
    last: Option<(Instant, usize)>,
    /// How many turns to stay away before the next catch.
    rest: u32,
}

impl Shyness {
    pub(super) const fn new() -> Self {
        Self { last: None, rest: 0 }
    }

    /// As shy as it gets.
    #[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
    pub(super) const fn greatest() -> Self {
        Self { last: None, rest: LONGEST_REST }
    }

    /// Notes that `tasks` tasks were taken from another worker.
    pub(super) fn caught(&mut self, tasks: usize) {
        self.last = Some((clock::now(), tasks));
    }

    /// Called when the last catch is done. Returns how many turns to stay away before the next;
    /// most of the time 0.
    pub(super) fn hold_back(&mut self) -> u32 {
        if let Some((when, tasks)) = self.last.take() {
            self.judge(clock::now().saturating_duration_since(when), tasks);
        }
        self.rest
    }

    fn judge(&mut self, took: Duration, tasks: usize) {
        let small = took < SMALL.saturating_mul(u32::try_from(tasks).unwrap_or(u32::MAX));
        self.rest = if small { (self.rest * 2).clamp(FIRST_REST, LONGEST_REST) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, FIRST_REST, LONGEST_REST, Shyness};

    #[test]
    fn small_change_makes_shy_and_real_work_makes_bold() {
        let mut thief = Shyness::new();
        assert_eq!(thief.hold_back(), 0);
        thief.judge(Duration::from_nanos(3_200), 32);
        assert_eq!(thief.hold_back(), FIRST_REST);
        for _ in 0..10 {
            thief.judge(Duration::from_nanos(3_200), 32);
        }
        assert_eq!(thief.hold_back(), LONGEST_REST);
        thief.judge(Duration::from_micros(32), 32);
        assert_eq!(thief.hold_back(), 0);
    }
}
