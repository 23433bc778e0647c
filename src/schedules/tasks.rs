//! Schedules of tasks and their handles: spawning, joining, cancelling and detaching, all at once.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use super::{end, end_with, outside, pool, pool_of};
use crate::base::error::TaskError;
use crate::base::sync::schedule::explore;
use crate::pool::WorkerPool;
use crate::sched::config::{Dispatch, Priority};

fn three_submitters_join(pool: &Arc<WorkerPool>) {
    outside(3, pool, |pool, number| {
        let handles: Vec<_> = (0..3).map(|n| pool.spawn(move || number * 10 + n)).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().ok(), Some(number * 10 + n));
        }
    });
    end(pool);
}

#[test]
fn two_workers_run_what_three_submitters_join() {
    explore(|| three_submitters_join(&pool(2)));
}

#[test]
fn three_workers_run_what_is_dealt_to_them() {
    explore(|| {
        let dealing = WorkerPool::builder().workers(3).dispatch(Dispatch::RoundRobin);
        three_submitters_join(&pool_of(dealing));
    });
}

#[test]
fn a_task_joins_what_it_spawned() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, number| {
            let inner = Arc::clone(pool);
            let outer = pool.spawn(move || {
                let first = inner.spawn(move || number);
                let second = inner.spawn(move || number + 1);
                second.join().ok().zip(first.join().ok())
            });
            assert_eq!(outer.join().ok().flatten(), Some((number + 1, number)));
        });
        end(&pool);
    });
}

#[test]
fn a_task_is_joined_where_another_runs_it() {
    explore(|| {
        let pool = pool(2);
        let first = pool.spawn(|| 1);
        let second = pool.spawn(move || first.join().ok());
        let third = pool.spawn(move || second.join().ok().flatten());
        assert_eq!(third.join().ok().flatten(), Some(1));
        end(&pool);
    });
}

#[test]
fn a_handle_settles_once_whoever_cancels_drops_or_joins() {
    explore(|| {
        let (pool, owned) = (pool(2), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(3, &pool, move |pool, number| {
            let make = || kept.upgrade().expect("it lives to the end");
            let made = [make(), make(), make(), make()];
            let handles = made.map(|owned| pool.spawn(move || owned));
            let [joined, cancelled, dropped, late] = handles;
            let won = cancelled.cancel();
            drop(dropped);
            match (won, cancelled.join()) {
                (true, Err(TaskError::Cancelled)) | (false, Ok(_)) => {}
                (won, result) => panic!("cancel said {won}, the handle {result:?}"),
            }
            if number == 0 {
                drop(late.cancel_on_drop());
            } else {
                late.detach();
            }
            assert!(joined.join().is_ok());
        });
        end_with(&pool, &owned);
    });
}

#[test]
fn a_join_with_an_end_leaves_the_handle_or_gives_the_value() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, number| {
            let mut handle = pool.spawn(move || number);
            let value = match handle.join_timeout(Duration::from_micros(50)) {
                Some(result) => result,
                None => handle.join(),
            };
            assert_eq!(value.ok(), Some(number));
        });
        end(&pool);
    });
}

#[test]
fn an_awaited_handle_is_woken() {
    explore(|| {
        let pool = pool(2);
        outside(2, &pool, |pool, number| {
            let first = pool.spawn(move || number);
            let second = pool.spawn(move || number + 1);
            let both = shuttle::future::block_on(async { (second.await.ok(), first.await.ok()) });
            assert_eq!(both, (Some(number + 1), Some(number)));
        });
        end(&pool);
    });
}

#[test]
fn what_comes_after_a_task_runs_or_is_refused_with_it() {
    explore(|| {
        let (pool, owned) = (pool(2), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(2, &pool, move |pool, number| {
            let owned = kept.upgrade().expect("it lives to the end");
            let first = pool.spawn(move || (owned, number));
            let chain = first.then(|(owned, n)| (owned, n + 1)).then(|(owned, n)| (owned, n + 1));
            if number == 0 {
                drop(chain.cancel_on_drop());
            } else {
                assert_eq!(chain.join().ok().map(|(_, n)| n), Some(number + 2));
            }
        });
        end_with(&pool, &owned);
    });
}

#[test]
fn what_was_accepted_before_the_close_runs_and_nothing_after_it() {
    explore(|| {
        let (pool, owned) = (pool(2), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(3, &pool, move |pool, number| {
            if number == 0 {
                pool.close();
                return;
            }
            for turn in 0..2 {
                let was_closed = pool.is_closed();
                let owned = kept.upgrade().expect("it lives to the end");
                let priority = if turn == 0 { Priority::High } else { Priority::Normal };
                match pool.task().priority(priority).spawn(move || owned).join() {
                    Ok(_) => assert!(!was_closed, "a closed pool took a task"),
                    Err(TaskError::Rejected(_)) => assert!(pool.is_closed()),
                    Err(other) => panic!("a task that nobody cancelled: {other}"),
                }
            }
        });
        end_with(&pool, &owned);
    });
}

#[test]
fn a_pool_is_shut_down_by_two_at_once() {
    explore(|| {
        let pool = pool(2);
        let handle = pool.spawn(|| 1);
        outside(2, &pool, |pool, _| end(pool));
        assert_eq!(handle.join().ok(), Some(1));
    });
}
