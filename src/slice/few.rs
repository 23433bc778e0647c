//! A loop over a few items, by joins of halves: that costs less than a range on the line, and is
//! worth as much.
//!
//! What has not begun lies on the line as the second halves of joins, so it is in reach as what a
//! range has left.

use super::fold::{Fold, Whole};
use crate::fork;
use crate::offer::Line;

/// So many items count as few.
pub(super) const FEW: usize = 8;

/// Folds the numbers from `from` to below `to`, at least one of them.
///
/// # Safety
/// - As [`Fold::block`], for all of them.
#[inline(always)]
pub(super) unsafe fn fold_few<F: Fold>(
    whole: &Whole<'_, F>,
    line: &Line,
    from: usize,
    to: usize,
) -> F::Sum {
    if to - from > 1 {
        // SAFETY: the caller's promise.
        unsafe { fold_halves(whole, line, from, to) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { fold_one(whole, from) }
    }
}

/// # Safety
/// - As [`fold_few`]; there are two at least.
unsafe fn fold_halves<F: Fold>(
    whole: &Whole<'_, F>,
    line: &Line,
    from: usize,
    to: usize,
) -> F::Sum {
    let middle = from + (to - from) / 2;
    // SAFETY: the caller's promise, here and below: these are its numbers, each in one half.
    let left = |_moved| unsafe { fold_few(whole, line, from, middle) };
    let right = |has_moved| {
        let moved_to = if has_moved { fork::current_line() } else { Some(line) };
        let line = moved_to.expect("a thread that takes offers has a line");
        // SAFETY: as above.
        unsafe { fold_few(whole, line, middle, to) }
    };
    let (left, right) = fork::join(line, left, right);
    let bomb = StopOnPanic(whole);
    let sum = whole.fold.merge(left, right);
    core::mem::forget(bomb);
    sum
}

/// # Safety
/// - As [`Fold::block`].
#[inline(always)]
unsafe fn fold_one<F: Fold>(whole: &Whole<'_, F>, number: usize) -> F::Sum {
    let empty = whole.fold.empty(number);
    if whole.is_over(number) {
        return empty;
    }
    let bomb = StopOnPanic(whole);
    // SAFETY: the caller's promise.
    let sum = unsafe { whole.fold.block(empty, number, number + 1) };
    core::mem::forget(bomb);
    sum
}

/// A panic passes through: the items that have not begun elsewhere need not.
struct StopOnPanic<'w, 'f, F>(&'w Whole<'f, F>);

impl<F> Drop for StopOnPanic<'_, '_, F> {
    #[cold]
    fn drop(&mut self) {
        self.0.stop();
    }
}
