//! A counter in several shards: threads that add at the same time write to different cache lines.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
// Not from `crate::base::sync`: no protocol depends on these; they are only added up.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::base::counter_start;
use crate::os::affinity;

/// The most shards that a counter has, however many cores there are.
const MOST_SHARDS: usize = 128;

/// A counter that many threads can add to without contention.
///
/// Use it for what is counted often and read seldom. An atomic that several threads add to is a
/// single cache line that travels between their cores, and each addition waits for it. This counter
/// spreads the threads over several shards. Each shard takes one cache line. There are two shards
/// for each usable core, rounded up to a power of two and at most 128, and a sum reads them all.
/// The first addition allocates the shards, so this counter cannot be used inside an allocator.
///
/// It counts modulo 2⁶⁴ like an `AtomicU64`: it wraps around without a panic. No operation blocks,
/// and none orders other memory. A sum contains everything that was added before it, for instance
/// by the same thread or by a task that was joined.
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::shared::Counter;
///
/// static LETTERS: Counter = Counter::new();
///
/// let pool = WorkerPool::with_workers(2)?;
/// pool.for_each(&["lime", "apple", "fig"], |word| LETTERS.add(word.len() as u64));
/// assert_eq!(LETTERS.sum(), 12);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Default)]
pub struct Counter {
    /// The number of shards is a power of two. Empty before the first addition, so that `new` can
    /// be used in a static.
    shards: OnceLock<Box<[Shard]>>,
}

type Shard = CachePadded<AtomicU64>;

impl Counter {
    /// Creates a counter at zero.
    ///
    /// ```
    /// assert_eq!(corepool::shared::Counter::new().sum(), 0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { shards: OnceLock::new() }
    }

    /// Adds `amount`.
    ///
    /// ```
    /// let bytes = corepool::shared::Counter::new();
    /// bytes.add(4096);
    /// bytes.add(512);
    /// assert_eq!(bytes.sum(), 4608);
    /// ```
    #[inline]
    pub fn add(&self, amount: u64) {
        let shards = self.shards.get_or_init(make_shards);
        let shard = &shards[thread_number() & (shards.len() - 1)];
        // ORDERING: only the amount matters; `sum` says which additions it sees.
        shard.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds one.
    ///
    /// ```
    /// let requests = corepool::shared::Counter::new();
    /// requests.increment();
    /// assert_eq!(requests.sum(), 1);
    /// ```
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Reads all shards and returns their sum.
    ///
    /// The sum is exact if no thread adds at the same time. It may contain some of the concurrent
    /// additions, but none of them twice.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let counter = corepool::shared::Counter::new();
    /// pool.for_each(0..100, |_| counter.add(2));
    /// assert_eq!(counter.sum(), 200);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn sum(&self) -> u64 {
        // ORDERING: what happened before this call is seen, because each shard has a single
        // modification order. No more is promised.
        self.total(|shard| shard.load(Ordering::Relaxed))
    }

    /// Resets the counter to zero and returns the sum.
    ///
    /// A concurrent addition is either in this sum or in the next one, never in both and never
    /// lost.
    ///
    /// ```
    /// let requests = corepool::shared::Counter::new();
    /// requests.add(3);
    /// assert_eq!((requests.reset(), requests.sum()), (3, 0));
    /// ```
    pub fn reset(&self) -> u64 {
        // ORDERING: as in `sum`; the exchange itself guarantees that nothing is lost.
        self.total(|shard| shard.swap(0, Ordering::Relaxed))
    }

    fn total(&self, read: impl Fn(&Shard) -> u64) -> u64 {
        let shards = self.shards.get().map_or(&[][..], |shards| shards);
        shards.iter().map(read).fold(0, u64::wrapping_add)
    }
}

/// Shows the sum.
impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.sum()).finish()
    }
}

#[cold]
fn make_shards() -> Box<[Shard]> {
    // The cores are counted only once, because that takes system calls.
    static COUNT: OnceLock<usize> = OnceLock::new();
    let count = *COUNT.get_or_init(|| shards_for(affinity::usable().parallelism));
    (0..count).map(|_| Shard::default()).collect()
}

/// Twice the number of cores. Threads are numbered in the order in which they come, so few threads
/// that run at the same time share a shard.
fn shards_for(cores: usize) -> usize {
    cores.saturating_mul(2).clamp(1, MOST_SHARDS).next_power_of_two()
}

/// The calling thread's number, which it gets when it first adds to any counter. Threads that start
/// together get different shards.
#[inline]
fn thread_number() -> usize {
    crate::base::sync::thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| match number.get() {
        Some(number) => number,
        None => {
            let next = next_number();
            number.set(Some(next));
            next
        }
    })
}

#[cold]
fn next_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(counter_start::WORD);
    // ORDERING: only the number matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::{MOST_SHARDS, shards_for};

    #[test]
    fn shards_are_a_power_of_two_and_at_least_twice_the_cores() {
        for cores in 1..=MOST_SHARDS / 2 {
            let shards = shards_for(cores);
            assert!(shards.is_power_of_two() && (2 * cores..4 * cores).contains(&shards));
        }
    }

    #[test]
    fn there_are_not_too_many_shards() {
        assert_eq!(shards_for(MOST_SHARDS), MOST_SHARDS);
        assert_eq!(shards_for(usize::MAX), MOST_SHARDS);
    }
}
