//! Promises of several tasks: what comes out, when, and what becomes of the rest.

mod ends;
pub(crate) mod order;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::errors::Refusal;
use corepool::{TaskError, TaskHandle, WorkerPool, promise};

use crate::support::{Gate, PATIENCE, occupy, until, within};

fn pool() -> WorkerPool {
    WorkerPool::with_workers(2).unwrap()
}

/// Spawns a task that does not end before the gate is opened.
fn held<T: Send + 'static>(pool: &WorkerPool, gate: &Gate, value: T) -> TaskHandle<T> {
    let gate = gate.clone();
    pool.spawn(move || {
        gate.wait();
        value
    })
}

fn failing<T: Send + 'static>(pool: &WorkerPool) -> TaskHandle<T> {
    pool.spawn(|| std::panic::resume_unwind(Box::new("planned")))
}

fn is_panic<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Panicked(panic)) if panic.message() == "planned")
}

#[test]
fn all_gives_the_values_in_the_order_of_the_handles() {
    within(PATIENCE, || {
        for count in [1, 2, 3, 100, 3_000] {
            let pool = pool();
            let handles: Vec<_> = (0..count).map(|n| pool.spawn(move || n)).collect();
            assert_eq!(promise::all(handles).join().unwrap(), (0..count).collect::<Vec<_>>());
        }
    });
}

#[test]
fn the_order_of_settling_does_not_change_that_of_the_values() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let handles = [held(&pool, &gate, 1), pool.spawn(|| 2), pool.spawn(|| 3)];
        until(|| handles[1..].iter().all(TaskHandle::is_finished));
        let mut promise = promise::all(handles);
        assert!(promise.try_join().is_none(), "the first one has not ended");
        assert_eq!(promise.unsettled(), 1);
        gate.open();
        assert_eq!(promise.join().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn of_no_handles() {
    let none = || Vec::<TaskHandle<u32>>::new();
    assert!(promise::all(none()).join().unwrap().is_empty());
    assert!(promise::all_settled(none()).join().is_empty());
    assert!(promise::any(none()).join().unwrap_err().is_empty());
    assert!(matches!(promise::race(none()).join(), Err(TaskError::Rejected(Refusal::Empty))));
}

#[test]
fn all_fails_at_the_first_failure_and_cancels_what_is_left() {
    within(PATIENCE, || {
        let pool = pool();
        let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let mut handles = vec![held(&pool, &gate, ()), failing(&pool)];
        until(|| handles[1].is_finished());
        // The second worker is held as well, so these tasks stay queued.
        handles.push(held(&pool, &gate, ()));
        until(|| pool.metrics().queue_depth == 0);
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            handles.push(pool.spawn(move || {
                ran.fetch_add(1, Ordering::SeqCst);
            }));
        }
        // The first and the third task still run.
        assert!(is_panic(&promise::all(handles).join()));
        assert_eq!(pool.metrics().cancelled, 100);
        gate.open();
        pool.shutdown();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn all_settled_gives_every_result() {
    within(PATIENCE, || {
        let pool = pool();
        let busy = occupy(&pool, 2);
        let cancelled = pool.spawn(|| 1);
        assert!(cancelled.cancel());
        busy.release();
        let handles = [pool.spawn(|| 0), cancelled, failing(&pool), pool.spawn(|| 3)];
        let results = promise::all_settled(handles).join();
        assert!(matches!(results[0], Ok(0)) && matches!(results[3], Ok(3)));
        assert!(matches!(results[1], Err(TaskError::Cancelled)) && is_panic(&results[2]));
    });
}

#[test]
fn any_gives_the_first_success_or_every_error() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let handles = [held(&pool, &gate, 1), failing(&pool), pool.spawn(|| 3)];
        assert_eq!(promise::any(handles).join().unwrap(), 3);
        gate.open();
        let errors = promise::any((0..5).map(|_| failing::<()>(&pool))).join().unwrap_err();
        assert_eq!(errors.len(), 5);
        assert!(errors.into_iter().all(|error| is_panic::<()>(&Err(error))));
    });
}

#[test]
fn race_gives_the_first_that_settles() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let gate = Gate::default();
        let slow = held(&pool, &gate, 1);
        assert!(is_panic(&promise::race([slow, failing(&pool)]).join()));
        let slow = held(&pool, &gate, 1);
        assert_eq!(promise::race([slow, pool.spawn(|| 2)]).join().unwrap(), 2);
        gate.open();
    });
}

#[test]
fn inside_a_task_on_a_pool_of_one_worker() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let sum = pool.spawn(|| {
            let all = promise::all((0..100).map(|n| corepool::spawn(move || n))).join().unwrap();
            let settled = promise::all_settled((0..9).map(|n| corepool::spawn(move || n))).join();
            let any = promise::any((5..9).map(|n| corepool::spawn(move || n))).join().unwrap();
            let race = promise::race((7..9).map(|n| corepool::spawn(move || n))).join().unwrap();
            all.iter().sum::<u64>() + settled.len() as u64 + any + race
        });
        assert_eq!(sum.join().unwrap(), 4_950 + 9 + 5 + 7);
    });
}

#[test]
fn a_time_limit_leaves_the_promise_as_it_was() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let mut promise = promise::all([held(&pool, &gate, 1), pool.spawn(|| 2)]);
        assert!(promise.join_timeout(Duration::ZERO).is_none(), "one is held");
        assert!(promise.join_timeout(Duration::from_millis(5)).is_none(), "one is held");
        gate.open();
        assert_eq!(promise.join_timeout(PATIENCE).expect("in time").unwrap(), [1, 2]);
    });
}
