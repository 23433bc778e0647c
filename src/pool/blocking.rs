//! Announcing that a task is about to wait, so that its core is not idle meanwhile.
#![forbid(unsafe_code)]

use crate::sched::worker;

/// Runs a closure that waits for a file, a lock, a channel or another process, and lends the
/// worker's core meanwhile.
///
/// If the pool has work, a spare worker takes over the core for that time. Their number is limited,
/// see [`PoolBuilder::spare_workers`](crate::PoolBuilder::spare_workers). When the closure returns,
/// the task goes on immediately, and the spare worker rests as soon as it has finished its current
/// task.
///
/// All waits in this crate lend the core without this call: handles of tasks and scopes, promises,
/// sets of tasks, fork-join calls whose parts run elsewhere, tokens, cells, a full pool, the end of
/// another pool.
///
/// On a thread that is not a worker, this only calls the closure.
///
/// # Panics
/// If the closure does.
///
/// ```
/// use std::sync::mpsc;
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let (sender, receiver) = mpsc::channel();
/// let waits = pool.spawn(move || corepool::blocking(|| receiver.recv().unwrap()));
/// // The only worker waits, and this task runs anyway.
/// pool.spawn(move || sender.send("hello").unwrap()).detach();
/// assert_eq!(waits.join()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<R>(closure: impl FnOnce() -> R) -> R {
    let _lent = worker::lend();
    closure()
}
