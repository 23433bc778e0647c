//! Who is still at work for a scope: the thread that ends last tells the one that waits.

use core::ptr::NonNull;

use crate::sync::{AtomicUsize, Ordering, planted};

/// How many threads run closures of a scope, or have been offered some: the scope's own thread is
/// one.
///
/// A thief counts itself in while it has frozen the line of a thread that is counted, or waits for
/// those who are. So the count comes to 0 once a round, when no closure is left but among the
/// strays and on the list of the scope's own thread.
pub(super) struct Roll {
    present: AtomicUsize,
}

impl Roll {
    /// The scope's own thread is there.
    pub(super) fn new() -> Self {
        Self { present: AtomicUsize::new(1) }
    }

    /// Counts another one in, for whom somebody who is counted leaves work. Says whether it did:
    /// not once all have left.
    pub(super) fn enter(&self) -> bool {
        // ORDERING: only the number matters so far.
        let mut present = self.present.load(Ordering::Relaxed);
        while present > 0 {
            // ORDERING: who comes by this gets the closures by way of a lock, which orders it.
            let entered = self.present.compare_exchange(
                present,
                present + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match entered {
                Ok(_) => return true,
                Err(now) => present = now,
            }
        }
        false
    }

    /// The caller has nothing left. Says whether it was the last; all that the others did is seen
    /// then.
    ///
    /// # Safety
    /// - The roll is there until the last has left; the caller was counted, and uses the roll no
    ///   more unless it is the last.
    pub(super) unsafe fn leave(roll: NonNull<Self>) -> bool {
        // ORDERING: release what the caller's closures did; acquire, for the last, what the others'
        // did.
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
