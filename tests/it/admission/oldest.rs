//! `DropOldest`: the task that has waited longest makes room for the newest, whichever queue it is
//! in.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use corepool::errors::Refusal;
use corepool::{Dispatch, TaskError, TaskHandle, WhenFull, WorkerPool};

use super::{bounded, for_each_size};
use crate::support::{Gate, PATIENCE, occupy, within};

fn refusal(task: TaskHandle<usize>) -> Option<Refusal> {
    match task.join() {
        Err(TaskError::Rejected(refusal)) => Some(refusal),
        _ => None,
    }
}

fn is_displaced(task: TaskHandle<usize>) -> bool {
    refusal(task) == Some(Refusal::Displaced)
}

/// Case 50.
#[test]
fn the_oldest_is_displaced_first_and_the_newest_are_kept() {
    for_each_size(|workers, capacity| {
        let pool = bounded(workers, capacity, WhenFull::DropOldest);
        let busy = occupy(&pool, workers);
        let tasks: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        let kept = 10 - capacity;
        for (n, task) in tasks.iter().enumerate() {
            assert_eq!(task.is_finished(), n < kept, "task {n} of 10, {kept} displaced");
        }
        assert_eq!(pool.metrics().queue_depth, capacity);
        busy.release();
        for (n, task) in tasks.into_iter().enumerate() {
            if n < kept {
                // Where nothing may wait, there is nothing to displace.
                let expected = if capacity == 0 { Refusal::Full } else { Refusal::Displaced };
                assert_eq!(refusal(task), Some(expected));
            } else {
                assert_eq!(task.join().unwrap(), n);
            }
        }
        pool.shutdown();
        assert_eq!(pool.metrics().rejected, kept as u64);
    });
}

/// A worker that takes a task from the shared queue also moves some of the tasks behind it to its
/// own queue. Those are older than the ones that stay.
#[test]
fn the_oldest_is_displaced_though_a_worker_took_it_into_its_own_queue() {
    within(PATIENCE, || {
        let pool = bounded(1, 4, WhenFull::DropOldest);
        let busy = occupy(&pool, 1);
        let gate = Gate::default();
        let wait = gate.clone();
        let (starting, started) = mpsc::channel();
        let next = pool.spawn(move || {
            starting.send(()).unwrap();
            wait.wait();
        });
        let older: Vec<_> = (0..3).map(|n| pool.spawn(move || n)).collect();
        busy.release();
        // The worker runs `next` and has moved some of the older tasks to its own queue.
        started.recv().unwrap();
        let newer: Vec<_> = (3..6).map(|n| pool.spawn(move || n)).collect();
        let finished: Vec<_> = older.iter().chain(&newer).map(TaskHandle::is_finished).collect();
        gate.open();
        next.join().unwrap();
        // Six tasks waited for four places, so the two that had waited longest were displaced.
        assert_eq!(finished, [true, true, false, false, false, false]);
    });
}

/// When tasks are dealt to workers in turn, each worker has a queue, and the oldest task may be in
/// any of them.
#[test]
fn the_oldest_is_displaced_though_tasks_are_dealt_to_several_queues() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(2).queue_capacity(4);
        let builder = builder.dispatch(Dispatch::RoundRobin).when_full(WhenFull::DropOldest);
        let pool = builder.build().unwrap();
        let busy = occupy(&pool, 2);
        let tasks: Vec<_> = (0..8).map(|n| pool.spawn(move || n)).collect();
        let finished: Vec<_> = tasks.iter().map(TaskHandle::is_finished).collect();
        busy.release();
        assert_eq!(finished, [true, true, true, true, false, false, false, false]);
    });
}

#[test]
fn a_displaced_task_wakes_who_waits_for_it() {
    within(PATIENCE, || {
        let pool = bounded(1, 1, WhenFull::DropOldest);
        let _busy = occupy(&pool, 1);
        for _ in 0..200 {
            let old = pool.spawn(|| 1);
            let waiter = thread::spawn(move || is_displaced(old));
            let _new = pool.spawn(|| 2);
            assert!(waiter.join().unwrap());
            let awaited = pool.spawn(|| 1);
            let waiter = thread::spawn(move || pollster::block_on(awaited));
            let _new = pool.spawn(|| 2);
            assert!(matches!(waiter.join().unwrap(), Err(TaskError::Rejected(Refusal::Displaced))));
        }
    });
}

#[test]
fn many_submitters_lose_no_task() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(2, 3, WhenFull::DropOldest));
        let submitters: Vec<_> = (0..4)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let tasks: Vec<_> = (0..2_000).map(|n| pool.spawn(move || n)).collect();
                    let rejected = |task: TaskHandle<_>| task.join().is_err();
                    tasks.into_iter().map(rejected).filter(|&rejected| rejected).count() as u64
                })
            })
            .collect();
        let rejected: u64 = submitters.into_iter().map(|thread| thread.join().unwrap()).sum();
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.rejected), (8_000, rejected));
        assert_eq!(metrics.completed, 8_000 - rejected);
    });
}

/// A worker may make room between the check that finds the pool full and the search for the oldest
/// task. Then no task waits, and the new task is simply accepted.
#[test]
fn a_new_task_is_not_refused_because_a_worker_was_faster() {
    within(PATIENCE, || {
        for workers in 1..=2 {
            let pool = bounded(workers, 2, WhenFull::DropOldest);
            for _ in 0..5_000 {
                let tasks: Vec<_> = (0..8).map(|n| pool.spawn(move || n)).collect();
                for task in tasks {
                    assert_ne!(refusal(task), Some(Refusal::Full));
                }
            }
        }
    });
}

#[test]
fn a_task_that_is_too_late_displaces_nobody() {
    within(PATIENCE, || {
        let pool = bounded(1, 1, WhenFull::DropOldest);
        let busy = occupy(&pool, 1);
        let older = pool.spawn(|| 1);
        let late = pool.task().start_by(Instant::now()).spawn(|| 2);
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        assert!(!older.is_finished());
        busy.release();
        assert_eq!(older.join().unwrap(), 1);
    });
}
