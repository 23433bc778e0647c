//! The end of a pool: every accepted task settles, whichever thread ends the pool, how often, and
//! from where.

mod awaited;
mod elsewhere;
mod inside;
mod lingering;
mod racing;
mod stopping;
mod timed;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use corepool::errors::{Closed, Refusal};
use corepool::metrics::WorkerState;
use corepool::{TaskError, WhenFull, WorkerPool};

use crate::held::hold_all;
use crate::support::{PATIENCE, until, within};

/// Spawns this many tasks on the pool. Returns the counter of their runs.
fn counted(pool: &WorkerPool, tasks: usize) -> Arc<AtomicUsize> {
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..tasks {
        let ran = Arc::clone(&ran);
        pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed)).detach();
    }
    ran
}

#[test]
fn drop_runs_what_was_accepted() {
    within(PATIENCE, || {
        for workers in 1..=3 {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let ran = counted(&pool, 500);
            drop(pool);
            assert_eq!(ran.load(Ordering::Relaxed), 500);
        }
    });
}

#[test]
fn a_closed_pool_runs_the_old_and_refuses_the_new() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold_all(&pool);
        let before = pool.spawn(|| 1);
        assert!(!pool.is_closed());
        pool.close();
        pool.close();
        assert!(pool.is_closed());
        assert!(matches!(pool.spawn(|| 2).join(), Err(TaskError::Rejected(Refusal::Closed))));
        assert!(matches!(
            pool.task().spawn(|| 2).join(),
            Err(TaskError::Rejected(Refusal::Closed))
        ));
        let refused = pool.try_spawn(|| 3).unwrap_err();
        assert!(refused.is_closed() && !refused.is_full());
        assert_eq!(refused.into_inner()(), 3);
        assert!(pool.try_reserve().unwrap_err().is_closed());
        pollster::block_on(pool.reserve()).unwrap_err();
        assert!(!before.is_finished());
        held.into_iter().for_each(crate::held::Held::release);
        assert_eq!(before.join().unwrap(), 1);
    });
}

#[test]
fn after_a_shutdown_all_workers_have_exited() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        pool.shutdown();
        assert!(pool.workers().iter().all(|worker| worker.state == WorkerState::Exited));
        pool.shutdown();
        assert!(matches!(pool.spawn(|| 1).join(), Err(TaskError::Rejected(Refusal::Closed))));
        drop(pool);
    });
}

#[test]
fn many_shutdowns_at_once_all_return_when_the_work_is_done() {
    within(PATIENCE, || {
        for _ in 0..300 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let ran = counted(&pool, 50);
            let start = Barrier::new(3);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        start.wait();
                        pool.shutdown();
                        assert_eq!(ran.load(Ordering::Relaxed), 50);
                    });
                }
            });
        }
    });
}

#[test]
fn a_shutdown_waits_for_a_task_that_another_pools_worker_runs() {
    within(PATIENCE, || {
        let ours = Arc::new(WorkerPool::with_workers(1).unwrap());
        let other = WorkerPool::with_workers(1).unwrap();
        let held = hold_all(&ours);
        let (gate, wait) = std::sync::mpsc::channel::<()>();
        let (running, runs) = std::sync::mpsc::channel();
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let task = ours.spawn(move || {
            running.send(()).unwrap();
            let _released = wait.recv();
            count.fetch_add(1, Ordering::SeqCst);
        });
        // The other pool's worker waits for our task, which has not started, so that worker runs it
        // in place.
        let waits = other.spawn(move || task.join());
        runs.recv().unwrap();
        held.into_iter().for_each(crate::held::Held::release);
        ours.close();
        let shutdown = {
            let (ours, ended) = (Arc::clone(&ours), Arc::clone(&ended));
            thread::spawn(move || {
                ours.shutdown();
                ended.load(Ordering::SeqCst)
            })
        };
        // Gives a shutdown that does not wait every chance to return too early.
        until(|| ours.workers()[0].state == WorkerState::Exited);
        for _ in 0..1000 {
            thread::yield_now();
        }
        let too_early = shutdown.is_finished();
        drop(gate);
        assert!(matches!(waits.join(), Ok(Ok(()))));
        assert_eq!((too_early, shutdown.join().unwrap()), (false, 1), "the task still ran");
    });
}

#[test]
fn closing_sends_away_who_waits_for_room() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(1)
            .queue_capacity(0)
            .when_full(WhenFull::Block)
            .build()
            .unwrap();
        let held = hold_all(&pool);
        thread::scope(|scope| {
            let blocked: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.spawn(|| 1).join())).collect();
            let waiting: Vec<_> =
                (0..3).map(|_| scope.spawn(|| pollster::block_on(pool.reserve()))).collect();
            until(|| pool.metrics().waiting_for_room == 6);
            pool.close();
            for thread in blocked {
                assert!(matches!(
                    thread.join().unwrap(),
                    Err(TaskError::Rejected(Refusal::Closed))
                ));
            }
            for thread in waiting {
                assert_eq!(thread.join().unwrap().unwrap_err(), Closed);
            }
        });
        assert_eq!(pool.metrics().waiting_for_room, 0);
        drop(held);
    });
}

#[test]
fn a_pool_in_a_thread_local_ends_with_its_thread() {
    thread_local! {
        static POOL: WorkerPool = WorkerPool::with_workers(2).unwrap();
    }
    within(PATIENCE, || {
        for _ in 0..20 {
            let ran = thread::spawn(|| POOL.with(|pool| counted(pool, 100))).join().unwrap();
            assert_eq!(ran.load(Ordering::Relaxed), 100);
        }
    });
}

#[test]
fn a_pool_in_a_thread_local_of_another_pools_worker_ends_with_it() {
    thread_local! {
        static INNER: WorkerPool = WorkerPool::with_workers(1).unwrap();
    }
    within(PATIENCE, || {
        let outer = WorkerPool::with_workers(2).unwrap();
        let tasks: Vec<_> =
            (0..20).map(|_| outer.spawn(|| INNER.with(|pool| counted(pool, 10)))).collect();
        outer.shutdown();
        let ran = |task: corepool::TaskHandle<Arc<AtomicUsize>>| {
            task.join().unwrap().load(Ordering::Relaxed)
        };
        assert_eq!(tasks.into_iter().map(ran).sum::<usize>(), 200);
    });
}
