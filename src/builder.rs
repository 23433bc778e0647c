//! The choices before a pool is made.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::affinity::{self, Lease, Placement, Topology, Usable};
use crate::config::{Config, Dispatch, Hook, NameThread, Pinning, WhenFull, WhenStuck};
use crate::error::BuildError;
use crate::hub::Hub;
use crate::id::WorkerId;
use crate::idle::MAX_WORKERS;
use crate::metrics::WorkerInfo;
use crate::pool::WorkerPool;
use crate::unwind;
use crate::worker::{self, Readiness};

/// Room for our own frames, a panic's machinery and a small task.
const LEAST_STACK: usize = 64 << 10;
/// As many spare workers as others, within these bounds.
const SPARES: (usize, usize) = (4, 64);
/// More than any machine maps for a thread; larger numbers are slips, and overflow inside the
/// system.
const MOST_STACK: usize = usize::MAX >> 16;

/// Describes a pool; made by [`WorkerPool::builder`].
///
/// Setters only store; [`build`](Self::build) checks.
///
/// ```
/// use corepool::{WhenFull, WorkerPool};
/// let pool = WorkerPool::builder()
///     .workers(2)
///     .thread_name(|id| format!("img-{id}"))
///     .queue_capacity(1024)
///     .when_full(WhenFull::Reject)
///     .build()?;
/// assert_eq!(pool.workers()[1].thread_name, "img-1");
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[must_use = "nothing is made until `build` is called"]
pub struct Builder {
    workers: Workers,
    pinning: Pinning,
    placement: Placement,
    name_thread: NameThread,
    stack_size: Option<usize>,
    queue_capacity: Option<usize>,
    when_full: WhenFull,
    dispatch: Dispatch,
    spares: Option<usize>,
    record_timing: bool,
    watchdog: Option<Duration>,
    when_stuck: WhenStuck,
    on_worker_start: Option<Hook>,
    on_worker_exit: Option<Hook>,
}

/// How the number of workers is found.
#[derive(Debug, Clone, Copy)]
enum Workers {
    PerUsableCore,
    PerPhysicalCore,
    Exactly(usize),
}

impl Builder {
    fn new() -> Self {
        Self {
            workers: Workers::PerUsableCore,
            pinning: Pinning::default(),
            placement: Placement::default(),
            name_thread: Arc::new(|id| format!("corepool-{id}")),
            stack_size: None,
            queue_capacity: None,
            when_full: WhenFull::default(),
            dispatch: Dispatch::default(),
            spares: None,
            record_timing: false,
            watchdog: None,
            when_stuck: WhenStuck::default(),
            on_worker_start: None,
            on_worker_exit: None,
        }
    }

    /// Sets the number of workers. By default there is one for each core that the process may use,
    /// by its affinity mask and its cgroup quota.
    ///
    /// One worker is no lock: while its task waits, a [spare worker](Self::spare_workers) may run
    /// the next one, unless there are none.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Workers::Exactly(count);
        self
    }

    /// Makes one worker for each physical core, where two hardware threads share one: for work that
    /// keeps a core's arithmetic units or caches busy by itself.
    pub fn workers_per_physical_core(mut self) -> Self {
        self.workers = Workers::PerPhysicalCore;
        self
    }

    /// Says where workers run. Default: [`Pinning::PerCore`].
    ///
    /// Threads and child processes that a task starts on a pinned worker inherit its one core,
    /// unless they are started inside [`unpinned`](fn@crate::unpinned).
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// Says which cores pinned workers take, where there are more than workers. Default:
    /// [`Placement::Spread`].
    ///
    /// Cores that other pools of this process have come last, and before them those to which
    /// threads of other processes are pinned, as far as a look of at most 2 ms shows them. With
    /// [`Pinning::Cores`] and [`Pinning::None`] there is nothing to choose.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Names the workers' threads. Default: `corepool-0`, `corepool-1`, … Linux shows 15 bytes of
    /// it.
    ///
    /// Spare workers get names, too. The closure is called by whoever starts a thread: besides
    /// [`build`](Self::build) that may be a worker, or a thread that submits a task.
    pub fn thread_name(
        mut self,
        name: impl Fn(WorkerId) -> String + Send + Sync + 'static,
    ) -> Self {
        self.name_thread = Arc::new(name);
        self
    }

    /// Sets the size of the workers' stacks in bytes. Default: the standard library's, 2 MiB.
    ///
    /// A task's own recursion has to fit, and that of [`join`](fn@crate::join) and
    /// [`scope`](fn@crate::scope) in it. A chain of tasks that spawn and join one another need not:
    /// see [`TaskHandle`](crate::TaskHandle).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Bounds the number of tasks that may wait. Default: no bound.
    ///
    /// Tasks that run, or that a free worker is about to take, do not count. 0 means: accepted only
    /// while a worker is free for it.
    ///
    /// The bound is exact while all workers are busy with tasks that had to have room. Some need
    /// none: those [placed on a worker](crate::TaskBuilder::on_worker),
    /// [broadcasts](WorkerPool::broadcast), [`install`](WorkerPool::install), continuations, and
    /// the tasks of [`map_ordered`](WorkerPool::map_ordered) and
    /// [`map_unordered`](WorkerPool::map_unordered), which have a window. For each worker that is
    /// busy with one of these, one more task may wait: at most `tasks` and the number of workers.
    /// (To be exact, each of them would have to take somebody's room at its start, and wait for it
    /// where there is none.)
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// Says what happens to a task that finds no room. Default: [`WhenFull::Block`]. Without
    /// [`queue_capacity`](Self::queue_capacity) there always is room.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// Says how tasks find a worker. Default: [`Dispatch::FreeWorker`].
    pub fn dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Bounds the number of spare workers. Default: as many as there are workers, but at least 4
    /// and at most 64.
    ///
    /// Spare workers are like the workers: they have the niceness, the scheduling policy and the
    /// blocked signals of the thread that built the pool, whichever thread starts them, as far as
    /// the system lets them. (Only a privileged process can take niceness back.)
    ///
    /// A worker whose task waits, in [`blocking`](fn@crate::blocking) or for another task, lends
    /// its core: if there is work a spare worker does it meanwhile, on that core. Spare workers are
    /// numbered behind the others, get the same hooks, and end when nobody has needed them for some
    /// seconds.
    ///
    /// So there may be more tasks begun than workers, on a pool of one worker too, though only
    /// those that do not wait compute: what a task of the worker holds while it waits, another one
    /// of the same worker may come upon. And a spare worker that was sent home still ends the task
    /// that it runs: for so long two compute, on one core if no other worker sleeps.
    ///
    /// **With 0** there are none, and a worker that waits keeps its core: what is meant for it
    /// ([`on_worker`](crate::TaskBuilder::on_worker), a broadcast, a dealt task) waits too, and
    /// runs on its one thread. A pool of one worker then has one task at a time on its thread, but
    /// for those that the task waits for itself, which run in place. Other threads may still run
    /// tasks: those that wait for one on another pool's worker, and callers under
    /// [`CallerRuns`](crate::WhenFull::CallerRuns). The price: a core idles while its task waits,
    /// and placed tasks that wait for one another in a circle never end.
    pub fn spare_workers(mut self, most: usize) -> Self {
        self.spares = Some(most);
        self
    }

    /// Records how long tasks wait and run, for [`Metrics`](crate::Metrics). Default: off, because
    /// it reads the clock three times a task.
    pub fn record_timing(mut self, record: bool) -> Self {
        self.record_timing = record;
        self
    }

    /// Tells by [`PoolEvent::TaskStuck`](crate::PoolEvent::TaskStuck) of each task that runs for
    /// longer than this. Default: off, because it reads the clock once a task.
    pub fn watchdog(mut self, bound: Duration) -> Self {
        self.watchdog = Some(bound);
        self
    }

    /// Says what else happens then. Default: [`WhenStuck::Report`].
    pub fn when_stuck(mut self, policy: WhenStuck) -> Self {
        self.when_stuck = policy;
        self
    }

    /// Runs a hook on each worker's thread before its first task, also when the thread is a
    /// replacement.
    ///
    /// The hook runs [without the worker's pin](fn@crate::unpinned), so threads that it starts have
    /// all cores. The pin comes back after it, also where the hook has set the thread's mask: a
    /// pool that pins its workers by hooks wants [`Pinning::None`].
    ///
    /// `build` waits for the hooks. If one panics, `build` fails; on a replacement the panic is
    /// told by an event and the worker serves all the same.
    pub fn on_worker_start(mut self, hook: impl Fn(&WorkerInfo) + Send + Sync + 'static) -> Self {
        self.on_worker_start = Some(Arc::new(hook));
        self
    }

    /// Runs a hook on each worker's thread after its last task. A panic in it is told by an event.
    pub fn on_worker_exit(mut self, hook: impl Fn(&WorkerInfo) + Send + Sync + 'static) -> Self {
        self.on_worker_exit = Some(Arc::new(hook));
        self
    }

    /// Makes the pool, starts its threads, and waits until each is on its core. **Blocks** for that
    /// long.
    ///
    /// # Errors
    /// What cannot be had, with what was asked for and what is possible: see [`BuildError`].
    /// Nothing is left behind then.
    pub fn build(self) -> Result<WorkerPool, BuildError> {
        let (config, lease) = self.check()?;
        let hub = Hub::new(config, lease, worker::start_spare);
        let pool = WorkerPool::from_hub(hub.clone());
        // From here on an error drops the pool, which joins the threads that have started.
        name_threads(&hub)?;
        start_workers(&hub)?;
        Ok(pool)
    }

    fn check(self) -> Result<(Config, Lease), BuildError> {
        let usable = affinity::usable();
        if let Some(asked) = self.stack_size {
            if !(LEAST_STACK..=MOST_STACK).contains(&asked) {
                let (least, most) = (LEAST_STACK, MOST_STACK);
                return Err(BuildError::StackSize { asked, least, most });
            }
        }
        let workers = match self.workers {
            Workers::PerUsableCore => usable.parallelism.min(MAX_WORKERS),
            Workers::PerPhysicalCore => affinity::physical_parallelism(&usable).min(MAX_WORKERS),
            Workers::Exactly(asked) if (1..=MAX_WORKERS).contains(&asked) => asked,
            Workers::Exactly(asked) => {
                return Err(BuildError::WorkerCount { asked, most: MAX_WORKERS });
            }
        };
        let topology = match self.pinning {
            Pinning::None => Arc::default(),
            Pinning::PerCore | Pinning::Cores(_) => Topology::of_machine(&usable.cores),
        };
        let lease = self.lease_cores(workers, &usable, &topology)?;
        let loose_cores = match &self.pinning {
            Pinning::Cores(named) => named.clone(),
            Pinning::PerCore | Pinning::None => usable.cores.clone(),
        };
        let config = Config {
            workers,
            spares: self.spares.unwrap_or(workers.clamp(SPARES.0, SPARES.1)).min(MAX_WORKERS),
            cores: lease.cores().to_vec(),
            usable_cores: usable.cores,
            has_named_cores: matches!(self.pinning, Pinning::Cores(_)),
            loose_cores,
            topology,
            name_thread: self.name_thread,
            stack_size: self.stack_size,
            queue_capacity: self.queue_capacity,
            when_full: self.when_full,
            dispatch: self.dispatch,
            record_timing: self.record_timing,
            watchdog: self.watchdog.map(|bound| (bound, self.when_stuck)),
            on_worker_start: self.on_worker_start,
            on_worker_exit: self.on_worker_exit,
        };
        Ok((config, lease))
    }

    /// The core of each worker, taken in the process-wide table; empty where workers are not
    /// pinned.
    fn lease_cores(
        &self,
        workers: usize,
        usable: &Usable,
        topology: &Topology,
    ) -> Result<Lease, BuildError> {
        match &self.pinning {
            Pinning::None => Ok(affinity::no_lease()),
            // Pinned threads under a quota would wait for one another's cores while the quota has
            // time left.
            Pinning::PerCore if usable.quota_limited => Ok(affinity::no_lease()),
            Pinning::PerCore => {
                let cores = match self.workers {
                    Workers::PerPhysicalCore => topology.one_per_physical(&usable.cores),
                    Workers::PerUsableCore | Workers::Exactly(_) => usable.cores.clone(),
                };
                Ok(affinity::lease(&cores, workers, self.placement, topology))
            }
            Pinning::Cores(named) if named.is_empty() => Err(BuildError::NoCores),
            Pinning::Cores(named) => {
                let unknown = usable.cores.is_empty();
                match named.iter().find(|core| !unknown && !usable.cores.contains(core)) {
                    Some(&core) => {
                        Err(BuildError::CoreNotAllowed { core, allowed: usable.cores.clone() })
                    }
                    None => {
                        let cores: Vec<_> = named.iter().copied().cycle().take(workers).collect();
                        Ok(affinity::lease_exactly(&cores))
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("pinning", &self.pinning)
            .field("placement", &self.placement)
            .field("stack_size", &self.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("when_full", &self.when_full)
            .field("dispatch", &self.dispatch)
            .field("spares", &self.spares)
            .field("record_timing", &self.record_timing)
            .finish_non_exhaustive()
    }
}

impl WorkerPool {
    /// Makes a pool with one pinned worker for each core that the process may use.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Makes a pool with this many workers.
    ///
    /// With one worker tasks do not exclude one another: while one waits, a [spare
    /// worker](Builder::spare_workers) may run the next. With `spare_workers(0)` they do.
    ///
    /// # Errors
    /// If the number is none or beyond reason, or the system refuses a thread.
    pub fn with_workers(count: usize) -> Result<Self, BuildError> {
        Self::builder().workers(count).build()
    }

    /// Describes a pool before it is made.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

fn name_threads(hub: &Hub) -> Result<(), BuildError> {
    // Spare workers are named when they are first needed.
    for slot in &hub.slots[..hub.worker_count()] {
        let name = unwind::catch(|| (hub.config.name_thread)(slot.id)).map_err(|payload| {
            let message = crate::error::panic_message(&*payload).into_owned();
            unwind::drop_payload(payload);
            BuildError::Hook { worker: slot.id, message }
        })?;
        slot.thread.lock().name = name;
    }
    Ok(())
}

fn start_workers(hub: &Arc<Hub>) -> Result<(), BuildError> {
    let workers = hub.worker_count();
    let ready = Arc::new(Readiness::default());
    for index in 0..workers {
        hub.lives.begin_serving();
        if let Err(source) = worker::start(hub, index, Some(Arc::clone(&ready)), 0) {
            hub.lives.end_serving(|| {});
            return Err(BuildError::Thread { worker: WorkerId::from(index), workers, source });
        }
    }
    // In a task of another pool: the hooks may wait for its worker.
    let _lent = worker::lend();
    ready.wait_for(workers).map_err(|(worker, message)| BuildError::Hook { worker, message })
}
