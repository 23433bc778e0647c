//! tokio's `spawn_blocking`, limited to two threads.

#![forbid(unsafe_code)]

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::support::{WORKERS, work::burst};

/// A current-thread runtime has no threads of its own except the blocking pool.
pub(crate) fn start() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(WORKERS).build().expect("a runtime")
}

pub(crate) fn spawn<T: Send + 'static>(
    runtime: &Runtime,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    runtime.spawn_blocking(f)
}

/// A join handle can be awaited without a runtime, which is cheaper than entering `block_on` for
/// each.
pub(crate) fn join<T>(handle: JoinHandle<T>) -> T {
    pollster::block_on(handle).expect("the task ran")
}

pub(crate) fn inside(runtime: &Runtime, tasks: u64) -> u64 {
    let handle = Handle::clone(runtime.handle());
    join(spawn(runtime, move || burst(tasks, |value| handle.spawn_blocking(move || value), join)))
}
