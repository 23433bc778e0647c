//! A task's context: what it tells, and where it can be queried from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use corepool::cancel::CancelReason;
use corepool::{TaskContext, WorkerId, WorkerPool};

use crate::support::{PATIENCE, until, within};

/// Fails to compile if the context is not `Sync`.
const fn is_sync<T: Sync>() {}

#[test]
fn the_parts_of_a_loop_inside_a_task_ask_its_context() {
    const { is_sync::<TaskContext>() }
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let (starting, started) = mpsc::channel();
        let task = pool.spawn_with(move |cx| {
            let seen = AtomicUsize::new(0);
            corepool::for_each(0..64_u32, |item| {
                if item == 0 {
                    starting.send(()).unwrap();
                }
                until(|| cx.is_cancelled());
                assert_eq!(cx.cancel_reason(), Some(CancelReason::Asked));
                assert!(cx.check().is_err());
                assert!(cx.worker() < Some(WorkerId::from(2)));
                seen.fetch_add(1, Ordering::Relaxed);
            });
            seen.into_inner()
        });
        started.recv().unwrap();
        assert!(!task.cancel(), "it runs already");
        assert_eq!(task.join().unwrap(), 64);
    });
}

#[test]
fn the_closures_of_a_scope_inside_a_task_ask_its_context() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let (starting, started) = mpsc::channel();
        let task = pool.spawn_with(move |cx| {
            let seen = AtomicUsize::new(0);
            corepool::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        until(|| cx.is_cancelled());
                        seen.fetch_add(1, Ordering::Relaxed);
                    });
                }
                starting.send(()).unwrap();
            });
            seen.into_inner()
        });
        started.recv().unwrap();
        let _running = task.cancel();
        assert_eq!(task.join().unwrap(), 8);
    });
}
