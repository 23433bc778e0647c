//! The pool behind the free functions: the one that runs the caller, or the process's own.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crate::fork;
use crate::handle::TaskHandle;
use crate::pool::{self, WorkerPool};
use crate::task::TaskContext;
use crate::worker;

static GLOBAL: OnceLock<WorkerPool> = OnceLock::new();

impl WorkerPool {
    /// Gives the process's own pool, made on first use with the defaults.
    ///
    /// It is never dropped: when `main` returns the process ends with whatever it still runs. Join
    /// what has to be finished, or call `WorkerPool::global().shutdown()` as the last thing; it is
    /// closed from then on.
    ///
    /// # Panics
    /// If the system refuses a thread at its first use. Programs that want to handle this make
    /// their own pool by [`WorkerPool::new`].
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

/// Runs a closure on the pool that runs the caller: inside a task, or a closure that a fork-join
/// call runs, that one's pool, on whatever thread it runs; elsewhere the
/// [global](WorkerPool::global) one. Else as [`WorkerPool::spawn`].
///
/// # Panics
/// As [`WorkerPool::global`], outside of tasks.
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
    if let Some(hub) = fork::current_hub() {
        pool::spawn_plain::<F, _, T>(hub, move |_: &TaskContext| closure())
    } else if worker::place().is_some() {
        // A worker outside of its work: in a hook.
        worker::with_hub(|hub| pool::spawn_plain::<F, _, T>(hub, move |_: &TaskContext| closure()))
    } else {
        WorkerPool::global().spawn(closure)
    }
}
