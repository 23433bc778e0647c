//! `corepool`: `map` and `for_each_mut`.

#![forbid(unsafe_code)]

use corepool::WorkerPool;

use super::{Item, Slices, WORKERS};

pub(super) fn start() -> WorkerPool {
    WorkerPool::with_workers(WORKERS).expect("a pool of two workers")
}

impl Slices for WorkerPool {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64> {
        self.map(items, f)
    }

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync) {
        self.for_each_mut(items, f);
    }
}
