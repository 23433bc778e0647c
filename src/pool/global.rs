//! The pool behind the free functions: the caller's pool, or the global one of the process.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crate::base::id::PoolId;
use crate::pool::handle::TaskHandle;
use crate::pool::{self, WorkerPool};
use crate::sched::fork_join;
use crate::sched::worker;
use crate::task::TaskContext;

static GLOBAL: OnceLock<WorkerPool> = OnceLock::new();

impl WorkerPool {
    /// Returns the global pool of the process, which is created on first use with the defaults.
    ///
    /// It is never dropped: when `main` returns, the process ends together with whatever the pool
    /// still runs. Join what must be finished, or call `WorkerPool::global().shutdown()` as the
    /// last thing. The pool is closed from then on.
    ///
    /// # Panics
    /// If the system refuses to start a thread on first use. Programs that want to handle this
    /// create their own pool with [`WorkerPool::new`].
    ///
    /// ```
    /// let task = corepool::WorkerPool::global().spawn(|| 1 + 1);
    /// assert_eq!(task.join()?, 2);
    /// # Ok::<(), corepool::TaskError>(())
    /// ```
    pub fn global() -> &'static Self {
        GLOBAL.get_or_init(|| match Self::new() {
            Ok(pool) => pool,
            Err(error) => panic!("cannot make the global pool: {error}"),
        })
    }
}

/// The number of the pool that [`spawn`] would use here.
#[cold]
pub(super) fn current_pool() -> PoolId {
    if let Some(hub) = fork_join::current_hub() {
        hub.id
    } else if worker::place().is_some() {
        worker::with_hub(|hub| hub.id)
    } else {
        WorkerPool::global().hub().id
    }
}

/// Runs a closure on the current pool, like [`WorkerPool::spawn`].
///
/// Inside a task, or inside a closure that a fork-join call runs, the current pool is the one that
/// the task or the call belongs to, on whatever thread it runs. Elsewhere it is the
/// [global](WorkerPool::global) one.
///
/// # Panics
/// Outside of tasks, as [`WorkerPool::global`].
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(2)?;
/// let sum = pool.spawn(|| {
///     let parts: Vec<_> = (0..4).map(|n| corepool::spawn(move || n * 10)).collect();
///     parts.into_iter().map(|part| part.join().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum.join()?, 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn<F, T>(closure: F) -> TaskHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if let Some(hub) = fork_join::current_hub() {
        pool::spawn::<F, _, T>(hub, move |_: &TaskContext| closure())
    } else if worker::place().is_some() {
        // A worker that runs no task: in a hook.
        worker::with_hub(|hub| pool::spawn::<F, _, T>(hub, move |_: &TaskContext| closure()))
    } else {
        WorkerPool::global().spawn(closure)
    }
}
