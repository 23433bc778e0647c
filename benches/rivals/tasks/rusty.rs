//! `rusty_pool` and its own `JoinHandle`.

#![forbid(unsafe_code)]

use rusty_pool::{Builder, JoinHandle, ThreadPool};

use crate::support::{WORKERS, work::burst};

pub(crate) fn start() -> ThreadPool {
    let pool = Builder::new().core_size(WORKERS).max_size(WORKERS).build();
    pool.start_core_threads();
    pool
}

pub(crate) fn spawn<T: Send + 'static>(
    pool: &ThreadPool,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    pool.evaluate(f)
}

pub(crate) fn join<T: Send>(handle: JoinHandle<T>) -> T {
    handle.await_complete()
}

pub(crate) fn inside(pool: &ThreadPool, tasks: u64) -> u64 {
    let here = pool.clone();
    join(spawn(pool, move || burst(tasks, |value| spawn(&here, move || value), join)))
}
