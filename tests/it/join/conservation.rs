//! No worker stays idle while a fork-join call has work that it could do.
//!
//! The leaves sleep. They stand for work that takes some time, whatever else the machine does. A
//! loaded machine may spoil an attempt, so each test tries again until its watchdog ends it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::time::Duration;

use corepool::WorkerPool;

use super::{quiet, until_free};
use crate::support::{PATIENCE, until, within};

/// How many leaves each thread ran.
#[derive(Default)]
struct Leaves(Mutex<HashMap<ThreadId, usize>>);

impl Leaves {
    fn leaf(&self) {
        thread::sleep(Duration::from_millis(2));
        *self.0.lock().unwrap().entry(thread::current().id()).or_default() += 1;
    }

    /// Whether at least `threads` threads took part, and threads other than the busiest one ran at
    /// least `by_others` leaves.
    fn were_shared(self, threads: usize, by_others: usize) -> bool {
        let shares = self.0.into_inner().unwrap();
        let busiest = shares.values().max().copied().unwrap_or(0);
        shares.len() >= threads && shares.values().sum::<usize>() - busiest >= by_others
    }
}

/// Runs the program on a worker until at least `threads` threads take part, and threads other than
/// the busiest one run at least `by_others` leaves.
fn expect_shared(
    pool: &WorkerPool,
    threads: usize,
    by_others: usize,
    program: impl Fn(&Leaves) + Sync,
) {
    until(|| {
        let leaves = Leaves::default();
        pool.install(|| {
            until_free(pool, pool.workers().len() - 1);
            program(&leaves);
        });
        leaves.were_shared(threads, by_others)
    });
}

/// The same from outside, where the calling thread takes part in addition to the workers.
fn expect_shared_with_guest(
    pool: &WorkerPool,
    threads: usize,
    by_others: usize,
    program: impl Fn(&WorkerPool, &Leaves),
) {
    until(|| {
        let leaves = Leaves::default();
        until_free(pool, pool.workers().len());
        program(pool, &leaves);
        leaves.were_shared(threads, by_others)
    });
}

fn small_joins() {
    for n in 0..20_000_u64 {
        assert_eq!(corepool::join(|| n, || n + 1), (n, n + 1));
    }
}

fn left_deep(leaves: &Leaves, depth: u32) {
    if depth > 0 {
        corepool::join(|| left_deep(leaves, depth - 1), || leaves.leaf());
    }
}

fn right_deep(leaves: &Leaves, depth: u32) {
    if depth > 0 {
        corepool::join(|| leaves.leaf(), || right_deep(leaves, depth - 1));
    }
}

fn tree(leaves: &Leaves, depth: u32) {
    if depth == 0 {
        return leaves.leaf();
    }
    corepool::join(|| tree(leaves, depth - 1), || tree(leaves, depth - 1));
}

#[test]
fn a_left_deep_recursion_is_shared() {
    within(PATIENCE, || expect_shared(&quiet(2), 2, 6, |leaves| left_deep(leaves, 20)));
}

#[test]
fn a_right_deep_recursion_is_shared() {
    within(PATIENCE, || expect_shared(&quiet(2), 2, 6, |leaves| right_deep(leaves, 20)));
}

#[test]
fn a_left_deep_recursion_is_shared_after_small_joins() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 6, |leaves| {
            small_joins();
            left_deep(leaves, 20);
        });
    });
}

#[test]
fn a_right_deep_recursion_is_shared_after_small_joins() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 6, |leaves| {
            small_joins();
            right_deep(leaves, 20);
        });
    });
}

/// The small joins happen while a whole larger call is already on the stack.
#[test]
fn a_recursion_is_shared_that_begins_with_small_joins_inside_a_join() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 6, |leaves| {
            let inside = || {
                small_joins();
                left_deep(leaves, 20);
            };
            corepool::join(inside, || ());
        });
    });
}

#[test]
fn a_small_tree_of_heavy_leaves_is_spread_over_all_workers() {
    within(PATIENCE, || {
        for workers in [2_u32, 4, 8] {
            let pool = quiet(workers as usize);
            let depth = workers.ilog2();
            expect_shared(&pool, workers as usize, 1, |leaves| tree(leaves, depth));
        }
    });
}

#[test]
fn a_heavy_join_is_shared_inside_a_light_one() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 1, |leaves| {
            corepool::join(|| corepool::join(|| leaves.leaf(), || leaves.leaf()), || ());
        });
        expect_shared(&quiet(2), 2, 1, |leaves| {
            corepool::join(|| (), || corepool::join(|| leaves.leaf(), || leaves.leaf()));
        });
        expect_shared(&quiet(2), 2, 1, |leaves| {
            let heavy = || corepool::join(|| leaves.leaf(), || leaves.leaf());
            corepool::join(|| corepool::join(|| corepool::join(heavy, || ()), || ()), || ());
        });
    });
}

#[test]
fn each_of_many_heavy_joins_in_a_row_is_shared_inside_a_light_one() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 5, |leaves| {
            let row = || {
                for _ in 0..10 {
                    corepool::join(|| leaves.leaf(), || leaves.leaf());
                }
            };
            corepool::join(row, || ());
        });
    });
}

#[test]
fn a_guests_recursion_is_shared() {
    within(PATIENCE, || {
        let pool = quiet(2);
        expect_shared_with_guest(&pool, 2, 6, |pool, leaves| {
            pool.join(|| left_deep(leaves, 20), || ());
        });
        expect_shared_with_guest(&pool, 2, 6, |pool, leaves| {
            pool.join(|| right_deep(leaves, 20), || ());
        });
        expect_shared_with_guest(&pool, 2, 2, |pool, leaves| {
            pool.join(|| tree(leaves, 2), || leaves.leaf());
        });
    });
}

/// A worker that waits for a half on another worker gets parts of that half.
#[test]
fn who_waits_for_a_half_helps_with_it() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 8, |leaves| {
            corepool::join(|| leaves.leaf(), || tree(leaves, 5));
        });
        // The first half is so small that the worker waits at once, if the second was taken at all.
        expect_shared(&quiet(2), 2, 4, |leaves| {
            corepool::join(|| leaves.leaf(), || left_deep(leaves, 20));
        });
    });
}

/// A slow item in a loop, whose closures join.
#[test]
fn joins_inside_the_items_of_a_loop_are_shared() {
    within(PATIENCE, || {
        expect_shared(&quiet(2), 2, 6, |leaves| {
            corepool::for_each(0..2_u32, |_| {
                corepool::join(|| tree(leaves, 3), || ());
            });
        });
        expect_shared(&quiet(2), 2, 6, |leaves| {
            corepool::for_each(0..1_u32, |_| tree(leaves, 4));
        });
    });
}
