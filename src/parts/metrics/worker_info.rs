//! What the pool reports about one worker.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::base::id::WorkerId;
use crate::os::affinity::CoreKind;

/// A snapshot of one worker.
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
    /// Its number, which stays the same when its thread is replaced.
    pub id: WorkerId,
    /// 0 for its first thread, and one more each time the thread is replaced.
    pub generation: u64,
    /// The name of its thread.
    pub thread_name: String,
    /// The core that it is pinned to, as the kernel confirmed when the worker last pinned itself.
    /// `None` if it is not pinned, or if it was let loose: allowed to use other cores for a while.
    /// If its set of allowed cores is narrowed later, the thread moves. The worker notices when it
    /// next goes to sleep, and an event reports it.
    pub core: Option<usize>,
    /// The kind of that core, on processors that have two kinds. `None` on other processors, and if
    /// the worker is not pinned.
    pub core_kind: Option<CoreKind>,
    /// What it is doing.
    pub state: WorkerState,
    /// The name of the task that it is running, or the type of the task's closure.
    pub running: Option<String>,
    /// How many tasks it has run, over all its generations.
    pub tasks_run: u64,
    /// The CPU time of its threads; `None` where the system does not report it.
    pub busy_time: Option<Duration>,
}

/// What a worker is doing.
///
/// ```
/// use corepool::metrics::WorkerState;
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// pool.shutdown();
/// assert_eq!(pool.workers()[0].state, WorkerState::Exited);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// Its thread is starting or being replaced.
    Starting,
    /// It is running a task.
    Active,
    /// It is looking for a task.
    Idle,
    /// It is sleeping until there is a task.
    Parked,
    /// Its thread has ended, because the pool is closed.
    Exited,
}
