//! Items made of other items: slices by the chunk, and anything with its number beside it.

use std::fmt;

use super::items::sealed::Numbered;
use super::items::{Exclusive, Items};

/// The chunks of a slice, as [`chunks`] gives them to a loop.
pub struct Chunks<'a, T> {
    items: &'a [T],
    size: usize,
}

/// The chunks of a slice that may be changed, as [`chunks_mut`] gives them to a loop.
pub struct ChunksMut<'a, T> {
    items: Exclusive<'a, T>,
    size: usize,
}

/// Items with their numbers, as [`indexed`] gives them to a loop.
#[derive(Debug, Clone)]
pub struct Indexed<I> {
    items: I,
}

/// Makes chunks of `size` neighbouring items into the [`Items`] of a loop; the last chunk may be
/// shorter.
///
/// It is for work that is done by the chunk: a block that is hashed, a row of an image, a page that
/// is written. For work on single items it is not needed, however small they are:
/// [`map`](crate::WorkerPool::map) and the other loops find out by themselves how many to take at
/// once. A chunk is never split.
///
/// In rayon it is `par_chunks`. It does not block; the loop does.
///
/// # Panics
/// If `size` is zero.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let bytes = [1, 2, 3, 4, 5];
/// let sums = pool.map(corepool::chunks(&bytes, 2), |chunk| chunk.iter().sum::<u32>());
/// assert_eq!(sums, [3, 7, 5]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[doc(alias = "par_chunks")]
#[must_use = "it does nothing before a loop gets it"]
#[track_caller]
pub fn chunks<T: Sync>(items: &[T], size: usize) -> Chunks<'_, T> {
    assert!(size > 0, "the size of a chunk must be at least 1, not {size}");
    Chunks { items, size }
}

/// As [`chunks`], of items that the loop may change: each chunk comes as `&mut [T]`.
///
/// In rayon it is `par_chunks_mut`.
///
/// # Panics
/// If `size` is zero.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// const WIDTH: usize = 3;
/// let mut pixels = [0; WIDTH * 2];
/// let rows = corepool::chunks_mut(&mut pixels, WIDTH);
/// pool.for_each(corepool::indexed(rows), |(y, row)| {
///     for (x, pixel) in row.iter_mut().enumerate() {
///         *pixel = 10 * y + x;
///     }
/// });
/// assert_eq!(pixels, [0, 1, 2, 10, 11, 12]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[doc(alias = "par_chunks_mut")]
#[must_use = "it does nothing before a loop gets it"]
#[track_caller]
pub fn chunks_mut<T: Send>(items: &mut [T], size: usize) -> ChunksMut<'_, T> {
    assert!(size > 0, "the size of a chunk must be at least 1, not {size}");
    ChunksMut { items: Exclusive::new(items), size }
}

/// Puts its number beside each of the [`Items`]: the loop's function gets `(number, item)`, and the
/// first number is 0.
///
/// For items that are changed there is
/// [`for_each_mut_indexed`](crate::WorkerPool::for_each_mut_indexed). It does not block; the loop
/// does.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let weights = [3, 5, 7];
/// let moments = pool.map(corepool::indexed(&weights), |(n, weight)| n * weight);
/// assert_eq!(moments, [0, 5, 14]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[doc(alias = "enumerate")]
#[must_use = "it does nothing before a loop gets it"]
pub fn indexed<I: Items>(items: I) -> Indexed<I> {
    Indexed { items }
}

/// Where the chunks from number `from` to below `to` lie among `len` items.
fn bounds(from: usize, to: usize, size: usize, len: usize) -> (usize, usize) {
    // The last chunk may be shorter; and of items without a size there are so many that this could
    // come round.
    (from.saturating_mul(size).min(len), to.saturating_mul(size).min(len))
}

impl<'a, T: Sync> Items for Chunks<'a, T> {
    type Item = &'a [T];
}

impl<'a, T: Sync> Numbered for Chunks<'a, T> {
    type Each = &'a [T];

    fn len(&self) -> usize {
        self.items.len().div_ceil(self.size)
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a [T]> {
        let (from, to) = bounds(from, to, self.size, self.items.len());
        // A check of the bounds for each step is nothing beside a chunk.
        self.items[from..to].chunks(self.size)
    }
}

impl<'a, T: Send> Items for ChunksMut<'a, T> {
    type Item = &'a mut [T];
}

impl<'a, T: Send> Numbered for ChunksMut<'a, T> {
    type Each = &'a mut [T];

    fn len(&self) -> usize {
        self.items.len().div_ceil(self.size)
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = &'a mut [T]> {
        let (from, to) = bounds(from, to, self.size, self.items.len());
        // SAFETY: both are no more than the length. No item is in two chunks, and the caller asks
        // once for each chunk.
        unsafe { self.items.slice(from, to) }.chunks_mut(self.size)
    }
}

impl<I: Items> Items for Indexed<I> {
    type Item = (usize, I::Item);
}

impl<I: Items> Numbered for Indexed<I> {
    type Each = (usize, I::Item);

    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline(always)]
    unsafe fn part(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, I::Item)> {
        // SAFETY: the caller's promise.
        (from..to).zip(unsafe { self.items.part(from, to) })
    }
}

impl<T> Clone for Chunks<'_, T> {
    fn clone(&self) -> Self {
        Self { items: self.items, size: self.size }
    }
}

impl<T> fmt::Debug for Chunks<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("items", &self.items.len())
            .field("size", &self.size)
            .finish()
    }
}

impl<T> fmt::Debug for ChunksMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.items.count();
        f.debug_struct("ChunksMut").field("items", &items).field("size", &self.size).finish()
    }
}
