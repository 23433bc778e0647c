//! A counter in several shards: threads that add at the same time write to different cache lines.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
// Not by `crate::sync`: no protocol rests on these, they are only added up.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::affinity;
use crate::first;

/// However many cores there are, no counter has more shards.
const MOST_SHARDS: usize = 128;

/// A counter that many threads add to without getting into each other's way.
///
/// Use it for what is counted often and read seldom: an atomic that several threads add to is one
/// cache line that travels between their cores, and each addition waits for it. This counter has a
/// shard for each of them. It costs a cache line a shard (two shards for each usable core, and 128
/// at most), and a sum reads them all. The first addition allocates them: it is no counter for an
/// allocator.
///
/// It counts modulo 2⁶⁴, as an `AtomicU64` does: it wraps around without a panic. No operation
/// blocks, and none orders other memory. A sum holds what was added before it: by the same thread,
/// or by a task that was joined, for instance.
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
    /// As many as a power of two says. None before the first addition, so that `new` can stand in a
    /// static.
    shards: OnceLock<Box<[Shard]>>,
}

type Shard = CachePadded<AtomicU64>;

impl Counter {
    /// Makes a counter that stands at zero.
    ///
    /// ```
    /// assert_eq!(corepool::shared::Counter::new().sum(), 0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { shards: OnceLock::new() }
    }

    /// Adds so much.
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
        // ORDERING: only the amount matters; see `sum` for who sees it.
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

    /// Reads all shards and adds them up.
    ///
    /// The sum is exact if nobody adds meanwhile. Of what is added meanwhile it may hold a part,
    /// but nothing twice.
    #[must_use]
    pub fn sum(&self) -> u64 {
        // ORDERING: what happened before this call is seen, for each shard has one order of
        // changes. No more is promised.
        self.total(|shard| shard.load(Ordering::Relaxed))
    }

    /// Takes out all that was added, and gives the sum.
    ///
    /// What is added meanwhile is in this sum or stays for the next, but never in both and never
    /// lost.
    ///
    /// ```
    /// let requests = corepool::shared::Counter::new();
    /// requests.add(3);
    /// assert_eq!((requests.reset(), requests.sum()), (3, 0));
    /// ```
    pub fn reset(&self) -> u64 {
        // ORDERING: as in `sum`; that nothing is lost lies in the exchange.
        self.total(|shard| shard.swap(0, Ordering::Relaxed))
    }

    fn total(&self, read: impl Fn(&Shard) -> u64) -> u64 {
        let shards = self.shards.get().map_or(&[][..], |shards| shards);
        shards.iter().map(read).fold(0, u64::wrapping_add)
    }
}

/// The sum.
impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.sum()).finish()
    }
}

#[cold]
fn make_shards() -> Box<[Shard]> {
    // The cores are asked for once: that takes system calls.
    static COUNT: OnceLock<usize> = OnceLock::new();
    let count = *COUNT.get_or_init(|| shards_for(affinity::usable().parallelism));
    (0..count).map(|_| Shard::default()).collect()
}

/// Twice the cores: with threads that are numbered as they come, few that run at a time meet in one
/// shard.
fn shards_for(cores: usize) -> usize {
    cores.saturating_mul(2).clamp(1, MOST_SHARDS).next_power_of_two()
}

/// The calling thread's number, given when it first adds to any counter: threads that start
/// together spread.
#[inline]
fn thread_number() -> usize {
    crate::sync::thread_local! {
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
    static NEXT: AtomicUsize = AtomicUsize::new(first::WORD);
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
