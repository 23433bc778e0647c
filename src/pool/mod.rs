//! The pool as its owner sees it.
#![forbid(unsafe_code)]

mod drain;
mod shutdown;
mod shutdown_async;
mod submit;
mod task_builder;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::error::SpawnError;
use crate::event::PoolEvent;
use crate::handle::TaskHandle;
use crate::hub::Hub;
use crate::metrics::{Metrics, WorkerInfo};
use crate::task::TaskContext;
use crate::worker;

pub use shutdown::{AbandonedTask, ShutdownReport};
pub use shutdown_async::ShutdownAsync;
pub(crate) use submit::{Options, spawn_on, spawn_plain, spawn_without_place};
pub use task_builder::TaskBuilder;

/// A fixed set of worker threads for CPU-bound tasks.
///
/// Share it by reference or in an [`Arc`]; every method takes `&self`. Inside a task the free
/// functions, such as [`corepool::spawn`](crate::spawn), reach the pool that runs the task.
///
/// **Dropping** the pool is [`shutdown`](Self::shutdown): it blocks until all accepted tasks have
/// run. On one of the pool's own workers it cannot wait for itself; there it closes the pool and
/// lets go, and the threads end when the work is done. So it does where the end of a token or a
/// deadline drops one of the pool's own tasks, unrun, and that had the last [`Arc`] of the pool.
///
/// ```
/// use corepool::WorkerPool;
///
/// let pool = WorkerPool::new()?;
/// let squares: Vec<_> = (0..8_u64).map(|n| pool.spawn(move || n * n)).collect();
/// let sum: u64 = squares.into_iter().map(|square| square.join().unwrap()).sum();
/// assert_eq!(sum, 140);
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub struct WorkerPool {
    hub: Arc<Hub>,
}

impl WorkerPool {
    pub(crate) fn from_hub(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// For the methods that live on the floors above.
    #[inline]
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Runs a closure on a worker; the handle gives its result.
    ///
    /// Never fails: if the pool refuses the task, the handle is settled with
    /// [`TaskError::Rejected`](crate::TaskError::Rejected). **May block** if the pool is bounded,
    /// full, and was built with [`WhenFull::Block`](crate::WhenFull::Block), the default. What
    /// happened before this call is seen by the task.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.spawn(|| "hello".len()).join()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn spawn<F, T>(&self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn_plain::<F, _, T>(&self.hub, move |_: &TaskContext| closure())
    }

    /// As [`spawn`](Self::spawn), for a closure that wants to know about its task: whether it was
    /// cancelled, and which worker runs it.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn_with(|cx| cx.is_cancelled());
    /// assert_eq!(task.join()?, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn spawn_with<F, T>(&self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn_plain::<F, F, T>(&self.hub, closure)
    }

    /// Runs a closure on a worker if there is room now; never blocks, whatever
    /// [`WhenFull`](crate::WhenFull) says.
    ///
    /// If another thread closes the pool during this very call, the closure may be gone all the
    /// same; then the handle says `Rejected`.
    ///
    /// # Errors
    /// The closure itself, if the pool is full or closed.
    ///
    /// ```
    /// use corepool::WorkerPool;
    /// let pool = WorkerPool::builder().workers(1).queue_capacity(0).build()?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// let refused = pool.try_spawn(|| 1).unwrap_err();
    /// assert!(refused.is_full());
    /// assert_eq!(refused.into_inner()(), 1);
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_spawn<F, T>(&self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::try_spawn_on(&self.hub, Options::default(), closure, |closure| {
            move |_: &TaskContext| closure()
        })
    }

    /// As [`try_spawn`](Self::try_spawn), for a closure that wants to know about its task, as with
    /// [`spawn_with`](Self::spawn_with).
    ///
    /// # Errors
    /// The closure itself, if the pool is full or closed.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let task = pool.try_spawn_with(|cx| cx.is_cancelled()).expect("there is room");
    /// assert_eq!(task.join()?, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_spawn_with<F, T>(&self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::try_spawn_on(&self.hub, Options::default(), closure, |closure| closure)
    }

    /// Waits for room without blocking the thread, then runs a closure on a worker.
    ///
    /// Those who wait for room, threads and futures alike, are served in order. Dropping the future
    /// steps out of the line. Needs no runtime. It waits for room whatever
    /// [`WhenFull`](crate::WhenFull) says.
    ///
    /// If the task comes too late meanwhile, by its token or `start_by`, the wait ends, and the
    /// handle has settled: as `Cancelled` or `Expired`.
    ///
    /// # Errors
    /// The closure itself, if the pool is closed before there is room.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let sum = pollster::block_on(async {
    ///     let mut sum = 0;
    ///     for n in 0..10 {
    ///         sum += pool.spawn_async(move || n).await.unwrap().await.unwrap();
    ///     }
    ///     sum
    /// });
    /// assert_eq!(sum, 45);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub async fn spawn_async<F, T>(&self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shape = |closure: F| move |_: &TaskContext| closure();
        submit::spawn_async_on(&self.hub, Options::default(), closure, shape).await
    }

    /// As [`spawn_async`](Self::spawn_async), for a closure that wants to know about its task, as
    /// with [`spawn_with`](Self::spawn_with).
    ///
    /// # Errors
    /// The closure itself, if the pool is closed before there is room.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let is_cancelled = pollster::block_on(async {
    ///     let task = pool.spawn_async_with(|cx| cx.is_cancelled()).await;
    ///     task.expect("the pool is open").await
    /// });
    /// assert_eq!(is_cancelled?, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn spawn_async_with<F, T>(&self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::spawn_async_on(&self.hub, Options::default(), closure, |closure| closure).await
    }

    /// Describes a task before it is spawned: gives it a name, for instance.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let thumbnail = pool.task().name("thumbnail 17").spawn(|| vec![0_u8; 64]);
    /// assert_eq!(thumbnail.join()?.len(), 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder::new(&self.hub)
    }

    /// How many workers the pool was made with. Spare ones are not counted.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(3)?;
    /// assert_eq!(pool.worker_count(), 3);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.hub.worker_count()
    }

    /// Tells about each worker: its core, what it does, how much it has done.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.hub.workers()
    }

    /// Tells about each [spare worker](crate::Builder::spare_workers) that has a thread now. Their
    /// numbers follow those of the workers.
    #[must_use]
    pub fn spare_workers(&self) -> Vec<WorkerInfo> {
        self.hub.spare_workers()
    }

    /// Gives a receiver for what happens in the pool from now on, with the recent past first.
    ///
    /// Every call makes a listener of its own. The pool never waits for a listener: one that falls
    /// some thousands of events behind misses some, and [`Metrics::events_dropped`] counts them. A
    /// receiver that was dropped is forgotten at the next event; until then the pool keeps about
    /// half a kilobyte for it.
    ///
    /// It is a receiver of the crate `crossbeam-channel`. It ends when the pool has been dropped
    /// and its last thread has ended, which is after [`Closed`](PoolEvent::Closed): the events of
    /// workers that end come in between. Who joins a thread that listens drops the pool first.
    #[must_use]
    pub fn events(&self) -> Receiver<PoolEvent> {
        self.hub.events.listen()
    }

    /// Reads all counters. Costs the caller some microseconds, and the pool next to nothing.
    ///
    /// Counters are read one after another while the pool goes on; they add up when it is quiet.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.hub.metrics()
    }

    /// Tells whether the calling thread is one of this pool's workers.
    #[must_use]
    pub fn is_current(&self) -> bool {
        worker::index_in(self.hub.id).is_some()
    }
}

// A panic that passes by leaves a pool as it is: no call of ours is ever half done when user code
// runs.
impl UnwindSafe for WorkerPool {}
impl RefUnwindSafe for WorkerPool {}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("workers", &self.hub.worker_count())
            .field("is_closed", &self.hub.is_closed())
            .finish_non_exhaustive()
    }
}
