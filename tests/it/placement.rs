//! A task that is placed on a worker runs there and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use corepool::{Dispatch, Priority, WorkerId, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

#[test]
fn it_runs_on_its_worker_though_others_are_free() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(4).dispatch(dispatch).build().unwrap();
            for round in 0..400 {
                let worker = round % 4;
                let task = pool.task().on_worker(worker).spawn_with(|cx| cx.worker());
                assert_eq!(task.join().unwrap(), Some(WorkerId::from(worker)));
            }
        }
    });
}

#[test]
fn it_waits_for_its_worker_and_others_do_not_take_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 1);
        let infos = pool.workers();
        let at_work = infos.iter().position(|info| info.running.is_some()).unwrap();
        let mut task = pool.task().on_worker(at_work).spawn_with(|cx| cx.worker());
        pool.spawn(|| ()).join().unwrap();
        assert!(task.join_timeout(Duration::from_millis(20)).is_none());
        busy.release();
        assert_eq!(task.join().unwrap(), Some(WorkerId::from(at_work)));
    });
}

#[test]
fn the_urgent_ones_of_a_worker_come_first() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (saying, said) = std::sync::mpsc::channel();
        let tasks: Vec<_> = [Priority::Low, Priority::Normal, Priority::High]
            .map(|priority| {
                let saying = saying.clone();
                let task = pool.task().on_worker(0).priority(priority);
                task.spawn(move || saying.send(priority).unwrap())
            })
            .into();
        busy.release();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let order: Vec<_> = said.try_iter().collect();
        assert_eq!(order.len(), 3);
        assert_ne!(order[2], Priority::High);
    });
}

#[test]
fn a_task_that_waits_runs_it_in_place_only_on_its_own_worker() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        for _ in 0..100 {
            let inner = Arc::clone(&pool);
            let outer = pool.task().on_worker(0).spawn_with(move |cx| {
                let here = inner.task().on_worker(0).spawn_with(|cx| cx.worker());
                let there = inner.task().on_worker(1).spawn_with(|cx| cx.worker());
                (cx.worker(), here.join().unwrap(), there.join().unwrap())
            });
            let [zero, one] = [0, 1].map(|index| Some(WorkerId::from(index)));
            assert_eq!(outer.join().unwrap(), (zero, zero, one));
        }
    });
}

#[test]
fn it_is_run_before_the_end_though_its_worker_was_busy_when_the_pool_closed() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 2);
        let tasks: Vec<_> = (0..20)
            .map(|n| pool.task().on_worker(n % 2).spawn_with(move |cx| (n, cx.worker())))
            .collect();
        pool.close();
        busy.release();
        pool.shutdown();
        for task in tasks {
            let (n, worker) = task.join().unwrap();
            assert_eq!(worker, Some(WorkerId::from(n % 2)));
        }
    });
}

#[test]
fn it_survives_the_end_of_its_workers_thread() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let lost = pool.task().on_worker(1).spawn_with(|cx| cx.end_worker());
        let tasks: Vec<_> =
            (0..10).map(|_| pool.task().on_worker(1).spawn_with(|cx| cx.worker())).collect();
        assert!(matches!(lost.join(), Err(corepool::TaskError::Lost)));
        for task in tasks {
            assert_eq!(task.join().unwrap(), Some(WorkerId::from(1)));
        }
    });
}

#[test]
fn it_needs_no_room() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        let busy = occupy(&pool, 1);
        let task = pool.task().on_worker(0).try_spawn(|| 1).unwrap();
        busy.release();
        assert_eq!(task.join().unwrap(), 1);
    });
}

#[test]
#[should_panic(expected = "no worker 2: this pool has 2, numbered from 0")]
fn a_worker_that_is_not_there_is_a_slip() {
    let pool = WorkerPool::with_workers(2).unwrap();
    pool.task().on_worker(2).spawn(|| ()).detach();
}

#[test]
fn own_tasks_that_spawn_one_another_do_not_starve_the_rest() {
    fn again(pool: Arc<WorkerPool>) {
        let next = Arc::clone(&pool);
        pool.task().on_worker(0).spawn(move || again(next)).detach();
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        again(Arc::clone(&pool));
        again(Arc::clone(&pool));
        pool.spawn(|| ()).join().unwrap();
        pool.close();
    });
}

#[test]
fn what_is_urgent_and_what_is_a_workers_own_get_a_turn_in_a_large_batch() {
    within(PATIENCE, || {
        for kind in 0..3 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let gate = crate::support::Gate::default();
            let opens = gate.clone();
            // The batch ends only after the task behind it has run.
            let items = 200_000;
            let batch = pool.spawn_batch((0..items).map(|item| {
                let gate = gate.clone();
                move || {
                    if item == items - 1 {
                        gate.wait();
                    }
                }
            }));
            let task = match kind {
                0 => pool.task(),
                1 => pool.task().priority(Priority::High),
                _ => pool.task().on_worker(0),
            };
            task.spawn(move || opens.open()).join().unwrap();
            assert_eq!(batch.filter(Result::is_ok).count(), items);
        }
    });
}

/// A task waits in `blocking` for a task placed on its own worker. Returns whether that task ran
/// meanwhile, and whether it ran on the same thread.
fn waits_for_its_own_worker(spares: usize, patience: std::time::Duration) -> (bool, bool) {
    let pool = WorkerPool::builder().workers(1).spare_workers(spares).build().unwrap();
    let (telling, told) = std::sync::mpsc::channel();
    let (going, goes) = std::sync::mpsc::channel::<corepool::TaskHandle<std::thread::ThreadId>>();
    let (starting, started) = std::sync::mpsc::channel();
    let waits = pool.spawn(move || {
        starting.send(()).unwrap();
        let placed = goes.recv().unwrap();
        let came = corepool::blocking(|| told.recv_timeout(patience).is_ok());
        (came, std::thread::current().id(), placed)
    });
    started.recv().unwrap();
    let placed = pool.task().on_worker(0).spawn(move || {
        let _listened = telling.send(());
        std::thread::current().id()
    });
    going.send(placed).unwrap();
    let (came, thread, placed) = waits.join().unwrap();
    (came, placed.join().unwrap() == thread)
}

#[test]
fn a_spare_worker_runs_placed_tasks_while_their_worker_waits_and_without_one_nobody_does() {
    within(PATIENCE, || {
        assert_eq!(waits_for_its_own_worker(1, PATIENCE), (true, false));
        let a_while = std::time::Duration::from_millis(50);
        assert_eq!(waits_for_its_own_worker(0, a_while), (false, true));
    });
}
