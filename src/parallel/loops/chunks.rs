//! Items made of other items: chunks of a slice, and items with their indices.

use std::fmt;

use super::items::sealed::Numbered;
use super::items::{Exclusive, Items};

/// The chunks of a slice, made by [`chunks`].
///
/// ```
/// let pairs = corepool::chunks(&[1, 2, 3, 4, 5], 2);
/// let sums = corepool::map(pairs, |pair| pair.iter().sum::<i32>());
/// assert_eq!(sums, [3, 7, 5]);
/// ```
pub struct Chunks<'a, T> {
    items: &'a [T],
    size: usize,
}

/// The mutable chunks of a slice, made by [`chunks_mut`].
///
/// ```
/// let mut numbers = [1, 2, 3];
/// corepool::for_each(corepool::chunks_mut(&mut numbers, 2), |chunk| chunk.reverse());
/// assert_eq!(numbers, [2, 1, 3]);
/// ```
pub struct ChunksMut<'a, T> {
    items: Exclusive<'a, T>,
    size: usize,
}

/// Items with their indices, made by [`indexed`].
///
/// ```
/// let weighted = corepool::map(corepool::indexed(&[5, 5, 5]), |(at, n)| at * n);
/// assert_eq!(weighted, [0, 5, 10]);
/// ```
#[derive(Debug, Clone)]
pub struct Indexed<I> {
    items: I,
}

/// Makes the chunks of `size` neighbouring items into the [`Items`] of a loop. The last chunk may
/// be shorter.
///
/// Use it for work that is done by the chunk: hashing a block, computing a row of an image, writing
/// a page. Work on single items does not need it, however small the items are:
/// [`map`](crate::WorkerPool::map) and the other loops find out by themselves how many items to
/// take at once. A chunk is never split.
///
/// This is rayon's `par_chunks`. It does not block; the loop does.
///
/// # Panics
/// Panics if `size` is zero.
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

/// Like [`chunks`], for items that the loop may modify: each chunk is passed as `&mut [T]`.
///
/// This is rayon's `par_chunks_mut`.
///
/// # Panics
/// Panics if `size` is zero.
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

/// Pairs each of the [`Items`] with its index: the loop's function gets `(index, item)`. The first
/// index is 0.
///
/// For a slice whose items are modified, use
/// [`for_each_mut_indexed`](crate::WorkerPool::for_each_mut_indexed). `indexed` does not block; the
/// loop does.
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

/// The item bounds of the chunks from index `from` up to, but not including, `to`, among `len`
/// items.
fn bounds(from: usize, to: usize, size: usize, len: usize) -> (usize, usize) {
    // The last chunk may be shorter. A slice of zero-sized items can be so long that a plain
    // multiplication would overflow.
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
        // The bounds check on each step is cheap compared with a chunk.
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
        // SAFETY: both bounds are at most the length. No item is in two chunks, and the caller
        // requests each chunk once.
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
        // SAFETY: the caller promises that `from..to` is within the items, and requests each index
        // once if the items are exclusive.
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
