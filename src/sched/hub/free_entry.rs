//! What an entry of the free list stands for. The list itself knows only numbers.
#![forbid(unsafe_code)]

/// An entry of the free list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreeEntry {
    /// The worker whose slot has this index sleeps.
    Worker(usize),
    /// The worker whose slot has this index lends its core.
    LentCore(usize),
}

impl FreeEntry {
    /// The entry's number, in a pool with this many slots. Lent cores come behind all workers.
    #[inline]
    pub(super) fn number(self, slots: usize) -> usize {
        match self {
            Self::Worker(index) => index,
            Self::LentCore(lender) => slots + lender,
        }
    }

    /// The entry with this number.
    #[inline]
    pub(super) fn of(number: usize, slots: usize) -> Self {
        match number.checked_sub(slots) {
            None => Self::Worker(number),
            Some(lender) => Self::LentCore(lender),
        }
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use super::FreeEntry::{self, LentCore, Worker};

    #[test]
    fn every_entry_has_a_number_of_its_own() {
        let entries = [Worker(0), Worker(1), Worker(2), LentCore(0), LentCore(1), LentCore(2)];
        for (number, entry) in entries.into_iter().enumerate() {
            assert_eq!(entry.number(3), number);
            assert_eq!(FreeEntry::of(number, 3), entry);
        }
    }
}
