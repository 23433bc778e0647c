//! What a pool is asked to be: the choices a builder makes.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::WorkerId;
use crate::metrics::WorkerInfo;

/// Where workers run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pinning {
    /// Each worker is pinned to a core of its own, as far as there are enough. The default.
    ///
    /// Pools of one process spread over the cores before they share one. Where a cgroup quota allows
    /// fewer cores than the process sees, or pinning is impossible, workers run unpinned.
    #[default]
    PerCore,
    /// The system moves workers as it likes.
    None,
    /// Workers are pinned to these cores in turn.
    Cores(Vec<usize>),
}

/// What happens to a task when as many wait as [`queue_capacity`](crate::Builder::queue_capacity) allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// `spawn` blocks until there is room; those who wait are served in order. A worker of the pool
    /// never waits for its own pool: it runs the task in place. It does wait for another pool, and a task keeps
    /// its room until it ends, also while it waits. So two full pools whose tasks spawn into one another can wait for ever, and so can
    /// a task that waits for a part of its work in another pool which spawns into the full one. The default.
    #[default]
    Block,
    /// The task is refused: its handle settles as [`Rejected`](crate::TaskError::Rejected).
    Reject,
    /// The caller runs the task itself, in `spawn`.
    CallerRuns,
    /// The task that has waited longest is refused, and the new one takes its place.
    DropOldest,
}

/// What happens when a task runs for longer than [`watchdog`](crate::Builder::watchdog) allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenStuck {
    /// An event tells of it. The default.
    #[default]
    Report,
    /// An event tells of it, and a [spare worker](crate::Builder::spare_workers) serves in its worker's place until the task ends.
    /// Both share that worker's core.
    Replace,
}

/// How tasks find a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dispatch {
    /// A free worker takes the task; if none is free, the next that is. The default.
    #[default]
    FreeWorker,
    /// Tasks are dealt to the workers in turn, and each worker keeps its own: a free worker takes none
    /// from another. Predictable, and the right thing where workers hold state; slower when tasks
    /// differ. Two exceptions: a task that another task waits for may run in place, on the worker that
    /// waits; and once the pool is closed whoever is free takes what is left.
    RoundRobin,
}

/// How urgent a task is.
///
/// A worker takes the more urgent task first, of those that it may run. Less urgent ones move all the same: a
/// worker that always finds a [`High`](Self::High) task starts each 16th time with the [`Normal`](Self::Normal) ones, and each 64th
/// time with the [`Low`](Self::Low) ones. So the first task of the low lane waits for at most 63 other tasks of each worker, and the
/// first normal one for at most 15 urgent ones. High and low tasks start in the order in which they came. Normal ones do so
/// within one queue, but when a worker takes more than 16 at once from another worker's queue it starts the youngest of these
/// first. A running task is never interrupted.
///
/// ```
/// use corepool::{Priority, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let reply = pool.task().priority(Priority::High).spawn(|| "soon");
/// let report = pool.task().priority(Priority::Low).spawn(|| "some time");
/// assert_eq!((reply.join()?, report.join()?), ("soon", "some time"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before everything else: somebody waits for it.
    High,
    /// The default.
    #[default]
    Normal,
    /// When nothing else is there: nobody is in a hurry for it.
    Low,
}

pub(crate) type NameThread = Arc<dyn Fn(WorkerId) -> String + Send + Sync>;
pub(crate) type Hook = Arc<dyn Fn(&WorkerInfo) + Send + Sync>;

/// The choices, validated and complete.
pub(crate) struct Config {
    pub(crate) workers: usize,
    /// How many spare workers there may be at once.
    pub(crate) spares: usize,
    /// The core of each worker; none where workers are not pinned.
    pub(crate) cores: Vec<usize>,
    /// All cores the process may use, to undo a mask that a new thread has inherited.
    pub(crate) usable_cores: Vec<usize>,
    pub(crate) name_thread: NameThread,
    pub(crate) stack_size: Option<usize>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) dispatch: Dispatch,
    pub(crate) record_timing: bool,
    /// How long a task may run unnoticed, and what happens then.
    pub(crate) watchdog: Option<(Duration, WhenStuck)>,
    pub(crate) on_worker_start: Option<Hook>,
    pub(crate) on_worker_exit: Option<Hook>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("cores", &self.cores)
            .field("stack_size", &self.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("when_full", &self.when_full)
            .field("dispatch", &self.dispatch)
            .field("record_timing", &self.record_timing)
            .finish_non_exhaustive()
    }
}
