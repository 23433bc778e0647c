//! Stopping all tasks of a pool at once, and what a shutdown with a limit reports and how long it
//! takes.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corepool::cancel::CancelReason;
use corepool::{TaskContext, WhenFull, WorkerPool};

use crate::held::{hold, hold_named};
use crate::support::{Gate, PATIENCE, until, within};

const SHORT: Duration = Duration::from_millis(10);

/// Runs until it is asked to stop, and returns the reason.
fn obedient(running: mpsc::Sender<()>) -> impl FnOnce(&TaskContext) -> Option<CancelReason> {
    move |cx| {
        running.send(()).unwrap();
        until(|| cx.is_cancelled());
        cx.cancel_reason()
    }
}

#[test]
fn what_runs_is_asked_to_stop_and_counted_apart() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let (running, runs) = mpsc::channel();
        let stopped =
            [pool.spawn_with(obedient(running.clone())), pool.task().spawn_with(obedient(running))];
        runs.iter().take(2).for_each(drop);
        let stuck = hold_named(&pool, "stuck");
        let queued = pool.spawn(|| 1);
        let report = pool.shutdown_stopping(Duration::ZERO, Duration::from_millis(500));
        assert_eq!((report.completed, report.stopped, report.cancelled), (0, 2, 1));
        assert_eq!(report.abandoned.len(), 1);
        assert!(!report.is_clean());
        let text = report.to_string();
        assert!(text.starts_with("0 completed, 1 cancelled, 2 stopped, abandoned: stuck (worker "));
        for task in stopped {
            assert_eq!(task.join().unwrap(), Some(CancelReason::ShuttingDown));
        }
        assert!(queued.join().unwrap_err().is_cancelled());
        assert_eq!(pool.cancel_token().reason(), Some(CancelReason::ShuttingDown));
        stuck.release();
    });
}

#[test]
fn until_then_queued_work_goes_on() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let queued: Vec<_> = (0..20).map(|_| pool.spawn_with(|cx| cx.is_cancelled())).collect();
        let report = thread::scope(|scope| {
            let ending = scope.spawn(|| pool.shutdown_stopping(PATIENCE, PATIENCE));
            until(|| pool.is_closed());
            held.release();
            ending.join().unwrap()
        });
        assert!(report.is_clean());
        assert_eq!((report.completed, report.stopped), (21, 0));
        assert!(queued.into_iter().all(|task| !task.join().unwrap()));
        assert!(!pool.cancel_token().is_cancelled());
    });
}

#[test]
fn a_shutdown_with_a_limit_asks_what_it_abandons_to_stop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (running, runs) = mpsc::channel();
        let task = pool.spawn_with(obedient(running));
        runs.recv().unwrap();
        let _report = pool.shutdown_timeout(SHORT);
        assert_eq!(task.join().unwrap(), Some(CancelReason::ShuttingDown));
    });
}

/// Waits for a gate in its drop.
struct Slow(Gate);

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[test]
fn slow_closures_are_dropped_elsewhere_when_the_limit_has_come() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let stuck = hold(&pool);
        let gate = Gate::default();
        let queued: Vec<_> = (0..3)
            .map(|_| {
                let slow = Slow(gate.clone());
                pool.spawn(move || drop(slow))
            })
            .collect();
        // The call returns although no closure is gone before the gate opens.
        let report = pool.shutdown_timeout(SHORT);
        assert_eq!((report.cancelled, report.abandoned.len()), (3, 1));
        assert_eq!(pool.metrics().cancelled, 3);
        assert!(!queued[0].is_finished());
        gate.open();
        for task in queued {
            assert!(task.join().unwrap_err().is_cancelled());
        }
        stuck.release();
    });
}

#[test]
fn a_batch_is_cancelled_and_counted_too() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let stuck = hold(&pool);
        let batch = pool.spawn_batch((0..100).map(|n| move || n));
        let report = pool.shutdown_timeout(SHORT);
        assert_eq!(report.cancelled, 100);
        assert!(batch.into_iter().all(|result| result.unwrap_err().is_cancelled()));
        stuck.release();
    });
}

#[test]
fn a_task_that_runs_in_place_on_another_pools_worker_is_no_clean_end() {
    within(PATIENCE, || {
        let (pool, other) =
            (WorkerPool::with_workers(1).unwrap(), WorkerPool::with_workers(1).unwrap());
        let held = hold(&pool);
        let (gate, (running, runs)) = (Gate::default(), mpsc::channel());
        let waits = gate.clone();
        let task = pool.task().name("elsewhere").spawn(move || {
            running.send(()).unwrap();
            waits.wait();
        });
        let joins = other.spawn(move || task.join().unwrap());
        runs.recv().unwrap();
        held.release();
        let report = pool.shutdown_timeout(SHORT);
        assert!(!report.is_clean(), "{report}");
        assert_eq!(report.in_place, ["elsewhere"]);
        assert_eq!(report.to_string(), "0 completed, 0 cancelled, abandoned: elsewhere (in place)");
        gate.open();
        joins.join().unwrap();
    });
}

#[test]
fn cancel_all_concerns_what_was_spawned_before_it_and_nothing_later() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..50 {
            let (running, runs) = mpsc::channel();
            let tasks: Vec<_> =
                (0..2).map(|_| pool.spawn_with(obedient(running.clone()))).collect();
            runs.iter().take(2).for_each(drop);
            let queued: Vec<_> = (0..round).map(|n| pool.spawn(move || n)).collect();
            let batch = pool.spawn_batch((0..round).map(|n| move || n));
            let token = pool.cancel_token();
            assert_eq!(pool.cancel_all(), 2 * round);
            assert_eq!(token.reason(), Some(CancelReason::PoolCancelled));
            let later = pool.spawn_with(|cx| (cx.is_cancelled(), cx.cancel_reason()));
            for task in tasks {
                assert_eq!(task.join().unwrap(), Some(CancelReason::PoolCancelled));
            }
            assert!(queued.into_iter().all(|task| task.join().unwrap_err().is_cancelled()));
            assert!(batch.into_iter().all(|result| result.unwrap_err().is_cancelled()));
            assert_eq!(later.join().unwrap(), (false, None));
        }
        pool.drain();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.queue_depth), (50 * 3, 0));
    });
}

#[test]
fn cancel_all_of_another_pool_is_none_of_a_tasks_business() {
    within(PATIENCE, || {
        let (pool, other) =
            (WorkerPool::with_workers(1).unwrap(), WorkerPool::with_workers(1).unwrap());
        let (running, runs) = mpsc::channel();
        let task = pool.spawn_with(move |cx| {
            running.send(()).unwrap();
            other.cancel_all();
            let before = cx.is_cancelled();
            running.send(()).unwrap();
            until(|| cx.is_cancelled());
            (before, cx.cancel_reason())
        });
        runs.recv().unwrap();
        runs.recv().unwrap();
        pool.cancel_all();
        assert_eq!(task.join().unwrap(), (false, Some(CancelReason::PoolCancelled)));
    });
}

#[test]
fn what_a_full_pool_has_its_caller_run_is_asked_to_stop_too() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = pool.when_full(WhenFull::CallerRuns).build().unwrap();
        let held = hold(&pool);
        let (running, runs) = mpsc::channel();
        thread::scope(|scope| {
            let caller = scope.spawn(|| pool.spawn_with(obedient(running)).join().unwrap());
            runs.recv().unwrap();
            assert_eq!(pool.cancel_all(), 0);
            assert_eq!(caller.join().unwrap(), Some(CancelReason::PoolCancelled));
        });
        held.release();
    });
}

#[test]
fn the_first_reason_of_a_task_with_a_token_of_its_own_is_that_tokens() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let token = corepool::CancelToken::new();
        let (running, runs) = mpsc::channel();
        let task = pool.task().cancel_token(&token).spawn_with(obedient(running));
        runs.recv().unwrap();
        token.cancel_because("enough");
        pool.cancel_all();
        assert_eq!(task.join().unwrap(), Some(CancelReason::Because("enough".into())));
    });
}
