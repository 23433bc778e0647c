//! Tasks on their way from one queue to another: they stand in none meanwhile, and who asks whether all are empty has to know.
#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};

/// Counts the moves that one worker has begun and ended, so it is odd during one. Only that worker's thread writes.
#[derive(Debug)]
pub(crate) struct Moves(AtomicUsize);

impl Moves {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Takes tasks out of one queue, under its lock, and puts some of them into another.
    #[inline]
    pub(crate) fn during<R>(&self, moves: impl FnOnce() -> R) -> R {
        // ORDERING: one writer. Who finds the first queue without these tasks has taken its lock later, and so sees this.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
        let moved = moves();
        // ORDERING: release, partner of the acquire in `over`: who sees the end of the move sees the tasks in the second queue.
        self.0.store(before.wrapping_add(2), Ordering::Release);
        moved
    }

    /// How many are over; `None` during one.
    pub(super) fn over(&self) -> Option<usize> {
        // ORDERING: acquire, partner of the release above.
        let count = self.0.load(Ordering::Acquire);
        (count % 2 == 0).then_some(count / 2)
    }
}
