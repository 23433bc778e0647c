//! Tests of items that do not run (cancelled, refused, left behind) and of items without a taker.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Drops, Gate, all, assert_adds_up, next, throw, until, within};
use crate::base::error::TaskError;
use crate::parts::event::PoolEvent;
use crate::pool::WorkerPool;
use crate::sets::batch::{BatchSource, submit};
use crate::task::end_worker;

/// A batch on a pool of one worker, which stays in its first item until the gate is opened.
fn stuck(pool: &WorkerPool, size: usize, gate: &Gate, drops: &Drops) -> BatchSource<usize> {
    let started = Arc::new(AtomicUsize::new(0));
    let closures = (0..size).map(|n| {
        let (gate, token, started) = (gate.clone(), drops.token(), Arc::clone(&started));
        move || {
            let _token = token;
            started.fetch_add(1, Ordering::SeqCst);
            gate.wait();
            n
        }
    });
    let source = submit(pool.hub(), closures);
    until(|| started.load(Ordering::SeqCst) == 1);
    source
}

#[test]
fn cancelled_items_never_run_and_free_what_they_hold_at_once() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, drops) = (Gate::default(), Drops::default());
        let mut source = stuck(&pool, 1_000, &gate, &drops);
        source.cancel();
        assert_eq!(drops.count(), 999);
        assert_eq!(pool.metrics().cancelled, 999);
        for _ in 1..1_000 {
            assert!(source.try_take().unwrap().unwrap_err().is_cancelled());
        }
        assert!(source.try_take().is_none());
        gate.open();
        assert_eq!(next(&mut source).unwrap().unwrap(), 0);
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn a_cancel_wakes_who_waits_and_a_second_one_finds_nothing() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, drops) = (Gate::default(), Drops::default());
        let source = stuck(&pool, 10, &gate, &drops);
        source.cancel();
        source.cancel();
        gate.open();
        let results = all(source);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(pool.metrics().cancelled, 9);
    });
}

#[test]
fn a_closed_pool_refuses_all() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.close();
        let drops = Drops::default();
        let tokens = (0..100).map(|_| drops.token());
        let source = submit(pool.hub(), tokens.map(|token| move || drop(token)));
        assert_eq!(drops.count(), 100);
        let results = all(source);
        assert_eq!(results.len(), 100);
        assert!(results.iter().all(|result| matches!(result, Err(TaskError::Rejected(_)))));
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.rejected), (100, 100));
        assert_adds_up(&metrics);
    });
}

#[test]
fn what_was_accepted_runs_though_the_pool_is_shut_down() {
    within(|| {
        for _ in 0..20 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let source = submit(pool.hub(), (0..5_000).map(|n| move || n));
            pool.shutdown();
            assert_eq!(source.left(), 5_000);
            assert!(all(source).iter().all(Result::is_ok));
            assert_adds_up(&pool.metrics());
        }
    });
}

/// The pool is closed while the batch is handed in: each item runs or is refused.
#[test]
fn a_pool_closed_at_that_moment_settles_each_item() {
    within(|| {
        for _ in 0..200 {
            let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
            let closer = Arc::clone(&pool);
            let thread = std::thread::spawn(move || closer.shutdown());
            let results = all(submit(pool.hub(), (0..50).map(|n| move || n)));
            assert_eq!(results.len(), 50);
            thread.join().unwrap();
            assert_adds_up(&pool.metrics());
        }
    });
}

#[test]
fn a_shutdown_that_gives_up_cancels_what_nobody_has_started() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, drops) = (Gate::default(), Drops::default());
        let mut source = stuck(&pool, 100, &gate, &drops);
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert_eq!((report.cancelled, report.abandoned.len()), (99, 1));
        assert!(report.abandoned[0].task.contains("stuck"), "{report}");
        assert_eq!(drops.count(), 99);
        for _ in 1..100 {
            assert!(next(&mut source).unwrap().unwrap_err().is_cancelled());
        }
        gate.open();
        assert_eq!(next(&mut source).unwrap().unwrap(), 0);
        assert_adds_up(&pool.metrics());
    });
}

/// The runners are still in the queue when the time is over.
#[test]
fn a_shutdown_that_gives_up_cancels_a_batch_that_nobody_has_begun() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let gate = Gate::default();
        let held = gate.clone();
        let started = Arc::new(AtomicUsize::new(0));
        let starts = Arc::clone(&started);
        let busy = pool.spawn(move || {
            starts.store(1, Ordering::SeqCst);
            held.wait();
        });
        until(|| started.load(Ordering::SeqCst) == 1);
        let source = submit(pool.hub(), (0..100).map(|n| move || n));
        assert_eq!(pool.metrics().queue_depth, 100);
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert_eq!(report.cancelled, 100);
        let results = all(source);
        assert!(results.iter().all(|result| matches!(result, Err(TaskError::Cancelled))));
        gate.open();
        busy.join().unwrap();
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn an_item_that_ends_its_worker_is_lost_and_the_others_run() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let events = pool.events();
        let closures = (0..100).map(|n| {
            move || {
                if n == 3 { end_worker() } else { n }
            }
        });
        let results = all(submit(pool.hub(), closures));
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 99);
        let lost = results.iter().filter(|result| matches!(result, Err(TaskError::Lost)));
        assert_eq!(lost.count(), 1);
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.lost), (99, 1));
        assert_adds_up(&metrics);
        pool.shutdown();
        let respawned = |event| matches!(event, PoolEvent::WorkerRespawned { .. });
        assert_eq!(
            events.receiver().try_iter().filter(|event| respawned(event.clone())).count(),
            1
        );
    });
}

#[test]
fn nobody_waits_and_all_run_and_their_values_are_dropped() {
    within(|| {
        for take in [0, 7] {
            let pool = WorkerPool::with_workers(2).unwrap();
            let drops = Drops::default();
            let tokens = (0..10_000).map(|_| drops.token());
            let mut source = submit(pool.hub(), tokens.map(|token| move || token));
            for _ in 0..take {
                drop(next(&mut source));
            }
            drop(source);
            until(|| drops.count() == 10_000);
            pool.shutdown();
            assert_eq!(pool.metrics().completed, 10_000);
        }
    });
}

/// A value without a taker is dropped before the next item of its runner runs.
#[test]
fn values_that_nobody_takes_are_dropped_as_they_come() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, drops, most) =
            (Gate::default(), Drops::default(), Arc::new(AtomicUsize::new(0)));
        let closures = (0..500_usize).map(|n| {
            let (gate, drops, most) = (gate.clone(), drops.clone(), Arc::clone(&most));
            move || {
                gate.wait();
                most.fetch_max(n - drops.count(), Ordering::SeqCst);
                drops.token()
            }
        });
        drop(submit(pool.hub(), closures));
        gate.open();
        pool.shutdown();
        assert_eq!((drops.count(), most.load(Ordering::SeqCst)), (500, 0));
    });
}

#[test]
fn drops_that_panic_harm_nobody() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        // Values, dropped by the runner.
        let bombs: Vec<_> = (0..50).map(|_| drops.bomb()).collect();
        drop(submit(pool.hub(), bombs.into_iter().map(|bomb| move || bomb)));
        until(|| drops.count() == 50);
        // Closures, dropped by a cancel.
        let (gate, bombs) = (Gate::default(), (0..50).map(|_| drops.bomb()).collect::<Vec<_>>());
        let held = gate.clone();
        let busy = pool.spawn(move || held.wait());
        let source = submit(pool.hub(), bombs.into_iter().map(|bomb| move || drop(bomb)));
        source.cancel();
        assert_eq!(drops.count(), 100);
        assert_eq!(all(source).len(), 50);
        gate.open();
        busy.join().unwrap();
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn an_iterator_that_panics_spawns_nothing() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let closures = (0..20).map(|n| {
            if n == 10 {
                throw("no more");
            }
            let token = drops.token();
            move || drop(token)
        });
        let thrown =
            crate::base::unwind::catch(|| submit(pool.hub(), closures)).map(drop).unwrap_err();
        assert_eq!(thrown.downcast_ref(), Some(&"no more"));
        assert_eq!(drops.count(), 10);
        assert_eq!(pool.metrics().spawned, 0);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn results_that_nobody_has_taken_keep_no_pool() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let hub = Arc::downgrade(pool.hub());
        let source = submit(pool.hub(), (0..100).map(|n| move || n));
        drop(pool);
        assert!(hub.upgrade().is_none());
        assert!(all(source).iter().all(Result::is_ok));
    });
}

#[test]
fn a_batch_that_is_done_is_forgotten_by_its_pool() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let drops = Drops::default();
        let mut sources = Vec::new();
        for _ in 0..100 {
            let token = drops.token();
            let mut token = Some(token);
            sources.push(submit(
                pool.hub(),
                (0..3).map(|_| {
                    let token = token.take();
                    move || token
                }),
            ));
        }
        for source in sources {
            all(source);
        }
        assert_eq!(drops.count(), 100);
        until(|| pool.hub().backlogs.is_empty());
    });
}
