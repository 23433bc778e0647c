//! The counters themselves: one set for each worker, one for everybody else.
//!
//! Of 64 bits everywhere: in a machine's word of 32 they would come round within hours, and a count that is
//! lowered before it is raised would not be seen to be below nothing.
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::sync::plain::{AtomicU64, Ordering};

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
    pub(crate) jobs_offered: Shared,
    pub(crate) jobs_taken: Shared,
    /// Tasks that were spawned and never saw a queue.
    pub(crate) unqueued: Shared,
    /// Tasks that stand in a queue, but somebody else has claimed.
    pub(crate) claimed_in_queue: Shared,
    /// Errands ever pushed into the shared queue: they are no tasks.
    pub(crate) errands_shared: Shared,
    /// Errands that stand in a queue now.
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
    /// Tasks run, whatever came of them.
    pub(crate) fn tasks_run(&self) -> u64 {
        self.completed.get() + self.panicked.get() + self.lost.get()
    }
}

/// A counter that many threads raise.
#[derive(Debug, Default)]
pub(crate) struct Shared(AtomicU64);

impl Shared {
    pub(crate) fn raise(&self) {
        let _count = self.raise_and_get();
    }

    /// Raises the count, and gives it as it is afterwards.
    pub(crate) fn raise_and_get(&self) -> u64 {
        // Wrapping: where one thread raises and another lowers, the lower may come first.
        // ORDERING: a statistic, read on its own.
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
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

/// A counter with one writer: a load and a store are enough, and cost next to nothing.
#[derive(Debug, Default)]
pub(crate) struct Single(AtomicU64);

impl Single {
    #[inline]
    pub(crate) fn raise(&self) {
        self.raise_by(1);
    }

    #[inline]
    pub(crate) fn raise_by(&self, count: usize) {
        // ORDERING: one writer, so nothing is lost between the load and the store; readers want any
        // recent value.
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(count as u64), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: a statistic, read on its own.
        self.0.load(Ordering::Relaxed)
    }
}
