//! What can be said of one worker.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::affinity::CoreKind;
use crate::id::WorkerId;

/// One worker, as it is at the moment of asking.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// for worker in pool.workers() {
///     println!("{} on core {:?}: {:?}", worker.id, worker.core, worker.state);
/// }
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Its number; stays when its thread is replaced.
    pub id: WorkerId,
    /// 0 for its first thread; one more each time the thread was replaced.
    pub generation: u64,
    /// The name of its thread.
    pub thread_name: String,
    /// The core it is pinned to, read back from the kernel when its thread came; `None` if it is
    /// not pinned, or let loose for a while. A set of cores that somebody narrows later moves the
    /// thread; the worker sees it when it next goes to sleep, and an event tells of it.
    pub core: Option<usize>,
    /// What kind of core that is, on processors that have two; `None` on others, and if it is not
    /// pinned.
    pub core_kind: Option<CoreKind>,
    /// What it does.
    pub state: WorkerState,
    /// The name of the task that it runs, or of its closure's type.
    pub running: Option<String>,
    /// How many tasks it ran, over all its generations.
    pub tasks_run: u64,
    /// The CPU time of its threads; `None` where the system does not tell.
    pub busy_time: Option<Duration>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// Its thread starts, or is being replaced.
    Starting,
    /// It runs a task.
    Active,
    /// It looks for a task.
    Idle,
    /// It sleeps until there is a task.
    Parked,
    /// Its thread has ended; the pool is closed.
    Exited,
}
