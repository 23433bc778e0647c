//! `corepool`: a handle for every task.

#![forbid(unsafe_code)]

use corepool::{TaskHandle, WorkerPool};

use crate::support::{WORKERS, work::burst};

pub(crate) fn start() -> WorkerPool {
    WorkerPool::with_workers(WORKERS).expect("a pool of two workers")
}

pub(crate) fn spawn<T: Send + 'static>(
    pool: &WorkerPool,
    f: impl FnOnce() -> T + Send + 'static,
) -> TaskHandle<T> {
    pool.spawn(f)
}

pub(crate) fn join<T: Send + 'static>(handle: TaskHandle<T>) -> T {
    handle.join().expect("the task ran")
}

pub(crate) fn inside(pool: &WorkerPool, tasks: u64) -> u64 {
    join(pool.spawn(move || burst(tasks, |value| corepool::spawn(move || value), join)))
}
