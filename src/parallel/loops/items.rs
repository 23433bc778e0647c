//! `Items`: what a loop can go through, which is slices and ranges of integers.

use std::marker::PhantomData;
use std::ops::{Range, RangeInclusive};

/// What [`WorkerPool::map`](crate::WorkerPool::map) and the other loops go through: items that can
/// be reached by index.
///
/// A loop accepts
/// - `&items`, where `items` is a slice, a `Vec`, a boxed slice or an array: each item is passed as
///   `&T`;
/// - a range of integers, `0..n` or `0..=n`, of any type up to 64 bits;
/// - [`chunks`](fn@crate::chunks) and [`chunks_mut`](fn@crate::chunks_mut) of a slice: each item is
///   passed as `&[T]` or `&mut [T]`;
/// - [`indexed`](fn@crate::indexed) of any of these: each item is passed with its index.
///
/// For anything else:
/// - **Items to modify:** [`for_each_mut`](crate::WorkerPool::for_each_mut) takes `&mut items`, and
///   [`for_each_mut_indexed`](crate::WorkerPool::for_each_mut_indexed) passes their indices, too.
/// - **Every n-th number:** loop over `0..count` and compute `start + n * step`.
/// - **A map, a set, a list, or any iterator:** collect it into a `Vec`, of references if
///   necessary, and pass `&` of that. Or use [`map_ordered`](crate::WorkerPool::map_ordered), which
///   goes through any iterator without collecting it.
///
/// The trait is sealed, because the loops rely on its methods for soundness.
///
/// ```
/// use std::collections::HashMap;
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let ages = HashMap::from([("Ada", 36), ("Alan", 41)]);
/// let ages: Vec<_> = ages.iter().collect();
/// let sum = pool.map_reduce(&ages, |(_name, age)| **age, |a, b| a + b);
/// assert_eq!(sum, Some(77));
///
/// // As `(10..20).step_by(2)`.
/// assert_eq!(pool.map(0..5, |n| 10 + n * 2), [10, 12, 14, 16, 18]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a loop can't go through `{Self}`",
    label = "this loop takes `&items` of a slice, `Vec`, array or boxed slice, or a range of integers",
    note = "for a slice, `Vec` or array, pass `&items`, not `items` or `items.iter()`",
    note = "to change the items, pass `&mut items` to `for_each_mut`",
    note = "for every n-th number, loop over `0..count` and compute `start + n * step`",
    note = "for a map, a set or another iterator, collect it into a `Vec` and pass `&` of that; \
            or call `WorkerPool::map_ordered`, which takes any iterator"
)]
pub trait Items: sealed::Numbered<Each = <Self as Items>::Item> {
    /// The type that the loop's function receives.
    type Item;
}

pub(super) mod sealed {
    /// The methods behind [`Items`](super::Items).
    #[expect(unnameable_types, reason = "nobody else may implement it, and so nobody may name it")]
    pub trait Numbered: Send + Sync {
        /// The same type as `Items::Item`. It has its own name, so that `I::Item` is not ambiguous.
        type Each;

        /// The number of items.
        fn len(&self) -> usize;

        /// The items from index `from` up to, but not including, `to`, in order.
        ///
        /// # Safety
        /// - `from` is at most `to`, and `to` is at most `len`.
        /// - If the items are exclusive, each index is requested at most once.
        unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = Self::Each>;
    }

    /// The integer types of the ranges.
    #[diagnostic::on_unimplemented(
        message = "a loop can't go through a range of `{Self}`",
        label = "this loop takes ranges of integers: `u8` to `u64`, `usize`, `i8` to `i64`, `isize`",
        note = "loop over a range of integers and compute the rest from its numbers; \
                or collect the values into a `Vec` and pass `&` of that"
    )]
    #[expect(unnameable_types, reason = "as above")]
    pub trait Integer: Copy + PartialOrd + Send + Sync {
        /// The same number, in a type that can hold all of them.
        fn widen(self) -> i128;

        /// The integer `number` steps later. In a signed range, `number` may not fit the type
        /// although the sum does, so the addition wraps around.
        fn plus(self, number: usize) -> Self;
    }
}

use sealed::Numbered;

impl<'a, T: Sync> Items for &'a [T] {
    type Item = &'a T;
}

impl<'a, T: Sync> Numbered for &'a [T] {
    type Each = &'a T;

    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a T> {
        // SAFETY: the caller promises that `from..to` lies within the slice.
        let items: &'a [T] = unsafe { self.get_unchecked(from..to) };
        items.iter()
    }
}

/// Types that can be borrowed as a slice.
macro_rules! slice_like {
    ($([$($generics:tt)*] $type:ty,)*) => { $(
        impl<'a, T: Sync, $($generics)*> Items for &'a $type {
            type Item = &'a T;
        }

        impl<'a, T: Sync, $($generics)*> Numbered for &'a $type {
            type Each = &'a T;

            fn len(&self) -> usize {
                self[..].len()
            }

            #[inline(always)]
            unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a T> {
                let items: &'a [T] = &(**self)[..];
                // SAFETY: the caller promises that `from..to` lies within the slice.
                unsafe { items.get_unchecked(from..to) }.iter()
            }
        }
    )* };
}

slice_like! {
    [] Vec<T>,
    [] Box<[T]>,
    [const N: usize] [T; N],
}

// One implementation covers all integers, so that the type of `0..10` is inferred from what the
// function takes.
impl<T: sealed::Integer> Items for Range<T> {
    type Item = T;
}

impl<T: sealed::Integer> Numbered for Range<T> {
    type Each = T;

    fn len(&self) -> usize {
        if self.start >= self.end {
            return 0;
        }
        count(self.start.widen(), self.end.widen())
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = T> {
        let start = self.start;
        (from..to).map(move |number| start.plus(number))
    }
}

impl<T: sealed::Integer> Items for RangeInclusive<T> {
    type Item = T;
}

impl<T: sealed::Integer> Numbered for RangeInclusive<T> {
    type Each = T;

    fn len(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        count(self.start().widen(), self.end().widen() + 1)
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = T> {
        let start = *self.start();
        (from..to).map(move |number| start.plus(number))
    }
}

macro_rules! integers {
    ($($integer:ty),*) => { $(
        impl sealed::Integer for $integer {
            fn widen(self) -> i128 {
                self as i128
            }

            #[inline(always)]
            fn plus(self, number: usize) -> Self {
                self.wrapping_add(number as $integer)
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// # Panics
/// Panics if the range has more items than `usize::MAX`.
fn count(start: i128, end: i128) -> usize {
    let count = end - start;
    usize::try_from(count)
        .unwrap_or_else(|_| panic!("a range of {count} items is longer than usize::MAX"))
}

/// The items of a slice, each of which the thread that requests it may modify.
pub(super) struct Exclusive<'a, T> {
    first: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out one `&mut T` per item, so an item may be modified on another thread.
unsafe impl<T: Send> Send for Exclusive<'_, T> {}
// SAFETY: threads that share it get different items, because each item is handed out only once.
unsafe impl<T: Send> Sync for Exclusive<'_, T> {}

impl<'a, T> Exclusive<'a, T> {
    pub(super) fn new(items: &'a mut [T]) -> Self {
        Self { first: items.as_mut_ptr(), len: items.len(), slice: PhantomData }
    }

    pub(super) fn count(&self) -> usize {
        self.len
    }

    /// # Safety
    /// - `from` is at most `to`, and `to` is at most `count`.
    /// - Each item is requested at most once.
    #[inline(always)]
    pub(super) unsafe fn slice(&self, from: usize, to: usize) -> &'a mut [T] {
        // SAFETY: the caller promises that `from` is at most the length.
        let first = unsafe { self.first.add(from) };
        // SAFETY: the slice is borrowed for `'a`, and the caller requests each item at most once.
        unsafe { std::slice::from_raw_parts_mut(first, to - from) }
    }
}

impl<'a, T: Send> Items for Exclusive<'a, T> {
    type Item = &'a mut T;
}

impl<'a, T: Send> Numbered for Exclusive<'a, T> {
    type Each = &'a mut T;

    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a mut T> {
        // SAFETY: the caller promises that `from..to` lies within the slice, and requests each item
        // once.
        unsafe { self.slice(from, to) }.iter_mut()
    }
}
