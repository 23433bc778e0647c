//! The states of a range of items, in one cache line, and the block's place on a list of those that
//! have results.
#![forbid(unsafe_code)]

use super::slot::State;
use crate::sync::{AtomicU32, Ordering, planted};

/// So many items have their states in one block at most.
pub(super) const MOST: u32 = 32;

/// Not the place of any item, and not a block.
pub(super) const NOWHERE: u32 = u32::MAX;

/// In the link: the block is on a list, or about to be. The other bits are the block that was put
/// there before it.
const LISTED: u32 = 1 << 31;

#[repr(align(64))]
#[derive(Debug)]
pub(super) struct Block {
    states: [State; MOST as usize],
    link: AtomicU32,
}

impl Block {
    pub(super) fn new() -> Self {
        Self { states: core::array::from_fn(|_| State::new()), link: AtomicU32::new(0) }
    }

    /// The state of this item, which is one of the block's. A block's items stand in a row, and
    /// there are a power of two of them, so each has a state of its own whatever the first one is.
    #[inline]
    pub(super) fn state(&self, item: u32) -> &State {
        &self.states[(item % MOST) as usize]
    }

    /// Says that there are results that nobody has seen. `true`: the caller is to put the block on
    /// a list. `false`: it is on one, or somebody else is just putting it there.
    ///
    /// An exchange even where it changes nothing: whoever [takes](Self::unlist) the block after it
    /// sees the results.
    pub(super) fn list(&self) -> bool {
        // ORDERING: a load, as a planted bug only.
        if mutant!("batch_listed_glance") && self.link.load(Ordering::SeqCst) & LISTED != 0 {
            return false;
        }
        // ORDERING: release, partner of the acquire in `unlist`.
        let order = planted(mutant!("batch_list_unreleased"), Ordering::Release, Ordering::Relaxed);
        self.link.fetch_or(LISTED, order) & LISTED == 0
    }

    /// Notes the block that stands before this one on the list. For who is putting it there.
    ///
    /// An exchange: by a store, what others said with theirs in [`list`](Self::list) meanwhile
    /// would not reach who takes the block.
    pub(super) fn set_older(&self, older: u32) {
        let link = LISTED | older;
        if mutant!("batch_link_stored") {
            // ORDERING: a planted bug only.
            self.link.store(link, Ordering::Relaxed);
            return;
        }
        // ORDERING: an exchange passes on what those before it released.
        self.link.swap(link, Ordering::Relaxed);
    }

    /// For who has taken the list: the block is on none from here on. Gives the one that was put
    /// there before. Look for results after this.
    pub(super) fn unlist(&self) -> u32 {
        // ORDERING: acquire, partner of the release in `list`.
        let older = self.link.swap(0, Ordering::Acquire) & !LISTED;
        if older == NOWHERE & !LISTED { NOWHERE } else { older }
    }
}
