//! The closure given to `finally` runs once, whatever becomes of its handle and of the pool, and
//! never before its task is settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use corepool::errors::Refusal;
use corepool::{TaskContext, TaskError, TaskHandle, WorkerPool};

use super::{failing, pool};
use crate::support::{Gate, PATIENCE, occupy, until, within};

#[derive(Debug, Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn one(&self) -> impl FnOnce() + Send + 'static {
        let runs = Arc::clone(&self.0);
        move || {
            runs.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A task that has begun, and ends when the gate is opened.
fn running(pool: &WorkerPool) -> (TaskHandle<bool>, Gate) {
    let (gate, (begins, has_begun)) = (Gate::default(), mpsc::channel());
    let held = gate.clone();
    let task = pool.spawn_with(move |cx: &TaskContext| {
        begins.send(()).unwrap();
        held.wait();
        cx.is_cancelled()
    });
    has_begun.recv().unwrap();
    (task, gate)
}

#[test]
fn it_runs_though_the_pool_has_ended_and_passes_the_result_on() {
    within(PATIENCE, || {
        let runs = Runs::default();
        let (settled, panicked) = {
            let pool = pool(1);
            let tasks = (pool.spawn(|| 5), failing(&pool));
            until(|| tasks.0.is_finished() && tasks.1.is_finished());
            tasks
        };
        let chain = settled.finally(runs.one()).finally(runs.one());
        assert_eq!((chain.join().unwrap(), runs.count()), (5, 2));
        assert!(panicked.finally(runs.one()).join().unwrap_err().is_panicked());
        assert_eq!(runs.count(), 3);
        // A continuation without that guarantee is still refused.
        let pool = pool(1);
        let task = pool.spawn(|| 5);
        until(|| task.is_finished());
        // Shut down first, because workers that are about to leave would run it too.
        pool.shutdown();
        let task = task.finally(runs.one());
        assert_eq!(runs.count(), 4, "it has run in the call");
        assert!(matches!(task.then(|_| ()).join(), Err(TaskError::Rejected(Refusal::Closed))));
    });
}

#[test]
fn it_runs_behind_a_task_that_a_shutdown_has_left_running() {
    within(PATIENCE, || {
        let (runs, pool) = (Runs::default(), pool(1));
        let (task, gate) = running(&pool);
        let task = task.finally(runs.one());
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert!(!report.is_clean());
        assert_eq!(runs.count(), 0, "its task has not ended");
        gate.open();
        assert!(task.join().is_ok());
        assert_eq!(runs.count(), 1);
    });
}

#[test]
fn a_cancel_goes_to_the_task_in_front_of_it_and_it_runs_behind_that() {
    within(PATIENCE, || {
        let (runs, pool) = (Runs::default(), pool(2));
        let (task, gate) = running(&pool);
        let last = task.finally(runs.one()).finally(runs.one());
        assert!(!last.cancel(), "the task has begun");
        assert_eq!(runs.count(), 0, "the task runs still");
        gate.open();
        assert!(last.join().unwrap(), "it has seen the wish");
        assert_eq!(runs.count(), 2);

        let (task, gate) = running(&pool);
        let (sees, seen) = mpsc::channel();
        let last = task.then(move |wish| sees.send(wish).unwrap());
        let last = last.finally(runs.one()).then(|()| ()).finally(runs.one());
        assert!(last.cancel(), "the second `then` had not begun");
        assert!(last.join().unwrap_err().is_cancelled());
        assert!(seen.recv().is_err(), "nor had the first");
        gate.open();
        pool.shutdown();
        assert_eq!(runs.count(), 4, "each runs once");
    });
}

#[test]
fn it_runs_behind_what_was_cancelled_before_it_began() {
    within(PATIENCE, || {
        let (runs, pool) = (Runs::default(), pool(1));
        let busy = occupy(&pool, 1);
        let queued = pool.spawn(|| ()).finally(runs.one());
        assert!(queued.cancel());
        let ended = pool.spawn(|| ());
        ended.cancel();
        let ended = ended.finally(runs.one());
        assert!(!ended.cancel(), "there is nothing to cancel");
        drop(ended.cancel_on_drop());
        drop(pool.spawn(|| ()).finally(runs.one()).cancel_on_drop());
        busy.release();
        assert!(queued.join().unwrap_err().is_cancelled());
        pool.shutdown();
        assert_eq!(runs.count(), 3);
    });
}

#[test]
fn a_long_chain_is_cancelled_or_refused_without_a_frame_for_each() {
    within(PATIENCE, || {
        let (runs, ends) = (Runs::default(), pool(1));
        let busy = occupy(&ends, 1);
        let chain = || {
            let first = ends.spawn(|| ()).then(|()| ());
            (0..20_000).fold(first, |link, _| link.finally(runs.one()).recover(|_| ()))
        };
        let (cancelled, other) = (chain(), chain());
        cancelled.cancel();
        busy.release();
        assert!(cancelled.join().unwrap_err().is_cancelled() && other.join().is_ok());
        until(|| runs.count() == 40_000);
        let (task, gate) = running(&ends);
        let chain = (0..20_000).fold(task, |link, _| link.finally(runs.one()));
        assert!(!ends.shutdown_timeout(Duration::ZERO).is_clean());
        gate.open();
        assert!(chain.join().is_ok());
        assert_eq!(runs.count(), 60_000);
    });
}

#[test]
fn a_cancel_and_the_end_of_its_task_may_come_at_the_same_time() {
    within(PATIENCE, || {
        let (runs, pool) = (Runs::default(), pool(2));
        for round in 1..=300 {
            let last = pool.spawn(|| ()).finally(runs.one());
            let _stopped = last.cancel();
            let _result = last.join();
            assert_eq!(runs.count(), round);
        }
    });
}
