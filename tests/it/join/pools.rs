//! Pools that call one another, although each has only one worker and that worker waits.

use std::sync::{Arc, Barrier};
use std::thread;

use corepool::WorkerPool;

use super::{LONG, fibonacci, fibonacci_on, work};
use crate::support::{PATIENCE, within};

type Pools = [Arc<WorkerPool>; 2];

fn pools(workers: usize) -> Pools {
    [(); 2].map(|()| Arc::new(WorkerPool::with_workers(workers).unwrap()))
}

/// Goes from pool to pool and back, each time in another way.
fn there_and_back(pools: &Pools, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let there = &pools[depth as usize % 2];
    let on = || there_and_back(pools, depth - 1);
    match depth / 2 % 5 {
        0 => there.install(on),
        1 => {
            let (a, b) = there.join(on, || 0);
            a + b
        }
        2 => there.scope(|s| s.spawn(on).join().unwrap()),
        3 => there.map(0..2_u32, |item| if item == 0 { on() } else { 0 }).into_iter().sum(),
        _ => {
            let (there, inside) = (Arc::clone(there), pools.clone());
            there.spawn(move || there_and_back(&inside, depth - 1)).join().unwrap()
        }
    }
}

/// Case 37.
#[test]
fn a_call_goes_back_and_forth_between_pools_of_one_worker_each() {
    within(PATIENCE, || {
        for workers in [1, 2] {
            let pools = pools(workers);
            for depth in [1, 2, 5, 20, 60] {
                assert_eq!(there_and_back(&pools, depth), 1);
                assert_eq!(pools[0].install(|| there_and_back(&pools, depth)), 1);
                let inside = pools.clone();
                let task = pools[1].spawn(move || there_and_back(&inside, depth));
                assert_eq!(task.join().unwrap(), 1);
            }
        }
    });
}

/// Case 37: each pool's only worker is busy with a task that calls the other pool.
#[test]
fn two_pools_of_one_worker_each_call_one_another_at_the_same_time() {
    within(PATIENCE * 2, || {
        for workers in [1, 2] {
            let pools = pools(workers);
            for round in 0..60 {
                let both_run = Arc::new(Barrier::new(2));
                let tasks = [0, 1].map(|own| {
                    let (inside, both_run) = (pools.clone(), Arc::clone(&both_run));
                    pools[own].spawn(move || {
                        both_run.wait();
                        there_and_back(&inside, round)
                    })
                });
                for task in tasks {
                    assert_eq!(task.join().unwrap(), 1);
                }
            }
        }
    });
}

/// Both halves (closures) call the other pool, where the same happens, and so do guests (threads
/// from outside).
#[test]
fn pools_that_call_one_another_from_all_halves_at_once_come_to_an_end() {
    fn criss_cross(pools: &Pools, at: usize, depth: u32) -> u64 {
        if depth == 0 {
            work(LONG / 100);
            return 1;
        }
        let next = || criss_cross(pools, 1 - at, depth - 1);
        let (a, b) = pools[at].join(next, || pools[1 - at].install(next));
        a + b
    }
    within(PATIENCE * 2, || {
        for workers in [1, 2] {
            let pools = pools(workers);
            thread::scope(|s| {
                for at in [0, 1, 0] {
                    let pools = &pools;
                    s.spawn(move || {
                        for _ in 0..10 {
                            assert_eq!(criss_cross(pools, at, 6), 64);
                            let inside = pools.clone();
                            let task = pools[at].spawn(move || criss_cross(&inside, at, 6));
                            assert_eq!(task.join().unwrap(), 64);
                        }
                    });
                }
            });
        }
    });
}

/// A free function inside a closure of one pool stays in that pool, even on the other pool's
/// thread.
#[test]
fn free_joins_inside_anothers_closures_are_right() {
    within(PATIENCE, || {
        let [one, other] = pools(2);
        let both = || {
            let (a, b) = one.join(
                || other.install(|| fibonacci(12)),
                || other.join(|| fibonacci(12), || fibonacci_on(&one, 12)).1,
            );
            a + b
        };
        for _ in 0..50 {
            assert_eq!(both(), 288);
            assert_eq!(one.install(both), 288);
            assert_eq!(other.install(both), 288);
        }
    });
}

/// Case 33: what the caller waits on lies in its frame, and its thread ends as soon as that wait
/// ends.
#[test]
fn who_calls_another_pool_may_end_right_after_it() {
    within(PATIENCE * 2, || {
        let there = Arc::new(WorkerPool::with_workers(2).unwrap());
        for round in 0..300_u64 {
            let own = WorkerPool::with_workers(1).unwrap();
            let inside = Arc::clone(&there);
            let task = own.spawn(move || match round % 3 {
                0 => inside.install(|| round),
                1 => inside.join(|| work(LONG / 20), || round).1,
                _ => inside.scope(|s| {
                    let task = s.spawn(|| round);
                    work(LONG / 20);
                    task.join().unwrap()
                }),
            });
            drop(own);
            assert_eq!(task.join().unwrap(), round);
        }
    });
}
