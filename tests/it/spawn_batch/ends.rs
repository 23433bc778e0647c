//! What becomes of a batch that is cancelled, dropped or refused, or whose pool ends.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use corepool::errors::Refusal;
use corepool::{TaskError, WhenFull, WorkerPool};

use super::{each_pool, ended};
use crate::support::{Drops, Gate, PATIENCE, occupy, until, within};

#[test]
fn a_closed_pool_refuses_all_and_frees_what_they_hold() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            pool.close();
            let drops = Drops::default();
            let set = pool.spawn_batch((0..10).map(|_| {
                let held = drops.token();
                move || drop(held)
            }));
            assert_eq!((set.len(), drops.count()), (10, 10), "{kind}");
            assert!(
                set.into_iter()
                    .all(|result| matches!(result, Err(TaskError::Rejected(Refusal::Closed))))
            );
            assert_eq!(ended(&pool), (10, 10), "{kind}");
            assert_eq!(pool.metrics().rejected, 10, "{kind}");
        }
    });
}

#[test]
fn what_was_accepted_runs_though_the_pool_is_closed() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 2);
        let set = pool.spawn_batch((0..100_u32).map(|n| move || n));
        pool.close();
        assert_eq!(pool.metrics().queue_depth, 100);
        busy.release();
        assert_eq!(set.map(Result::unwrap).sum::<u32>(), 4_950);
    });
}

#[test]
fn cancel_all_frees_what_has_not_started_and_lets_the_rest_end() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (drops, gate) = (Drops::default(), Gate::default());
        let (running, started) = mpsc::channel();
        let mut set = pool.spawn_batch((0..10_000_u32).map(|n| {
            let (held, gate, running) = (drops.token(), gate.clone(), running.clone());
            move || {
                running.send(n).unwrap();
                gate.wait();
                drop(held);
                n
            }
        }));
        let first = started.recv().unwrap();
        set.cancel_all();
        assert_eq!(drops.count(), 9_999);
        assert_eq!(pool.metrics().queue_depth, 0);
        for _ in 0..9_999 {
            assert!(set.try_next().unwrap().unwrap_err().is_cancelled());
        }
        assert!(set.try_next().is_none());
        gate.open();
        assert_eq!(set.next().unwrap().unwrap(), first);
        assert!(set.next().is_none());
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.cancelled), (1, 9_999));
    });
}

#[test]
fn cancel_all_frees_the_places_of_a_bounded_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(5).build().unwrap();
        let busy = occupy(&pool, 1);
        for _ in 0..3 {
            let set = pool.spawn_batch((0..5_u32).map(|n| move || n));
            assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
            set.cancel_all();
            assert!(set.into_iter().all(|result| result.unwrap_err().is_cancelled()));
        }
        busy.release();
    });
}

#[test]
fn a_full_pool_refuses_those_that_are_too_many() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(5);
        let pool = builder.when_full(WhenFull::Reject).build().unwrap();
        let busy = occupy(&pool, 1);
        let mut set = pool.spawn_batch((0..12_u32).map(|n| move || n));
        let refused = || {
            set.try_next().map(|result| matches!(result, Err(TaskError::Rejected(Refusal::Full))))
        };
        let refused: Vec<_> = std::iter::from_fn(refused).collect();
        assert_eq!(refused, [true; 7]);
        busy.release();
        assert_eq!(set.map(Result::unwrap).sum::<u32>(), 10);
    });
}

#[test]
fn a_dropped_set_detaches_or_cancels_as_was_asked() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(1) {
            for cancels in [false, true] {
                let busy = occupy(&pool, 1);
                let drops = Drops::default();
                let completed = pool.metrics().completed;
                let set = pool.spawn_batch((0..3_u32).map(|_| {
                    let held = drops.token();
                    // The value is dropped when no handle takes it.
                    move || held
                }));
                if cancels {
                    drop(set.cancel_on_drop());
                    assert_eq!(drops.count(), 3, "{kind}: freed at once");
                } else {
                    drop(set);
                    assert_eq!(drops.count(), 0, "{kind}");
                }
                busy.release();
                until(|| drops.count() == 3);
                let ran = if cancels { 0 } else { 3 };
                // The task that kept the worker busy is counted too.
                until(|| pool.metrics().completed - completed == ran + 1);
            }
        }
    });
}

#[test]
fn a_shutdown_that_gives_up_cancels_what_has_not_started() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            let busy = occupy(&pool, 2);
            let set = pool.spawn_batch((0..4_u32).map(|n| move || n));
            let report = pool.shutdown_timeout(Duration::ZERO);
            assert_eq!((report.cancelled, report.abandoned.len()), (4, 2), "{kind}");
            assert!(set.into_iter().all(|result| result.unwrap_err().is_cancelled()), "{kind}");
            busy.release();
        }
    });
}

#[test]
fn results_can_be_taken_when_the_pool_is_gone() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            let set = pool.spawn_batch((0..100_u32).map(|n| move || n));
            drop(pool);
            assert_eq!(set.map(Result::unwrap).sum::<u32>(), 4_950, "{kind}");
        }
    });
}

#[test]
fn a_close_at_that_moment_settles_each_of_them() {
    within(PATIENCE * 2, || {
        for round in 0..if cfg!(any(corepool_chaos, corepool_tsan)) { 50 } else { 300 } {
            let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
            let closer = Arc::clone(&pool);
            let closer = thread::spawn(move || {
                for _ in 0..round * 10 {
                    std::hint::spin_loop();
                }
                closer.shutdown();
            });
            let drops = Drops::default();
            let set = pool.spawn_batch((0..64).map(|_| {
                let held = drops.token();
                move || drop(held)
            }));
            let refused = set
                .filter(|result| match result {
                    Ok(()) => false,
                    Err(TaskError::Rejected(Refusal::Closed)) => true,
                    Err(other) => panic!("{other}"),
                })
                .count() as u64;
            closer.join().unwrap();
            assert_eq!(drops.count(), 64);
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.queue_depth), (64, 0));
            assert_eq!((metrics.rejected, metrics.completed), (refused, 64 - refused));
        }
    });
}

#[test]
fn a_cancel_races_with_the_run() {
    within(PATIENCE * 2, || {
        for round in 0..if cfg!(any(corepool_chaos, corepool_tsan)) { 50 } else { 300 } {
            let pool = WorkerPool::with_workers(2).unwrap();
            let drops = Drops::default();
            let set = pool.spawn_batch((0..200).map(|_| {
                let held = drops.token();
                move || drop(held)
            }));
            for _ in 0..round * 10 {
                std::hint::spin_loop();
            }
            set.cancel_all();
            set.cancel_all();
            let (ran, cancelled): (Vec<_>, Vec<_>) = set.partition(Result::is_ok);
            assert!(cancelled.into_iter().all(|result| result.unwrap_err().is_cancelled()));
            assert_eq!(drops.count(), 200);
            assert_eq!(ended(&pool), (200, 200));
            assert_eq!(pool.metrics().completed, ran.len() as u64);
        }
    });
}
