//! A fork-join call needs no open pool: without workers, the calling thread runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, WorkerPool};

use super::{LONG, expected, fibonacci, fibonacci_on, quiet, until_free, work};
use crate::support::{Gate, PATIENCE, until, within};

/// Makes some calls of every kind.
fn some_of_each(pool: &WorkerPool, n: u32) {
    assert_eq!(fibonacci_on(pool, n), expected(n));
    assert_eq!(pool.map(0..n, |n| n).len(), n as usize);
    let sum = AtomicU32::new(0);
    pool.scope(|s| {
        for _ in 0..n {
            s.spawn(|| sum.fetch_add(1, Ordering::Relaxed));
        }
    });
    assert_eq!(sum.into_inner(), n);
    assert_eq!(pool.install(|| fibonacci_on(pool, n)), expected(n));
}

#[test]
fn a_closed_pool_still_joins() {
    within(PATIENCE, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            pool.close();
            some_of_each(&pool, 12);
            pool.shutdown();
            some_of_each(&pool, 12);
            let (a, b) = pool.join_context(|cx| cx.has_moved(), |cx| cx.has_moved());
            assert!(!a && !b);
        }
    });
}

#[test]
fn a_task_that_joins_is_finished_by_the_shutdown_that_comes_meanwhile() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            for workers in [1, 2, 8] {
                let builder = WorkerPool::builder().workers(workers).dispatch(dispatch);
                let pool = builder.build().unwrap();
                let tasks: Vec<_> = (0..20).map(|n| pool.spawn(move || fibonacci(n))).collect();
                pool.shutdown();
                for (n, task) in (0..20).zip(tasks) {
                    assert_eq!(task.join().unwrap(), expected(n));
                }
            }
        }
    });
}

#[test]
fn guests_join_while_the_pool_is_shut_down() {
    within(PATIENCE * 2, || {
        for round in 0..100 {
            let pool = WorkerPool::with_workers(1 + round % 4).unwrap();
            let running = AtomicBool::new(true);
            thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        while running.load(Ordering::SeqCst) {
                            some_of_each(&pool, 9);
                        }
                        some_of_each(&pool, 9);
                    });
                }
                work(LONG / 4);
                pool.shutdown();
                running.store(false, Ordering::SeqCst);
            });
        }
    });
}

#[test]
fn a_pool_may_be_dropped_right_after_a_join() {
    within(PATIENCE * 2, || {
        for round in 0..300 {
            let pool = WorkerPool::with_workers(1 + round % 4).unwrap();
            assert_eq!(pool.join(|| fibonacci(3), || fibonacci_on(&pool, 10)), (2, 55));
            drop(pool);
        }
    });
}

/// Halves that run when the pool is closed run to their end, including one that a worker has taken.
#[test]
fn a_half_that_a_worker_took_is_finished_by_the_shutdown() {
    within(PATIENCE, || {
        for _ in 0..30 {
            let pool = Arc::new(quiet(2));
            let (begun, closed) = (Gate::default(), Gate::default());
            let ended = AtomicBool::new(false);
            let inside = Arc::clone(&pool);
            let closes = closed.clone();
            let stop = thread::spawn(move || {
                closes.wait();
                inside.shutdown();
            });
            pool.join(
                || {
                    begun.wait();
                    closed.open();
                    work(LONG / 2);
                },
                || {
                    begun.open();
                    closed.wait();
                    work(LONG);
                    assert_eq!(fibonacci(10), 55);
                    ended.store(true, Ordering::SeqCst);
                },
            );
            assert!(ended.into_inner());
            stop.join().unwrap();
        }
    });
}

/// Case 25, for work that is not a task.
#[test]
fn a_shutdown_by_the_clock_does_not_wait_for_a_half_that_is_stuck() {
    within(PATIENCE, || {
        let pool = quiet(2);
        let (begun, stuck, over) = (Gate::default(), Gate::default(), Gate::default());
        thread::scope(|s| {
            s.spawn(|| {
                pool.join(
                    || {
                        begun.wait();
                        over.wait();
                    },
                    || {
                        begun.open();
                        stuck.wait();
                    },
                )
            });
            begun.wait();
            let report = pool.shutdown_timeout(Duration::from_millis(20));
            assert_eq!((report.completed, report.cancelled), (0, 0));
            stuck.open();
            over.open();
        });
    });
}

/// Case 18: the last owner of the pool is a half that one of its own workers runs.
#[test]
fn the_last_owner_of_a_pool_may_be_a_half_on_its_own_worker() {
    within(PATIENCE, || {
        for moved in [false, true] {
            for _ in 0..30 {
                let pool = Arc::new(quiet(2));
                let inside = Arc::clone(&pool);
                let begun = Gate::default();
                let task = pool.spawn(move || {
                    until_free(&inside, 1);
                    let owner = inside;
                    corepool::join(
                        || {
                            if moved {
                                begun.wait();
                            }
                        },
                        || {
                            begun.open();
                            drop(owner);
                        },
                    );
                    fibonacci(10)
                });
                drop(pool);
                assert_eq!(task.join().unwrap(), 55);
            }
        }
    });
}

/// Case 19, from halves on any thread.
#[test]
fn a_half_may_shut_its_pool_down() {
    within(PATIENCE, || {
        for workers in [1, 2] {
            for moved in [false, true] {
                let pool = Arc::new(quiet(workers));
                let inside = Arc::clone(&pool);
                let begun = Gate::default();
                let waits = moved && workers > 1;
                let task = pool.spawn(move || {
                    until_free(&inside, workers - 1);
                    corepool::join(
                        || {
                            if waits {
                                begun.wait();
                            }
                        },
                        || {
                            begun.open();
                            inside.shutdown();
                            inside.shutdown_timeout(PATIENCE);
                        },
                    );
                    fibonacci(10)
                });
                assert_eq!(task.join().unwrap(), 55);
                until(|| pool.spawn(|| ()).join().is_err());
            }
        }
    });
}
