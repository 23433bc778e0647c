//! How many items a loop takes at once.
//!
//! What is taken can't be given to a thief any more. So it is one item at a time, unless items are so cheap that
//! taking them one by one would cost more than they do. That is measured: it is never assumed, and the clock is read
//! only once in many items.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::clock;
use crate::sync::{AtomicUsize, Ordering};

/// The most items that are taken at once. So many may wait behind one that turns out to be dear.
const MOST: usize = 64;
/// What is taken at once should take no longer than this.
const STEP: Duration = Duration::from_nanos(100);
/// How many items are run before the clock is read first, and then between two looks at it: of dear ones, and of cheap
/// ones.
const FIRST_SAMPLE: usize = 8;
const DEAR_SAMPLE: usize = 64;
const CHEAP_SAMPLE: usize = 512;
/// The last items are taken one by one: so many for each that is taken at once.
const TAIL: usize = 16;
/// What takes less than this is not worth a thief's way.
const WORTH: Duration = Duration::from_micros(8);

/// The pace of one thread through a range.
#[derive(Debug)]
pub(super) struct Pace {
    step: usize,
    /// Items until the clock is read again, and when that was last.
    left: usize,
    sample: usize,
    last: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { step: 1, left: FIRST_SAMPLE, sample: FIRST_SAMPLE, last: None }
    }

    /// How many of the items that are left to take now. `least` is told how few are too few for a thief.
    #[inline(always)]
    pub(super) fn step(&mut self, left: usize, least: &AtomicUsize) -> usize {
        if self.left == 0 {
            self.measure(least);
        }
        self.left = self.left.saturating_sub(self.step);
        if left >= MOST * TAIL { self.step } else { self.step.min(left.div_ceil(TAIL)) }
    }

    #[cold]
    #[inline(never)]
    fn measure(&mut self, least_told: &AtomicUsize) {
        let now = clock::now();
        if let Some(last) = self.last.replace(now) {
            let took = now.saturating_duration_since(last).as_nanos().max(1);
            let fit = STEP.as_nanos() * self.sample as u128 / took;
            self.step = usize::try_from(fit).map_or(MOST, |fit| fit.clamp(1, MOST));
            let least = WORTH.as_nanos() * self.sample as u128 / took;
            // ORDERING: a hint.
            least_told
                .store(usize::try_from(least).unwrap_or(usize::MAX).max(1), Ordering::Relaxed);
            self.sample = if self.step > 1 { CHEAP_SAMPLE } else { DEAR_SAMPLE };
        }
        self.left = self.sample;
    }
}
