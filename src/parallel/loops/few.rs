//! A loop over a few items, as a tree of joins. This costs less than a range on the line.
//!
//! The items that have not begun lie on the line (the thread's row of fork-join jobs) as the second
//! halves of joins. So they are as much within reach of thieves as the rest of a range.

use super::fold::{Fold, Whole};
use crate::parts::offer::Line;
use crate::sched::fork_join;

/// At most this many items count as few.
pub(super) const FEW: usize = 8;

/// Folds the numbers from `from` up to, but not including, `to`; there is at least one.
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
        // SAFETY: the caller promises the same for all of these numbers.
        unsafe { fold_halves(whole, line, from, to) }
    } else {
        // SAFETY: the caller promises the same for this number.
        unsafe { fold_one(whole, from) }
    }
}

/// # Safety
/// - As [`fold_few`]; there are at least two numbers.
unsafe fn fold_halves<F: Fold>(
    whole: &Whole<'_, F>,
    line: &Line,
    from: usize,
    to: usize,
) -> F::Sum {
    let middle = from + (to - from) / 2;
    // SAFETY: here and below, the caller promises that no number is added twice; each is in one
    // half.
    let left = |_moved| unsafe { fold_few(whole, line, from, middle) };
    let right = |has_moved| {
        let moved_to = if has_moved { fork_join::current_line() } else { Some(line) };
        let line = moved_to.expect("a thread that takes offers has a line");
        // SAFETY: the caller promises that no number is added twice; this is the other half.
        unsafe { fold_few(whole, line, middle, to) }
    };
    let (left, right) = fork_join::join(line, left, right);
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
    // SAFETY: the caller promises that the number is not added twice (see `# Safety`).
    let sum = unsafe { whole.fold.block(empty, number, number + 1) };
    core::mem::forget(bomb);
    sum
}

/// On a panic, stops the items that have not begun on other threads.
struct StopOnPanic<'w, 'f, F>(&'w Whole<'f, F>);

impl<F> Drop for StopOnPanic<'_, '_, F> {
    #[cold]
    fn drop(&mut self) {
        self.0.stop();
    }
}
