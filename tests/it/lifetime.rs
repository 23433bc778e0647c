//! Handles, values and what they share outlive the pool, and nothing is kept longer than it is
//! used.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use corepool::{PoolEvent, TaskContext, TaskError, TaskHandle, WhenFull, WorkerPool};

use crate::held::{hold, hold_all};
use crate::support::{Drops, PATIENCE, within};

/// Handles of a dropped pool: one with a value, one with a panic, one refused, one cancelled.
fn orphans() -> [TaskHandle<String>; 4] {
    let pool = WorkerPool::with_workers(1).unwrap();
    let held = hold(&pool);
    let value = pool.spawn(|| "kept".to_owned());
    let panicked = pool.spawn(|| std::panic::resume_unwind(Box::new("thrown")));
    let cancelled = pool.spawn(|| unreachable!("it is cancelled before it starts"));
    assert!(cancelled.cancel());
    pool.close();
    let refused = pool.spawn(|| unreachable!("the pool is closed"));
    held.release();
    drop(pool);
    [value, panicked, refused, cancelled]
}

fn expect_outcomes(results: [Result<String, TaskError>; 4]) {
    let [value, panicked, refused, cancelled] = results;
    assert_eq!(value.unwrap(), "kept");
    match panicked {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "thrown"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(refused, Err(TaskError::Rejected(_))));
    assert!(matches!(cancelled, Err(TaskError::Cancelled)));
}

#[test]
fn handles_are_joined_when_the_pool_is_gone() {
    within(PATIENCE, || {
        expect_outcomes(orphans().map(TaskHandle::join));
        let joined = |mut task: TaskHandle<String>| task.join_timeout(Duration::ZERO).unwrap();
        expect_outcomes(orphans().map(joined));
        expect_outcomes(orphans().map(|mut task| task.try_join().unwrap()));
    });
}

#[test]
fn handles_are_awaited_when_the_pool_is_gone() {
    within(PATIENCE, || expect_outcomes(orphans().map(pollster::block_on)));
}

#[test]
fn cancelling_when_the_pool_is_gone_changes_nothing() {
    within(PATIENCE, || {
        let handles = orphans();
        for handle in &handles {
            assert!(handle.is_finished());
            assert!(!handle.cancel(), "{handle:?} is settled");
        }
        expect_outcomes(handles.map(|task| task.cancel_on_drop().join()));
    });
}

#[test]
fn handles_may_be_dropped_when_the_pool_is_gone() {
    within(PATIENCE, || {
        let drops = Drops::default();
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut handles: Vec<_> = (0..3)
            .map(|_| {
                let token = drops.token();
                pool.spawn(move || token)
            })
            .collect();
        drop(pool);
        assert_eq!(drops.count(), 0, "the values wait in their handles");
        drop(handles.pop());
        handles.pop().unwrap().detach();
        drop(handles.pop().unwrap().cancel_on_drop());
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn a_handle_in_a_thread_local_outlives_everything() {
    thread_local! {
        static KEPT: RefCell<Option<TaskHandle<()>>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        let drops = Drops::default();
        let token = drops.token();
        let keeper = thread::spawn(move || {
            let pool = WorkerPool::with_workers(1).unwrap();
            KEPT.set(Some(pool.spawn(move || drop(token)).cancel_on_drop()));
        });
        keeper.join().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_handle_may_wait_while_its_pool_is_dropped() {
    within(PATIENCE, || {
        for _ in 0..300 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let handles: Vec<_> = (0..6).map(|n| pool.spawn(move || n)).collect();
            let dropper = thread::spawn(move || drop(pool));
            for (n, handle) in handles.into_iter().enumerate() {
                let value = if n % 2 == 0 { handle.join() } else { pollster::block_on(handle) };
                assert_eq!(value.unwrap(), n);
            }
            dropper.join().unwrap();
        }
    });
}

#[test]
fn cancelling_races_the_end_of_the_pool() {
    within(PATIENCE, || {
        for _ in 0..500 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let ran = Arc::new(AtomicBool::new(false));
                    let sets = Arc::clone(&ran);
                    (ran, pool.spawn(move || sets.store(true, Ordering::SeqCst)))
                })
                .collect();
            let dropper = thread::spawn(move || drop(pool));
            for (ran, task) in tasks.into_iter().rev() {
                let cancelled = task.cancel();
                match task.join() {
                    Ok(()) => assert!(!cancelled && ran.load(Ordering::SeqCst)),
                    Err(TaskError::Cancelled) => {
                        assert!(cancelled && !ran.load(Ordering::SeqCst));
                        assert_eq!(Arc::strong_count(&ran), 1, "the closure was dropped at once");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            dropper.join().unwrap();
        }
    });
}

/// What a task shares with its spawner comes back, whatever happens to the task.
#[test]
fn shared_data_comes_back_from_every_fate() {
    within(PATIENCE, || {
        let shared = Arc::new("data");
        let pool = WorkerPool::builder()
            .workers(1)
            .queue_capacity(1)
            .when_full(WhenFull::DropOldest)
            .record_timing(true)
            .build()
            .unwrap();
        let give = || Arc::clone(&shared);
        let borrowed = give();
        assert_eq!(*pool.spawn(move || *borrowed).join().unwrap(), *"data");
        let inside = give();
        assert_eq!(Arc::strong_count(&pool.spawn(move || inside).join().unwrap()), 2);
        let inside = give();
        let throws = pool.spawn(move || std::panic::resume_unwind(Box::new(inside)));
        assert!(pool_error::<()>(throws).is_panicked());
        let inside = give();
        let lost = pool.task().spawn_with(move |cx: &TaskContext| -> Arc<&str> {
            let _inside = inside;
            cx.end_worker()
        });
        assert!(matches!(lost.join(), Err(TaskError::Lost)));
        let held = hold_all(&pool);
        let (one, two, three) = (give(), give(), give());
        let displaced = pool.spawn(move || drop(one));
        let cancelled = pool.spawn(move || drop(two));
        assert!(matches!(displaced.join(), Err(TaskError::Rejected(_))));
        assert!(cancelled.cancel());
        assert_eq!(Arc::strong_count(&shared), 2, "all but the third, which waits for its spawn");
        drop(pool.task().name("named").spawn(move || drop(three)));
        let inside = give();
        drop(pool.try_spawn(move || drop(inside)).unwrap_err());
        held.into_iter().for_each(crate::held::Held::release);
        drop(pool);
        assert_eq!(Arc::strong_count(&shared), 1);
        drop(cancelled);
    });
}

fn pool_error<T>(task: TaskHandle<T>) -> TaskError {
    task.join().err().expect("the task gives no value")
}

#[test]
fn shared_data_comes_back_before_join_does() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..5_000 {
            let shared = Arc::new(1);
            let inside = Arc::clone(&shared);
            assert_eq!(pool.spawn(move || *inside).join().unwrap(), 1);
            assert_eq!(Arc::into_inner(shared), Some(1));
        }
    });
}

#[test]
fn hooks_are_dropped_with_the_pool() {
    within(PATIENCE, || {
        let shared = Arc::new(());
        let (start, exit, name) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
        let pool = WorkerPool::builder()
            .workers(2)
            .on_worker_start(move |_| assert!(Arc::strong_count(&start) > 1))
            .on_worker_exit(move |_| assert!(Arc::strong_count(&exit) > 1))
            .thread_name(move |id| format!("{id} of {}", Arc::strong_count(&name)))
            .build()
            .unwrap();
        let outlives = pool.spawn(|| 1);
        assert_eq!(Arc::strong_count(&shared), 4);
        drop(pool);
        assert_eq!(Arc::strong_count(&shared), 1);
        assert_eq!(outlives.join().unwrap(), 1);
    });
}

#[test]
fn listeners_and_readings_outlive_the_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let events = pool.events();
        pool.spawn(|| 1).join().unwrap();
        let (workers, metrics) = (pool.workers(), pool.metrics());
        drop(pool);
        let told: Vec<_> = events.collect();
        assert!(matches!(told.first(), Some(PoolEvent::WorkerOnline { .. })), "{told:?}");
        assert!(told.contains(&PoolEvent::Closed), "{told:?}");
        assert_eq!((workers.len(), metrics.spawned), (1, 1));
    });
}
