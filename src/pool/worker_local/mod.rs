//! One value for each worker, created on first use on that worker and dropped on the worker's
//! thread.
//!
//! Each worker thread has a number, and each local has a table of shelves indexed by that number.
//! So a worker finds its shelf without a lock. A shelf holds the values that are not in use: `with`
//! takes one out and puts it back. The shelf's lock matters only for calls that take the values of
//! all threads. No user code runs under it: neither the closure that creates a value nor a drop.
#![forbid(unsafe_code)]

mod shelf;
mod signed;
mod table;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::sync::Arc;

use crate::base::unwind;
use shelf::{Home, Shelf, drop_each};

/// A value for each worker, created by the worker that first needs it.
///
/// Use it for values that are expensive to create and cannot be shared: a compressor, a scratch
/// buffer, a random number generator. Share it by reference, in an [`Arc`], or in a static
/// [`LazyLock`](std::sync::LazyLock). Any number of pools may use the same `WorkerLocal`, and each
/// of their workers has its own value.
///
/// Threads that are not workers, such as a thread that calls `join` or `map` from outside, take a
/// value from a common stock and put it back.
///
/// **When values are dropped.** A worker's values are dropped on its thread when the thread ends:
/// in the shutdown of its pool, or after [`end_worker`](crate::TaskContext::end_worker). Dropping
/// the `WorkerLocal` drops all remaining values immediately. A panic in such a drop is caught.
///
/// ```
/// use corepool::{WorkerLocal, WorkerPool};
///
/// let pool = WorkerPool::with_workers(2)?;
/// let scratch = WorkerLocal::new(Vec::new);
/// let texts = ["lime", "apple", "fig"];
/// let sorted = pool.map(&texts, |text| {
///     scratch.with(|letters: &mut Vec<char>| {
///         letters.clear();
///         letters.extend(text.chars());
///         letters.sort_unstable();
///         letters.iter().collect::<String>()
///     })
/// });
/// assert_eq!(sorted, ["eilm", "aelpp", "fgi"]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub struct WorkerLocal<T: Send + 'static> {
    home: Arc<Home<T>>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T: Send + 'static> WorkerLocal<T> {
    /// Creates a local without values. The closure creates each value, on the thread that needs it.
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use corepool::WorkerLocal;
    /// static LINES: LazyLock<WorkerLocal<String>> =
    ///     LazyLock::new(|| WorkerLocal::new(|| String::with_capacity(1 << 16)));
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.spawn(|| LINES.with(|line| line.capacity())).join()?, 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { home: Arc::new(Home::new()), make: Box::new(make) }
    }

    /// Calls the closure with this worker's value. Never blocks.
    ///
    /// A nested call gets another value. A call is nested if the closure makes it directly, or if a
    /// task or a part of a fork-join call makes it that this thread runs while the closure waits.
    /// The other value is kept as well, so a worker has as many values as it ever used at the same
    /// time.
    ///
    /// # Panics
    /// Resumes a panic of the closure, or of the closure that creates the value. If the closure
    /// panics, the value is dropped, because it may be half changed; the next call creates a new
    /// one.
    ///
    /// ```
    /// let counts = corepool::WorkerLocal::new(|| 0);
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let count = || counts.with(|count| { *count += 1; *count });
    /// assert_eq!(pool.install(|| [count(), count()]), [1, 2]);
    /// // This thread is no worker.
    /// assert_eq!(count(), 1);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[inline]
    pub fn with<R>(&self, closure: impl FnOnce(&mut T) -> R) -> R {
        let shelf = self.shelf();
        let taken = self.home.take(shelf);
        let mut value = taken.unwrap_or_else(|| Box::new((self.make)()));
        match unwind::catch(|| closure(&mut value)) {
            Ok(result) => {
                shelf.put(value);
                result
            }
            Err(payload) => {
                // A second panic, in the drop, would abort the process.
                unwind::quietly(|| drop(value));
                resume_unwind(payload)
            }
        }
    }

    /// Takes out the values of all threads that are not in use at the moment.
    ///
    /// Use it to collect what the workers have gathered once the work is done. The values come in
    /// no particular order. Those of threads that have ended are gone.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let sums = corepool::WorkerLocal::new(|| 0);
    /// pool.for_each(0..1000_u64, |number| sums.with(|sum| *sum += number));
    /// assert_eq!(sums.drain().iter().sum::<u64>(), 499_500);
    /// assert!(sums.drain().is_empty());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn drain(&self) -> Vec<T> {
        self.home.take_all().into_iter().map(|value| *value).collect()
    }

    /// The calling thread's shelf: its own if it is a worker, the common one otherwise.
    #[inline]
    fn shelf(&self) -> &Shelf<T> {
        match signed::number() {
            Some(number) => self.home.shelf_of(number),
            None => self.home.common(),
        }
    }
}

impl<T: Send + 'static> Drop for WorkerLocal<T> {
    fn drop(&mut self) {
        drop_each(self.home.take_all());
    }
}

impl<T: Send + 'static> fmt::Debug for WorkerLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workers, unused) = self.home.count();
        f.debug_struct("WorkerLocal")
            .field("workers", &workers)
            .field("unused_values", &unused)
            .finish_non_exhaustive()
    }
}

// A value that a panic may have left half changed is never used again.
impl<T: Send + 'static> UnwindSafe for WorkerLocal<T> {}
impl<T: Send + 'static> RefUnwindSafe for WorkerLocal<T> {}
