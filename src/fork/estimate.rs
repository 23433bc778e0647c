//! What a thread remembers of its fork-join calls: how long calls of this type took.
//!
//! A sleeping worker costs some microseconds to wake. Whether that is worth it for a call that has just
//! begun nobody can know, but calls of one type tend to be alike. A type that was never seen counts as
//! heavy: who writes `join` means it.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::Duration;

/// How often a light call is measured: once in so many.
const SAMPLE: u8 = 8;
/// Types remembered a thread; two that fall on one place forget one another.
const PLACES: usize = 64;

crate::sync::thread_local! {
    static KNOWN: [Cell<Known>; PLACES] = const { [const { Cell::new(Known::NOTHING) }; PLACES] };
}

/// What is known of one type.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The address of a function that belongs to the type.
    key: usize,
    nanos: u32,
    /// Calls until it is measured again.
    skip: u8,
}

impl Known {
    const NOTHING: Self = Self { key: 0, nanos: 0, skip: 0 };
}

/// What to expect of a call, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    /// Worth waking somebody at once.
    pub(crate) is_heavy: bool,
    /// This call is to be measured.
    pub(crate) measure: bool,
}

/// What takes as long as a sleeping worker takes to come is worth waking one.
pub(crate) fn guess(key: usize, heavy: Duration) -> Guess {
    let fresh = Guess { is_heavy: true, measure: true };
    let look = |known: &[Cell<Known>; PLACES]| {
        let place = &known[place(key)];
        let mut now = place.get();
        if now.key != key {
            return fresh;
        }
        let is_heavy = u128::from(now.nanos) >= heavy.as_nanos();
        let measure = is_heavy || now.skip == 0;
        now.skip = if measure { SAMPLE - 1 } else { now.skip - 1 };
        place.set(now);
        Guess { is_heavy, measure }
    };
    KNOWN.try_with(look).unwrap_or(fresh)
}

/// What a call took that could have been done by two at once.
pub(crate) fn learn(key: usize, took: Duration) {
    let nanos = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
    let _known = KNOWN.try_with(|known| {
        let place = &known[place(key)];
        let skip = if place.get().key == key { place.get().skip } else { SAMPLE - 1 };
        place.set(Known { key, nanos, skip });
    });
}

/// What is known to be the time, if anything is.
pub(crate) fn known(key: usize) -> Option<Duration> {
    let known = KNOWN.try_with(|known| known[place(key)].get()).ok()?;
    (known.key == key).then(|| Duration::from_nanos(known.nanos.into()))
}

/// Functions lie 16 bytes apart.
fn place(key: usize) -> usize {
    ((key >> 4) ^ (key >> 10)) % PLACES
}

#[cfg(test)]
mod tests {
    use super::{Duration, Guess, SAMPLE, guess, learn};

    #[test]
    fn the_unknown_is_heavy_and_the_light_is_measured_now_and_then() {
        const HEAVY: Duration = Duration::from_micros(8);
        let key = 0x1230;
        assert_eq!(guess(key, HEAVY), Guess { is_heavy: true, measure: true });
        learn(key, Duration::from_nanos(900));
        for _ in 1..SAMPLE {
            assert_eq!(guess(key, HEAVY), Guess { is_heavy: false, measure: false });
        }
        assert_eq!(guess(key, HEAVY), Guess { is_heavy: false, measure: true });
        learn(key, Duration::from_millis(1));
        for _ in 0..3 {
            assert_eq!(guess(key, HEAVY), Guess { is_heavy: true, measure: true });
        }
    }
}
