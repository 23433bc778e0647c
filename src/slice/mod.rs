//! The same for every item of a slice or a range, split as far as a worker is idle and no further.

mod few;
mod fill;
mod fold;
mod items;
mod pace;

use crate::pool::WorkerPool;

pub use items::Items;
use items::sealed::Numbered;

impl WorkerPool {
    /// Calls a function on every item and collects the results, in order.
    ///
    /// Items are a slice (`&items`, where `items` is a `Vec`, an array or a slice) or a range of integers. The
    /// calling thread works through them; idle workers take halves of what has not begun. So small work stays on
    /// one thread, a large one spreads, and one slow item holds nobody up. Results are written straight to
    /// their places.
    ///
    /// A thread that is no worker of this pool takes part as a guest.
    ///
    /// # Panics
    /// If the function panics, with the first payload, after all that runs has ended; what was made is
    /// dropped, and what has not begun does not begin.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let words = vec!["three", "small", "words"];
    /// assert_eq!(pool.map(&words, |word| word.len()), [5, 5, 5]);
    /// assert_eq!(pool.map(0..4_u64, |n| n * n), [0, 1, 4, 9]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn map<I, F, R>(&self, items: I, function: F) -> Vec<R>
    where
        I: Items,
        F: Fn(I::Item) -> R + Sync,
        R: Send,
    {
        fill::map(Some(self.hub()), &items, &function)
    }

    /// Calls a function on every item. Else as [`map`](Self::map).
    ///
    /// # Panics
    /// As [`map`](Self::map).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let sum = AtomicU64::new(0);
    /// pool.for_each(1..=100_u64, |n| {
    ///     sum.fetch_add(n, Ordering::Relaxed);
    /// });
    /// assert_eq!(sum.into_inner(), 5050);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn for_each<I, F>(&self, items: I, function: F)
    where
        I: Items,
        F: Fn(I::Item) + Sync,
    {
        fold::fold(
            Some(self.hub()),
            items.len(),
            &fold::Each { items: &items, function: &function },
        );
    }

    /// Calls a function on every item of a slice, which it may change. Else as [`map`](Self::map).
    ///
    /// # Panics
    /// As [`map`](Self::map).
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let mut numbers = vec![1, 2, 3];
    /// pool.for_each_mut(&mut numbers, |n| *n *= 10);
    /// assert_eq!(numbers, [10, 20, 30]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn for_each_mut<T, F>(&self, items: &mut [T], function: F)
    where
        T: Send,
        F: Fn(&mut T) + Sync,
    {
        let items = items::Exclusive::new(items);
        fold::fold(
            Some(self.hub()),
            items.len(),
            &fold::Each { items: &items, function: &function },
        );
    }

    /// Calls `map` on every item and brings the results together by `reduce`; `None` if there are no items.
    ///
    /// `reduce` gets neighbours, the earlier one first, but how they are grouped differs from call to call: it should
    /// be associative. (Sums of floating-point numbers are so only nearly.) Else as [`map`](Self::map).
    ///
    /// # Panics
    /// As [`map`](Self::map), for both functions.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let words = ["fork", "and", "join"];
    /// let longest = pool.map_reduce(&words, |word| word.len(), usize::max);
    /// assert_eq!(longest, Some(4));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn map_reduce<I, M, R, T>(&self, items: I, map: M, reduce: R) -> Option<T>
    where
        I: Items,
        M: Fn(I::Item) -> T + Sync,
        R: Fn(T, T) -> T + Sync,
        T: Send,
    {
        let fold = fold::Reduce { items: &items, map: &map, reduce: &reduce };
        fold::fold(Some(self.hub()), items.len(), &fold)
    }
}

/// As [`WorkerPool::map`], on the pool that runs the caller, or else the [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// assert_eq!(corepool::map(&[1, 2, 3], |n| n + 1), [2, 3, 4]);
/// ```
pub fn map<I, F, R>(items: I, function: F) -> Vec<R>
where
    I: Items,
    F: Fn(I::Item) -> R + Sync,
    R: Send,
{
    fill::map(None, &items, &function)
}

/// As [`WorkerPool::for_each`], on the pool that runs the caller, or else the [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
pub fn for_each<I, F>(items: I, function: F)
where
    I: Items,
    F: Fn(I::Item) + Sync,
{
    fold::fold(None, items.len(), &fold::Each { items: &items, function: &function });
}

/// As [`WorkerPool::for_each_mut`], on the pool that runs the caller, or else the [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
pub fn for_each_mut<T, F>(items: &mut [T], function: F)
where
    T: Send,
    F: Fn(&mut T) + Sync,
{
    let items = items::Exclusive::new(items);
    fold::fold(None, items.len(), &fold::Each { items: &items, function: &function });
}

/// As [`WorkerPool::map_reduce`], on the pool that runs the caller, or else the [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// assert_eq!(corepool::map_reduce(1..=10_u32, |n| n * n, |a, b| a + b), Some(385));
/// ```
pub fn map_reduce<I, M, R, T>(items: I, map: M, reduce: R) -> Option<T>
where
    I: Items,
    M: Fn(I::Item) -> T + Sync,
    R: Fn(T, T) -> T + Sync,
    T: Send,
{
    let fold = fold::Reduce { items: &items, map: &map, reduce: &reduce };
    fold::fold(None, items.len(), &fold)
}
