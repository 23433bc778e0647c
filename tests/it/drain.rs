//! `drain` waits for everything that was accepted and everything that those tasks spawn, and leaves
//! the pool open.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use corepool::{Dispatch, Priority, WorkerPool, blocking};

use crate::support::{Gate, PATIENCE, occupy, until, within};

/// Spawns itself twice, `depth` levels deep, and counts each call.
fn tree(depth: u32, count: &Arc<AtomicUsize>) {
    count.fetch_add(1, Ordering::Relaxed);
    if depth > 0 {
        for _ in 0..2 {
            let count = Arc::clone(count);
            corepool::spawn(move || tree(depth - 1, &count)).detach();
        }
    }
}

#[test]
fn what_is_spawned_by_what_is_spawned_has_run_too() {
    within(PATIENCE, || {
        for workers in [1, 2, 4] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for round in 0..40 {
                let count = Arc::new(AtomicUsize::new(0));
                let (root, depth) = (Arc::clone(&count), round % 8);
                pool.spawn(move || tree(depth, &root)).detach();
                pool.drain();
                assert_eq!(count.load(Ordering::Relaxed), (2 << depth) - 1, "round {round}");
                assert_eq!(Arc::strong_count(&count), 1, "every closure is gone");
            }
            assert!(!pool.is_closed());
        }
    });
}

#[test]
fn handles_are_settled_and_continuations_have_run() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..200 {
            let handles: Vec<_> = (0..4).map(|n| pool.spawn(move || n).then(|n| n + 1)).collect();
            pool.drain();
            assert!(handles.iter().all(corepool::TaskHandle::is_finished));
        }
    });
}

#[test]
fn an_idle_pool_is_drained_already_and_so_is_a_closed_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.drain();
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        let last = pool.spawn(|| 2);
        pool.close();
        pool.drain();
        assert!(last.is_finished());
        pool.shutdown();
        pool.drain();
    });
}

#[test]
fn a_running_task_is_waited_for() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 1);
        let (ending, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                pool.drain();
                ending.send(()).unwrap();
            });
            // `drain` checks a few times meanwhile.
            for _ in 0..50 {
                pool.spawn(|| ()).join().unwrap();
                assert!(ended.try_recv().is_err(), "one task runs still");
            }
            busy.release();
            ended.recv().unwrap();
        });
    });
}

#[test]
fn every_kind_of_task_is_waited_for() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(2).dispatch(dispatch).build().unwrap();
            let count = Arc::new(AtomicUsize::new(0));
            let one = || {
                let count = Arc::clone(&count);
                move || {
                    blocking(|| count.fetch_add(1, Ordering::Relaxed));
                }
            };
            for _ in 0..20 {
                for priority in [Priority::High, Priority::Normal, Priority::Low] {
                    pool.task().priority(priority).spawn(one()).detach();
                }
                pool.task().on_worker(1).spawn(one()).detach();
                drop(pool.spawn_batch((0..5).map(|_| one())));
                let each = one();
                drop(pool.broadcast(move |_| each()));
                pool.drain();
            }
            assert_eq!(count.load(Ordering::Relaxed), 20 * (3 + 1 + 5 + 2));
        }
    });
}

#[test]
fn a_task_that_runs_in_place_on_another_pools_worker_is_waited_for() {
    within(PATIENCE, || {
        let (ours, other) =
            (WorkerPool::with_workers(1).unwrap(), WorkerPool::with_workers(1).unwrap());
        let busy = occupy(&ours, 1);
        let (gate, count) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let task = ours.spawn({
            let (gate, count) = (gate.clone(), Arc::clone(&count));
            move || {
                count.fetch_add(1, Ordering::SeqCst);
                gate.wait();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let waits = other.spawn(move || task.join().unwrap());
        until(|| count.load(Ordering::SeqCst) == 1);
        busy.release();
        thread::scope(|scope| {
            let drains = scope.spawn(|| {
                ours.drain();
                count.load(Ordering::SeqCst)
            });
            for _ in 0..50 {
                ours.spawn(|| ()).join().unwrap();
                assert!(!drains.is_finished(), "a task of the pool runs still");
            }
            gate.open();
            assert_eq!(drains.join().unwrap(), 2);
        });
        waits.join().unwrap();
    });
}

#[test]
fn a_task_of_another_pool_lends_its_core_meanwhile() {
    within(PATIENCE, || {
        let ours = Arc::new(WorkerPool::with_workers(1).unwrap());
        let other = Arc::new(WorkerPool::with_workers(1).unwrap());
        let drains = other.spawn({
            let (ours, other) = (Arc::clone(&ours), Arc::clone(&other));
            move || {
                // `task` needs the only worker of `other`, which waits in `drain` below.
                let needs = Arc::clone(&other);
                let task = ours.spawn(move || {
                    blocking(|| {
                        let (telling, told) = mpsc::channel();
                        needs.spawn(move || telling.send(7)).detach();
                        told.recv().unwrap()
                    })
                });
                ours.drain();
                assert!(task.is_finished());
                task.join().unwrap()
            }
        });
        assert_eq!(drains.join().unwrap(), 7);
    });
}

#[test]
fn inside_a_task_of_the_pool_it_says_that_it_would_wait_for_itself() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inside = Arc::clone(&pool);
        let task = pool.spawn(move || catch_unwind(AssertUnwindSafe(|| inside.drain())).is_err());
        assert!(task.join().unwrap());
        pool.drain();
    });
}
