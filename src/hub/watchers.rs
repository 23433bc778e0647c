//! Who waits for the end of a pool without blocking: a waker each.
#![forbid(unsafe_code)]

use std::task::Waker;

use crate::unwind;

/// Names one who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watcher(u64);

/// The wakers. Nothing here calls user code: what is given back is to be woken or dropped without a
/// lock.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    next: u64,
    wakers: Vec<(Watcher, Waker)>,
}

impl Watchers {
    /// Leaves a waker in the place of the one from before, which is given back.
    #[must_use = "dropping a waker is user code"]
    pub(super) fn stand(&mut self, place: &mut Option<Watcher>, waker: Waker) -> Option<Waker> {
        let number = *place.get_or_insert_with(|| {
            self.next += 1;
            Watcher(self.next)
        });
        if let Some((_, old)) = self.wakers.iter_mut().find(|(other, _)| *other == number) {
            return Some(std::mem::replace(old, waker));
        }
        self.wakers.push((number, waker));
        None
    }

    /// Gives the waker back if it was not woken.
    #[must_use = "dropping a waker is user code"]
    pub(super) fn step_out(&mut self, number: Watcher) -> Option<Waker> {
        let at = self.wakers.iter().position(|(other, _)| *other == number)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// Takes out all, to be woken by [`wake_each`].
    #[must_use = "they wait to be woken"]
    pub(super) fn take_all(&mut self) -> Vec<(Watcher, Waker)> {
        std::mem::take(&mut self.wakers)
    }
}

/// Wakes all, though one panics. Not under a lock.
pub(super) fn wake_each(wakers: Vec<(Watcher, Waker)>) {
    for (_, waker) in wakers {
        unwind::quietly(|| waker.wake());
    }
}

/// Drops a waker where its panic does no harm. Not under a lock.
pub(super) fn discard(waker: Option<Waker>) {
    unwind::quietly(|| drop(waker));
}
