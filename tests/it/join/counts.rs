//! What fork-join shows from outside: counters, the states of workers, and nothing at all when it
//! is over.

use std::sync::atomic::{AtomicBool, Ordering};

use corepool::WorkerPool;
use corepool::metrics::WorkerState;

use super::{LONG, expected, fibonacci, fibonacci_on, quiet, until_free, work};
use crate::support::{Gate, PATIENCE, until, within};

#[test]
fn a_pool_of_one_worker_offers_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for n in 0..20 {
            assert_eq!(pool.spawn(move || fibonacci(n)).join().unwrap(), expected(n));
            assert_eq!(pool.install(|| fibonacci(n)), expected(n));
            assert_eq!(fibonacci_on(&pool, n), expected(n));
            let heavy = || {
                pool.join(|| work(LONG / 4), || work(LONG / 4));
                pool.scope(|s| drop(s.spawn(|| work(LONG / 4))));
                pool.for_each(0..8_u32, |_| work(LONG / 16));
            };
            pool.install(heavy);
            heavy();
        }
        let metrics = pool.metrics();
        assert_eq!((metrics.jobs_offered, metrics.jobs_taken), (0, 0), "{metrics}");
    });
}

#[test]
fn what_is_offered_and_what_is_taken_is_counted() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for round in 1..=20 {
            until_free(&pool, 2);
            let begun = Gate::default();
            pool.join(
                || {
                    begun.wait();
                    work(LONG / 2);
                },
                || {
                    begun.open();
                    work(LONG / 2);
                },
            );
            let metrics = pool.metrics();
            assert!(metrics.jobs_taken >= round, "{metrics}");
            assert!(metrics.jobs_offered >= metrics.jobs_taken, "{metrics}");
        }
        // Halves are not tasks.
        assert_eq!((pool.metrics().spawned, pool.metrics().completed), (0, 0));
    });
}

#[test]
fn a_worker_that_runs_a_half_is_active() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for _ in 0..20 {
            until_free(&pool, 2);
            let begun = Gate::default();
            let seen = AtomicBool::new(false);
            pool.join(
                || {
                    begun.wait();
                    let workers = pool.workers();
                    let states = || workers.iter().map(|worker| worker.state);
                    assert_eq!(states().filter(|state| *state == WorkerState::Active).count(), 1);
                    assert!(workers.iter().all(|worker| worker.running.is_none()), "it is no task");
                    seen.store(true, Ordering::SeqCst);
                    work(LONG / 2);
                },
                || {
                    begun.open();
                    until(|| seen.load(Ordering::SeqCst));
                    work(LONG / 2);
                },
            );
            until(|| pool.workers().iter().all(|worker| worker.state != WorkerState::Active));
        }
    });
}

#[test]
fn a_pool_is_quiet_after_fork_join() {
    within(PATIENCE * 2, || {
        let pool = quiet(4);
        for round in 0..4 {
            if round % 2 == 0 {
                fibonacci_on(&pool, 18);
                pool.join(|| work(LONG), || work(LONG));
            } else {
                pool.install(|| fibonacci(18));
                pool.install(|| corepool::join(|| work(LONG), || work(LONG)));
            }
            until(|| {
                let before = pool.metrics();
                // This sleep synchronises nothing. Sooner or later, nothing may happen while it
                // lasts.
                std::thread::sleep(LONG * 100);
                let after = pool.metrics();
                let quiet = (after.parks, after.wakes) == (before.parks, before.wakes);
                quiet && after.jobs_offered == before.jobs_offered
            });
            assert!(pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
        }
    });
}
