//! Loops over slices and ranges of integers. They split only as far as workers are idle.

mod chunks;
mod few;
mod fill;
mod fold;
mod help;
mod items;
mod pace;
mod tries;

use std::sync::Arc;

use crate::pool::WorkerPool;
use crate::sched::hub::Hub;

pub use chunks::{Chunks, ChunksMut, Indexed, chunks, chunks_mut, indexed};
pub use items::Items;
use items::sealed::Numbered;

impl WorkerPool {
    /// Calls a function on every item and collects the results in order.
    ///
    /// [`Items`] are a slice (`&items`, where `items` is a `Vec`, an array or a slice) or a range
    /// of integers. The documentation of [`Items`] says how to loop over a `HashMap`, an iterator
    /// and other collections. The calling thread works through the items, and idle workers take
    /// halves of what has not begun. So a small loop stays on one thread, a large loop spreads, and
    /// a slow item does not hold up the others. Results are written directly to their places.
    ///
    /// A thread that is not a worker of this pool takes part as a guest.
    ///
    /// # Panics
    /// Panics if the function panics, with the first payload, after everything that runs has ended.
    /// The results made so far are dropped. Items that have not begun do not begin.
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

    /// Calls a function on every one of the [`Items`]: `&items`, or a range of integers. Otherwise
    /// like [`map`](Self::map).
    ///
    /// # Panics
    /// Same as [`map`](Self::map).
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

    /// Calls a function on a mutable reference to every item of `&mut items`: a slice, a `Vec` or
    /// an array. Otherwise like [`map`](Self::map).
    ///
    /// # Panics
    /// Same as [`map`](Self::map).
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

    /// Like [`for_each_mut`](Self::for_each_mut), and passes each item's index to the function. The
    /// first index is 0.
    ///
    /// This is rayon's `par_iter_mut().enumerate()`. For chunks with their indices, use [`indexed`]
    /// of [`chunks_mut`].
    ///
    /// # Panics
    /// Same as [`map`](Self::map).
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

    /// Calls `map` on every one of the [`Items`] (`&items` or a range of integers), and combines
    /// the results with `reduce`. Returns `None` if there are no items.
    ///
    /// `reduce` gets neighbouring results, the earlier one first. How they are grouped differs from
    /// call to call, so `reduce` should be associative. (Sums of floating-point numbers are only
    /// nearly associative.) Otherwise like [`map`](Self::map).
    ///
    /// # Panics
    /// Same as [`map`](Self::map), for both functions.
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

    /// Folds runs of neighbouring [`Items`] into a few values with `fold`, and combines these with
    /// `merge`.
    ///
    /// Use it where making a value for each item costs more than adding the item to an existing
    /// value: for a histogram, a map, a set, or a long text. Each run of neighbouring items starts
    /// with a value from `identity`. There is one run, plus one for each part of the loop that a
    /// worker took; a loop over up to eight items may have one run per item. Without items, the
    /// result is `identity()`.
    ///
    /// `merge` gets neighbouring values, the earlier one first. How items are grouped differs from
    /// call to call, so `identity` should be neutral and `merge` should be associative. Otherwise
    /// like [`map`](Self::map). (This is rayon's `fold` followed by `reduce`.)
    ///
    /// # Panics
    /// Same as [`map`](Self::map), for all three functions.
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

    /// Calls a fallible function on every one of the [`Items`], and collects the results in order.
    ///
    /// The error is that of the earliest item that fails, as in a plain loop: it does not depend on
    /// which thread ran what. So items before a failed one still run; later items that have not
    /// begun do not begin. (Where the function costs a few nanoseconds, up to 63 later items may
    /// run anyway, because they were taken in one step.) On failure, the results made so far are
    /// dropped; a panic in such a drop is not reported. Otherwise like [`map`](Self::map).
    ///
    /// # Errors
    /// The error that the function returned for the earliest item that failed.
    ///
    /// # Panics
    /// Same as [`map`](Self::map). A panic of an item that has begun counts, even if an earlier
    /// item fails.
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

    /// Calls a fallible function on every one of the [`Items`]. Otherwise like
    /// [`try_map`](Self::try_map).
    ///
    /// An early exit that is not a failure is an `Err` here as well: to find the first item of some
    /// kind, return it as `Err`.
    ///
    /// # Errors
    /// Same as [`try_map`](Self::try_map).
    ///
    /// # Panics
    /// Same as [`try_map`](Self::try_map).
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

/// Like [`WorkerPool::map`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
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

/// Like [`WorkerPool::for_each`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// let sum = AtomicU64::new(0);
/// corepool::for_each(1..=10_u64, |n| {
///     sum.fetch_add(n, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 55);
/// ```
pub fn for_each<I, F>(items: I, function: F)
where
    I: Items,
    F: Fn(I::Item) + Sync,
{
    fold::fold(None, items.len(), &fold::Each { items: &items, function: &function });
}

/// Like [`WorkerPool::for_each_mut`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// let mut numbers = [1, 2, 3];
/// corepool::for_each_mut(&mut numbers, |n| *n *= 10);
/// assert_eq!(numbers, [10, 20, 30]);
/// ```
pub fn for_each_mut<T, F>(items: &mut [T], function: F)
where
    T: Send,
    F: Fn(&mut T) + Sync,
{
    let items = items::Exclusive::new(items);
    fold::fold(None, items.len(), &fold::Each { items: &items, function: &function });
}

/// Like [`WorkerPool::map_reduce`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
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

/// Like [`WorkerPool::for_each_mut_indexed`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
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

/// Like [`WorkerPool::fold`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
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

/// Like [`WorkerPool::try_map`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Errors
/// Same as [`WorkerPool::try_map`].
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
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

/// Like [`WorkerPool::try_for_each`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Errors
/// Same as [`WorkerPool::try_map`].
///
/// # Panics
/// Same as [`WorkerPool::map`] and [`WorkerPool::global`].
///
/// ```
/// let check = |n| if n * n > 50 { Err(n) } else { Ok(()) };
/// assert_eq!(corepool::try_for_each(1..=9_u8, check), Err(8));
/// ```
pub fn try_for_each<I, F, E>(items: I, function: F) -> Result<(), E>
where
    I: Items,
    F: Fn(I::Item) -> Result<(), E> + Sync,
    E: Send,
{
    tries::try_for_each(None, &items, &function)
}
