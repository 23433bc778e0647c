//! The results of a map, written directly to their places, and dropped if they are not wanted.

use std::marker::PhantomData;
use std::sync::Arc;

use super::fold::{self, Fold};
use super::items::sealed::Numbered;
use super::tries::Earliest;
use crate::base::unwind;
use crate::sched::hub::Hub;

/// Calls the function on every item and collects the results.
pub(super) fn map<I, F, R>(pool: Option<&Arc<Hub>>, items: &I, function: &F) -> Vec<R>
where
    I: Numbered,
    F: Fn(I::Each) -> R + Sync,
    R: Send,
{
    let len = items.len();
    let mut results = Vec::with_capacity(len);
    let fill = Fill { items, function, places: results.as_mut_ptr() };
    let run = fold::fold(pool, len, &fill);
    run.hand_over(&mut results, len);
    results
}

/// Like [`map`], until an item fails.
pub(super) fn try_map<I, F, R, E>(
    pool: Option<&Arc<Hub>>,
    items: &I,
    function: &F,
) -> Result<Vec<R>, E>
where
    I: Numbered,
    F: Fn(I::Each) -> Result<R, E> + Sync,
    R: Send,
    E: Send,
{
    let len = items.len();
    let mut results = Vec::with_capacity(len);
    let places = results.as_mut_ptr();
    let fill = TryFill { fill: Fill { items, function, places }, failed: Earliest::new() };
    let run = fold::fold(pool, len, &fill)?;
    run.hand_over(&mut results, len);
    Ok(results)
}

/// Writes one result for each item.
struct Fill<'f, I, F, R> {
    items: &'f I,
    function: &'f F,
    places: *mut R,
}

// SAFETY: threads write results to different places, and results are `Send`.
unsafe impl<I: Sync, F: Sync, R: Send> Sync for Fill<'_, I, F, R> {}

/// A run of results that lie side by side. It owns them.
struct Run<R> {
    first: *mut R,
    len: usize,
    owned: PhantomData<R>,
}

// SAFETY: it owns its results, and those are `Send`.
unsafe impl<R: Send> Send for Run<R> {}

impl<R> Run<R> {
    /// Makes the vector the owner of the results, which lie in its memory already and fill it.
    fn hand_over(self, results: &mut Vec<R>, len: usize) {
        assert_eq!(self.len, len, "every item has its result");
        core::mem::forget(self);
        // SAFETY: the run covers all `len` places, so all of them were written; the run no longer
        // drops them.
        unsafe { results.set_len(len) };
    }

    fn join(mut self, right: Self) -> Self {
        // The two are not neighbours if a panic or an error is on its way. Then each drops its own
        // results.
        if self.first.wrapping_add(self.len) == right.first {
            self.len += right.len;
            core::mem::forget(right);
        }
        self
    }
}

impl<R> Drop for Run<R> {
    fn drop(&mut self) {
        for number in 0..self.len {
            // SAFETY: `self.len` results were written, side by side.
            let result = unsafe { self.first.add(number) };
            // Dropped one by one: a panic may be on its way, and a second one would abort the
            // process.
            // SAFETY: only this run owns the result, and drops it once.
            unwind::quietly(|| unsafe { result.drop_in_place() });
        }
    }
}

impl<I, F, R> Fold for Fill<'_, I, F, R>
where
    I: Numbered,
    F: Fn(I::Each) -> R + Sync,
    R: Send,
{
    type Sum = Run<R>;

    fn empty(&self, first: usize) -> Run<R> {
        // SAFETY: there is a place for each number, and one past the last.
        let first = unsafe { self.places.add(first) };
        Run { first, len: 0, owned: PhantomData }
    }

    unsafe fn block(&self, mut run: Run<R>, from: usize, to: usize) -> Run<R> {
        // SAFETY: there is a place for each number, and one past the last.
        let mut place = unsafe { self.places.add(from) };
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        for item in unsafe { self.items.part(from, to) } {
            let result = (self.function)(item);
            // SAFETY: the place belongs to this item, which comes once.
            unsafe { place.write(result) };
            // SAFETY: there is a place for each number, and one past the last.
            place = unsafe { place.add(1) };
            run.len += 1;
        }
        run
    }

    fn merge(&self, left: Run<R>, right: Run<R>) -> Run<R> {
        left.join(right)
    }
}

/// Writes one result for each item that does not fail.
struct TryFill<'f, I, F, R> {
    fill: Fill<'f, I, F, R>,
    failed: Earliest,
}

impl<I, F, R, E> Fold for TryFill<'_, I, F, R>
where
    I: Numbered,
    F: Fn(I::Each) -> Result<R, E> + Sync,
    R: Send,
    E: Send,
{
    type Sum = Result<Run<R>, E>;

    fn empty(&self, first: usize) -> Result<Run<R>, E> {
        // SAFETY: there is a place for each number, and one past the last.
        let first = unsafe { self.fill.places.add(first) };
        Ok(Run { first, len: 0, owned: PhantomData })
    }

    unsafe fn block(&self, run: Result<Run<R>, E>, from: usize, to: usize) -> Result<Run<R>, E> {
        let mut run = run?;
        // SAFETY: there is a place for each number, and one past the last.
        let mut place = unsafe { self.fill.places.add(from) };
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        for (number, item) in (from..to).zip(unsafe { self.fill.items.part(from, to) }) {
            let result = (self.fill.function)(item).inspect_err(|_| self.failed.note(number))?;
            // SAFETY: the place belongs to this item, which comes once.
            unsafe { place.write(result) };
            // SAFETY: there is a place for each number, and one past the last.
            place = unsafe { place.add(1) };
            run.len += 1;
        }
        Ok(run)
    }

    fn merge(&self, left: Result<Run<R>, E>, right: Result<Run<R>, E>) -> Result<Run<R>, E> {
        Ok(left?.join(right?))
    }

    #[inline]
    fn is_over(&self, from: usize) -> bool {
        self.failed.is_before(from)
    }
}
