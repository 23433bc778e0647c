//! `join` runs two closures at once: it is correct on every thread and with any number of workers,
//! even while some are hungry (searching for work).

mod bounds;
mod closing;
mod conservation;
mod counts;
mod deep;
mod guests;
mod locks;
mod moving;
mod panics;
mod pools;
mod random;
mod tasks;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::WorkerPool;
use corepool::metrics::WorkerState;

use crate::support::{PATIENCE, until, within};

fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = corepool::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
}

fn fibonacci_on(pool: &WorkerPool, n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = pool.join(|| fibonacci_on(pool, n - 1), || fibonacci_on(pool, n - 2));
    a + b
}

fn expected(n: u32) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

/// A pool whose workers are all asleep.
fn quiet(workers: usize) -> WorkerPool {
    let pool = WorkerPool::with_workers(workers).unwrap();
    until_free(&pool, workers);
    pool
}

/// Waits until at least this many workers sleep.
fn until_free(pool: &WorkerPool, workers: usize) {
    until(|| {
        let workers_now = pool.workers();
        workers_now.iter().filter(|worker| worker.state == WorkerState::Parked).count() >= workers
    });
}

/// Spins for the given time.
fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

const LONG: Duration = Duration::from_millis(1);

/// The numbers of workers with which everything must be right: one, as many as this machine has
/// cores, and far more.
const WORKERS: [usize; 4] = [1, 2, 8, 16];

#[test]
fn fibonacci_is_right_on_a_worker() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            for n in [0, 1, 2, 10, 23] {
                assert_eq!(pool.spawn(move || fibonacci(n)).join().unwrap(), expected(n));
                let inside = Arc::clone(&pool);
                let method = pool.spawn(move || fibonacci_on(&inside, n));
                assert_eq!(method.join().unwrap(), expected(n));
            }
        }
    });
}

#[test]
fn fibonacci_is_right_on_a_guest() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for n in [0, 1, 2, 10, 23] {
                assert_eq!(fibonacci_on(&pool, n), expected(n));
                assert_eq!(pool.join(|| fibonacci(n), || fibonacci(n + 1)).1, expected(n + 1));
                assert_eq!(pool.install(|| fibonacci(n)), expected(n));
                // This uses the global pool.
                assert_eq!(fibonacci(n), expected(n));
            }
        }
    });
}

#[test]
fn fibonacci_is_right_on_many_guests_and_workers_at_once() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            thread::scope(|s| {
                for guest in 0..4 {
                    let pool = &pool;
                    s.spawn(move || {
                        for n in 0..10 {
                            let n = 10 + (n + guest) % 8;
                            let task = pool.spawn(move || fibonacci(n));
                            assert_eq!(fibonacci_on(pool, n), expected(n));
                            assert_eq!(pool.install(|| fibonacci(n)), expected(n));
                            assert_eq!(task.join().unwrap(), expected(n));
                        }
                    });
                }
            });
        }
    });
}

/// How many tasks run at once, and how large each one is. Unoptimised code takes 20 times as long.
const FLOOD: (usize, u32) = if cfg!(debug_assertions) { (2_000, 12) } else { (10_000, 25) };

#[test]
fn thousands_of_tasks_at_once_may_each_join() {
    within(PATIENCE * 9, || {
        let (tasks, n) = FLOOD;
        for workers in [2, 16] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let tasks: Vec<_> = (0..tasks).map(|_| pool.spawn(move || fibonacci(n))).collect();
            assert!(tasks.into_iter().all(|task| task.join().unwrap() == expected(n)));
        }
    });
}

/// A pool's workers and guests (threads from outside) may also call `join` on another pool. Then
/// the call does not use their own pool.
#[test]
fn a_join_names_its_pool_or_takes_the_one_that_runs_it() {
    within(PATIENCE, || {
        let [one, other] = [(); 2].map(|()| WorkerPool::with_workers(2).unwrap());
        for _ in 0..100 {
            let sum = one.join(
                || other.join(|| fibonacci(8), || fibonacci_on(&one, 9)),
                || other.install(|| one.join(|| fibonacci(10), || fibonacci_on(&other, 11))),
            );
            assert_eq!(sum, ((21, 34), (55, 89)));
        }
    });
}
