//! What a pool is asked to be: the choices of its builder.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::id::WorkerId;
use crate::os::affinity::Topology;
use crate::parts::metrics::WorkerInfo;

/// Where workers run.
///
/// ```
/// use corepool::{Pinning, WorkerPool};
/// let pool = WorkerPool::builder().workers(2).pinning(Pinning::None).build()?;
/// assert!(pool.workers().iter().all(|worker| worker.core.is_none()));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pinning {
    /// Each worker is pinned to a core of its own, as far as there are enough cores. This is the
    /// default.
    ///
    /// A pin can yield. If a worker does not get its core because other threads occupy it, a thread
    /// that waits for the worker lets it loose: after about 100 µs the worker may run on all cores
    /// of the pool. The worker pins itself again when it next goes to sleep, once some time has
    /// passed. [`Metrics::let_loose`](crate::Metrics::let_loose) counts this, and
    /// [`PoolEvent::WorkerLetLoose`](crate::PoolEvent::WorkerLetLoose) reports it. Awaiting a
    /// future does not count as waiting here.
    ///
    /// **Everything that a task starts inherits the pin.** A thread stays on that one core, and so
    /// does another library's pool that is created on first use. A child process has one core, and
    /// [`available_parallelism`](std::thread::available_parallelism) is 1. Start such things inside
    /// [`unpinned`](fn@crate::unpinned).
    ///
    /// The pools of one process spread over the cores before they share any, and
    /// [`Placement`](crate::builder::Placement) says which cores they take first. Where a cgroup
    /// quota allows fewer cores than the process sees, or where pinning is impossible, workers run
    /// unpinned.
    #[default]
    PerCore,
    /// The system moves workers as it likes, on the cores of the thread that builds the pool. The
    /// pool sets no masks, so it follows a mask that grows later. There is one exception: if a task
    /// of another pool builds this pool on a pinned worker, this pool's workers do not inherit that
    /// pin.
    None,
    /// Workers are pinned to these cores in turn. The pins yield as with
    /// [`PerCore`](Self::PerCore), but only to the cores in this list, so a pool with one named
    /// core stays there.
    Cores(Vec<usize>),
}

/// What happens to a new task when [`queue_capacity`](crate::PoolBuilder::queue_capacity) tasks
/// already wait.
///
/// ```
/// use corepool::{WhenFull, WorkerPool};
/// let builder = WorkerPool::builder().workers(1).queue_capacity(0);
/// let pool = builder.when_full(WhenFull::Reject).build()?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let busy = pool.spawn(move || wait.recv());
/// assert!(pool.spawn(|| 1).join().is_err(), "the only worker is busy, and nothing may wait");
/// drop(go);
/// # let _ = busy.join();
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// `spawn` blocks until there is room. Waiting submitters are served in order. This is the
    /// default.
    ///
    /// A worker never waits for room in its own pool: it runs the task in place. If that task also
    /// spawns into the full pool, the worker runs the new task nested inside, up to 8 levels deep.
    /// Tasks spawned deeper are queued over capacity, so that a chain of tasks does not exhaust the
    /// stack and cannot overtake queued tasks for long.
    ///
    /// A worker does wait for room in another pool, and a task keeps its room until it ends, even
    /// while it waits. So two full pools whose tasks spawn into one another can deadlock. So can a
    /// task that waits for a part of its work in another pool, if that part spawns into the first,
    /// full pool.
    #[default]
    Block,
    /// The task is refused: its handle settles as [`Rejected`](crate::TaskError::Rejected).
    Reject,
    /// The caller runs the task itself, in `spawn`. Such calls nest up to 8 levels deep, as with
    /// [`Block`](Self::Block).
    CallerRuns,
    /// The task that has waited longest is refused, and the new one takes its place.
    DropOldest,
}

/// What happens when a task runs for longer than [`watchdog`](crate::PoolBuilder::watchdog) allows.
///
/// ```
/// use corepool::builder::WhenStuck;
/// use corepool::{PoolEvent, WorkerPool};
/// use std::time::Duration;
/// let builder = WorkerPool::builder().workers(1).watchdog(Duration::from_millis(5));
/// let pool = builder.when_stuck(WhenStuck::Report).build()?;
/// let events = pool.events();
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let stuck = pool.spawn(move || wait.recv());
/// assert!(events.into_iter().any(|event| matches!(event, PoolEvent::TaskStuck { .. })));
/// drop(go);
/// # let _ = stuck.join();
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenStuck {
    /// An event reports it. This is the default.
    #[default]
    Report,
    /// An event reports it, and a [spare worker](crate::PoolBuilder::spare_workers) takes the
    /// worker's place until the task ends. Both share that worker's core.
    Replace,
}

/// How tasks are assigned to workers.
///
/// ```
/// use corepool::{Dispatch, WorkerPool};
/// let pool = WorkerPool::builder().workers(2).dispatch(Dispatch::RoundRobin).build()?;
/// let tasks = [0; 4].map(|_| pool.spawn_with(|cx| cx.worker().unwrap()));
/// let workers = tasks.map(|task| task.join().unwrap());
/// assert_eq!(workers[0], workers[2]);
/// assert_ne!(workers[0], workers[1]);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dispatch {
    /// A free worker takes the task. If no worker is free, the next one to become free takes it.
    /// This is the default.
    #[default]
    FreeWorker,
    /// Tasks are dealt to the workers in turn. Each worker keeps its own tasks, and a free worker
    /// takes none from another. This is predictable, and it suits workers that hold state, but it
    /// is slower when tasks differ in length. There are two exceptions: a task that another task
    /// waits for may run in place, on the worker that waits; and once the pool is closed, any free
    /// worker takes what is left.
    RoundRobin,
}

/// How urgent a task is.
///
/// Of the tasks that it may run, a worker takes the most urgent one first. Less urgent tasks still
/// make progress: a worker that always finds a [`High`](Self::High) task starts each 16th search
/// with the [`Normal`](Self::Normal) tasks, and each 64th with the [`Low`](Self::Low) ones. So the
/// first low task waits for at most 63 other tasks of each worker, and the first normal one for at
/// most 15 high ones. A running task is never interrupted.
///
/// # Order
/// Tasks of equal priority start in the order in which they were submitted:
/// - With one worker, exactly, regardless of how they were spawned and by which thread. There are
///   three exceptions: a task that another task waits for runs at that moment, a
///   [continuation](crate::TaskHandle::then) runs directly after its predecessor (up to 16 in a
///   row), and a large [batch](crate::WorkerPool::spawn_batch) lets other tasks run between its
///   items. A [spare worker](crate::PoolBuilder::spare_workers) that stands in for the worker keeps
///   the order too.
/// - With several workers, exactly for high and low tasks, except for
///   [placed](crate::TaskBuilder::on_worker) ones.
/// - With several workers, approximately for normal tasks. A worker takes up to 32 tasks at once,
///   and tasks spawned inside a task stay with its worker until other workers steal them. Other
///   workers do so when they find nothing else. In addition, at every 251st task that it starts,
///   each worker takes what waits behind one of the other workers, each of them in turn. So in a
///   pool of `n` workers, a task that waits behind a stuck worker is overtaken by at most `300 * n`
///   tasks of each worker that goes on. If a worker steals more than 16 tasks at once, the youngest
///   of them starts first. [Dealt](Dispatch::RoundRobin) tasks always keep the order of their
///   worker, whatever the other workers do.
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
/// A more urgent priority compares as greater.
///
/// ```
/// use corepool::Priority;
/// assert!(Priority::High > Priority::Normal && Priority::Normal > Priority::Low);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Runs when nothing else is left: the result is not urgent.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Runs before everything else: something waits for the result.
    High,
}

pub(crate) type NameThread = Arc<dyn Fn(WorkerId) -> String + Send + Sync>;
pub(crate) type Hook = Arc<dyn Fn(&WorkerInfo) + Send + Sync>;

/// The choices, validated and complete.
pub(crate) struct Config {
    pub(crate) workers: usize,
    /// The largest number of spare workers at a time.
    pub(crate) spares: usize,
    /// The core of each worker. Empty if workers are not pinned.
    pub(crate) cores: Vec<usize>,
    /// All cores the process may use: those of a pinned worker without its pin.
    pub(crate) usable_cores: Vec<usize>,
    /// Whether the user has named the cores.
    pub(crate) has_named_cores: bool,
    /// The cores of a worker that was let loose, which means that its pin was widened.
    pub(crate) loose_cores: Vec<usize>,
    /// What is known about the cores.
    pub(crate) topology: Arc<Topology>,
    pub(crate) name_thread: NameThread,
    pub(crate) stack_size: Option<usize>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) dispatch: Dispatch,
    pub(crate) record_timing: bool,
    /// How long a task may run before it is reported, and what happens then.
    pub(crate) watchdog: Option<(Duration, WhenStuck)>,
    pub(crate) on_worker_start: Option<Hook>,
    pub(crate) on_worker_exit: Option<Hook>,
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
impl Config {
    /// The simplest configuration, for tests of the layers below the builder.
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
