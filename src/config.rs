//! What a pool is asked to be: the choices a builder makes.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::affinity::Topology;
use crate::id::WorkerId;
use crate::metrics::WorkerInfo;

/// Where workers run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pinning {
    /// Each worker is pinned to a core of its own, as far as there are enough. The default.
    ///
    /// A pin yields. A worker that does not get its core, because others have it, is let loose to
    /// all cores of the pool by whoever waits for it, after 100 µs or so; it pins itself again when
    /// it next goes to sleep and some time has passed.
    /// [`Metrics::let_loose`](crate::Metrics::let_loose) counts that, and
    /// [`PoolEvent::WorkerLetLoose`](crate::PoolEvent::WorkerLetLoose) tells it. Nobody waits, in
    /// this sense, for a future that is awaited.
    ///
    /// **What a task starts inherits the pin:** a thread, or a pool of another library that is made
    /// when it is first used, stays on that one core, a child process has one core, and
    /// [`available_parallelism`](std::thread::available_parallelism) is 1. Start them inside
    /// [`unpinned`](fn@crate::unpinned).
    ///
    /// Pools of one process spread over the cores before they share one, and
    /// [`Placement`](crate::Placement) says which they take first. Where a cgroup quota allows
    /// fewer cores than the process sees, or pinning is impossible, workers run unpinned.
    #[default]
    PerCore,
    /// The system moves workers as it likes, on the cores of the thread that builds the pool. Masks
    /// are left alone: none is set, so a mask that grows later is followed. But what a pinned
    /// worker of another pool hands on, who builds this pool in one of its tasks, is undone.
    None,
    /// Workers are pinned to these cores in turn. They yield as with [`PerCore`](Self::PerCore),
    /// but to one another's cores only; so a pool of one named core stays there.
    Cores(Vec<usize>),
}

/// What happens to a task when as many wait as [`queue_capacity`](crate::Builder::queue_capacity)
/// allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// `spawn` blocks until there is room; those who wait are served in order. A worker of the pool
    /// never waits for its own pool: it runs the task in place. If that task spawns into the full
    /// pool in turn it runs the next one inside, up to 8 of them; what is spawned deeper in is
    /// queued over capacity, so that a chain of tasks needs no stack and cannot overtake what waits
    /// for long. It does wait for another pool, and a task keeps its room until it ends, also while
    /// it waits. So two full pools whose tasks spawn into one another can wait for ever, and so can
    /// a task that waits for a part of its work in another pool which spawns into the full one. The
    /// default.
    #[default]
    Block,
    /// The task is refused: its handle settles as [`Rejected`](crate::TaskError::Rejected).
    Reject,
    /// The caller runs the task itself, in `spawn`. With up to 8 of them inside one another, as
    /// with [`Block`](Self::Block).
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
    /// An event tells of it, and a [spare worker](crate::Builder::spare_workers) serves in its
    /// worker's place until the task ends. Both share that worker's core.
    Replace,
}

/// How tasks find a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dispatch {
    /// A free worker takes the task; if none is free, the next that is. The default.
    #[default]
    FreeWorker,
    /// Tasks are dealt to the workers in turn, and each worker keeps its own: a free worker takes
    /// none from another. Predictable, and the right thing where workers hold state; slower when
    /// tasks differ. Two exceptions: a task that another task waits for may run in place, on the
    /// worker that waits; and once the pool is closed whoever is free takes what is left.
    RoundRobin,
}

/// How urgent a task is.
///
/// A worker takes the more urgent task first, of those that it may run. Less urgent ones move all
/// the same: a worker that always finds a [`High`](Self::High) task starts each 16th time with the
/// [`Normal`](Self::Normal) ones, and each 64th time with the [`Low`](Self::Low) ones. So the first
/// task of the low lane waits for at most 63 other tasks of each worker, and the first normal one
/// for at most 15 urgent ones. A running task is never interrupted.
///
/// # Order
/// Of one priority, tasks start in the order in which they came:
/// - In a pool of one worker exactly, whoever spawned them and however; but a task that another
///   waits for runs when that one waits, a [continuation](crate::TaskHandle::then) runs right
///   behind the task in front of it (up to 16 in a row), and a large
///   [batch](crate::WorkerPool::spawn_batch) gives others their turn between its items. A [spare
///   worker](crate::Builder::spare_workers) that stands in for the worker keeps to it as well.
/// - With several workers, high and low tasks exactly, but for those that are
///   [placed](crate::TaskBuilder::on_worker).
/// - Normal ones of several workers about so. A worker takes up to 32 at once, and what is spawned
///   inside a task stays with its worker, until other workers come for it. They do when they find
///   nothing else. And at every 251st task that it starts each worker takes what waits behind
///   another one, of each in turn. So in a pool of `n` workers, what waits behind a worker that is
///   stuck is overtaken by at most `300 * n` tasks of each worker that goes on. Of more than 16
///   tasks that one worker takes from another the youngest starts first. And
///   [dealt](Dispatch::RoundRobin) tasks keep the order of their worker, whatever others do.
///
/// ```
/// use corepool::{Priority, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let reply = pool.task().priority(Priority::High).spawn(|| "soon");
/// let report = pool.task().priority(Priority::Low).spawn(|| "some time");
/// assert_eq!((reply.join()?, report.join()?), ("soon", "some time"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The more urgent one is the greater one.
///
/// ```
/// use corepool::Priority;
/// assert!(Priority::High > Priority::Normal && Priority::Normal > Priority::Low);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// When nothing else is there: nobody is in a hurry for it.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before everything else: somebody waits for it.
    High,
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
    /// All cores the process may use: what a pinned worker has without its pin.
    pub(crate) usable_cores: Vec<usize>,
    /// Whether the user has named the cores.
    pub(crate) has_named_cores: bool,
    /// Where a worker may run that is let loose from its core.
    pub(crate) loose_cores: Vec<usize>,
    /// What is known of them.
    pub(crate) topology: Arc<Topology>,
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

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
impl Config {
    /// As simple as can be, for tests of a floor below the builder's.
    pub(crate) fn of_workers(workers: usize) -> Self {
        Self {
            workers,
            spares: 0,
            cores: Vec::new(),
            usable_cores: Vec::new(),
            has_named_cores: false,
            loose_cores: Vec::new(),
            topology: Arc::default(),
            name_thread: Arc::new(|id| format!("corepool-{id}")),
            stack_size: None,
            queue_capacity: None,
            when_full: WhenFull::default(),
            dispatch: Dispatch::default(),
            record_timing: false,
            watchdog: None,
            on_worker_start: None,
            on_worker_exit: None,
        }
    }
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
