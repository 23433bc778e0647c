//! What becomes of tasks and their results when the set or the pool goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{TaskError, TaskSet, WorkerPool};

use super::pool;
use crate::support::{Drops, Gate, PATIENCE, occupy, within};

fn counted(pool: &WorkerPool, many: usize) -> (TaskSet<()>, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let task = || {
        let ran = Arc::clone(&ran);
        pool.spawn(move || {
            ran.fetch_add(1, Ordering::SeqCst);
        })
    };
    ((0..many).map(|_| task()).collect(), ran)
}

#[test]
fn a_dropped_set_cancels_nothing_unless_asked() {
    within(PATIENCE, || {
        for asked in [false, true] {
            for looked_at in [false, true] {
                let pool = pool();
                let busy = occupy(&pool, 2);
                let (set, ran) = counted(&pool, 10);
                let mut set = if asked { set.cancel_on_drop() } else { set };
                if looked_at {
                    assert!(set.try_next().is_none());
                }
                drop(set);
                busy.release();
                pool.shutdown();
                assert_eq!(ran.load(Ordering::SeqCst), if asked { 0 } else { 10 });
            }
        }
    });
}

#[test]
fn a_handles_own_wish_holds_in_a_set() {
    within(PATIENCE, || {
        let pool = pool();
        let busy = occupy(&pool, 2);
        let ran = Arc::new(AtomicUsize::new(0));
        let task = || {
            let ran = Arc::clone(&ran);
            pool.spawn(move || ran.fetch_add(1, Ordering::SeqCst))
        };
        let set = TaskSet::from_iter([task().cancel_on_drop(), task()]);
        drop(set);
        busy.release();
        pool.shutdown();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn cancel_all_settles_what_is_queued_and_leaves_what_runs() {
    within(PATIENCE, || {
        for looked_at in [false, true] {
            let pool = WorkerPool::with_workers(1).unwrap();
            let (gate, started) = (Gate::default(), Gate::default());
            let mut set = TaskSet::new();
            let (wait, start) = (gate.clone(), started.clone());
            set.push(pool.spawn(move || {
                start.open();
                wait.wait();
                0
            }));
            started.wait();
            set.extend((1..100).map(|n| pool.spawn(move || n)));
            if looked_at {
                assert!(set.try_next().is_none());
            }
            set.cancel_all();
            for _ in 1..100 {
                assert!(matches!(set.next(), Some(Err(TaskError::Cancelled))));
            }
            assert!(set.try_next().is_none());
            gate.open();
            assert!(matches!(set.next(), Some(Ok(0))));
            assert!(set.next().is_none());
        }
    });
}

#[test]
fn every_result_comes_out_of_a_pool_that_is_closed_half_way() {
    within(PATIENCE, || {
        for has_started in [true, false] {
            let pool = WorkerPool::with_workers(1).unwrap();
            let (gate, started) = (Gate::default(), Gate::default());
            let (wait, start) = (gate.clone(), started.clone());
            let first = pool.spawn(move || {
                start.open();
                wait.wait();
                0
            });
            let mut set = TaskSet::from_iter([first]);
            set.extend((1..50).map(|n| pool.spawn(move || n)));
            assert!(set.try_next().is_none());
            if has_started {
                started.wait();
            }
            let report = pool.shutdown_timeout(Duration::ZERO);
            gate.open();
            let (mut ran, mut cancelled) = (Vec::new(), 0);
            for result in &mut set {
                match result {
                    Ok(n) => ran.push(n),
                    Err(TaskError::Cancelled) => cancelled += 1,
                    other => unreachable!("{other:?}"),
                }
            }
            assert_eq!((ran.len() + cancelled, report.cancelled), (50, cancelled as u64));
            if has_started {
                assert_eq!((ran, report.abandoned.len()), (vec![0], 1));
            } else {
                // A worker that comes while the queue is emptied runs what it finds there.
                ran.sort_unstable();
                ran.dedup();
                assert_eq!(ran.len() + cancelled, 50);
            }
        }
    });
}

#[test]
fn what_a_closed_pool_refuses_comes_out_too() {
    within(PATIENCE, || {
        let pool = pool();
        let (mut set, ran) = counted(&pool, 10);
        pool.close();
        set.extend((0..10).map(|_| pool.spawn(|| ())));
        let results: Vec<_> = set.collect();
        let refused = results.iter().filter(|result| matches!(result, Err(TaskError::Rejected(_))));
        assert_eq!((results.len(), refused.count()), (20, 10));
        assert_eq!(ran.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn a_result_is_let_go_as_it_is_taken() {
    within(PATIENCE, || {
        let (pool, drops) = (pool(), Drops::default());
        let task = || {
            let token = drops.token();
            pool.spawn(move || token)
        };
        let mut set: TaskSet<_> = (0..2_000).map(|_| task()).collect();
        for taken in 1..=1_000 {
            drop(set.next().unwrap().unwrap());
            assert_eq!(drops.count(), taken);
        }
        drop(set);
        pool.shutdown();
        assert_eq!(drops.count(), 2_000);
    });
}
