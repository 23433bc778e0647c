//! No pool: the task runs where it is spawned. Shows the cost of the work itself.

#![forbid(unsafe_code)]

use std::hint::black_box;

use crate::support::work::burst;

pub(crate) struct Pool;

pub(crate) fn start() -> Pool {
    Pool
}

pub(crate) fn spawn<T>(_pool: &Pool, f: impl FnOnce() -> T) -> T {
    black_box(f)()
}

pub(crate) fn join<T>(value: T) -> T {
    black_box(value)
}

pub(crate) fn inside(pool: &Pool, tasks: u64) -> u64 {
    burst(tasks, |value| spawn(pool, move || value), join)
}
