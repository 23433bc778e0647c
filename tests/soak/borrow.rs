//! Fork-join on borrowed data: joins, scopes and loops, each checked against the result of one
//! thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use corepool::WorkerPool;
use fastrand::Rng;

use super::storm::{Storm, some};

fn count(storm: &Storm, closures: u64) {
    storm.book.closures.fetch_add(closures, Ordering::Relaxed);
}

/// The result is the number of leaves, and each inner node is one call.
fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return 1;
    }
    let (a, b) = corepool::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
}

pub(super) fn joins(storm: &Storm, random: &mut Rng) {
    const LEAVES: [u64; 21] = [
        1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1_597, 2_584, 4_181, 6_765,
        10_946,
    ];
    for _ in 0..random.usize(..6) {
        let n = random.usize(..LEAVES.len());
        let pool: &WorkerPool = &storm.pool;
        let leaves = match random.u8(..3) {
            0 => {
                storm.book.installed.fetch_add(1, Ordering::Relaxed);
                pool.install(|| fibonacci(n as u32))
            }
            1 => pool.join(|| fibonacci(n as u32), || ()).0,
            _ => pool.join_context(|_| fibonacci(n as u32), |second| second.has_moved()).0,
        };
        assert_eq!(leaves, LEAVES[n]);
        count(storm, 2 * LEAVES[n]);
    }
}

pub(super) fn scopes(storm: &Storm, random: &mut Rng) {
    for _ in 0..random.usize(..8) {
        let (width, panics, nests) = (some(random) as u64, random.u8(..8) == 0, random.bool());
        let runs = AtomicU64::new(0);
        let run = |number: u64| {
            runs.fetch_add(1, Ordering::Relaxed);
            if panics && number == width / 2 {
                resume_unwind(Box::new(super::flood::PANIC));
            }
            number
        };
        let body = || {
            storm.pool.scope(|s| {
                for number in 0..width {
                    let task = s.spawn(move || run(number));
                    match number % 8 {
                        0 if nests => drop(s.spawn(move || drop(s.spawn(move || run(width))))),
                        1 | 2 => assert!(task.join().is_ok_and(|given| given == number) || panics),
                        _ => {}
                    }
                }
            });
        };
        let ended = catch_unwind(AssertUnwindSafe(body));
        assert!(ended.is_ok() || panics, "a panic from nowhere");
        let inner = if nests { width.div_ceil(8) } else { 0 };
        assert_eq!(runs.into_inner(), width + inner, "each runs once");
        count(storm, width + 2 * inner);
    }
}

pub(super) fn loops(storm: &Storm, random: &mut Rng) {
    let mut items: Vec<u64> = (0..4 * some(random) as u64).collect();
    let wanted = |items: &[u64]| items.iter().fold(0, |sum: u64, item| sum.wrapping_add(item ^ 7));
    let pool = &*storm.pool;
    for _ in 0..random.usize(..8) {
        let wanted = wanted(&items);
        let found = match random.u8(..4) {
            0 => pool.map(&items, |item| item ^ 7).into_iter().fold(0, u64::wrapping_add),
            1 => pool.map_reduce(&items, |item| item ^ 7, u64::wrapping_add).unwrap_or(0),
            2 => {
                let sum = AtomicU64::new(0);
                pool.for_each(&items, |item| {
                    sum.fetch_add(item ^ 7, Ordering::Relaxed);
                });
                sum.into_inner()
            }
            _ => {
                pool.for_each_mut(&mut items, |item| *item ^= 7);
                items.iter().copied().fold(0, u64::wrapping_add)
            }
        };
        assert_eq!(found, wanted);
        count(storm, items.len() as u64);
    }
}
