//! The transitions of a link: a continuation that waits for the task before it.
#![forbid(unsafe_code)]

use super::{ANYWAY, EXTENDED, HANDLE, LINKED, OWNER, PHASE, PINNED, QUEUED, State};
use crate::base::sync::{AtomicU32, Ordering};

/// What to do with a link whose turn has come but that could not be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum NotPinned {
    /// The pinner takes care of it and has the owner's reference now.
    LeftToPinner,
    /// It was claimed before. Only the owner's reference is left to drop.
    Claimed,
    /// It can be pinned again.
    Free,
}

impl State {
    /// A task that waits for another task, whose waiter slot holds the owner's reference.
    pub(crate) fn linked(extended: bool) -> Self {
        let extended = if extended { EXTENDED } else { 0 };
        Self(AtomicU32::new(QUEUED | OWNER | HANDLE | LINKED | extended))
    }

    /// Like [`linked`](Self::linked), for a task that runs even if its handle or the pool is gone.
    pub(crate) fn linked_anyway(extended: bool) -> Self {
        let state = Self::linked(extended);
        // ORDERING: relaxed, because no other thread knows the word yet.
        state.0.fetch_or(ANYWAY, Ordering::Relaxed);
        state
    }

    /// Whether the task always runs: it can be neither cancelled nor refused.
    pub(crate) fn runs_anyway(&self) -> bool {
        // ORDERING: relaxed, because the bit never changes.
        self.0.load(Ordering::Relaxed) & ANYWAY != 0
    }

    pub(crate) fn is_linked(&self) -> bool {
        // ORDERING: relaxed, only a hint: `pin` checks again.
        self.0.load(Ordering::Relaxed) & LINKED != 0
    }

    /// Keeps a link from being queued or claimed, so that the caller can look at the task before
    /// it. Fails if the link does not wait any more.
    pub(crate) fn pin(&self) -> bool {
        // ORDERING: acquire, whose only partner is the thread that made the link. A stale value is
        // retried.
        let mut word = self.0.load(Ordering::Acquire);
        while word & (PHASE | LINKED | PINNED) == QUEUED | LINKED {
            // ORDERING: acquire, so that nothing is read from the link before it is pinned.
            match self.0.compare_exchange(word, word | PINNED, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Undoes [`pin`](Self::pin). Returns `true` if the link's turn has come in the meantime; the
    /// owner's reference is then the caller's.
    pub(crate) fn unpin(&self) -> bool {
        // ORDERING: release and acquire, both ways with `leave_to_pinner`.
        self.0.fetch_and(!PINNED, Ordering::AcqRel) & LINKED == 0
    }

    /// Undoes [`pin`](Self::pin) for a link whose turn has come. From here on it is like any other
    /// task.
    pub(crate) fn unpin_ready(&self) {
        // ORDERING: release, partner of the claimant's acquire: all reads of the pinned link are
        // over.
        self.0.fetch_and(!(PINNED | LINKED), Ordering::AcqRel);
    }

    /// Called when the link's turn has come and another thread has pinned or claimed it.
    pub(crate) fn leave_to_pinner(&self) -> NotPinned {
        // ORDERING: relaxed, because a stale value is retried.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & PHASE != QUEUED {
                return NotPinned::Claimed;
            }
            if word & PINNED == 0 {
                return NotPinned::Free;
            }
            // ORDERING: release, partner of the acquire in `unpin`: what the settler did is visible
            // to the pinner.
            match self.0.compare_exchange(word, word & !LINKED, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return NotPinned::LeftToPinner,
                Err(seen) => word = seen,
            }
        }
    }
}
