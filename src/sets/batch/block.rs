//! A block: the states of consecutive items, in one cache line, and the block's place on a list.
#![forbid(unsafe_code)]

use super::slot::ItemState;
use crate::base::sync::{AtomicU32, Ordering};

/// The largest number of items whose states fit into one block.
pub(super) const MOST: u32 = 32;

/// Neither an item nor a block.
pub(super) const NOWHERE: u32 = u32::MAX;

/// In the link: the block is on a list, or about to be. The other bits are the block that was
/// pushed before it.
const LISTED: u32 = 1 << 31;

// ORDERING: release, partner of the acquire in `Block::unlist`.
ordering!(LIST = Release, planted "batch_list_unreleased": Relaxed);

#[repr(align(64))]
#[derive(Debug)]
pub(super) struct Block {
    states: [ItemState; MOST as usize],
    link: AtomicU32,
}

impl Block {
    pub(super) fn new() -> Self {
        Self { states: core::array::from_fn(|_| ItemState::new()), link: AtomicU32::new(0) }
    }

    /// The state of an item, which must be one of this block's. A block's items are consecutive and
    /// their number is a power of two, so each of them has its own state, whatever the first item
    /// is.
    #[inline]
    pub(super) fn state(&self, item: u32) -> &ItemState {
        &self.states[(item % MOST) as usize]
    }

    /// Notes that there are results that the taker has not seen. Returns `true` if the caller must
    /// put the block on a list, and `false` if it is on one or another thread is putting it there.
    ///
    /// This is an exchange even if it changes nothing, so that a thread that [takes](Self::unlist)
    /// the block afterwards sees the results.
    pub(super) fn list(&self) -> bool {
        mutant!("batch_listed_glance" => return !self.is_listed() && self.mark_listed());
        self.mark_listed()
    }

    fn mark_listed(&self) -> bool {
        self.link.fetch_or(LISTED, LIST) & LISTED == 0
    }

    /// Only a planted bug looks before the exchange.
    fn is_listed(&self) -> bool {
        self.link.load(Ordering::SeqCst) & LISTED != 0
    }

    /// Notes the block before this one on the list. Only for the thread that is putting this block
    /// there.
    ///
    /// This is an exchange: a store would cut off what other threads released meanwhile with theirs
    /// in [`list`](Self::list), and the thread that takes the block would not see it.
    pub(super) fn set_older(&self, older: u32) {
        let link = LISTED | older;
        // ORDERING: this store is only a planted bug.
        mutant!("batch_link_stored" => return self.link.store(link, Ordering::Relaxed));
        // ORDERING: relaxed, because an exchange passes on what earlier exchanges released.
        self.link.swap(link, Ordering::Relaxed);
    }

    /// Takes the block off its list and returns the block that was pushed before it. Only for the
    /// thread that has taken the list. Look for results after this call.
    pub(super) fn unlist(&self) -> u32 {
        // ORDERING: acquire, partner of the release in `list`.
        let older = self.link.swap(0, Ordering::Acquire) & !LISTED;
        if older == NOWHERE & !LISTED { NOWHERE } else { older }
    }
}
