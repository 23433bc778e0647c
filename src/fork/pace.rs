//! How many items to run between two looks at the clock and at who is hungry.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::stack::Stack;
use crate::clock;

/// A block of items should take about this long: short enough for a hungry thread to wait for, and long
/// enough that looking, some 30 to 60 ns, does not count.
const BLOCK: Duration = Duration::from_micros(5);

/// The pace of a loop over items.
#[derive(Debug)]
pub(crate) struct Pace {
    items: usize,
    last: Instant,
    /// How many items were run in the last block that tells, and how long they took.
    known: (usize, Duration),
}

impl Pace {
    /// Begins now, with blocks of so many items.
    pub(crate) fn new(items: usize, now: Instant) -> Self {
        Self { items: items.max(1), last: now, known: (items.max(1), BLOCK) }
    }

    /// So many items to begin with, where a thousand of them are known to take so long.
    pub(crate) fn guess(thousand: Option<Duration>) -> usize {
        let fits = |thousand: Duration| BLOCK.as_nanos() * 1_000 / thousand.as_nanos().max(1);
        thousand.map_or(1, |thousand| usize::try_from(fits(thousand)).unwrap_or(usize::MAX).max(1))
    }

    /// How many items the next block has.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// When the last block was done.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// A block of so many items was run: adapts. Says how long it took.
    pub(crate) fn learn(&mut self, items: usize) -> Duration {
        let now = clock::now();
        let took = now.saturating_duration_since(self.last);
        self.last = now;
        if items >= self.items || took > BLOCK / 8 {
            self.known = (items.max(1), took);
        }
        // A block that ended early tells how long a whole one would take, unless it was too short to tell.
        let is_telling = items < self.items && took > BLOCK / 8;
        let whole =
            if is_telling { took.as_nanos() * self.items as u128 / items as u128 } else { 0 };
        if took.as_nanos().max(whole) > 2 * BLOCK.as_nanos() {
            // As many as would have fitted: dear items may come in a row.
            let fits = items as u128 * BLOCK.as_nanos() / took.as_nanos();
            self.items = usize::try_from(fits).unwrap_or(usize::MAX).max(1);
        } else if took < BLOCK / 2 && items >= self.items {
            self.items = self.items.saturating_mul(2);
        }
        took
    }

    /// After a block that took so long: lets hungry threads have their share. Nobody is woken for the last few
    /// items, if it is known how many are left.
    pub(crate) fn share(&mut self, stack: &Stack<'_>, took: Duration, left: Option<usize>) {
        let was_long = took >= BLOCK / 2;
        if stack.look_after_block(self.last, was_long, left.map(|left| self.time_for(left))) {
            self.last = clock::now();
        }
    }

    /// How long so many items take, at the present pace.
    fn time_for(&self, items: usize) -> Duration {
        let (ran, took) = self.known;
        let nanos = took.as_nanos() * items as u128 / ran as u128;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
