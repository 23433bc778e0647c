//! Replaces `fastrand` in the random programs of the tests: it draws from the fuzzer's bytes while
//! there are any.
#![forbid(unsafe_code)]

use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};

static BYTES: Mutex<Option<Arc<[u8]>>> = Mutex::new(None);

/// Sets the bytes from which new generators draw, on any thread.
pub fn load(bytes: &[u8]) {
    *BYTES.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes.into());
}

/// A generator. When the bytes are used up it continues by arithmetic, because a program must reach
/// its end.
#[derive(Debug, Clone)]
pub struct Rng {
    bytes: Arc<[u8]>,
    at: usize,
    state: u64,
}

impl Rng {
    /// A generator that begins with the first byte.
    pub fn with_seed(seed: u64) -> Self {
        let bytes = BYTES.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { bytes: bytes.unwrap_or_default(), at: 0, state: seed }
    }

    /// A generator that begins in the middle of the remaining bytes.
    pub fn fork(&mut self) -> Self {
        let state = self.draw(8);
        let at = self.at + self.bytes.len().saturating_sub(self.at) / 2;
        Self { bytes: Arc::clone(&self.bytes), at, state }
    }

    pub fn bool(&mut self) -> bool {
        self.draw(1) & 1 == 1
    }

    pub fn u8(&mut self, range: impl RangeBounds<u8>) -> u8 {
        self.within(
            range.start_bound().map(|n| u64::from(*n)),
            range.end_bound().map(|n| u64::from(*n)),
            u8::MAX.into(),
        ) as u8
    }

    pub fn u16(&mut self, range: impl RangeBounds<u16>) -> u16 {
        self.within(
            range.start_bound().map(|n| u64::from(*n)),
            range.end_bound().map(|n| u64::from(*n)),
            u16::MAX.into(),
        ) as u16
    }

    pub fn u32(&mut self, range: impl RangeBounds<u32>) -> u32 {
        self.within(
            range.start_bound().map(|n| u64::from(*n)),
            range.end_bound().map(|n| u64::from(*n)),
            u32::MAX.into(),
        ) as u32
    }

    pub fn u64(&mut self, range: impl RangeBounds<u64>) -> u64 {
        self.within(range.start_bound().cloned(), range.end_bound().cloned(), u64::MAX)
    }

    pub fn usize(&mut self, range: impl RangeBounds<usize>) -> usize {
        self.within(
            range.start_bound().map(|n| *n as u64),
            range.end_bound().map(|n| *n as u64),
            u64::MAX,
        ) as usize
    }

    /// Draws only as many bytes as the range needs, so that the fuzzer sees the effect of each
    /// byte.
    fn within(&mut self, start: Bound<u64>, end: Bound<u64>, most: u64) -> u64 {
        let first = match start {
            Bound::Included(first) => first,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let last = match end {
            Bound::Included(last) => last,
            Bound::Excluded(behind) => behind.checked_sub(1).expect("the range is not empty"),
            Bound::Unbounded => most,
        };
        let steps = last.checked_sub(first).expect("the range is not empty");
        let bytes = u64::BITS.div_ceil(8) - steps.leading_zeros() / 8;
        let drawn = self.draw(bytes as usize);
        first + steps.checked_add(1).map_or(drawn, |count| drawn % count)
    }

    fn draw(&mut self, bytes: usize) -> u64 {
        let mut drawn = 0;
        for _ in 0..bytes {
            drawn = drawn << 8 | u64::from(self.byte());
        }
        drawn
    }

    fn byte(&mut self) -> u8 {
        if let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            self.state = self.state.wrapping_mul(31).wrapping_add(u64::from(*byte));
            return *byte;
        }
        // SplitMix. Any sequence that does not soon repeat would do.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
    }
}
