//! How many items a loop takes at once.
//!
//! What is taken can't be given to a thief any more. So it is one item at a time, unless items are
//! so cheap that taking them one by one would cost more than they do. That is measured: it is never
//! assumed, and what was measured counts for nothing once a thief has come.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::clock;

/// The most items that are taken at once. So many may wait behind one that turns out to be dear.
const MOST: usize = 64;
/// What is taken at once should take no longer than this.
const STEP: Duration = Duration::from_nanos(100);
/// How many items are run before the clock is read first.
const FIRST_SAMPLE: usize = 8;
/// About so much time lies between two looks at the clock, and no more than so many items.
const BETWEEN_LOOKS: Duration = Duration::from_micros(10);
const LONGEST_SAMPLE: usize = 1 << 16;
/// Towards the end steps are shorter: no longer than one of so many that are left.
const TAIL: usize = 4;
/// What takes less than this is not worth a thief's way.
const WORTH: Duration = Duration::from_micros(8);

/// The pace of one thread through a range.
#[derive(Debug)]
pub(super) struct Pace {
    step: usize,
    /// Items since the clock was read last, and after how many it is read again.
    count: usize,
    sample: usize,
    last: Option<Instant>,
    /// For how long it has been measured.
    known_for: Duration,
    /// How few items are too few for a thief.
    least: usize,
}

/// Some steps of the same length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) step: usize,
    pub(super) steps: usize,
}

impl Pace {
    /// `least` is what others have found to be too few for a thief.
    pub(super) fn new(least: usize) -> Self {
        Self {
            step: 1,
            count: 0,
            sample: FIRST_SAMPLE,
            last: None,
            known_for: Duration::ZERO,
            least,
        }
    }

    /// How to take the next of so many items.
    #[inline]
    pub(super) fn row(&mut self, left: usize) -> Row {
        if self.count >= self.sample {
            self.measure();
        }
        let until_look = self.sample - self.count;
        let step = self.step.min(left.div_ceil(TAIL));
        if step == 1 {
            // Most loops are small, and a division takes as long as all the rest.
            return Row { step, steps: until_look.min(left) };
        }
        let until_tail = left.saturating_sub(step * TAIL) / step;
        Row { step, steps: until_look.div_ceil(step).min(until_tail).max(1) }
    }

    /// So many items were run.
    #[inline]
    pub(super) fn ran(&mut self, items: usize) {
        self.count += items;
    }

    /// A thief has come: it may be because items have become dear.
    #[cold]
    pub(super) fn begin_anew(&mut self) {
        *self = Self::new(self.least);
    }

    /// Whether it was measured for long enough how long items take.
    pub(super) fn is_known(&self) -> bool {
        self.known_for >= BETWEEN_LOOKS
    }

    /// For how long it was measured.
    pub(super) fn known_for(&self) -> Duration {
        self.known_for
    }

    /// How few items are too few for a thief.
    pub(super) fn least(&self) -> usize {
        self.least
    }

    #[cold]
    #[inline(never)]
    fn measure(&mut self) {
        let now = clock::now();
        if let Some(last) = self.last.replace(now) {
            let took = now.saturating_duration_since(last);
            self.known_for += took;
            let took = took.as_nanos().max(1);
            let fit = |time: Duration| {
                usize::try_from(time.as_nanos() * self.count as u128 / took).unwrap_or(usize::MAX)
            };
            self.step = fit(STEP).clamp(1, MOST);
            self.least = fit(WORTH).max(1);
            self.sample = fit(BETWEEN_LOOKS).clamp(1, LONGEST_SAMPLE);
        }
        self.count = 0;
    }
}
