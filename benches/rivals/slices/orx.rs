//! orx-parallel with its own pool and its default runner, which adapts the chunk size.

#![forbid(unsafe_code)]

use orx_parallel::{BasicPool, IntoParIter, Par, Parallelizable, Runner};

use super::{Item, Slices, WORKERS};

pub(super) fn start() -> BasicPool {
    BasicPool::new(WORKERS)
}

impl Slices for BasicPool {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64> {
        items.par().runner(Runner::adaptive_with_pool(self)).map(f).collect()
    }

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync) {
        items.into_par().runner(Runner::adaptive_with_pool(self)).for_each(f);
    }
}
