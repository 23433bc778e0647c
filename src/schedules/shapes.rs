//! Schedules of fork-join calls, scopes, loops, batches and promises on the whole pool.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{end, end_with, outside, pool};
use crate::base::sync::schedule::explore;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::pool::WorkerPool;
use crate::pool::promise;

fn fibonacci(pool: &WorkerPool, n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| fibonacci(pool, n - 1), || fibonacci(pool, n - 2));
    a + b
}

#[test]
fn two_guests_and_two_workers_share_fork_join_calls() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, _| assert_eq!(fibonacci(pool, 6), 8));
        end(&pool);
    });
}

#[test]
fn fork_join_inside_a_task_comes_back() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, _| {
            let inner = Arc::clone(pool);
            assert_eq!(pool.install(move || fibonacci(&inner, 5)), 5);
        });
        end(&pool);
    });
}

#[test]
fn a_scope_waits_for_all_that_borrows() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, _| {
            let sum = AtomicUsize::new(0);
            pool.scope(|scope| {
                for n in 1..4 {
                    let sum = &sum;
                    scope.spawn(move || sum.fetch_add(n, Ordering::SeqCst));
                }
            });
            assert_eq!(sum.load(Ordering::SeqCst), 6);
        });
        end(&pool);
    });
}

#[test]
fn a_loop_runs_each_item_once() {
    explore(|| {
        let pool = pool(2);
        let items: Vec<usize> = (0..12).collect();
        let doubled = pool.map(&items, |n| {
            crate::base::sync::spin_loop();
            n * 2
        });
        assert_eq!(doubled, (0..12).map(|n| n * 2).collect::<Vec<_>>());
        end(&pool);
    });
}

#[test]
fn a_batch_gives_each_result_once_or_is_dropped() {
    explore(|| {
        let (pool, owned) = (pool(2), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(2, &pool, move |pool, number| {
            let closures = (0..6).map(|n| {
                let owned = kept.upgrade().expect("it lives to the end");
                move || (owned, n)
            });
            let mut set = pool.spawn_batch(closures);
            if number == 0 {
                let first = set.next().and_then(Result::ok);
                assert!(first.is_some());
                set.cancel_all();
                return;
            }
            let mut seen: Vec<_> = set.filter_map(Result::ok).map(|(_, n)| n).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        });
        end_with(&pool, &owned);
    });
}

#[test]
fn a_broadcast_reaches_each_worker() {
    explore(|| {
        let pool = pool(3);
        let mut seen: Vec<_> = pool.broadcast(|worker| worker.id).filter_map(Result::ok).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 3);
        end(&pool);
    });
}

#[test]
fn who_waits_for_many_hears_of_each() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, number| {
            let handles: Vec<_> = (0..4).map(|n| pool.spawn(move || n)).collect();
            if number == 0 {
                assert_eq!(promise::all(handles).join().ok(), Some(vec![0, 1, 2, 3]));
            } else {
                assert!(promise::race(handles).join().is_ok());
            }
        });
        end(&pool);
    });
}
