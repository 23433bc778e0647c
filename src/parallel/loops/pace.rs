//! How many items a loop takes at once.
//!
//! Once taken, items can no longer be given to a thief. So the loop takes one item at a time,
//! unless items are so cheap that taking them one by one would cost more than running them. This is
//! measured, never assumed, and the measurement is discarded when a thief has come.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::base::clock;

/// The maximum number of items taken at once. The others wait if one of them turns out to be
/// expensive.
const MOST: usize = 64;
/// The items taken at once should run for no longer than this.
const STEP: Duration = Duration::from_nanos(100);
/// The number of items that run before the first reading of the clock.
const FIRST_SAMPLE: usize = 8;
/// Between two readings of the clock about `BETWEEN_LOOKS` passes, and at most `LONGEST_SAMPLE`
/// items run.
const BETWEEN_LOOKS: Duration = Duration::from_micros(10);
const LONGEST_SAMPLE: usize = 1 << 16;
/// Towards the end steps are shorter: at most one `TAIL`-th of the items that are left.
const TAIL: usize = 4;
/// Less work than this is not worth a theft.
const WORTH: Duration = Duration::from_micros(8);

/// The pace of one thread through a range.
#[derive(Debug)]
pub(super) struct Pace {
    step: usize,
    /// Items since the last reading of the clock, and the count at which it is read again.
    count: usize,
    sample: usize,
    last: Option<Instant>,
    /// How much time has been measured.
    known_for: Duration,
    /// Fewer items than this are too few for a thief.
    least: usize,
}

/// Some steps of the same length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) step: usize,
    pub(super) steps: usize,
}

impl Pace {
    /// `least` is the number of items below which other threads found a range too small for a
    /// thief.
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

    /// Returns how to take the next items, with `left` items left.
    #[inline]
    pub(super) fn row(&mut self, left: usize) -> Row {
        if self.count >= self.sample {
            self.measure();
        }
        let until_look = self.sample - self.count;
        let step = self.step.min(left.div_ceil(TAIL));
        if step == 1 {
            // Most loops are small, and a division would take as long as all the rest.
            return Row { step, steps: until_look.min(left) };
        }
        let until_tail = left.saturating_sub(step * TAIL) / step;
        Row { step, steps: until_look.div_ceil(step).min(until_tail).max(1) }
    }

    /// Notes that this many items have run.
    #[inline]
    pub(super) fn ran(&mut self, items: usize) {
        self.count += items;
    }

    /// Starts measuring again. A thief has come, maybe because items have become expensive.
    #[cold]
    pub(super) fn begin_anew(&mut self) {
        *self = Self::new(self.least);
    }

    /// Returns `true` if the time per item has been measured for long enough.
    pub(super) fn is_known(&self) -> bool {
        self.known_for >= BETWEEN_LOOKS
    }

    /// How much time has been measured.
    pub(super) fn known_for(&self) -> Duration {
        self.known_for
    }

    /// Fewer items than this are too few for a thief.
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
