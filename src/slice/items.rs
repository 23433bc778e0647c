//! What can be looped over: slices, and ranges of integers.

use std::marker::PhantomData;
use std::ops::{Range, RangeInclusive};

/// Items by number, for [`WorkerPool::map`](crate::WorkerPool::map) and its kin: slices, and what borrows as one; ranges of integers.
///
/// It can't be implemented outside of this crate: the loops rely on it.
pub trait Items: sealed::Numbered {}

impl<I: sealed::Numbered> Items for I {}

pub(super) mod sealed {
    /// The methods behind [`Items`](super::Items).
    #[expect(unnameable_types, reason = "nobody else may implement it, and so nobody may name it")]
    pub trait Numbered: Send + Sync {
        /// What the function gets.
        type Item;

        /// How many there are.
        fn len(&self) -> usize;

        /// The items from number `from` to below `to`, in order.
        ///
        /// # Safety
        /// - `from` is no more than `to`, and that no more than `len`.
        /// - Where items are exclusive: each number is asked for once.
        unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = Self::Item>;
    }

    /// What ranges are made of.
    #[expect(unnameable_types, reason = "as above")]
    pub trait Integer: Copy + PartialOrd + Send + Sync {
        /// The same number, of a type that has room for all of them.
        fn widen(self) -> i128;

        /// The number that comes so many later. In a signed range `number` may not fit the type, and the
        /// sum does: so it wraps around.
        fn plus(self, number: usize) -> Self;
    }
}

use sealed::Numbered;

impl<'a, T: Sync> Numbered for &'a [T] {
    type Item = &'a T;

    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a T> {
        // SAFETY: the caller's promise.
        let items: &'a [T] = unsafe { self.get_unchecked(from..to) };
        items.iter()
    }
}

/// Types that borrow as a slice.
macro_rules! slice_like {
    ($([$($generics:tt)*] $type:ty,)*) => { $(
        impl<'a, T: Sync, $($generics)*> Numbered for &'a $type {
            type Item = &'a T;

            fn len(&self) -> usize {
                self[..].len()
            }

            #[inline(always)]
            unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a T> {
                let items: &'a [T] = &(**self)[..];
                // SAFETY: the caller's promise.
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

// One implementation for all integers, so that the type of `0..10` is found out from what the function takes.
impl<T: sealed::Integer> Numbered for Range<T> {
    type Item = T;

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

impl<T: sealed::Integer> Numbered for RangeInclusive<T> {
    type Item = T;

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
/// If that is more than memory could hold.
fn count(start: i128, end: i128) -> usize {
    usize::try_from(end - start).expect("a range has no more items than a usize can count")
}

/// The items of a slice, each to be changed by whoever asks for it.
pub(super) struct Exclusive<'a, T> {
    first: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out `&mut T`, one for each item; so an item may be changed on another thread.
unsafe impl<T: Send> Send for Exclusive<'_, T> {}
// SAFETY: as above; `get` gives an item only once.
unsafe impl<T: Send> Sync for Exclusive<'_, T> {}

impl<'a, T> Exclusive<'a, T> {
    pub(super) fn new(items: &'a mut [T]) -> Self {
        Self { first: items.as_mut_ptr(), len: items.len(), slice: PhantomData }
    }
}

impl<'a, T: Send> Numbered for Exclusive<'a, T> {
    type Item = &'a mut T;

    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a mut T> {
        // SAFETY: the caller keeps to the length.
        let first = unsafe { self.first.add(from) };
        // SAFETY: the slice is borrowed for `'a`, and the caller asks once for each item.
        let items: &'a mut [T] = unsafe { std::slice::from_raw_parts_mut(first, to - from) };
        items.iter_mut()
    }
}
