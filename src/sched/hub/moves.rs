//! Moves: tasks on their way from one queue to another. Meanwhile they are in neither, and a thread
//! that checks whether all queues are empty must know that.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use crate::base::sync::{AtomicUsize, Ordering, planted};

/// Counts the moves that one worker has begun and ended, so the count is odd during a move. Only
/// that worker's thread writes it.
#[derive(Debug)]
pub(crate) struct Moves(AtomicUsize);

impl Moves {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Takes tasks out of one queue, under its lock, and puts some of them into another.
    #[inline]
    pub(crate) fn during<R>(&self, moves: impl FnOnce() -> R) -> R {
        // ORDERING: one writer. A thread that finds the first queue without these tasks has taken
        // its lock later, and so sees this.
        let before = self.0.load(Ordering::Relaxed);
        if !mutant!("move_unsaid") {
            self.0.store(before.wrapping_add(1), Ordering::Relaxed);
        }
        let moved = moves();
        // ORDERING: release, partner of the acquire in `over`: a thread that sees the end of the
        // move sees the tasks in the second queue.
        let order = planted(mutant!("move_unreleased"), Ordering::Release, Ordering::Relaxed);
        self.0.store(before.wrapping_add(2), order);
        moved
    }

    /// How many moves are over. `None` during a move.
    fn over(&self) -> Option<usize> {
        // ORDERING: acquire, partner of the release above.
        let order = planted(mutant!("move_unacquired"), Ordering::Acquire, Ordering::Relaxed);
        let count = self.0.load(order);
        (count % 2 == 0).then_some(count / 2)
    }

    /// How many of these workers' moves are over. `None` during a move. If the number is the same
    /// before and after a look at all queues, the look has seen all tasks.
    pub(super) fn all_over<'m>(all: impl IntoIterator<Item = &'m Self>) -> Option<usize> {
        all.into_iter().try_fold(0, |sum: usize, moves| Some(sum.wrapping_add(moves.over()?)))
    }

    /// Whether a look at all queues found nothing, and missed nothing that these workers moved.
    /// `all` is called twice, because a spare worker may arrive meanwhile.
    pub(super) fn none_missed<'m, A>(all: impl Fn() -> A, look: impl FnOnce() -> bool) -> bool
    where
        A: IntoIterator<Item = &'m Self>,
    {
        let Some(before) = Self::all_over(all()) else { return false };
        look() && (mutant!("moves_asked_once") || Self::all_over(all()) == Some(before))
    }
}
