//! The array: zeroed cells in memory that all its clones share.

use std::fmt;
use std::ops::{Deref, Index};
use std::ptr::NonNull;
use std::slice::{self, SliceIndex};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::atomic::Atomic;
use super::memory::{LINE, Memory};

/// An array of atomics that threads share: zeroed, aligned to a cache line, and cheap to clone.
///
/// A clone is another handle on the same cells, as with an `Arc`; the memory is freed with the last
/// one. The array is a slice: index it, iterate over it, take parts of it. Its cells begin with a
/// cache line of 64 bytes, and nothing else lies in their lines.
///
/// [`wait`](super::wait()) and [`notify`](super::notify) work on its cells.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use corepool::{SharedArray, WorkerPool};
///
/// let pool = WorkerPool::with_workers(2)?;
/// let counts = SharedArray::<AtomicU64>::new(10);
/// let tasks: Vec<_> = (0..100_usize)
///     .map(|number| {
///         let counts = counts.clone();
///         pool.spawn(move || counts[number % 10].fetch_add(1, Ordering::Relaxed))
///     })
///     .collect();
/// for task in tasks {
///     task.join()?;
/// }
/// assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedArray<A: Atomic> {
    // Beside the owner and not behind it: each clone writes the owner's count, and a reader of
    // cells would miss the cache for the pointer.
    cells: NonNull<[A]>,
    owner: Arc<Memory>,
}

// SAFETY: the cells are only ever handed out as `&A`, and `A` may be shared (`Sync`, by `Atomic`).
// They live as long as any owner, on whatever thread that is, and dropping them does nothing
// (`Zeroable`).
unsafe impl<A: Atomic> Send for SharedArray<A> {}
// SAFETY: as above; through `&SharedArray` one gets `&A` and clones, and no more.
unsafe impl<A: Atomic> Sync for SharedArray<A> {}

impl<A: Atomic> SharedArray<A> {
    /// Makes an array of so many cells, all zero (`false`). Zero cells are fine.
    ///
    /// The memory is asked from the system as zeros where it can be: a large array costs no
    /// writing, and takes up room only where it is used.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI16, Ordering};
    /// let cells = corepool::SharedArray::<AtomicI16>::new(1000);
    /// assert_eq!(cells.len(), 1000);
    /// assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
    /// ```
    ///
    /// # Panics
    /// If there is no memory for so many cells; above all if their size in bytes is no size (more
    /// than `isize::MAX`).
    #[must_use]
    #[track_caller]
    pub fn new(len: usize) -> Self {
        const { assert!(align_of::<A>() <= LINE) };
        let memory = len.checked_mul(size_of::<A>()).and_then(Memory::zeroed);
        let Some((owner, start)) = memory else {
            panic!("no memory for a shared array of {len} cells of {} bytes", size_of::<A>());
        };
        let cells = NonNull::slice_from_raw_parts(start.cast::<A>(), len);
        Self { cells, owner: Arc::new(owner) }
    }

    /// Tells how many cells there are.
    ///
    /// ```
    /// let cells = corepool::SharedArray::<std::sync::atomic::AtomicU8>::new(3);
    /// assert_eq!(cells.len(), 3);
    /// ```
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Tells whether there is no cell.
    ///
    /// ```
    /// let cells = corepool::SharedArray::<std::sync::atomic::AtomicU8>::new(0);
    /// assert!(cells.is_empty());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<A: Atomic> Deref for SharedArray<A> {
    type Target = [A];

    #[inline]
    fn deref(&self) -> &[A] {
        // SAFETY: the cells lie in the owner's memory, which lives as long as `self`; they were
        // zeroed, which is a value of `A` (`Zeroable`); they are aligned, as `new` checks; nobody
        // has them exclusively.
        unsafe { self.cells.as_ref() }
    }
}

impl<A: Atomic, I: SliceIndex<[A]>> Index<I> for SharedArray<A> {
    type Output = I::Output;

    #[inline]
    fn index(&self, index: I) -> &I::Output {
        &(**self)[index]
    }
}

impl<'a, A: Atomic> IntoIterator for &'a SharedArray<A> {
    type Item = &'a A;
    type IntoIter = slice::Iter<'a, A>;

    fn into_iter(self) -> slice::Iter<'a, A> {
        self.iter()
    }
}

/// Another handle on the same cells.
impl<A: Atomic> Clone for SharedArray<A> {
    fn clone(&self) -> Self {
        Self { cells: self.cells, owner: Arc::clone(&self.owner) }
    }
}

/// A new array with copies of these values.
impl<A: Atomic> From<&[A::Value]> for SharedArray<A> {
    fn from(values: &[A::Value]) -> Self {
        let array = Self::new(values.len());
        for (cell, value) in array.iter().zip(values) {
            // ORDERING: nobody else has the array yet; by whatever way it gets there, the values go
            // along.
            cell.store(*value, Ordering::Relaxed);
        }
        array
    }
}

/// A new array with these values.
impl<A: Atomic> FromIterator<A::Value> for SharedArray<A> {
    fn from_iter<I: IntoIterator<Item = A::Value>>(values: I) -> Self {
        Self::from(&*Vec::from_iter(values))
    }
}

/// The values, each read for itself.
impl<A: Atomic> fmt::Debug for SharedArray<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
