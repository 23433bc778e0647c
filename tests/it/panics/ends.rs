//! A task ends its worker's thread: the task is lost and the worker is replaced.

use std::sync::Arc;
use std::thread;

use corepool::events::{Events, ExitReason};
use corepool::{PoolEvent, TaskError, WorkerId, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, until, within};

#[test]
fn end_worker_loses_its_task_and_the_worker_is_replaced_on_the_same_core() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let before = pool.workers();
        let drops = Drops::default();
        let token = drops.token();
        let task = pool.spawn_with(move |cx| {
            let _token = token;
            if cx.worker().is_some() {
                cx.end_worker();
            }
        });
        assert!(matches!(task.join(), Err(TaskError::Lost)));
        assert_eq!(drops.count(), 1, "destructors on the way run");
        until(|| pool.workers().iter().map(|worker| worker.generation).sum::<u64>() == 1);
        // Both workers take tasks again.
        drop(occupy(&pool, 2));
        let after = pool.workers();
        assert_eq!(after.len(), 2);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.id, after.id);
            // On a busy machine a worker that cannot get its core is let loose (runs unpinned) and
            // has no core meanwhile.
            assert!(before.core == after.core || pool.metrics().let_loose > 0);
            assert_eq!(before.thread_name, after.thread_name);
        }
        let metrics = pool.metrics();
        assert_eq!((metrics.lost, metrics.panicked), (1, 0));
    });
}

/// The next event of one worker; skips the events of others.
fn next_of(events: &mut Events, id: WorkerId) -> PoolEvent {
    loop {
        let event = events.next().unwrap();
        match event {
            PoolEvent::WorkerOnline { worker, .. }
            | PoolEvent::WorkerExited { worker, .. }
            | PoolEvent::WorkerRespawned { worker, .. }
                if worker == id =>
            {
                return event;
            }
            _ => {}
        }
    }
}

/// Back-off makes the later rounds slower and changes nothing else.
#[test]
fn a_worker_that_keeps_dying_is_replaced_each_time_and_every_step_is_told_in_order() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut events = pool.events();
        let id = WorkerId::from(0);
        let online = next_of(&mut events, id);
        let PoolEvent::WorkerOnline { generation: 0, core, .. } = online else {
            panic!("first it comes online: {online:?}")
        };
        for generation in 0..5 {
            let task = pool.spawn_with(|cx| cx.end_worker());
            assert!(matches!(task.join(), Err::<u8, _>(TaskError::Lost)));
            let reason = ExitReason::EndedByTask;
            let exited = PoolEvent::WorkerExited { worker: id, generation, reason };
            assert_eq!(next_of(&mut events, id), exited);
            // The new thread may report before the thread that started it does.
            let next = [next_of(&mut events, id), next_of(&mut events, id)];
            let generation = generation + 1;
            assert!(next.contains(&PoolEvent::WorkerOnline { worker: id, generation, core }));
            assert!(next.contains(&PoolEvent::WorkerRespawned { worker: id, generation }));
        }
        assert_eq!(pool.workers()[0].generation, 5);
        assert_eq!(pool.metrics().lost, 5);
    });
}

#[test]
fn tasks_queued_behind_one_that_ends_its_worker_all_run() {
    within(PATIENCE, || {
        for workers in [1, 2] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let busy = occupy(&pool, workers);
            let ends = pool.spawn_with(|cx| cx.end_worker());
            let rest: Vec<_> = (0..200).map(|n| pool.spawn(move || n)).collect();
            busy.release();
            assert!(matches!(ends.join(), Err::<u8, _>(TaskError::Lost)));
            for (n, task) in rest.into_iter().enumerate() {
                assert_eq!(task.join().unwrap(), n);
            }
        }
    });
}

#[test]
fn what_a_worker_had_spawned_to_itself_outlives_its_thread() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let ends = pool.spawn_with(move |cx| {
            for n in 0..50 {
                sender.send(corepool::spawn(move || n)).unwrap();
            }
            cx.end_worker();
        });
        assert!(matches!(ends.join(), Err::<u8, _>(TaskError::Lost)));
        let sum: i32 = receiver.iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 1_225);
    });
}

#[test]
fn a_shutdown_while_a_worker_is_replaced_runs_what_is_queued_and_ends() {
    within(PATIENCE, || {
        for _ in 0..30 {
            let pool = WorkerPool::with_workers(1).unwrap();
            // The second death in a row makes the third thread wait.
            let ends: Vec<_> =
                (0..3).map(|_| pool.spawn_with::<_, u8>(|cx| cx.end_worker())).collect();
            let mut last = pool.spawn(|| 5);
            pool.shutdown();
            assert!(ends.into_iter().all(|task| matches!(task.join(), Err(TaskError::Lost))));
            assert_eq!(last.try_join().expect("it is settled").unwrap(), 5);
        }
    });
}

/// A task that another task waits for runs in place. Its worker's thread is then in use by the
/// waiting task and can only end after that task. It must still end, as `end_worker` says.
#[test]
fn end_worker_in_a_task_run_in_place_ends_the_thread_all_the_same() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let before = pool.spawn(|| thread::current().id()).join().unwrap();
        let inside = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            let inner = inside.spawn_with::<_, u8>(|cx| cx.end_worker());
            matches!(inner.join(), Err(TaskError::Lost))
        });
        assert!(outer.join().unwrap(), "the task that ended it is lost; who waited goes on");
        let after = pool.spawn(|| thread::current().id()).join().unwrap();
        assert_ne!(before, after, "the thread was to be ended");
    });
}
