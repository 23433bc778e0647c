//! The same for every item of a slice or a range, split as far as a worker is idle and no further.

mod chunks;
mod few;
mod fill;
mod fold;
mod help;
mod items;
mod pace;
mod tries;

use std::sync::Arc;

use crate::hub::Hub;
use crate::pool::WorkerPool;

pub use chunks::{Chunks, ChunksMut, Indexed, chunks, chunks_mut, indexed};
pub use items::Items;
use items::sealed::Numbered;

impl WorkerPool {
    /// Calls a function on every item and collects the results, in order.
    ///
    /// [`Items`] are a slice (`&items`, where `items` is a `Vec`, an array or a slice) or a range
    /// of integers; its docs say what to do with a `HashMap`, an iterator and others. The calling
    /// thread works through them; idle workers take halves of what has not begun. So small work
    /// stays on one thread, a large one spreads, and one slow item holds nobody up. Results are
    /// written straight to their places.
    ///
    /// A thread that is no worker of this pool takes part as a guest.
    ///
    /// # Panics
    /// If the function panics, with the first payload, after all that runs has ended; what was made
    /// is dropped, and what has not begun does not begin.
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

    /// Calls a function on every one of the [`Items`]: `&items`, or a range of integers. Else as
    /// [`map`](Self::map).
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

    /// Calls a function on every item of `&mut items`, which it may change: a slice, a `Vec`, an
    /// array. Else as [`map`](Self::map).
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

    /// As [`for_each_mut`](Self::for_each_mut), and tells the function each item's number, from 0
    /// on.
    ///
    /// In rayon it is `par_iter_mut().enumerate()`. Chunks with their numbers: [`indexed`] of
    /// [`chunks_mut`].
    ///
    /// # Panics
    /// As [`map`](Self::map).
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let mut squares = [0; 4];
    /// pool.for_each_mut_indexed(&mut squares, |n, square| *square = n * n);
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[doc(alias = "enumerate")]
    pub fn for_each_mut_indexed<T, F>(&self, items: &mut [T], function: F)
    where
        T: Send,
        F: Fn(usize, &mut T) + Sync,
    {
        each_indexed(Some(self.hub()), items, &function);
    }

    /// Calls `map` on every one of the [`Items`], `&items` or a range of integers, and brings the
    /// results together by `reduce`; `None` if there are no items.
    ///
    /// `reduce` gets neighbours, the earlier one first, but how they are grouped differs from call
    /// to call: it should be associative. (Sums of floating-point numbers are so only nearly.) Else
    /// as [`map`](Self::map).
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

    /// Puts the [`Items`] into few values by `fold`, and brings these together by `merge`.
    ///
    /// Take it where a value for each item costs more than to add the item to what is there: a
    /// histogram, a map, a set, a long text. Each run of neighbouring items begins with what
    /// `identity` makes, and there are as many runs as parts of the loop were taken by workers,
    /// plus one; for up to eight items there may be one for each. Without items `identity` is the
    /// result.
    ///
    /// `merge` gets neighbours, the earlier one first. How items are grouped differs from call to
    /// call, so `identity` should add nothing, and `merge` be associative. Else as
    /// [`map`](Self::map). (In rayon it is `fold` and then `reduce`.)
    ///
    /// # Panics
    /// As [`map`](Self::map), for all three functions.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let counts = pool.fold(
    ///     b"to be or not to be",
    ///     || [0; 256],
    ///     |mut counts, byte| {
    ///         counts[usize::from(*byte)] += 1;
    ///         counts
    ///     },
    ///     |mut left, right| {
    ///         left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    ///         left
    ///     },
    /// );
    /// assert_eq!((counts[usize::from(b'o')], counts[usize::from(b'z')]), (4, 0));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn fold<I, A, N, F, M>(&self, items: I, identity: N, fold: F, merge: M) -> A
    where
        I: Items,
        N: Fn() -> A + Sync,
        F: Fn(A, I::Item) -> A + Sync,
        M: Fn(A, A) -> A + Sync,
        A: Send,
    {
        let gather =
            fold::Gather { items: &items, identity: &identity, fold: &fold, merge: &merge };
        fold::fold(Some(self.hub()), items.len(), &gather).unwrap_or_else(identity)
    }

    /// Calls a function that may fail on every one of the [`Items`], and collects the results, in
    /// order.
    ///
    /// The error is that of the earliest item that fails, as in a plain loop: it does not depend on
    /// which thread ran what. So items before one that failed are still run; those after it that
    /// have not begun do not begin. (Where the function costs some nanoseconds, up to 63 items
    /// beyond it may run, which were taken at once.) What was made is dropped then; if that panics,
    /// nobody hears of it. Else as [`map`](Self::map).
    ///
    /// # Errors
    /// What the function gave for the earliest item that failed.
    ///
    /// # Panics
    /// As [`map`](Self::map). An item that panics counts, even if one before it fails, if it has
    /// begun.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let parse = |word: &&str| word.parse::<u32>().map_err(|_| word.to_string());
    /// assert_eq!(pool.try_map(&["1", "2", "3"], parse), Ok(vec![1, 2, 3]));
    /// assert_eq!(pool.try_map(&["1", "two", "three"], parse), Err("two".to_string()));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_map<I, F, R, E>(&self, items: I, function: F) -> Result<Vec<R>, E>
    where
        I: Items,
        F: Fn(I::Item) -> Result<R, E> + Sync,
        R: Send,
        E: Send,
    {
        fill::try_map(Some(self.hub()), &items, &function)
    }

    /// Calls a function that may fail on every one of the [`Items`]. Else as
    /// [`try_map`](Self::try_map).
    ///
    /// An early exit that is no failure is an error here as well: to find the first item of a kind,
    /// give it as `Err`.
    ///
    /// # Errors
    /// As [`try_map`](Self::try_map).
    ///
    /// # Panics
    /// As [`try_map`](Self::try_map).
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let check = |n: u32| if n % 7 == 6 { Err(n) } else { Ok(()) };
    /// assert_eq!(pool.try_for_each(0..5, check), Ok(()));
    /// assert_eq!(pool.try_for_each(0..100, check), Err(6));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_for_each<I, F, E>(&self, items: I, function: F) -> Result<(), E>
    where
        I: Items,
        F: Fn(I::Item) -> Result<(), E> + Sync,
        E: Send,
    {
        tries::try_for_each(Some(self.hub()), &items, &function)
    }
}

fn each_indexed<T, F>(pool: Option<&Arc<Hub>>, items: &mut [T], function: &F)
where
    T: Send,
    F: Fn(usize, &mut T) + Sync,
{
    let items = indexed(items::Exclusive::new(items));
    let function = |(number, item): (usize, &mut T)| function(number, item);
    fold::fold(pool, items.len(), &fold::Each { items: &items, function: &function });
}

/// As [`WorkerPool::map`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
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

/// As [`WorkerPool::for_each`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
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

/// As [`WorkerPool::for_each_mut`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
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

/// As [`WorkerPool::map_reduce`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
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

/// As [`WorkerPool::for_each_mut_indexed`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// let mut numbers = [0; 3];
/// corepool::for_each_mut_indexed(&mut numbers, |n, number| *number = n + 1);
/// assert_eq!(numbers, [1, 2, 3]);
/// ```
pub fn for_each_mut_indexed<T, F>(items: &mut [T], function: F)
where
    T: Send,
    F: Fn(usize, &mut T) + Sync,
{
    each_indexed(None, items, &function);
}

/// As [`WorkerPool::fold`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// let push = |mut text: String, n: u32| {
///     text += &n.to_string();
///     text
/// };
/// assert_eq!(corepool::fold(0..10, String::new, push, |a, b| a + &b), "0123456789");
/// ```
pub fn fold<I, A, N, F, M>(items: I, identity: N, fold: F, merge: M) -> A
where
    I: Items,
    N: Fn() -> A + Sync,
    F: Fn(A, I::Item) -> A + Sync,
    M: Fn(A, A) -> A + Sync,
    A: Send,
{
    let gather = fold::Gather { items: &items, identity: &identity, fold: &fold, merge: &merge };
    fold::fold(None, items.len(), &gather).unwrap_or_else(identity)
}

/// As [`WorkerPool::try_map`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
///
/// # Errors
/// As [`WorkerPool::try_map`].
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// let halves = corepool::try_map(&[2, 4, 5, 6], |n| if n % 2 == 0 { Ok(n / 2) } else { Err(*n) });
/// assert_eq!(halves, Err(5));
/// ```
pub fn try_map<I, F, R, E>(items: I, function: F) -> Result<Vec<R>, E>
where
    I: Items,
    F: Fn(I::Item) -> Result<R, E> + Sync,
    R: Send,
    E: Send,
{
    fill::try_map(None, &items, &function)
}

/// As [`WorkerPool::try_for_each`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
///
/// # Errors
/// As [`WorkerPool::try_map`].
///
/// # Panics
/// As [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// assert_eq!(corepool::try_for_each(1..=9_u8, |n| if n * n > 50 { Err(n) } else { Ok(()) }), Err(8));
/// ```
pub fn try_for_each<I, F, E>(items: I, function: F) -> Result<(), E>
where
    I: Items,
    F: Fn(I::Item) -> Result<(), E> + Sync,
    E: Send,
{
    tries::try_for_each(None, &items, &function)
}
