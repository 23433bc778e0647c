//! How often a thief takes from another worker, by how well it went before.
//!
//! Taking a task to another core costs both cores some cache misses, some hundred nanoseconds in
//! all. For a task of a microsecond that is well spent. A worker that spawns tasks of a few
//! nanoseconds and joins them does best when it is left alone: every visit of a thief slows it down
//! by more than the thief gets done (measured: 85 ns a task instead of 42). So a thief looks at the
//! clock once a catch, and while what it catches is small change it comes rarely. It comes at once
//! again as soon as a catch was worth it.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::clock;

/// Tasks that take less than this on average are small change.
const SMALL: Duration = Duration::from_nanos(300);
/// How long to stay away, in turns of a [`Spin`](crate::spin::Spin): from about 3 µs to about 100
/// µs.
const FIRST_REST: u32 = 8;
const LONGEST_REST: u32 = 256;

/// What a thief has learnt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shyness {
    /// When the last catch was made, and of how many tasks it was.
    last: Option<(Instant, usize)>,
    /// For how many turns to stay away before the next.
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

    /// So many tasks were taken from another worker.
    pub(super) fn caught(&mut self, tasks: usize) {
        self.last = Some((clock::now(), tasks));
    }

    /// The catch is worked off: how many turns to stay away before the next. None most of the time.
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
