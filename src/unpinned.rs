//! A closure that runs without its worker's pin, for what would inherit it.
#![forbid(unsafe_code)]

use crate::affinity;

/// Runs a closure without its worker's pin, so that threads and child processes made inside do not
/// inherit it.
///
/// A pinned worker may run on one core, and **whatever a task starts inherits that**: a thread, or
/// another library's pool that is made when it is first used, stays on that core for good; a child
/// process has one core, and `nproc` in it says 1; and
/// [`available_parallelism`](std::thread::available_parallelism) is 1. Inside this closure the
/// calling thread has all cores that the pool may use. Its pin comes back when the closure ends,
/// also by a panic.
///
/// Elsewhere than on a pinned worker the closure is just called. Where the system refuses to change
/// masks it runs with the pin. [Hooks](crate::Builder::on_worker_start) run like this by
/// themselves, and so does all that the crate starts. It costs four system calls, so start what is
/// to be started inside, and compute outside.
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
/// There is no helper for [`Command`](std::process::Command): it would have to run code between
/// `fork` and `exec`, for which the standard library gives up its quick way to start a process, and
/// the closure does the same without.
pub fn unpinned<R>(run: impl FnOnce() -> R) -> R {
    affinity::unpinned(run)
}
