//! Running a closure without its worker's pin, for things that would inherit the pin.
#![forbid(unsafe_code)]

use crate::os::affinity;

/// Runs a closure without its worker's pin, so that threads and child processes made inside do not
/// inherit it.
///
/// A pinned worker may run on one core only, and **everything that a task starts inherits that**. A
/// thread stays on that core for good, and so does another library's pool that is created on first
/// use. A child process has one core, and `nproc` in it says 1.
/// [`available_parallelism`](std::thread::available_parallelism) is 1. Inside this closure the
/// calling thread may run on all cores of the pool. Its pin is restored when the closure ends, even
/// if it panics.
///
/// Outside a pinned worker the closure is just called. Where the system refuses to change masks,
/// the closure runs with the pin. [Hooks](crate::PoolBuilder::on_worker_start) and everything that
/// the crate starts run unpinned anyway. The call costs four system calls, so start threads and
/// processes inside it, and compute outside.
///
/// ```
/// use std::process::Command;
/// let pool = corepool::WorkerPool::new()?;
/// let said = pool.spawn(|| {
///     // A child process gets the mask of the thread that starts it.
///     corepool::unpinned(|| Command::new("echo").arg("wide").output())
/// });
/// assert_eq!(said.join()??.stdout, b"wide\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// There is no helper for [`Command`](std::process::Command). A helper would have to run code
/// between `fork` and `exec`, which makes the standard library give up its fast way to start a
/// process. The closure achieves the same without that.
pub fn unpinned<R>(run: impl FnOnce() -> R) -> R {
    affinity::unpinned(run)
}
