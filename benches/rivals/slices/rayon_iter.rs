//! rayon's parallel iterators, inside `install` because the pool is not the global one.

#![forbid(unsafe_code)]

use rayon::prelude::{IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Item, Slices, WORKERS};

pub(super) fn start() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("a pool of two threads")
}

impl Slices for ThreadPool {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64> {
        self.install(|| items.par_iter().map(f).collect())
    }

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync) {
        self.install(|| items.par_iter_mut().for_each(f));
    }
}
