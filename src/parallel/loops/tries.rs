//! Where a fallible loop stops: at the earliest item that failed, as a plain loop would.

use std::sync::Arc;

use super::fold::{self, Fold};
use super::items::sealed::Numbered;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::sched::hub::Hub;

/// Calls the function on every item until one fails.
pub(super) fn try_for_each<I, F, E>(
    pool: Option<&Arc<Hub>>,
    items: &I,
    function: &F,
) -> Result<(), E>
where
    I: Numbered,
    F: Fn(I::Each) -> Result<(), E> + Sync,
    E: Send,
{
    fold::fold(pool, items.len(), &TryEach { items, function, failed: Earliest::new() })
}

/// The number of the earliest item that has failed so far.
///
/// Items before it still run, because one of them may fail as well. So the error does not depend on
/// which thread ran what.
#[derive(Debug)]
pub(super) struct Earliest(AtomicUsize);

impl Earliest {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    #[cold]
    pub(super) fn note(&self, number: usize) {
        // ORDERING: a hint, whose partner is the load below; the error itself comes with the sum.
        self.0.fetch_min(number, Ordering::Relaxed);
    }

    /// Returns `true` if an item before this one has failed.
    #[inline]
    pub(super) fn is_before(&self, number: usize) -> bool {
        // ORDERING: a hint, as above.
        self.0.load(Ordering::Relaxed) < number
    }
}

/// Calls the function on each item, and keeps the earliest error.
struct TryEach<'f, I, F> {
    items: &'f I,
    function: &'f F,
    failed: Earliest,
}

impl<I, F, E> Fold for TryEach<'_, I, F>
where
    I: Numbered,
    F: Fn(I::Each) -> Result<(), E> + Sync,
    E: Send,
{
    type Sum = Result<(), E>;

    fn empty(&self, _first: usize) -> Result<(), E> {
        Ok(())
    }

    unsafe fn block(&self, sum: Result<(), E>, from: usize, to: usize) -> Result<(), E> {
        sum?;
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        for (number, item) in (from..to).zip(unsafe { self.items.part(from, to) }) {
            (self.function)(item).inspect_err(|_| self.failed.note(number))?;
        }
        Ok(())
    }

    fn merge(&self, left: Result<(), E>, right: Result<(), E>) -> Result<(), E> {
        left.and(right)
    }

    #[inline]
    fn is_over(&self, from: usize) -> bool {
        self.failed.is_before(from)
    }
}
