//! The packed word of the free-worker list, bit by bit.
//!
//! | bits | meaning |
//! | --- | --- |
//! | 0–14 | how many workers are free and not yet promised to a waker |
//! | 15–29 | how many workers search |
//! | 30 | the pool is closed |
#![forbid(unsafe_code)]

/// The most workers that a pool may have. Each of the two counts has room for them.
pub(crate) const MAX_WORKERS: usize = 4096;

const WIDTH: u32 = 15;
const MASK: u32 = (1 << WIDTH) - 1;

// A pool may have up to as many spare workers on top, and the cores of all of them may be on the
// list too.
const _: () = assert!(4 * MAX_WORKERS < MASK as usize, "the counts must hold every worker");

/// One reading of the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u32);

impl Word {
    pub(crate) const START: Self = Self(0);
    pub(crate) const ONE_FREE: u32 = 1;
    pub(crate) const ONE_SEARCHING: u32 = 1 << WIDTH;
    pub(crate) const CLOSED: u32 = 1 << (2 * WIDTH);
    /// Adding this turns a searcher into a free worker; the wrap-around is intended.
    pub(crate) const SEARCHER_TO_FREE: u32 = Self::ONE_FREE.wrapping_sub(Self::ONE_SEARCHING);

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn free(self) -> u32 {
        self.0 & MASK
    }

    pub(crate) const fn searching(self) -> u32 {
        (self.0 >> WIDTH) & MASK
    }

    #[inline]
    pub(crate) const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    pub(crate) const fn has_free(self) -> bool {
        self.free() > 0
    }

    /// A worker is free, and none is searching: a submitter must wake one.
    #[inline]
    pub(crate) const fn wants_a_searcher(self) -> bool {
        self.free() > 0 && self.searching() == 0
    }

    pub(crate) const fn with_searcher(self) -> Self {
        Self(self.0.wrapping_add(Self::ONE_SEARCHING))
    }

    pub(crate) const fn without_searcher(self) -> Self {
        Self(self.0.wrapping_sub(Self::ONE_SEARCHING))
    }

    pub(crate) const fn free_to_searcher(self) -> Self {
        Self(self.0.wrapping_sub(Self::ONE_FREE).wrapping_add(Self::ONE_SEARCHING))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WORKERS, Word};

    #[test]
    fn a_searcher_becomes_free_without_touching_the_other_bits() {
        let mut word = Word::from_bits(Word::CLOSED);
        for _ in 0..MAX_WORKERS {
            word = word.with_searcher();
        }
        for freed in 1..=MAX_WORKERS as u32 {
            word = Word::from_bits(word.bits().wrapping_add(Word::SEARCHER_TO_FREE));
            assert_eq!((word.free(), word.searching()), (freed, MAX_WORKERS as u32 - freed));
            assert!(word.is_closed());
        }
        assert!(word.wants_a_searcher());
        let word = word.free_to_searcher();
        assert_eq!((word.free(), word.searching()), (MAX_WORKERS as u32 - 1, 1));
        assert!(!word.wants_a_searcher() && word.has_free());
        assert_eq!(word.without_searcher().searching(), 0);
    }
}
