//! `broadcast`: a closure runs once on each worker, even while some are busy, and one set gives all
//! results.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, TaskError, WhenFull, WorkerPool, blocking};

use crate::support::{Drops, Gate, PATIENCE, occupy, until, within};

fn each_pool(workers: usize) -> Vec<WorkerPool> {
    let builder = || WorkerPool::builder().workers(workers);
    [
        builder(),
        builder().dispatch(Dispatch::RoundRobin),
        builder().record_timing(true),
        builder().queue_capacity(0),
        builder().queue_capacity(0).when_full(WhenFull::Reject),
    ]
    .map(|builder| builder.build().unwrap())
    .into()
}

/// The worker that the closure is told it runs on, and the name of its thread.
fn place(worker: &corepool::WorkerInfo) -> (usize, Option<String>) {
    (worker.id.index(), thread::current().name().map(str::to_owned))
}

/// Checks that the closure ran once on each worker, each time on a different thread.
fn expect_each_once(mut places: Vec<(usize, Option<String>)>, workers: usize) {
    places.sort();
    let ids: Vec<_> = places.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (0..workers).collect::<Vec<_>>());
    let mut names: Vec<_> = places.into_iter().map(|(_, name)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), workers);
}

#[test]
fn it_runs_once_on_each_worker() {
    within(PATIENCE, || {
        for workers in [1, 2, 8] {
            for pool in each_pool(workers) {
                for _ in 0..20 {
                    let set = pool.broadcast(place);
                    assert_eq!(set.len(), workers);
                    expect_each_once(set.map(Result::unwrap).collect(), workers);
                }
                pool.shutdown();
                let metrics = pool.metrics();
                let count = 20 * workers as u64;
                assert_eq!((metrics.spawned, metrics.completed), (count, count));
            }
        }
    });
}

#[test]
fn the_tasks_own_context_agrees() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(3).thread_name(|id| format!("own-{id}"));
        let pool = pool.build().unwrap();
        for result in pool.broadcast(place) {
            let (id, name) = result.unwrap();
            assert_eq!(name, Some(format!("own-{id}")));
        }
    });
}

#[test]
fn a_busy_worker_runs_it_when_it_is_free_and_nobody_runs_it_instead() {
    within(PATIENCE, || {
        for pool in each_pool(3) {
            let (go, wait) = mpsc::channel::<()>();
            let (running, started) = mpsc::channel();
            let busy = pool.task().on_worker(1).spawn(move || {
                running.send(()).unwrap();
                wait.recv().unwrap_err();
            });
            started.recv().unwrap();
            let mut set = pool.broadcast(place);
            let mut places = vec![set.next().unwrap().unwrap(), set.next().unwrap().unwrap()];
            assert!(places.iter().all(|(id, _)| *id != 1));
            assert!(set.next_timeout(Duration::from_millis(5)).is_none());
            drop(go);
            busy.join().unwrap();
            places.push(set.next().unwrap().unwrap());
            assert!(set.next().is_none());
            expect_each_once(places, 3);
        }
    });
}

#[test]
fn for_a_worker_that_waits_a_spare_one_stands_in() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(2).dispatch(dispatch).build().unwrap();
            for _ in 0..20 {
                let gate = Gate::default();
                let (running, started) = mpsc::channel();
                let blocked: Vec<_> = (0..2)
                    .map(|worker| {
                        let (gate, running) = (gate.clone(), running.clone());
                        pool.task().on_worker(worker).spawn(move || {
                            running.send(()).unwrap();
                            blocking(|| gate.wait());
                        })
                    })
                    .collect();
                started.recv().unwrap();
                started.recv().unwrap();
                let mut ids: Vec<_> =
                    pool.broadcast(|worker| worker.id.index()).map(Result::unwrap).collect();
                ids.sort();
                assert_eq!(ids, [0, 1]);
                gate.open();
                blocked.into_iter().for_each(|task| task.join().unwrap());
            }
        }
    });
}

#[test]
fn those_on_all_workers_are_there_at_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(4).unwrap();
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let set = pool.broadcast(move |_| barrier.wait().is_leader());
        assert_eq!(set.filter(|result| *result.as_ref().unwrap()).count(), 1);
    });
}

#[test]
fn a_closed_pool_refuses_it() {
    within(PATIENCE, || {
        for pool in each_pool(3) {
            pool.close();
            let drops = Drops::default();
            let held = drops.token();
            let set = pool.broadcast(move |_| {
                let _held = &held;
            });
            assert_eq!((set.len(), drops.count()), (3, 1));
            assert!(set.into_iter().all(|result| matches!(result, Err(TaskError::Rejected(_)))));
        }
    });
}

#[test]
fn what_was_accepted_runs_though_the_pool_is_closed() {
    within(PATIENCE, || {
        for pool in each_pool(2) {
            let (ran, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
            let held: Vec<_> = (0..2)
                .map(|worker| {
                    let gate = gate.clone();
                    pool.task().on_worker(worker).spawn(move || gate.wait())
                })
                .collect();
            let counts = Arc::clone(&ran);
            let set = pool.broadcast(move |_| counts.fetch_add(1, Ordering::SeqCst));
            pool.close();
            gate.open();
            assert_eq!(set.filter(Result::is_ok).count(), 2);
            assert_eq!(ran.load(Ordering::SeqCst), 2);
            held.into_iter().for_each(|task| task.join().unwrap());
        }
    });
}

#[test]
fn cancel_all_keeps_it_from_those_that_are_busy() {
    within(PATIENCE, || {
        for pool in each_pool(2) {
            let busy = occupy(&pool, 2);
            let drops = Drops::default();
            let held = drops.token();
            let set = pool.broadcast(move |_| {
                let _held = &held;
            });
            set.cancel_all();
            assert_eq!(drops.count(), 1, "the last one frees it");
            assert!(set.into_iter().all(|result| result.unwrap_err().is_cancelled()));
            busy.release();
        }
    });
}

#[test]
fn a_panic_on_one_worker_is_one_result_among_others() {
    within(PATIENCE, || {
        for pool in each_pool(4) {
            let set = pool.broadcast(|worker| {
                if worker.id.index() == 2 {
                    resume_unwind(Box::new("planned"));
                }
                worker.id.index()
            });
            let (good, mut bad): (Vec<_>, Vec<_>) = set.partition(Result::is_ok);
            assert_eq!((good.len(), bad.len()), (3, 1));
            let Err(TaskError::Panicked(panic)) = bad.remove(0) else { panic!("not a panic") };
            assert_eq!(panic.message(), "planned");
        }
    });
}

#[test]
fn inside_a_task_it_makes_progress_on_one_worker() {
    within(PATIENCE, || {
        for pool in each_pool(1) {
            let pool = Arc::new(pool);
            let inner = Arc::clone(&pool);
            let outer = pool.spawn(move || {
                inner.broadcast(|worker| worker.id.index()).map(Result::unwrap).sum::<usize>()
            });
            assert_eq!(outer.join().unwrap(), 0);
        }
    });
}

/// Each task waits for the other workers to run its closure, and each worker runs its own in place.
#[test]
fn inside_tasks_on_all_workers_at_once() {
    within(PATIENCE, || {
        for pool in each_pool(2) {
            let pool = Arc::new(pool);
            for _ in 0..50 {
                let tasks: Vec<_> = (0..2)
                    .map(|worker| {
                        let inner = Arc::clone(&pool);
                        pool.task().on_worker(worker).spawn(move || {
                            let set = inner.broadcast(|worker| worker.id.index());
                            set.map(Result::unwrap).sum::<usize>()
                        })
                    })
                    .collect();
                for task in tasks {
                    assert_eq!(task.join().unwrap(), 1);
                }
            }
        }
    });
}

#[test]
fn a_dropped_set_lets_it_run_and_values_are_dropped() {
    within(PATIENCE, || {
        for pool in each_pool(3) {
            let drops = Drops::default();
            let made = drops.clone();
            drop(pool.broadcast(move |_| made.token()));
            until(|| drops.count() == 3);
        }
    });
}

#[test]
fn a_closure_whose_drop_panics_does_not_take_the_set_along() {
    struct Grenade;

    impl Drop for Grenade {
        fn drop(&mut self) {
            resume_unwind(Box::new("bang"));
        }
    }

    within(PATIENCE, || {
        for pool in each_pool(2) {
            pool.close();
            let grenade = Grenade;
            let set = pool.broadcast(move |_| {
                let _held = &grenade;
            });
            assert!(set.into_iter().all(|result| result.is_err()));
        }
    });
}
