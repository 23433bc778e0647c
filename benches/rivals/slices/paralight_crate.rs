//! paralight with both of its ways to share work: threads that steal, for unequal items, and fixed
//! shares, for equal items.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use paralight::prelude::{
    CpuPinningPolicy, ExactParallelSourceExt, IntoExactParallelRefMutSource,
    IntoExactParallelRefSource, ParallelIteratorExt, RangeStrategy, ThreadCount, ThreadPool,
    ThreadPoolBuilder,
};

use super::{Item, Slices, WORKERS};

/// The pool runs one loop at a time, and must be borrowed mutably for that.
pub(super) struct Paralight(RefCell<ThreadPool>);

pub(super) fn start_stealing() -> Paralight {
    start(RangeStrategy::WorkStealing)
}

pub(super) fn start_fixed() -> Paralight {
    start(RangeStrategy::Fixed)
}

fn start(range_strategy: RangeStrategy) -> Paralight {
    let num_threads = ThreadCount::try_from(WORKERS).expect("more threads than none");
    let cpu_pinning = CpuPinningPolicy::No;
    let builder = ThreadPoolBuilder { num_threads, range_strategy, cpu_pinning };
    Paralight(RefCell::new(builder.build()))
}

impl Slices for Paralight {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64> {
        let pool = &mut *self.0.borrow_mut();
        items.par_iter().map(f).with_thread_pool(pool).collect()
    }

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync) {
        let pool = &mut *self.0.borrow_mut();
        items.par_iter_mut().with_thread_pool(pool).for_each(f);
    }
}
