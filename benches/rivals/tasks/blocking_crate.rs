//! `blocking::unblock`, limited to two threads.

#![forbid(unsafe_code)]

use std::num::NonZeroUsize;

use blocking::Task;

use crate::support::{WORKERS, work::burst};

pub(crate) struct Pool;

/// There is one such pool per process, created at first use and never ended. The call has the
/// effect of `BLOCKING_MAX_THREADS=2` in the environment; setting that is unsafe in Rust 2024, for
/// good reason.
pub(crate) fn start() -> Pool {
    blocking::set_max_blocking_threads(NonZeroUsize::new(WORKERS).expect("two workers"));
    Pool
}

pub(crate) fn spawn<T: Send + 'static>(
    _pool: &Pool,
    f: impl FnOnce() -> T + Send + 'static,
) -> Task<T> {
    blocking::unblock(f)
}

pub(crate) fn join<T>(task: Task<T>) -> T {
    pollster::block_on(task)
}

pub(crate) fn inside(pool: &Pool, tasks: u64) -> u64 {
    join(spawn(pool, move || burst(tasks, |value| spawn(&Pool, move || value), join)))
}
