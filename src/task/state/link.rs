//! The transitions of a continuation that waits for the task before it.
#![forbid(unsafe_code)]

use super::{ANYWAY, EXTENDED, HANDLE, LINKED, OWNER, PHASE, PINNED, QUEUED, State};
use crate::sync::{AtomicU32, Ordering};

/// What is to be done with a link whose turn has come, but that could not be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum NotPinned {
    /// Whoever has pinned it sees to it, and has the owner's reference now.
    LeftToPinner,
    /// It was claimed before; only the owner's reference is left to drop.
    Claimed,
    /// It can be pinned again.
    Free,
}

impl State {
    /// A task that waits for another; that one's waiter slot holds the owner's reference.
    pub(crate) fn linked(extended: bool) -> Self {
        let extended = if extended { EXTENDED } else { 0 };
        Self(AtomicU32::new(QUEUED | OWNER | HANDLE | LINKED | extended))
    }

    /// As [`linked`](Self::linked), for one that runs whatever becomes of its handle and of the
    /// pool.
    pub(crate) fn linked_anyway(extended: bool) -> Self {
        let state = Self::linked(extended);
        // ORDERING: nobody else knows the word yet.
        state.0.fetch_or(ANYWAY, Ordering::Relaxed);
        state
    }

    /// Whether the task is neither cancelled nor refused, but run.
    pub(crate) fn runs_anyway(&self) -> bool {
        // ORDERING: the bit never changes.
        self.0.load(Ordering::Relaxed) & ANYWAY != 0
    }

    pub(crate) fn is_linked(&self) -> bool {
        // ORDERING: a glance; `pin` looks again.
        self.0.load(Ordering::Relaxed) & LINKED != 0
    }

    /// Keeps a link from being queued or claimed, so that one may look at what stands before it.
    /// Fails if it does not wait any more.
    pub(crate) fn pin(&self) -> bool {
        // ORDERING: acquire, partner of nothing but whoever made the link; tried again if it is
        // old.
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

    /// Ends that. Says whether the link's turn has come meanwhile: then the owner's reference is
    /// the caller's.
    pub(crate) fn unpin(&self) -> bool {
        // ORDERING: both ways with `leave_to_pinner`.
        self.0.fetch_and(!PINNED, Ordering::AcqRel) & LINKED == 0
    }

    /// Ends it for a link whose turn has come: from here it is like any other task.
    pub(crate) fn unpin_ready(&self) {
        // ORDERING: release, partner of whoever claims it: what was read of the link while it was
        // pinned is over.
        self.0.fetch_and(!(PINNED | LINKED), Ordering::AcqRel);
    }

    /// The link's turn has come, and somebody else has pinned it or claimed it.
    pub(crate) fn leave_to_pinner(&self) -> NotPinned {
        // ORDERING: tried again if it is old.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & PHASE != QUEUED {
                return NotPinned::Claimed;
            }
            if word & PINNED == 0 {
                return NotPinned::Free;
            }
            // ORDERING: release, partner of the acquire in `unpin`: what the settler did is over
            // for the pinner.
            match self.0.compare_exchange(word, word & !LINKED, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return NotPinned::LeftToPinner,
                Err(seen) => word = seen,
            }
        }
    }
}
