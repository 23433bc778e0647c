//! A map's results, written straight to their places; whoever has made some drops them if they are not wanted.

use std::marker::PhantomData;
use std::sync::Arc;

use super::fold::{self, Fold};
use super::items::sealed::Numbered;
use crate::hub::Hub;
use crate::unwind;

/// Calls the function on every item and collects the results.
pub(super) fn map<I, F, R>(pool: Option<&Arc<Hub>>, items: &I, function: &F) -> Vec<R>
where
    I: Numbered,
    F: Fn(I::Item) -> R + Sync,
    R: Send,
{
    let len = items.len();
    let mut results = Vec::with_capacity(len);
    let fill = Fill { items, function, places: results.as_mut_ptr() };
    let run = fold::fold(pool, len, &fill);
    assert_eq!(run.len, len, "every item has its result");
    // From here on the vector owns them.
    core::mem::forget(run);
    // SAFETY: the run says that all of them were written, and it no longer drops them.
    unsafe { results.set_len(len) };
    results
}

/// Writes one result for each item.
struct Fill<'f, I, F, R> {
    items: &'f I,
    function: &'f F,
    places: *mut R,
}

// SAFETY: threads write results to different places, and results are `Send`.
unsafe impl<I: Sync, F: Sync, R: Send> Sync for Fill<'_, I, F, R> {}

/// Results that lie side by side. It owns them.
struct Run<R> {
    first: *mut R,
    len: usize,
    owned: PhantomData<R>,
}

// SAFETY: it owns its results, and those are `Send`.
unsafe impl<R: Send> Send for Run<R> {}

impl<R> Drop for Run<R> {
    fn drop(&mut self) {
        for number in 0..self.len {
            // SAFETY: so many were written, side by side.
            let result = unsafe { self.first.add(number) };
            // One by one: a panic is on its way, and a second one would end the process.
            // SAFETY: nobody else owns them.
            unwind::quietly(|| unsafe { result.drop_in_place() });
        }
    }
}

impl<I, F, R> Fold for Fill<'_, I, F, R>
where
    I: Numbered,
    F: Fn(I::Item) -> R + Sync,
    R: Send,
{
    type Sum = Run<R>;

    fn empty(&self, first: usize) -> Run<R> {
        // SAFETY: there is a place for each number, and one behind the last.
        let first = unsafe { self.places.add(first) };
        Run { first, len: 0, owned: PhantomData }
    }

    unsafe fn block(&self, mut run: Run<R>, from: usize, to: usize) -> Run<R> {
        // SAFETY: as in `empty`.
        let mut place = unsafe { self.places.add(from) };
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        for item in unsafe { self.items.part(from, to) } {
            let result = (self.function)(item);
            // SAFETY: the place belongs to this item, which comes once.
            unsafe { place.write(result) };
            // SAFETY: as in `empty`.
            place = unsafe { place.add(1) };
            run.len += 1;
        }
        run
    }

    fn merge(&self, mut left: Run<R>, right: Run<R>) -> Run<R> {
        // Not neighbours if a panic is on its way: then each drops its own.
        if left.first.wrapping_add(left.len) == right.first {
            left.len += right.len;
            core::mem::forget(right);
        }
        left
    }
}
