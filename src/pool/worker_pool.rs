//! The pool type that users own, and its basic methods.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::base::error::{BuildError, SpawnError};
use crate::parts::event::Events;
use crate::parts::metrics::{Metrics, WorkerInfo};
use crate::pool::handle::TaskHandle;
use crate::sched::hub::Hub;
use crate::sched::worker;
use crate::task::TaskContext;

use super::builder::PoolBuilder;
use super::submit::{self, Options};
use super::{TaskBuilder, room};

/// A fixed set of worker threads for CPU-bound tasks.
///
/// Share it by reference or in an [`Arc`]: every method takes `&self`. Inside a task, free
/// functions such as [`corepool::spawn`](crate::spawn) use the pool that runs the task.
///
/// **Dropping** the pool calls [`shutdown`](Self::shutdown), which blocks until all accepted tasks
/// have run. On one of the pool's own workers the drop cannot wait, because it would wait for
/// itself. There it only closes the pool, and the threads exit when the work is done. The same
/// happens when a token or a deadline ends, this drops one of the pool's own tasks unrun, and the
/// task held the last [`Arc`] of the pool.
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
    pub(super) hub: Arc<Hub>,
}

impl WorkerPool {
    /// Creates a pool with one pinned worker for each core that the process may use.
    ///
    /// # Errors
    /// If the system refuses to start a thread.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::new()?;
    /// assert!(pool.worker_count() >= 1);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Creates a pool with `count` workers.
    ///
    /// With one worker, tasks do not exclude one another: while one waits, a [spare
    /// worker](PoolBuilder::spare_workers) may run the next. With `spare_workers(0)` they do.
    ///
    /// # Errors
    /// If `count` is zero or too large, or if the system refuses to start a thread.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// assert_eq!(pool.worker_count(), 2);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn with_workers(count: usize) -> Result<Self, BuildError> {
        Self::builder().workers(count).build()
    }

    /// Returns a [`PoolBuilder`], which configures a pool before it is created.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(2).queue_capacity(64).build()?;
    /// assert_eq!(pool.worker_count(), 2);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(crate) fn from_hub(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// For the methods that are defined in higher layers.
    #[inline]
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Runs a closure on a worker. The handle gives its result.
    ///
    /// This never fails. If the pool refuses the task, the handle is settled with
    /// [`TaskError::Rejected`](crate::TaskError::Rejected). **May block** if the pool is bounded,
    /// full, and was built with [`WhenFull::Block`](crate::WhenFull::Block), the default.
    /// Everything that happened before this call is visible to the task.
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
        submit::spawn::<F, _, T>(&self.hub, move |_: &TaskContext| closure())
    }

    /// Like [`spawn`](Self::spawn), for a closure that takes its task's context: whether the task
    /// was cancelled, and which worker runs it.
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
        submit::spawn::<F, F, T>(&self.hub, closure)
    }

    /// Runs a closure on a worker if there is room now. Never blocks, regardless of
    /// [`WhenFull`](crate::WhenFull).
    ///
    /// If another thread closes the pool during this call, the closure may be lost anyway. Then the
    /// call succeeds, and the handle says `Rejected`.
    ///
    /// To ask for room before there is a closure, or for a closure that takes its task's context,
    /// use [`try_reserve`](Self::try_reserve). To wait for room in async code, use
    /// [`reserve`](Self::reserve).
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
        let options = Options::default();
        submit::try_submit(&self.hub, room::at_once(&self.hub, &options), options, closure)
    }

    /// Returns a builder for a task, for example to give it a name.
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

    /// Returns the number of workers the pool was built with. Spare workers are not counted.
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

    /// Describes each worker: its core, what it does, and how much it has done.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// assert_eq!(pool.workers().len(), 2);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.hub.workers()
    }

    /// Describes each [spare worker](crate::PoolBuilder::spare_workers) that has a thread now.
    /// Their numbers follow those of the workers.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// assert!(pool.spare_workers().is_empty(), "none is needed yet");
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn spare_workers(&self) -> Vec<WorkerInfo> {
        self.hub.spare_workers()
    }

    /// Listens to the pool's events from now on, preceded by the most recent ones.
    ///
    /// Every call creates an independent listener. The pool never waits for a listener. One that
    /// falls some thousands of events behind misses some, and [`Metrics::events_dropped`] counts
    /// them. [`Events`] tells how to wait for an event, and when they end.
    ///
    /// ```
    /// use corepool::{PoolEvent, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let events = pool.events();
    /// drop(pool);
    /// assert!(events.into_iter().any(|event| event == PoolEvent::Closed));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn events(&self) -> Events {
        self.hub.events.listen()
    }

    /// Reads all counters. This costs the caller some microseconds, and the pool next to nothing.
    ///
    /// The counters are read one after another while the pool runs, so they add up only when it is
    /// quiet.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// pool.spawn(|| 1).join()?;
    /// assert_eq!(pool.metrics().spawned, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.hub.metrics()
    }

    /// Tells whether the calling thread is one of this pool's workers.
    ///
    /// ```
    /// use std::sync::Arc;
    /// let pool = Arc::new(corepool::WorkerPool::with_workers(1)?);
    /// assert!(!pool.is_current());
    /// let inside = pool.spawn({
    ///     let pool = Arc::clone(&pool);
    ///     move || pool.is_current()
    /// });
    /// assert!(inside.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_current(&self) -> bool {
        worker::index_in(self.hub.id).is_some()
    }
}

// A panic that unwinds past a pool leaves it intact: no call of ours is half done when user code
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
