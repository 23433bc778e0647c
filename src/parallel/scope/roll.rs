//! The roll of a scope: counts the threads at work; the last one to leave tells the waiting thread.

use core::ptr::NonNull;

use crate::base::sync::{AtomicUsize, Ordering};

// ORDERING: release what the caller's closures did; acquire, for the last, what the others' did.
ordering!(LEAVE = AcqRel, planted "roll_unreleased": Acquire, planted "roll_unacquired": Release);

/// The number of threads that run a scope's closures or have been offered some. The scope's own
/// thread is one of them.
///
/// A thief counts itself in while it has frozen the line of a thread that is counted, or of a
/// thread that waits for counted ones. So the count reaches 0 once per round, when no closure is
/// left except among the strays and on the list of the scope's own thread.
pub(super) struct Roll {
    present: AtomicUsize,
}

impl Roll {
    /// Creates a roll that counts the scope's own thread.
    pub(super) fn new() -> Self {
        Self { present: AtomicUsize::new(1) }
    }

    /// Counts in another thread, for which a counted thread leaves work. Returns `true` if it did,
    /// and `false` once all have left.
    pub(super) fn enter(&self) -> bool {
        // ORDERING: only the number matters so far.
        let mut present = self.present.load(Ordering::Relaxed);
        while present > 0 {
            // ORDERING: the entering thread gets the closures by way of a lock, which orders them.
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

    /// Counts out the caller, which has nothing left. Returns `true` if it was the last; it then
    /// sees everything that the others did.
    ///
    /// # Safety
    /// - The roll exists until the last thread has left. The caller was counted, and does not use
    ///   the roll again unless it is the last.
    pub(super) unsafe fn leave(roll: NonNull<Self>) -> bool {
        // SAFETY: the caller promises that it was counted, so the roll still exists.
        unsafe { roll.as_ref() }.present.fetch_sub(1, LEAVE) == 1
    }

    /// Starts a new round on the scope's own thread, after all have left.
    pub(super) fn reopen(&self) {
        // ORDERING: no other thread is counted.
        self.present.store(1, Ordering::Relaxed);
    }
}
