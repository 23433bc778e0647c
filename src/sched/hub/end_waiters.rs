//! Waiters for the end of a pool that do not block. Each one leaves a waker.
#![forbid(unsafe_code)]

use std::task::Waker;

use crate::base::unwind;

/// Identifies one waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndWaiter(u64);

/// The wakers. Nothing here calls user code: the caller wakes or drops what is returned, without a
/// lock.
#[derive(Debug, Default)]
pub(super) struct EndWaiters {
    next: u64,
    wakers: Vec<(EndWaiter, Waker)>,
}

impl EndWaiters {
    /// Stores a waker in place of the waiter's previous one, which is returned.
    #[must_use = "dropping a waker is user code"]
    pub(super) fn stand(&mut self, place: &mut Option<EndWaiter>, waker: Waker) -> Option<Waker> {
        let number = *place.get_or_insert_with(|| {
            self.next += 1;
            EndWaiter(self.next)
        });
        if let Some((_, old)) = self.wakers.iter_mut().find(|(other, _)| *other == number) {
            return Some(std::mem::replace(old, waker));
        }
        self.wakers.push((number, waker));
        None
    }

    /// Returns the waker if it was not woken.
    #[must_use = "dropping a waker is user code"]
    pub(super) fn step_out(&mut self, number: EndWaiter) -> Option<Waker> {
        let at = self.wakers.iter().position(|(other, _)| *other == number)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// Takes out all wakers, to be woken by [`wake_each`].
    #[must_use = "they wait to be woken"]
    pub(super) fn take_all(&mut self) -> Vec<(EndWaiter, Waker)> {
        std::mem::take(&mut self.wakers)
    }
}

/// Wakes all, even if one panics. Not under a lock.
pub(super) fn wake_each(wakers: Vec<(EndWaiter, Waker)>) {
    for (_, waker) in wakers {
        unwind::quietly(|| waker.wake());
    }
}

/// Drops a waker so that its panic does no harm. Not under a lock.
pub(super) fn discard(waker: Option<Waker>) {
    unwind::quietly(|| drop(waker));
}
