//! The contestants that loop over slices, one module each, and the loops, written once for all of
//! them.

#![forbid(unsafe_code)]

mod orx;
mod ours;
mod paralight_crate;
mod plain;
mod rayon_iter;

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::support::WORKERS;
use crate::support::interleave::Contestant;
use crate::support::rival::{self, Role};

/// An item of the slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// The starting value of the work. It also says whether the item is an expensive one.
    pub(crate) seed: u64,
    /// The sum from the loops that change items.
    pub(crate) sum: u64,
}

impl Item {
    /// The bit that marks an expensive item.
    pub(crate) const DEAR: u64 = 1 << 63;
}

/// A pool that loops over slices. Functions are `Copy` because orx-parallel requires it.
trait Slices {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64>;

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync);
}

/// How long an item takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// A few nanoseconds.
    Cheap,
    /// About a microsecond.
    Heavy,
    /// About 50 ns, and a hundred times as long for expensive items.
    Skewed,
}

/// What is done with the items.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loop {
    Map,
    ForEachMut,
}

/// A loop that is run a given number of times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) kind: Loop,
    pub(crate) cost: Cost,
    pub(crate) calls: u32,
}

/// A running pool. It returns how long all calls took. Dropping it ends its threads.
pub(crate) type Running = Box<dyn Fn(Work, &mut [Item]) -> Duration>;

/// A pool that can be started.
pub(crate) struct Looper {
    name: &'static str,
    role: Role,
    start: fn() -> Running,
}

impl Looper {
    /// Measures this pool while no other is alive.
    pub(crate) fn alone<R>(&self, measure: impl FnOnce(&Running) -> R) -> R {
        rival::alone(self.start, measure)
    }
}

impl Contestant for Looper {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

/// All contestants.
pub(crate) fn all() -> Vec<Looper> {
    vec![
        Looper { name: "plain", role: Role::Baseline, start: || running(plain::Plain) },
        Looper { name: "corepool", role: Role::Ours, start: || running(ours::start()) },
        Looper { name: "rayon", role: Role::Pool, start: || running(rayon_iter::start()) },
        Looper { name: "orx", role: Role::Pool, start: || running(orx::start()) },
        Looper {
            name: "paralight",
            role: Role::Pool,
            start: || running(paralight_crate::start_stealing()),
        },
        Looper {
            name: "paralight fixed",
            role: Role::Pool,
            start: || running(paralight_crate::start_fixed()),
        },
    ]
}

fn running<S: Slices + 'static>(pool: S) -> Running {
    Box::new(move |work, items| match work.cost {
        Cost::Cheap => run(&pool, work, items, cheap),
        Cost::Heavy => run(&pool, work, items, heavy),
        Cost::Skewed => run(&pool, work, items, skewed),
    })
}

/// Makes the calls, and checks every item of the last map, or the total of all calls.
fn run(
    pool: &impl Slices,
    work: Work,
    items: &mut [Item],
    value: impl Fn(u64) -> u64 + Copy + Send + Sync,
) -> Duration {
    match work.kind {
        Loop::Map => {
            let mut last = Vec::new();
            let start = Instant::now();
            for _ in 0..work.calls {
                last = pool.map(black_box(items), |item| value(item.seed));
            }
            let took = start.elapsed();
            let wanted = items.iter().map(|item| value(item.seed));
            assert!(last.iter().copied().eq(wanted), "a result of {work:?} is wrong");
            took
        }
        Loop::ForEachMut => {
            items.iter_mut().for_each(|item| item.sum = 0);
            let start = Instant::now();
            for _ in 0..work.calls {
                pool.for_each_mut(black_box(items), |item| {
                    item.sum = item.sum.wrapping_add(value(item.seed));
                });
            }
            let took = start.elapsed();
            let wanted = |item: &Item| value(item.seed).wrapping_mul(work.calls.into());
            let right = items.iter().all(|item| item.sum == wanted(item));
            assert!(right, "a sum of {work:?} is wrong");
            took
        }
    }
}

fn cheap(seed: u64) -> u64 {
    mix(seed, 4)
}

fn heavy(seed: u64) -> u64 {
    mix(seed, 480)
}

fn skewed(seed: u64) -> u64 {
    mix(seed, if seed & Item::DEAR == 0 { 24 } else { 2_400 })
}

/// Each step depends on the previous one. Takes about two nanoseconds.
#[inline]
fn mix(seed: u64, steps: u32) -> u64 {
    (0..steps).fold(seed, |x, _| (x ^ (x >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
