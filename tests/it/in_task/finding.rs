//! Which worker takes a task, and which task first: any free worker, or with `RoundRobin` the
//! worker that the task was dealt to.

use std::sync::{Arc, mpsc};
use std::thread;

use corepool::{Dispatch, TaskContext, WorkerId, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

fn dealing(workers: usize) -> WorkerPool {
    WorkerPool::builder().workers(workers).dispatch(Dispatch::RoundRobin).build().unwrap()
}

fn turn(n: usize, workers: usize) -> Option<WorkerId> {
    Some(WorkerId::from(n % workers))
}

#[test]
fn round_robin_deals_a_burst_in_turn_and_each_worker_keeps_its_own() {
    within(PATIENCE, || {
        for workers in [1, 2, 3, 5] {
            let pool = dealing(workers);
            let tasks: Vec<_> = (0..1_000).map(|_| pool.spawn_with(TaskContext::worker)).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join().unwrap(), turn(n, workers), "task {n}");
            }
            assert_eq!(pool.metrics().stolen, 0);
        }
    });
}

/// One task at a time: the other workers are all idle, and still only the worker whose turn it is
/// runs it.
#[test]
fn round_robin_deals_in_turn_when_the_others_are_idle() {
    within(PATIENCE, || {
        let pool = dealing(3);
        for n in 0..300 {
            let ran = pool.spawn_with(TaskContext::worker).join().unwrap();
            assert_eq!(ran, turn(n, 3), "task {n}");
        }
    });
}

#[test]
fn round_robin_runs_a_workers_tasks_in_order() {
    within(PATIENCE, || {
        let pool = dealing(2);
        let busy = occupy(&pool, 2);
        let (sender, receiver) = mpsc::channel();
        for n in 0..200 {
            let sender = sender.clone();
            pool.spawn_with(move |cx| sender.send((cx.worker(), n)).unwrap()).detach();
        }
        drop(sender);
        busy.release();
        let ran: Vec<_> = receiver.iter().collect();
        for worker in 0..2 {
            let own: Vec<_> = ran.iter().filter(|(id, _)| *id == turn(worker, 2)).collect();
            assert_eq!(own.len(), 100);
            assert!(own.is_sorted_by_key(|(_, n)| *n));
        }
    });
}

#[test]
fn round_robin_leaves_a_busy_workers_tasks_alone_and_the_others_go_on() {
    within(PATIENCE, || {
        let pool = dealing(2);
        let busy = occupy(&pool, 1);
        // Turns 1, 2, 3, …: the odd ones belong to the free worker.
        let tasks: Vec<_> = (1..100).map(|_| pool.spawn_with(TaskContext::worker)).collect();
        let (mut free, mut held) = (Vec::new(), Vec::new());
        for (n, task) in (1..).zip(tasks) {
            if n % 2 == 1 { free.push(task) } else { held.push(task) }
        }
        for task in free {
            assert_eq!(task.join().unwrap(), turn(1, 2));
        }
        assert!(held.iter().all(|task| !task.is_finished()), "nobody else takes them");
        busy.release();
        for task in held {
            assert_eq!(task.join().unwrap(), turn(0, 2));
        }
    });
}

/// A worker whose thread is replaced still finds the tasks that were dealt to it.
#[test]
fn round_robin_tasks_outlive_their_workers_thread() {
    within(PATIENCE, || {
        let pool = dealing(2);
        let busy = occupy(&pool, 2);
        let ends = pool.spawn_with::<_, u8>(|cx| cx.end_worker());
        let tasks: Vec<_> = (3..100).map(|_| pool.spawn_with(TaskContext::worker)).collect();
        busy.release();
        assert!(ends.join().is_err());
        for (n, task) in (3..).zip(tasks) {
            assert_eq!(task.join().unwrap(), turn(n, 2));
        }
    });
}

/// After a close, the first worker to come runs the dealt tasks, and none is left.
#[test]
fn round_robin_runs_everything_at_shutdown() {
    within(PATIENCE, || {
        let pool = Arc::new(dealing(2));
        let busy = occupy(&pool, 1);
        let tasks: Vec<_> = (0..100).map(|n| pool.spawn(move || n)).collect();
        let closer = Arc::clone(&pool);
        let closer = thread::spawn(move || closer.shutdown());
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        busy.release();
        closer.join().unwrap();
    });
}

/// This way a spawner that joins its tasks from the oldest on meets the thief once per lot instead
/// of at each task.
#[test]
fn a_worker_that_takes_many_tasks_from_another_starts_the_youngest_first() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 1);
        let order = pool.spawn(move || {
            let (sender, receiver) = mpsc::channel();
            for n in 1..=64 {
                let sender = sender.clone();
                corepool::spawn(move || sender.send(n)).detach();
            }
            busy.release();
            // Keeps this worker from running its own tasks.
            receiver.iter().take(64).collect::<Vec<_>>()
        });
        // The thief takes half of the waiting tasks at a time: 32 first, and then 16, 8, 4 and 2,
        // which are few.
        let expected: Vec<_> = (1..=32).rev().chain(33..=64).collect();
        assert_eq!(order.join().unwrap(), expected);
    });
}
