//! How long it takes until a sleeping worker that is called for help is there.
//!
//! On a machine whose idle cores sleep deeply that is tens of microseconds, elsewhere two or three. What is
//! over sooner is better done alone; so the delay is measured, each time somebody is called.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::offer::Offer;
use crate::sync::{AtomicU32, Ordering};

/// Believed until somebody was called.
const FIRST: Duration = Duration::from_micros(10);
const SHORTEST: Duration = Duration::from_micros(5);
const LONGEST: Duration = Duration::from_micros(100);

/// The pool's experience.
#[derive(Debug)]
pub(crate) struct Help {
    nanos: AtomicU32,
}

impl Default for Help {
    fn default() -> Self {
        Self { nanos: AtomicU32::new(FIRST.as_nanos() as u32) }
    }
}

impl Help {
    /// How long help takes to come, by what was seen lately.
    pub(crate) fn delay(&self) -> Duration {
        // ORDERING: a rule of thumb.
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed).into())
    }

    /// Somebody took an offer.
    pub(super) fn came(&self, offer: &Offer) {
        if let Some(delay) = offer.since_call() {
            self.learn(delay);
        }
    }

    /// The maker of an offer took it back, because nobody had come.
    pub(crate) fn came_too_late(&self, offer: &Offer) {
        if let Some(waited) = offer.since_call() {
            if waited > self.delay() {
                self.learn(waited);
            }
        }
    }

    /// A moving mean. Two at once may lose one another's lesson, which does no harm.
    fn learn(&self, delay: Duration) {
        let mean = (self.delay() * 3 + delay.min(LONGEST)) / 4;
        // ORDERING: a rule of thumb.
        self.nanos.store(mean.clamp(SHORTEST, LONGEST).as_nanos() as u32, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use super::{Duration, FIRST, Help, LONGEST, SHORTEST};

    #[test]
    fn the_delay_follows_what_is_seen_and_stays_in_bounds() {
        let help = Help::default();
        assert_eq!(help.delay(), FIRST);
        for _ in 0..50 {
            help.learn(Duration::from_secs(1));
        }
        assert!(help.delay() > LONGEST / 2 && help.delay() <= LONGEST);
        for _ in 0..50 {
            help.learn(Duration::ZERO);
        }
        assert_eq!(help.delay(), SHORTEST);
    }
}
