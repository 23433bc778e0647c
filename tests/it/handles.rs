//! A handle gives its task's result once, however it is asked for, and nothing is lost or
//! duplicated.

mod collisions;
mod contents;
mod traits;
mod waiting;

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use corepool::{TaskError, TaskHandle, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, until, within};

#[test]
fn join_gives_the_value() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let tasks: Vec<_> = (0..1_000_u64).map(|n| pool.spawn(move || n * n)).collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.join().unwrap(), n * n);
        }
    });
}

#[test]
fn try_join_says_not_yet_until_the_task_is_settled() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| "value");
        assert!(task.try_join().is_none(), "the only worker is busy");
        assert!(!task.is_finished());
        busy.release();
        until(|| task.is_finished());
        assert_eq!(task.try_join().expect("it is settled").unwrap(), "value");
    });
}

#[test]
fn is_finished_is_false_while_the_task_runs_and_stays_true_after() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (starting, started) = mpsc::channel();
        let task = pool.spawn(move || {
            starting.send(()).unwrap();
            wait.recv()
        });
        started.recv().unwrap();
        assert!(!task.is_finished());
        drop(go);
        until(|| task.is_finished());
        pool.shutdown();
        assert!(task.is_finished());
        assert!(task.join().unwrap().is_err());
    });
}

#[test]
fn detach_lets_the_task_run_and_drops_its_value_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (ran, runs) = mpsc::channel();
        let drops = Drops::default();
        let token = drops.token();
        pool.spawn(move || {
            ran.send(()).unwrap();
            token
        })
        .detach();
        runs.recv().unwrap();
        pool.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_dropped_handle_detaches_its_task() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (ran, runs) = mpsc::channel();
        drop(pool.spawn(move || ran.send(())));
        busy.release();
        runs.recv().expect("it runs all the same");
    });
}

#[test]
fn cancel_on_drop_keeps_a_queued_task_from_running() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let task = pool.spawn(move || {
            let _token = token;
            unreachable!("it was cancelled by its handle's drop")
        });
        drop(task.cancel_on_drop());
        assert_eq!(drops.count(), 1, "the closure is dropped at once");
        busy.release();
        pool.shutdown();
        assert_eq!((pool.metrics().cancelled, pool.metrics().panicked), (1, 0));
    });
}

#[test]
fn cancel_on_drop_asks_a_running_task_to_stop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (starting, started) = mpsc::channel();
        let (stopping, stopped) = mpsc::channel();
        let task = pool.spawn_with(move |cx| {
            starting.send(()).unwrap();
            until(|| cx.is_cancelled());
            stopping.send(()).unwrap();
        });
        let task = task.cancel_on_drop();
        started.recv().unwrap();
        drop(task);
        stopped.recv().expect("it saw the wish");
    });
}

#[test]
fn cancel_on_drop_outlives_a_join_that_gives_up() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let mut task = pool.spawn(move || drop(token)).cancel_on_drop();
        assert!(task.join_timeout(Duration::from_nanos(1)).is_none());
        assert!(task.try_join().is_none());
        assert_eq!(drops.count(), 0);
        drop(task);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn detach_takes_cancel_on_drop_back() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (ran, runs) = mpsc::channel();
        pool.spawn(move || ran.send(())).cancel_on_drop().detach();
        busy.release();
        runs.recv().expect("it was detached, not cancelled");
    });
}

#[test]
fn a_joined_handle_cancels_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let tasks: Vec<_> = (0..100).map(|n| pool.spawn(move || n).cancel_on_drop()).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        assert_eq!(pool.metrics().cancelled, 0);
    });
}

#[test]
fn a_handle_outlives_its_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let value = pool.spawn(|| vec![1, 2, 3]);
        let panicked = pool.spawn(|| -> u8 { panic!("no value") });
        drop(pool);
        assert!(value.is_finished() && panicked.is_finished());
        assert!(!value.cancel(), "it is too late for that");
        assert_eq!(value.join().unwrap(), [1, 2, 3]);
        assert!(panicked.join().unwrap_err().is_panicked());
    });
}

#[test]
fn a_handle_of_a_closed_pool_says_rejected() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.close();
        let drops = Drops::default();
        let token = drops.token();
        let task = pool.spawn(move || drop(token));
        assert!(task.is_finished());
        assert_eq!(drops.count(), 1);
        assert!(matches!(task.join(), Err(TaskError::Rejected(_))));
    });
}

/// Memory that only the order of spawn and join protects from a data race. ThreadSanitizer detects
/// if that order is missing, and a torn or stale value fails the test by itself.
struct Plain(UnsafeCell<[u64; 32]>);

// SAFETY: the tests below access it only in an order that spawn and join guarantee.
unsafe impl Sync for Plain {}

impl Plain {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new([0; 32])))
    }

    fn set(&self, value: u64) {
        // SAFETY: no other thread accesses it now, because spawn and join order the accesses.
        unsafe { *self.0.get() = [value; 32] };
    }

    fn expect(&self, value: u64) {
        // SAFETY: as in `set`.
        let now = unsafe { *self.0.get() };
        assert_eq!(now, [value; 32]);
    }
}

/// Runs rounds in which a task must see what happened before its spawn, and the thread that called
/// `finish` must see what the task did.
fn see_both_ways(finish: impl Fn(TaskHandle<()>)) {
    let pool = WorkerPool::with_workers(2).unwrap();
    let memory = Plain::new();
    for round in 0..3_000 {
        memory.set(2 * round);
        let seen = Arc::clone(&memory);
        let task = pool.spawn(move || {
            seen.expect(2 * round);
            seen.set(2 * round + 1);
        });
        finish(task);
        memory.expect(2 * round + 1);
    }
}

#[test]
fn join_sees_what_the_task_did_and_the_task_what_came_before_spawn() {
    within(PATIENCE, || see_both_ways(|task| task.join().unwrap()));
}

#[test]
fn try_join_sees_what_the_task_did() {
    within(PATIENCE, || {
        see_both_ways(|mut task| {
            loop {
                if let Some(done) = task.try_join() {
                    return done.unwrap();
                }
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn join_timeout_sees_what_the_task_did() {
    within(PATIENCE, || {
        see_both_ways(|mut task| task.join_timeout(Duration::MAX).unwrap().unwrap());
    });
}

#[test]
fn await_sees_what_the_task_did() {
    within(PATIENCE, || see_both_ways(|task| pollster::block_on(task).unwrap()));
}

#[test]
fn a_task_run_in_place_sees_what_came_before_its_spawn() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let outer = pool.spawn(|| {
            let memory = Plain::new();
            for round in 0..3_000 {
                memory.set(2 * round);
                let seen = Arc::clone(&memory);
                let task = corepool::spawn(move || {
                    seen.expect(2 * round);
                    seen.set(2 * round + 1);
                });
                task.join().unwrap();
                memory.expect(2 * round + 1);
            }
        });
        outer.join().unwrap();
    });
}
