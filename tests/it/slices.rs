//! Loops over slices and ranges run every item once and put every result in its place, whichever
//! thread runs it.

mod chunks;
mod folds;
mod items;
mod nesting;
mod panics;
mod ranges;
mod sharing;
mod tries;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corepool::WorkerPool;

use crate::support::{PATIENCE, within};

/// The numbers of workers that are tested: one, as many as this machine has cores, and far more.
const WORKERS: [usize; 4] = [1, 2, 8, 16];

/// Calls `test` with pools of all sizes: from outside, on one of the workers, and when the pool is
/// closed.
fn everywhere(test: impl Fn(&WorkerPool) + Sync) {
    // Passed as a reference to a trait object, so that the pool's entry points are compiled once
    // for all tests.
    let test: &(dyn Fn(&WorkerPool) + Sync) = &test;
    for workers in WORKERS {
        let pool = WorkerPool::with_workers(workers).unwrap();
        test(&pool);
        pool.install(|| test(&pool));
        pool.shutdown();
        test(&pool);
    }
}

/// Runs a closure that panics and returns the text of the panic.
#[track_caller]
fn panics(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("it panics with a text")
}

fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// No item, one, too few to share, and enough for every thread to get some.
const LENGTHS: [usize; 7] = [0, 1, 2, 3, 17, 1_000, 50_000];

#[test]
fn results_stand_in_the_order_of_their_items() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let items: Vec<usize> = (0..len).map(|n| n * 3).collect();
                assert!(pool.map(&items, |n| n + 1).into_iter().eq((0..len).map(|n| n * 3 + 1)));
                assert!(pool.map(0..len, |n| n * n).into_iter().eq((0..len).map(|n| n * n)));
            }
        });
    });
}

#[test]
fn every_item_is_seen_once() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let seen: Vec<_> = (0..len).map(|_| AtomicUsize::new(0)).collect();
                let see = |seen: &AtomicUsize| {
                    seen.fetch_add(1, Ordering::Relaxed);
                };
                pool.for_each(&seen, see);
                pool.for_each(0..len, |n| see(&seen[n]));
                assert_eq!(pool.map(&seen, see).len(), len);
                let sum = pool.map_reduce(
                    &seen,
                    |seen| {
                        see(seen);
                        1
                    },
                    |a, b| a + b,
                );
                assert_eq!(sum.unwrap_or(0), len);
                assert!(seen.into_iter().all(|seen| seen.into_inner() == 4));
            }
        });
    });
}

#[test]
fn every_item_is_changed_once() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let mut numbers: Vec<usize> = (0..len).collect();
                pool.for_each_mut(&mut numbers, |n| *n = *n * 2 + 1);
                assert!(numbers.into_iter().eq((0..len).map(|n| n * 2 + 1)));
            }
        });
    });
}

#[test]
fn a_million_items() {
    within(PATIENCE * 6, || {
        const MILLION: u64 = 1_000_000;
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let mut squares = pool.map(0..MILLION, |n| n * n);
            assert!(squares.iter().copied().eq((0..MILLION).map(|n| n * n)));
            pool.for_each_mut(&mut squares, |n| *n += 1);
            let sum = pool.install(|| corepool::map_reduce(&squares, |n| *n, u64::wrapping_add));
            assert_eq!(sum, Some((0..MILLION).map(|n| n * n + 1).fold(0, u64::wrapping_add)));
        }
    });
}

/// Joining texts is associative, and shows which texts were neighbours and in which order.
#[test]
fn a_reduction_keeps_the_order() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in [1, 2, 3, 100, 3_000_u32] {
                let expected: String = (0..len).map(|n| format!("{n} ")).collect();
                let text = pool.map_reduce(
                    0..len,
                    |n| {
                        // Long enough for other threads to take a share.
                        work(Duration::from_micros(1));
                        format!("{n} ")
                    },
                    |a, b| a + &b,
                );
                assert_eq!(text, Some(expected));
            }
            assert_eq!(pool.map_reduce(0..0, |n: u32| n.to_string(), |a, b| a + &b), None);
        });
    });
}

#[test]
fn free_functions_do_the_same_on_any_thread() {
    fn all() {
        let mut numbers = corepool::map(0..5_000_u64, |n| n + 1);
        corepool::for_each_mut(&mut numbers, |n| *n *= 2);
        let sum = AtomicUsize::new(0);
        corepool::for_each(&numbers, |n| {
            sum.fetch_add(*n as usize, Ordering::Relaxed);
        });
        let reduced = corepool::map_reduce(&numbers, |n| *n, |a, b| a + b);
        assert_eq!((reduced, sum.into_inner()), (Some(25_005_000), 25_005_000));
        assert_eq!(corepool::map(&[] as &[u8], |n| *n), []);
        assert_eq!(corepool::map_reduce(&[0_u8; 0], |n| *n, |a, b| a + b), None);
    }
    within(PATIENCE, || {
        all();
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            pool.install(all);
            pool.spawn(all).join().unwrap();
        }
    });
}

#[test]
fn many_threads_loop_on_one_pool() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            thread::scope(|threads| {
                for guest in 0..8_u64 {
                    let pool = &pool;
                    threads.spawn(move || {
                        for round in 0..60_u64 {
                            let len = 50 * round;
                            let sum = pool.map_reduce(0..len, |n| n + guest, |a, b| a + b);
                            let expected = len * len.saturating_sub(1) / 2 + len * guest;
                            assert_eq!(sum.unwrap_or(0), expected);
                        }
                    });
                }
            });
        }
    });
}

/// Case 36, for loops: a task holds the lock across a loop, and other tasks want it meanwhile.
#[test]
fn a_lock_may_be_held_across_a_loop() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = std::sync::Arc::new(WorkerPool::with_workers(workers).unwrap());
            let count = std::sync::Arc::new(Mutex::new(0_u64));
            let tasks: Vec<_> = (0..60)
                .map(|_| {
                    let count = std::sync::Arc::clone(&count);
                    pool.spawn(move || {
                        let mut count = count.lock().unwrap();
                        let item = |n| {
                            work(Duration::from_micros(2));
                            n
                        };
                        *count += corepool::map_reduce(0..200, item, |a, b| a + b).unwrap();
                    })
                })
                .collect();
            // A guest (a thread from outside that takes part in a call) wants the lock too.
            let own = {
                let mut count = count.lock().unwrap();
                pool.for_each(0..500, |_| work(Duration::from_micros(1)));
                *count += 1;
                1
            };
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(*count.lock().unwrap(), 60 * 19_900 + own);
        }
    });
}
