//! What a pool has done so far: counters and times, collected when they are read.
//!
//! Each worker counts with plain stores in cache lines of its own. So counting is as cheap as it
//! can be, and the reader pays for collecting the counts.

mod counters;
mod cpu_time;
mod histogram;
mod table;
mod worker_info;

use std::time::Duration;

use crate::base::id::WorkerId;

pub(crate) use counters::{Counters, WorkerCounters};
pub(crate) use cpu_time::{ThreadClock, of_thread};
pub use histogram::Histogram;
pub(crate) use histogram::LiveHistogram;
pub use worker_info::{WorkerInfo, WorkerState};

/// A snapshot of a pool's counters. `Display` prints it as a table.
///
/// Once nothing is queued or running, every spawned task is counted in exactly one of `completed`,
/// `panicked`, `cancelled`, `expired`, `rejected` and `lost`.
///
/// A refused reservation ([`try_reserve`](crate::WorkerPool::try_reserve),
/// [`reserve`](crate::WorkerPool::reserve)) stands for a task that was refused, so it is counted in
/// `spawned` and `rejected`. A permit is counted only when it spawns its task.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// pool.spawn(|| 1).join()?;
/// let metrics = pool.metrics();
/// assert_eq!((metrics.spawned, metrics.completed), (1, 1));
/// println!("{metrics}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks handed to the pool, including those that it refused, and refused reservations.
    pub spawned: u64,
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks cancelled before they started.
    pub cancelled: u64,
    /// Tasks whose deadline passed before they started.
    pub expired: u64,
    /// Tasks and reservations refused because the pool was full or closed, and tasks displaced by a
    /// newer one.
    pub rejected: u64,
    /// Tasks whose worker thread ended while they ran.
    pub lost: u64,
    /// Tasks that a worker took from another worker's queue.
    pub stolen: u64,
    /// How often a worker went to sleep.
    pub parks: u64,
    /// How often a sleeping worker was woken.
    pub wakes: u64,
    /// How often a pinned worker was let loose, that is, allowed to run on other cores because it
    /// did not get its own. See [`Pinning::PerCore`](crate::Pinning::PerCore).
    pub let_loose: u64,
    /// Parts of fork-join calls that other threads could take and did take: the same number as
    /// `jobs_taken`.
    pub jobs_offered: u64,
    /// Parts of fork-join calls that another thread ran.
    pub jobs_taken: u64,
    /// Tasks that are queued now.
    pub queue_depth: usize,
    /// The queued tasks of high priority. A task that was cancelled in its queue may still be
    /// counted here.
    pub queue_depth_high: usize,
    /// The queued tasks of low priority, counted in the same way.
    pub queue_depth_low: usize,
    /// Threads and futures that are waiting for room now.
    pub waiting_for_room: usize,
    /// Events that listeners missed because they were slow.
    pub events_dropped: u64,
    /// The counts of each worker.
    pub workers: Vec<WorkerMetrics>,
    /// The counts of the [spare workers](crate::PoolBuilder::spare_workers) that have a thread now.
    pub spare_workers: Vec<WorkerMetrics>,
    /// The time from acceptance to start; `None` unless the pool records times.
    pub wait_time: Option<Histogram>,
    /// The time from start to end; `None` unless the pool records times.
    pub run_time: Option<Histogram>,
}

/// One worker's part of [`Metrics`].
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// pool.broadcast(|_| ()).for_each(drop);
/// pool.drain();
/// assert!(pool.metrics().workers.iter().all(|worker| worker.tasks_run == 1));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// The worker.
    pub id: WorkerId,
    /// Tasks that it ran, whatever their outcome.
    pub tasks_run: u64,
    /// Tasks that it took from other workers' queues.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parks: u64,
    /// The CPU time of its threads; `None` where the system does not report it.
    pub busy_time: Option<Duration>,
}
