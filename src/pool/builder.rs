//! The builder: the choices that are made before a pool exists.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error::BuildError;
use crate::base::id::WorkerId;
use crate::base::unwind;
use crate::os::affinity::{self, Lease, Placement, Topology, Usable};
use crate::parts::idle::MAX_WORKERS;
use crate::parts::metrics::WorkerInfo;
use crate::pool::WorkerPool;
use crate::sched::config::{Config, Dispatch, Hook, NameThread, Pinning, WhenFull, WhenStuck};
use crate::sched::hub::Hub;
use crate::sched::worker::{self, Readiness};

/// Room for our own frames, the panic machinery and a small task.
const LEAST_STACK: usize = 64 << 10;
/// The default number of spare workers is the number of workers, clamped to this range.
const SPARES: (usize, usize) = (4, 64);
/// More than any machine can map for a thread. Larger values are mistakes, and they overflow inside
/// the operating system.
const MOST_STACK: usize = usize::MAX >> 16;

/// Configures a pool. Created by [`WorkerPool::builder`].
///
/// Setters only store values. [`build`](Self::build) checks them.
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
pub struct PoolBuilder {
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

/// How to determine the number of workers.
#[derive(Debug, Clone, Copy)]
enum Workers {
    PerUsableCore,
    PerPhysicalCore,
    Exactly(usize),
}

impl PoolBuilder {
    pub(super) fn new() -> Self {
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

    /// Sets the number of workers. The default is one for each core that the process may use,
    /// according to its affinity mask and its cgroup quota.
    ///
    /// A pool of one worker is not a lock. While its task waits, a [spare
    /// worker](Self::spare_workers) may run the next task, unless spare workers are disabled.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(3).build()?;
    /// assert_eq!(pool.worker_count(), 3);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Workers::Exactly(count);
        self
    }

    /// Creates one worker for each physical core, even where two hardware threads share the core.
    /// Use it for work whose tasks each keep the arithmetic units or the caches of a core busy.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers_per_physical_core().build()?;
    /// assert!(pool.worker_count() >= 1);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn workers_per_physical_core(mut self) -> Self {
        self.workers = Workers::PerPhysicalCore;
        self
    }

    /// Sets where workers run. Default: [`Pinning::PerCore`].
    ///
    /// Threads and child processes that a task starts on a pinned worker inherit its single core,
    /// unless they are started inside [`unpinned`](fn@crate::unpinned).
    ///
    /// ```
    /// let builder = corepool::WorkerPool::builder().workers(1);
    /// let pool = builder.pinning(corepool::Pinning::None).build()?;
    /// assert_eq!(pool.workers()[0].core, None);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// Sets which cores pinned workers take if there are more cores than workers. Default:
    /// [`Placement::Spread`].
    ///
    /// Cores that other pools of this process use are taken last. Just before those come the cores
    /// to which threads of other processes are pinned, as far as a scan of at most 2 ms finds them.
    /// The setting has no effect with [`Pinning::Cores`] and [`Pinning::None`].
    ///
    /// ```
    /// use corepool::builder::Placement;
    /// let builder = corepool::WorkerPool::builder().workers(1);
    /// let pool = builder.placement(Placement::Compact).build()?;
    /// assert_eq!(pool.spawn(|| 1).join().ok(), Some(1));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Sets the names of the workers' threads. Default: `corepool-0`, `corepool-1`, … Linux shows
    /// the first 15 bytes.
    ///
    /// Spare workers get names too. The closure is called by the thread that starts the worker: the
    /// thread that calls [`build`](Self::build), a worker, or a thread that submits a task.
    ///
    /// ```
    /// let builder = corepool::WorkerPool::builder().workers(1);
    /// let pool = builder.thread_name(|id| format!("img-{id}")).build()?;
    /// let name = pool.spawn(|| std::thread::current().name().map(str::to_owned)).join();
    /// assert_eq!(name.unwrap().as_deref(), Some("img-0"));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn thread_name(
        mut self,
        name: impl Fn(WorkerId) -> String + Send + Sync + 'static,
    ) -> Self {
        self.name_thread = Arc::new(name);
        self
    }

    /// Sets the stack size of the workers in bytes. Default: that of the standard library, 2 MiB.
    ///
    /// The recursion of a task must fit, including that of [`join`](fn@crate::join) and
    /// [`scope`](fn@crate::scope) inside it. A chain of tasks that spawn and join one
    /// another need not fit: see [`TaskHandle`](crate::TaskHandle).
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).stack_size(64 << 20).build()?;
    /// let sum = pool.spawn(|| [1_u8; 16 << 20].iter().map(|n| u64::from(*n)).sum::<u64>());
    /// assert_eq!(sum.join().ok(), Some(16 << 20));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Limits the number of tasks that may wait. Default: no limit.
    ///
    /// Tasks that run, or that a free worker is about to take, do not count. With 0, a task is
    /// accepted only while a worker is free for it.
    ///
    /// The limit is exact while all workers are busy with tasks that needed room. Some tasks need
    /// none: those [placed on a worker](crate::TaskBuilder::on_worker),
    /// [broadcasts](WorkerPool::broadcast), [`install`](WorkerPool::install), continuations, and
    /// the tasks of [`map_ordered`](WorkerPool::map_ordered) and
    /// [`map_unordered`](WorkerPool::map_unordered), which have a window of their own. For each
    /// worker that is busy with such a task, one more task may wait. So at most `tasks` plus the
    /// number of workers wait. (An exact limit would require each such task to take up room when it
    /// starts, and to wait if there is none.)
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(2).build()?;
    /// let permits: Vec<_> = (0..4).map_while(|_| pool.try_reserve().ok()).collect();
    /// assert_eq!(permits.len(), 3, "two wait, and one runs");
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// Sets what happens to a task that finds no room. Default: [`WhenFull::Block`]. Without
    /// [`queue_capacity`](Self::queue_capacity) there is always room.
    ///
    /// ```
    /// let builder = corepool::WorkerPool::builder().workers(1).queue_capacity(0);
    /// let pool = builder.when_full(corepool::WhenFull::Reject).build()?;
    /// let permit = pool.try_reserve();
    /// assert!(pool.spawn(|| 1).join().is_err());
    /// # drop(permit);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// Sets how tasks are assigned to workers. Default: [`Dispatch::FreeWorker`].
    ///
    /// ```
    /// let builder = corepool::WorkerPool::builder().workers(2);
    /// let pool = builder.dispatch(corepool::Dispatch::RoundRobin).build()?;
    /// let [a, b] = [0; 2].map(|_| pool.spawn_with(|cx| cx.worker()));
    /// assert_ne!(a.join().unwrap(), b.join().unwrap());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Limits the number of spare workers. Default: the number of workers, but at least 4 and at
    /// most 64.
    ///
    /// A worker whose task waits, in [`blocking`](fn@crate::blocking) or for another task,
    /// lends its core: if there is work, a spare worker runs it on that core in the meantime. The
    /// numbers of spare workers follow those of the workers. Spare workers run the same hooks, and
    /// they exit after being unused for some seconds.
    ///
    /// Like the workers, spare workers get the niceness, the scheduling policy and the blocked
    /// signals of the thread that built the pool, regardless of which thread starts them, as far as
    /// the system permits it. (Only a privileged process can lower its niceness again.)
    ///
    /// So more tasks than workers can be in progress, even in a pool of one worker, although only
    /// those that do not wait compute. A task can therefore find a resource held by a waiting task
    /// of the same worker. And when the waiting task continues, the spare worker still finishes the
    /// task that it runs. Until then both compute, on one core unless another worker sleeps.
    ///
    /// **With 0** there are no spare workers, and a worker that waits keeps its core. Tasks that
    /// are meant for this worker ([`on_worker`](crate::TaskBuilder::on_worker), a broadcast, a
    /// dealt task) wait too, and run on its one thread. A pool of one worker then has only one task
    /// at a time on its thread, except for the tasks that this task itself waits for, which run in
    /// place. Other threads may still run tasks: a worker of another pool that waits for a task of
    /// this one, and callers under [`CallerRuns`](crate::WhenFull::CallerRuns). The price is that a
    /// core idles while its task waits, and that placed tasks that wait for one another in a circle
    /// never finish.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).spare_workers(0).build()?;
    /// assert!(pool.spare_workers().is_empty());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn spare_workers(mut self, most: usize) -> Self {
        self.spares = Some(most);
        self
    }

    /// Records how long tasks wait and run, for [`Metrics`](crate::Metrics). Default: off, because
    /// it reads the clock three times per task.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).record_timing(true).build()?;
    /// assert!(pool.metrics().run_time.is_some());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn record_timing(mut self, record: bool) -> Self {
        self.record_timing = record;
        self
    }

    /// Reports each task that runs for longer than `bound` with
    /// [`PoolEvent::TaskStuck`](crate::PoolEvent::TaskStuck). Default: off, because it reads the
    /// clock once per task.
    pub fn watchdog(mut self, bound: Duration) -> Self {
        self.watchdog = Some(bound);
        self
    }

    /// Sets what else happens to a task that exceeds the [`watchdog`](Self::watchdog) bound.
    /// Default: [`WhenStuck::Report`].
    pub fn when_stuck(mut self, policy: WhenStuck) -> Self {
        self.when_stuck = policy;
        self
    }

    /// Runs a hook on each worker's thread before its first task. This includes replacement
    /// threads.
    ///
    /// The hook runs [without the worker's pin](fn@crate::unpinned), so threads that it
    /// starts may use all cores. The pin is restored afterwards, even if the hook has set the
    /// thread's mask. A pool whose hooks pin its workers should use [`Pinning::None`].
    ///
    /// `build` waits for the hooks. If one panics, `build` fails. On a replacement thread the panic
    /// is reported by an event, and the worker serves anyway.
    ///
    /// ```
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let builder = corepool::WorkerPool::builder().workers(1);
    /// let _pool = builder.on_worker_start(move |worker| tell.send(worker.id).unwrap()).build()?;
    /// assert_eq!(told.recv().unwrap().index(), 0);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn on_worker_start(mut self, hook: impl Fn(&WorkerInfo) + Send + Sync + 'static) -> Self {
        self.on_worker_start = Some(Arc::new(hook));
        self
    }

    /// Runs a hook on each worker's thread after its last task. A panic in the hook is reported by
    /// an event.
    ///
    /// ```
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let builder = corepool::WorkerPool::builder().workers(1);
    /// drop(builder.on_worker_exit(move |worker| tell.send(worker.id).unwrap()).build()?);
    /// assert_eq!(told.recv().unwrap().index(), 0);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn on_worker_exit(mut self, hook: impl Fn(&WorkerInfo) + Send + Sync + 'static) -> Self {
        self.on_worker_exit = Some(Arc::new(hook));
        self
    }

    /// Creates the pool, starts its threads, and **blocks** until each thread is on its core.
    ///
    /// # Errors
    /// If a request cannot be met. The [`BuildError`] says what was asked for and what is possible.
    /// Everything that was already started is cleaned up.
    ///
    /// ```
    /// let refused = corepool::WorkerPool::builder().workers(0).build();
    /// assert!(refused.is_err());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
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

    /// The core of each worker, reserved in the process-wide table. Empty if workers are not
    /// pinned.
    fn lease_cores(
        &self,
        workers: usize,
        usable: &Usable,
        topology: &Topology,
    ) -> Result<Lease, BuildError> {
        match &self.pinning {
            Pinning::None => Ok(affinity::no_lease()),
            // Under a quota, pinned threads would wait for one another's cores while the quota
            // still has time left.
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

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
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

fn name_threads(hub: &Hub) -> Result<(), BuildError> {
    // Spare workers are named when they are first needed.
    for slot in &hub.slots[..hub.worker_count()] {
        let name = unwind::catch(|| (hub.config.name_thread)(slot.id)).map_err(|payload| {
            let message = crate::base::error::panic_message(&*payload).into_owned();
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
    // If the caller runs in a task of another pool, the hooks may wait for that pool's worker.
    let _lent = worker::lend();
    ready.wait_for(workers).map_err(|(worker, message)| BuildError::Hook { worker, message })
}
