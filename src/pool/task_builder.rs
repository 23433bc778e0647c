//! A task that is configured before it is spawned.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::submit::{self, Options, Way};
use super::{Permit, room};
use crate::base::clock;
use crate::base::error::SpawnError;
use crate::base::id::WorkerId;
use crate::cancel::CancelToken;
use crate::pool::handle::TaskHandle;
use crate::sched::config::Priority;
use crate::sched::hub::Hub;
use crate::task::TaskContext;

/// Configures one task. Created by [`WorkerPool::task`](crate::WorkerPool::task), or by
/// [`Permit::task`] for a task that has its room already.
///
/// A task that is configured here takes some bytes more than a plain one.
///
/// ```
/// use corepool::{Priority, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let task = pool.task().name("sum").priority(Priority::High).spawn(|| 1 + 1);
/// assert_eq!(task.join()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is spawned until `spawn` is called"]
pub struct TaskBuilder<'pool> {
    hub: &'pool Arc<Hub>,
    options: Options,
    permit: Option<Permit<'pool>>,
}

impl<'pool> TaskBuilder<'pool> {
    pub(super) fn new(hub: &'pool Arc<Hub>) -> Self {
        Self { hub, options: Options::default(), permit: None }
    }

    pub(super) fn with_permit(hub: &'pool Arc<Hub>, permit: Permit<'pool>) -> Self {
        Self { permit: Some(permit), ..Self::new(hub) }
    }

    /// Names the task, for events and reports. Without a name they show the type of the closure,
    /// which says in which function it was written.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.task().name("thumbnail").spawn(|| 1);
    /// assert_eq!(task.join()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Sets how urgent the task is. [`Priority`] explains the effect.
    ///
    /// ```
    /// use corepool::{Priority, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.task().priority(Priority::Low).spawn(|| 1).join()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.target.priority = priority;
        self
    }

    /// Makes the task run on this worker and on no other. It waits until that worker is free, and
    /// it needs no room in a bounded queue. If the task has a [`Permit`], its place is given back
    /// immediately.
    ///
    /// **It may run on another thread.** While the worker's own task waits, in
    /// [`blocking`](fn@crate::blocking) or for another task, a [spare
    /// worker](crate::PoolBuilder::spare_workers) stands in for the worker, and runs its tasks on
    /// the same core. The [context](TaskContext::worker) names the same worker, but thread-locals
    /// differ, and the waiting task has not ended. If that matters, for example for a C library
    /// that keeps state in its thread, build the pool with `spare_workers(0)`.
    ///
    /// A task that waits for the placed task does not run it in place, unless it is on that worker.
    /// Tasks that wait in a circle for tasks placed on one another's workers need a [spare
    /// worker](crate::PoolBuilder::spare_workers) each. Without one they wait for ever.
    ///
    /// # Panics
    /// If the pool has no such worker.
    ///
    /// ```
    /// use corepool::WorkerId;
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let worker = pool.task().on_worker(1).spawn_with(|cx| cx.worker());
    /// assert_eq!(worker.join()?, Some(WorkerId::from(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_worker(mut self, worker: impl Into<WorkerId>) -> Self {
        let (index, workers) = (worker.into().index(), self.hub.config.workers);
        assert!(index < workers, "no worker {index}: this pool has {workers}, numbered from 0");
        self.options.target.worker = Some(index);
        self.permit = None;
        self
    }

    /// Gives the task up if it has not started by this time. It then never runs, and its handle
    /// settles as [`Expired`](crate::TaskError::Expired) at this time.
    ///
    /// ```
    /// use std::time::Instant;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let late = pool.task().start_by(Instant::now()).spawn(|| unreachable!("it is too late"));
    /// assert!(matches!(late.join(), Err(corepool::TaskError::Expired)));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn start_by(mut self, latest: Instant) -> Self {
        self.options.start_by = Some(latest);
        self
    }

    /// Like [`start_by`](Self::start_by), counted from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let late = pool.task().start_within(Duration::ZERO).spawn(|| 1);
    /// assert!(late.join().is_err());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn start_within(self, time: Duration) -> Self {
        self.start_by(clock::after(time))
    }

    /// Gives the task up if it has not started by this time, as [`start_by`](Self::start_by) does.
    /// If it is already running, asks it to stop.
    ///
    /// The task learns of it through [`TaskContext::is_cancelled`], for the reason
    /// [`DeadlinePassed`](crate::cancel::CancelReason::DeadlinePassed). A task that does not check
    /// goes on, and its handle settles when it ends. So spawn it with
    /// [`spawn_with`](Self::spawn_with), and check.
    ///
    /// ```
    /// use corepool::cancel::CancelReason;
    /// use std::time::{Duration, Instant};
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (running, started) = std::sync::mpsc::channel();
    /// let end = Instant::now() + Duration::from_secs(1);
    /// let task = pool.task().finish_by(end).spawn_with(move |cx| {
    ///     running.send(()).unwrap();
    ///     while !cx.is_cancelled() {
    ///         std::thread::yield_now();
    ///     }
    ///     cx.cancel_reason()
    /// });
    /// started.recv()?;
    /// let queued = pool.task().finish_by(end).spawn(|| unreachable!("it is too late"));
    /// assert!(matches!(queued.join(), Err(corepool::TaskError::Expired)));
    /// assert_eq!(task.join()?, Some(CancelReason::DeadlinePassed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish_by(mut self, end: Instant) -> Self {
        self.options.finish_by = Some(end);
        self
    }

    /// Asks the task to stop when it has run for this long. The time counts from its start.
    ///
    /// The task learns of it through [`TaskContext::is_cancelled`]. A task that does not check goes
    /// on, and its handle settles when it ends. So spawn it with [`spawn_with`](Self::spawn_with),
    /// and check.
    ///
    /// ```
    /// use corepool::cancel::CancelReason;
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.task().run_for(Duration::from_millis(1)).spawn_with(|cx| {
    ///     while !cx.is_cancelled() {
    ///         std::hint::spin_loop();
    ///     }
    ///     cx.cancel_reason()
    /// });
    /// assert_eq!(task.join()?, Some(CancelReason::DeadlinePassed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_for(mut self, time: Duration) -> Self {
        self.options.run_for = Some(time);
        self
    }

    /// Ties the task to a token. When the token ends, a task that has not started is cancelled
    /// immediately, and a running one is asked to stop.
    ///
    /// ```
    /// use corepool::{CancelToken, TaskError};
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let request = CancelToken::new();
    /// let running = pool.task().cancel_token(&request).spawn_with(|cx| {
    ///     while !cx.is_cancelled() {
    ///         std::hint::spin_loop();
    ///     }
    ///     "stopped"
    /// });
    /// while pool.workers()[0].running.is_none() {
    ///     std::thread::yield_now();
    /// }
    /// let queued = pool.task().cancel_token(&request).spawn(|| unreachable!("it never starts"));
    /// request.cancel();
    /// assert!(matches!(queued.join(), Err(TaskError::Cancelled)));
    /// assert_eq!(running.join()?, "stopped");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.options.token = Some(token.clone());
        self
    }

    /// Spawns the task, as [`WorkerPool::spawn`](crate::WorkerPool::spawn) does, or with the room
    /// of its [`Permit`].
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert_eq!(pool.task().spawn(|| 1).join()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<F, T>(mut self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let way = self.way();
        submit::submit::<F, _, T>(self.hub, way, self.options, move |_: &TaskContext| closure())
    }

    /// Spawns the task, as [`WorkerPool::spawn_with`](crate::WorkerPool::spawn_with) does, or with
    /// the room of its [`Permit`].
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert!(!pool.task().spawn_with(|cx| cx.is_cancelled()).join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with<F, T>(mut self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        let way = self.way();
        submit::submit::<F, F, T>(self.hub, way, self.options, closure)
    }

    /// Spawns the task, as [`WorkerPool::try_spawn`](crate::WorkerPool::try_spawn) does. For a
    /// closure that takes its task's context, get a [`Permit`] first.
    ///
    /// # Errors
    /// The closure itself, if the pool is full or closed.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// pool.close();
    /// assert!(pool.task().try_spawn(|| 1).unwrap_err().is_closed());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_spawn<F, T>(mut self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let way = match self.permit.take() {
            Some(permit) => permit.way_if_open(),
            None => room::at_once(self.hub, &self.options),
        };
        submit::try_submit(self.hub, way, self.options, closure)
    }

    /// What happens to the task. May block for room if there is no permit.
    fn way(&mut self) -> Way {
        match self.permit.take() {
            Some(permit) => permit.way(),
            None => room::by_policy(self.hub, &self.options),
        }
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("pool", &self.hub.id)
            .field("options", &self.options)
            .field("has_permit", &self.permit.is_some())
            .finish()
    }
}
