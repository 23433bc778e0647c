//! Who is still at work for a scope: the thread that ends last tells the one that waits.

use core::ptr::NonNull;

use crate::sync::{AtomicUsize, Ordering, planted};

/// How many threads run closures of a scope, or have been offered some: the scope's own thread is one.
///
/// Whoever counts another in is counted, or does a part of the work of one who is and waits for it. So the
/// count comes to 0 once, when no closure is left but among the strays and on the list of the scope's own thread.
pub(super) struct Roll {
    present: AtomicUsize,
}

impl Roll {
    /// The scope's own thread is there.
    pub(super) fn new() -> Self {
        Self { present: AtomicUsize::new(1) }
    }

    /// The caller is there, and so will be whoever takes the closures that it is about to offer.
    pub(super) fn enter(&self) {
        // ORDERING: who comes by this gets the closures by way of a lock, which orders it.
        self.present.fetch_add(1, Ordering::Relaxed);
    }

    /// Nobody took what the caller offered.
    pub(super) fn withdraw(&self) {
        // ORDERING: the caller is still there itself, and orders all that when it leaves.
        self.present.fetch_sub(1, Ordering::Relaxed);
    }

    /// The caller has nothing left. Says whether it was the last; all that the others did is seen then.
    ///
    /// # Safety
    /// - The roll is there until the last has left; the caller was counted, and uses the roll no more
    ///   unless it is the last.
    pub(super) unsafe fn leave(roll: NonNull<Self>) -> bool {
        // ORDERING: release what the caller's closures did; acquire, for the last, what the others' did.
        let order = planted(mutant!("roll_unreleased"), Ordering::AcqRel, Ordering::Acquire);
        let order = planted(mutant!("roll_unacquired"), order, Ordering::Release);
        // SAFETY: the caller's promise.
        unsafe { roll.as_ref() }.present.fetch_sub(1, order) == 1
    }

    /// All have left, and the scope's own thread begins again.
    pub(super) fn reopen(&self) {
        // ORDERING: nobody else is there.
        self.present.store(1, Ordering::Relaxed);
    }
}
