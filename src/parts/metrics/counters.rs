//! The counters themselves: one set for each worker, and one for all other threads.
//!
//! They have 64 bits on every platform. A counter with a machine word of 32 bits would wrap around
//! within hours. And if a count is lowered before it is raised, a reader could not tell that it is
//! below zero.
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::base::sync::plain::{AtomicU64, Ordering};

/// Counts that any thread may raise, on paths that are slow anyway.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) completed: Shared,
    pub(crate) panicked: Shared,
    pub(crate) cancelled: Shared,
    pub(crate) expired: Shared,
    pub(crate) rejected: Shared,
    pub(crate) lost: Shared,
    pub(crate) wakes: Shared,
    pub(crate) let_loose: Shared,
    pub(crate) jobs_offered: Shared,
    pub(crate) jobs_taken: Shared,
    /// Tasks that were spawned but never entered a queue.
    pub(crate) unqueued: Shared,
    /// Tasks that are still in a queue although another thread has claimed them.
    pub(crate) claimed_in_queue: Spread,
    /// Errands (internal jobs that are not tasks) that were ever pushed into the shared queue.
    pub(crate) errands_shared: Shared,
    /// Errands that are in a queue now.
    pub(crate) errands_queued: Shared,
}

/// Counts that only the worker's own thread raises.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    counts: CachePadded<Own>,
}

#[derive(Debug, Default)]
pub(crate) struct Own {
    pub(crate) completed: Single,
    pub(crate) panicked: Single,
    pub(crate) lost: Single,
    pub(crate) spawned: Single,
    pub(crate) stolen: Single,
    pub(crate) parks: Single,
}

impl std::ops::Deref for WorkerCounters {
    type Target = Own;

    fn deref(&self) -> &Own {
        &self.counts
    }
}

impl Own {
    /// Tasks that were run, whatever their outcome.
    pub(crate) fn tasks_run(&self) -> u64 {
        self.completed.get() + self.panicked.get() + self.lost.get()
    }
}

/// A counter that many threads raise.
#[derive(Debug, Default)]
pub(crate) struct Shared(AtomicU64);

impl Shared {
    pub(crate) fn raise(&self) {
        self.raise_by(1);
    }

    pub(crate) fn raise_by(&self, count: usize) {
        // ORDERING: a statistic, read on its own.
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn lower(&self) {
        // ORDERING: a statistic, read on its own.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: a statistic, read on its own.
        self.0.load(Ordering::Relaxed)
    }
}

/// The number of parts of a [`Spread`] counter. Threads whose numbers differ by a multiple of it
/// share a part.
const PARTS: usize = 32;

/// A counter that all threads raise and lower. Each thread uses one of its parts.
#[derive(Debug, Default)]
pub(crate) struct Spread([CachePadded<Part>; PARTS]);

#[derive(Debug, Default)]
struct Part {
    raised: AtomicU64,
    lowered: AtomicU64,
}

impl Spread {
    /// Raises the count. Returns how often the calling thread's part has been raised.
    pub(crate) fn raise(&self) -> u64 {
        // ORDERING: a statistic, read on its own.
        self.part().raised.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    pub(crate) fn lower(&self) {
        // ORDERING: a statistic, read on its own.
        self.part().lowered.fetch_add(1, Ordering::Relaxed);
    }

    /// If one thread raises and another lowers, the lowering may be seen first. The result then
    /// wraps below zero.
    pub(crate) fn get(&self) -> u64 {
        // ORDERING: a statistic, read on its own.
        let count = |part: &CachePadded<Part>| {
            let raised = part.raised.load(Ordering::Relaxed);
            // ORDERING: as above.
            raised.wrapping_sub(part.lowered.load(Ordering::Relaxed))
        };
        self.0.iter().map(count).fold(0, u64::wrapping_add)
    }

    fn part(&self) -> &Part {
        &self.0[thread_number() % PARTS]
    }
}

/// A number that few threads share.
fn thread_number() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // ORDERING: only the number matters.
    crate::base::sync::thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed) as usize;
    }
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

/// A counter with a single writer. A load and a store are enough, and cost next to nothing.
#[derive(Debug, Default)]
pub(crate) struct Single(AtomicU64);

impl Single {
    #[inline]
    pub(crate) fn raise(&self) {
        self.raise_by(1);
    }

    #[inline]
    pub(crate) fn raise_by(&self, count: usize) {
        // ORDERING: there is one writer, so nothing is lost between the load and the store; readers
        // accept any recent value.
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(count as u64), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: a statistic, read on its own.
        self.0.load(Ordering::Relaxed)
    }
}
