//! Permits: room for one task, taken before there is a task.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::submit::{self, Options, Way};
use super::{TaskBuilder, WorkerPool, room};
use crate::base::error::{Closed, ReserveError};
use crate::parts::admission;
use crate::pool::handle::TaskHandle;
use crate::sched::hub::Hub;
use crate::task::{Outcome, TaskContext};

/// Room for one task. Created by [`WorkerPool::try_reserve`] and [`WorkerPool::reserve`].
///
/// A task that is spawned with a permit never waits for room, and is never refused because the pool
/// is full. If the pool was closed since the permit was given, the handle settles as
/// [`Rejected`](crate::TaskError::Rejected).
///
/// **Dropping** it gives the place back, to the first submitter in line if any waits. Until then a
/// permit takes up a place as a task does. So a thread that holds permits and then blocks for room,
/// or for a task that needs room, may wait for itself.
///
/// ```
/// use corepool::WorkerPool;
/// let pool = WorkerPool::builder().workers(1).queue_capacity(0).build()?;
/// let permit = pool.try_reserve()?;
/// assert!(pool.try_reserve().is_err(), "the only place is taken");
/// assert_eq!(permit.spawn(|| 6 * 7).join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a dropped permit gives its place back"]
pub struct Permit<'pool> {
    hub: &'pool Arc<Hub>,
    /// `None` in a pool without a bound, and for a worker of the full pool, which must not wait.
    place: Option<admission::Place>,
}

impl WorkerPool {
    /// Reserves room for one task if there is room now. Never blocks, regardless of
    /// [`WhenFull`](crate::WhenFull).
    ///
    /// Use it to refuse work before any of it is done, or to spawn a closure that takes its task's
    /// context, or a [configured](Permit::task) task, without blocking. A pool without a bound
    /// always has room.
    ///
    /// # Errors
    /// If the pool is full or closed. [`Metrics`](crate::Metrics) count that as a rejected task.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let task = pool.try_reserve()?.spawn_with(|cx| cx.is_cancelled());
    /// assert_eq!(task.join()?, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_reserve(&self) -> Result<Permit<'_>, ReserveError> {
        match room::take_place(&self.hub) {
            Ok(place) => Ok(Permit { hub: &self.hub, place }),
            Err(reason) => {
                submit::count_refusal(&self.hub, reason);
                let is_full = reason == Outcome::Full;
                Err(if is_full { ReserveError::Full } else { ReserveError::Closed })
            }
        }
    }

    /// Waits for room for one task, without blocking the thread.
    ///
    /// Threads and futures that wait for room are served in order. Dropping the future leaves the
    /// line. It needs no runtime. It waits for room regardless of [`WhenFull`](crate::WhenFull). To
    /// limit the wait, race the future with a timer or with
    /// [`CancelToken::cancelled`](crate::CancelToken::cancelled).
    ///
    /// Inside a task of the same pool it never waits, because the task might wait for itself. If
    /// the pool is full, the permit's task runs in the thread that spawns it, or is queued over
    /// capacity, as under [`WhenFull::Block`](crate::WhenFull::Block).
    ///
    /// # Errors
    /// If the pool is closed before there is room. [`Metrics`](crate::Metrics) count that as a
    /// rejected task.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let sum = pollster::block_on(async {
    ///     let mut sum = 0;
    ///     for n in 0..10 {
    ///         sum += pool.reserve().await.unwrap().spawn(move || n).await.unwrap();
    ///     }
    ///     sum
    /// });
    /// assert_eq!(sum, 45);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_>, Closed> {
        match room::wait_for_place(&self.hub).await {
            Ok(place) => Ok(Permit { hub: &self.hub, place }),
            Err(reason) => {
                submit::count_refusal(&self.hub, reason);
                Err(Closed::new())
            }
        }
    }
}

impl<'pool> Permit<'pool> {
    /// Spawns a task, as [`WorkerPool::spawn`] does.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// assert_eq!(pool.try_reserve()?.spawn(|| "hello".len()).join()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<F, T>(self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (hub, way) = (self.hub, self.way());
        let closure = move |_: &TaskContext| closure();
        submit::submit::<F, _, T>(hub, way, Options::default(), closure)
    }

    /// Spawns a task whose closure takes its context, as [`WorkerPool::spawn_with`] does.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let task = pool.try_reserve()?.spawn_with(|cx| cx.check());
    /// assert_eq!(task.join()?, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with<F, T>(self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        let (hub, way) = (self.hub, self.way());
        submit::submit::<F, F, T>(hub, way, Options::default(), closure)
    }

    /// Returns a builder for a task that uses this permit. If the builder is dropped, the place is
    /// given back.
    ///
    /// ```
    /// use corepool::{CancelToken, TaskError};
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(1).build()?;
    /// let request = CancelToken::new();
    /// let permit = pool.try_reserve()?;
    /// request.cancel();
    /// let task = permit.task().name("report").cancel_token(&request).spawn(|| 1);
    /// assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task(self) -> TaskBuilder<'pool> {
        TaskBuilder::with_permit(self.hub, self)
    }

    /// What happens to the task.
    pub(super) fn way(self) -> Way {
        self.way_if_open().unwrap_or_else(Way::Refuse)
    }

    /// The same, or the reason why the pool takes no task.
    pub(super) fn way_if_open(self) -> Result<Way, Outcome> {
        room::reserved(self.hub, self.place)
    }
}

// As for the pool.
impl UnwindSafe for Permit<'_> {}
impl RefUnwindSafe for Permit<'_> {}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("pool", &self.hub.id).finish_non_exhaustive()
    }
}
