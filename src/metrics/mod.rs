//! What a pool has done so far: counters and times, gathered when somebody looks.
//!
//! Workers count in lines of their own with plain stores, so counting costs what it must and
//! looking costs the one who looks.

mod counters;
mod cpu_time;
mod histogram;
mod table;
mod worker_info;

use std::time::Duration;

use crate::id::WorkerId;

pub(crate) use counters::{Counters, WorkerCounters};
pub(crate) use cpu_time::{ThreadClock, of_thread};
pub use histogram::Histogram;
pub(crate) use histogram::LiveHistogram;
pub use worker_info::{WorkerInfo, WorkerState};

/// A reading of a pool's counters; `Display` prints it as a table.
///
/// Every task that was spawned ends in exactly one of `completed`, `panicked`, `cancelled`,
/// `expired`, `rejected` and `lost`, once nothing is queued or running.
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
    /// Tasks handed to the pool, those it refused included.
    pub spawned: u64,
    /// Tasks that returned a value.
    pub completed: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks cancelled before they started.
    pub cancelled: u64,
    /// Tasks whose deadline passed before they started.
    pub expired: u64,
    /// Tasks refused, because the pool was full or closed, or displaced by a newer one.
    pub rejected: u64,
    /// Tasks whose worker's thread ended under them.
    pub lost: u64,
    /// Tasks that a worker took from another worker's queue.
    pub stolen: u64,
    /// Times a worker went to sleep.
    pub parks: u64,
    /// Times a sleeping worker was woken.
    pub wakes: u64,
    /// Times a pinned worker was let loose to other cores, because it did not get its own: see
    /// [`Pinning::PerCore`](crate::Pinning::PerCore).
    pub let_loose: u64,
    /// Parts of fork-join calls that other threads could take, and took: the same number as
    /// `jobs_taken`.
    pub jobs_offered: u64,
    /// Parts of fork-join calls that another thread ran.
    pub jobs_taken: u64,
    /// Tasks that wait now.
    pub queue_depth: usize,
    /// Those of them that are urgent. One that was cancelled where it stands may still count here.
    pub queue_depth_high: usize,
    /// Those of them that are in no hurry, counted as the urgent ones.
    pub queue_depth_low: usize,
    /// Threads or futures that wait for room now.
    pub waiting_for_room: usize,
    /// Events that listeners missed because they were slow.
    pub events_dropped: u64,
    /// Each worker's share.
    pub workers: Vec<WorkerMetrics>,
    /// The [spare workers](crate::Builder::spare_workers) that have a thread now.
    pub spare_workers: Vec<WorkerMetrics>,
    /// From acceptance to start; `None` unless the pool records times.
    pub wait_time: Option<Histogram>,
    /// From start to end; `None` unless the pool records times.
    pub run_time: Option<Histogram>,
}

/// One worker's share of [`Metrics`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// The worker.
    pub id: WorkerId,
    /// Tasks that it ran, whatever came of them.
    pub tasks_run: u64,
    /// Tasks that it took from others' queues.
    pub stolen: u64,
    /// Times it went to sleep.
    pub parks: u64,
    /// The CPU time of its threads; `None` where the system does not tell.
    pub busy_time: Option<Duration>,
}
