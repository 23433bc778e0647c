//! What rayon-core does in its rows, and `rayon`'s way of splitting loops, which only needs joins.

use std::sync::Arc;

use rayon_core::{ThreadPool, ThreadPoolBuilder, current_num_threads};

use crate::rows::{BROADCASTS, CHEAP, FIB, HEAVY, SCOPE, SKEWED, SLEEPING, TASKS, TREE};
use crate::stage::{self, work};

pub fn pool(workers: usize) -> &'static ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(workers).start_handler(stage::pin);
    Box::leak(Box::new(pool.build().expect("a pool with that many threads")))
}

pub fn fib(pool: &'static ThreadPool) {
    pool.install(|| fib_of(FIB.0));
}

fn fib_of(n: u32) -> u64 {
    work(FIB.1);
    if n < 2 {
        return n.into();
    }
    let (a, b) = rayon_core::join(|| fib_of(n - 1), || fib_of(n - 2));
    a + b
}

pub fn tree(pool: &'static ThreadPool) {
    pool.install(|| tree_of(TREE.0));
}

fn tree_of(depth: u32) {
    if depth == 0 {
        work(TREE.1);
        return;
    }
    rayon_core::join(|| tree_of(depth - 1), || tree_of(depth - 1));
}

pub fn loop_cheap(pool: &'static ThreadPool) {
    pool.install(|| each(CHEAP.0, &|_| work(CHEAP.1)));
}

pub fn loop_heavy(pool: &'static ThreadPool) {
    pool.install(|| each(HEAVY.0, &|_| work(HEAVY.1)));
}

pub fn loop_skewed(pool: &'static ThreadPool) {
    let (count, short, long) = SKEWED;
    pool.install(|| each(count, &|at| work(if at % 100 == 0 { long } else { short })));
}

pub fn loop_sleeping(pool: &'static ThreadPool) {
    pool.install(|| each(SLEEPING.0, &|_| stage::sleep(SLEEPING.1)));
}

pub fn scope(pool: &'static ThreadPool) {
    pool.install(|| {
        rayon_core::scope(|scope| {
            for _ in 0..SCOPE.0 {
                scope.spawn(|_| work(SCOPE.1));
            }
        });
    });
}

/// Its tasks have no handles, so each reports that it is done.
pub fn burst(pool: &'static ThreadPool) {
    let left = Arc::new(stage::Countdown::new(TASKS.0));
    for _ in 0..TASKS.0 {
        let left = Arc::clone(&left);
        pool.spawn(move || {
            work(TASKS.1);
            left.arrive();
        });
    }
    left.wait();
}

pub fn broadcast(pool: &'static ThreadPool) {
    for _ in 0..BROADCASTS.0 {
        pool.broadcast(|_| work(BROADCASTS.1));
    }
}

/// Splits a loop in halves as `rayon` does: into as many pieces as there are threads, and further
/// where one was stolen.
fn each(count: usize, item: &(impl Fn(usize) + Sync)) {
    halves(0, count, current_num_threads(), false, item);
}

fn halves(from: usize, to: usize, splits: usize, is_stolen: bool, item: &(impl Fn(usize) + Sync)) {
    let splits = if is_stolen { current_num_threads().max(splits / 2) } else { splits / 2 };
    if to - from <= 1 || splits == 0 {
        (from..to).for_each(item);
        return;
    }
    let middle = from + (to - from) / 2;
    rayon_core::join_context(
        |context| halves(from, middle, splits, context.migrated(), item),
        |context| halves(middle, to, splits, context.migrated(), item),
    );
}
