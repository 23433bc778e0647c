//! The shared array: zeroed cells in memory that all clones of the array share.

use std::fmt;
use std::ops::{Deref, Index};
use std::ptr::NonNull;
use std::slice::{self, SliceIndex};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::atomic::Atomic;
use super::memory::{LINE, Memory};

/// An array of atomics that threads share. It is zeroed, aligned to a cache line, and cheap to
/// clone.
///
/// A clone is another handle to the same cells, as with an `Arc`. The memory is freed with the last
/// handle. The array dereferences to a slice, so you can index it, iterate over it and take
/// subslices. The cells start on a cache line of 64 bytes, and nothing else shares their cache
/// lines.
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
    // This pointer lies beside the owner, not behind it. Each clone writes the owner's reference
    // count, so a reader of the cells would miss the cache when it loads the pointer.
    cells: NonNull<[A]>,
    owner: Arc<Memory>,
}

// SAFETY: the cells are only ever handed out as `&A`, and `A` may be shared (`Sync`, by `Atomic`).
// They live as long as any owner, on whatever thread that owner is, and dropping them does nothing
// (`Zeroable`).
unsafe impl<A: Atomic> Send for SharedArray<A> {}
// SAFETY: `&SharedArray` gives access only to `&A`, which may be shared, and to clones, which are
// `Send`.
unsafe impl<A: Atomic> Sync for SharedArray<A> {}

impl<A: Atomic> SharedArray<A> {
    /// Creates an array of `len` cells, all zero (`false`). A length of 0 is allowed.
    ///
    /// The memory is requested from the system already zeroed where possible. A large array is then
    /// not written at creation, and takes up memory only where it is used.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI16, Ordering};
    /// let cells = corepool::SharedArray::<AtomicI16>::new(1000);
    /// assert_eq!(cells.len(), 1000);
    /// assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
    /// ```
    ///
    /// # Panics
    /// If there is not enough memory for the cells, in particular if their size in bytes exceeds
    /// `isize::MAX`.
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

    /// Returns the number of cells.
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

    /// Returns whether the array has no cells.
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
        // SAFETY: the cells lie in the owner's memory, which lives as long as `self`. They were
        // zeroed, and zero is a value of `A` (`Zeroable`). They are aligned, as `new` checks. No
        // thread has exclusive access to them.
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

/// Returns another handle to the same cells.
impl<A: Atomic> Clone for SharedArray<A> {
    fn clone(&self) -> Self {
        Self { cells: self.cells, owner: Arc::clone(&self.owner) }
    }
}

/// Creates a new array with copies of these values.
impl<A: Atomic> From<&[A::Value]> for SharedArray<A> {
    fn from(values: &[A::Value]) -> Self {
        let array = Self::new(values.len());
        for (cell, value) in array.iter().zip(values) {
            // ORDERING: no other thread has the array yet; whatever hands it to another thread also
            // publishes the values.
            cell.store(*value, Ordering::Relaxed);
        }
        array
    }
}

/// Creates a new array with these values.
impl<A: Atomic> FromIterator<A::Value> for SharedArray<A> {
    fn from_iter<I: IntoIterator<Item = A::Value>>(values: I) -> Self {
        Self::from(&*Vec::from_iter(values))
    }
}

/// Shows the values; each one is read separately.
impl<A: Atomic> fmt::Debug for SharedArray<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
