//! Moves: tasks on their way from one queue to another. Meanwhile they are in neither, and a thread
//! that checks whether all queues are empty must know that.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use crate::base::sync::{AtomicUsize, Ordering};

// ORDERING: release, partner of `SEE_END`: a thread that sees the end of the move sees the tasks in
// the second queue.
ordering!(END = Release, planted "move_unreleased": Relaxed);
// ORDERING: acquire, partner of `END`.
ordering!(SEE_END = Acquire, planted "move_unacquired": Relaxed);

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
        // ORDERING: one writer.
        let before = self.0.load(Ordering::Relaxed);
        self.begin(before);
        let moved = moves();
        self.0.store(before.wrapping_add(2), END);
        moved
    }

    #[inline]
    fn begin(&self, before: usize) {
        mutant!("move_unsaid" => return);
        // ORDERING: a thread that finds the first queue without these tasks has taken its lock
        // later, and so sees this.
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
    }

    /// How many moves are over. `None` during a move.
    fn over(&self) -> Option<usize> {
        let count = self.0.load(SEE_END);
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
        mutant!("moves_asked_once" => return look());
        look() && Self::all_over(all()) == Some(before)
    }
}
