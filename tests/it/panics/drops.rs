//! Panics in the drops of results, closures and panic payloads.

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{TaskError, WhenFull, WorkerPool};

use super::expect_whole;
use crate::support::{Bomb, Drops, PATIENCE, occupy, until, within};

/// Case 3.
#[test]
fn a_results_drop_that_panics_does_not_unwind_into_the_handles_drop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let bomb = drops.bomb();
        let task = pool.spawn(move || bomb);
        until(|| task.is_finished());
        drop(task);
        assert_eq!(drops.count(), 1);
        let bomb = drops.bomb();
        let task = pool.spawn(move || bomb).cancel_on_drop();
        until(|| task.is_finished());
        drop(task);
        assert_eq!(drops.count(), 2);
        expect_whole(&pool, 1);
    });
}

/// Case 3.
#[test]
fn a_results_drop_that_panics_on_its_worker_leaves_the_worker_whole() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        for _ in 0..20 {
            let bomb = drops.bomb();
            let busy = occupy(&pool, 1);
            pool.spawn(move || bomb).detach();
            busy.release();
        }
        expect_whole(&pool, 1);
        pool.shutdown();
        assert_eq!((drops.count(), pool.metrics().panicked), (20, 0));
    });
}

/// Case 3: the thread that joins owns the value, and so any panic in its drop.
#[test]
fn a_joined_results_drop_panics_where_it_is_dropped_and_nowhere_else() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let bomb = drops.bomb();
        let task = pool.spawn(move || bomb);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(task.join().unwrap())));
        assert!(dropped.is_err());
        assert_eq!(drops.count(), 1);
        expect_whole(&pool, 1);
    });
}

/// Case 4.
#[test]
fn a_closure_whose_captures_panic_in_drop_after_its_run_is_a_task_that_panicked() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let bomb = drops.bomb();
        let task = pool.spawn(move || {
            let _bomb = bomb;
            5
        });
        assert!(task.join().unwrap_err().is_panicked());
        assert_eq!(drops.count(), 1);
        assert_eq!((pool.metrics().panicked, pool.metrics().completed), (1, 0));
        expect_whole(&pool, 1);
    });
}

/// Case 4.
#[test]
fn a_cancelled_closures_drop_that_panics_does_not_unwind_into_cancel() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let (first, second) = (drops.bomb(), drops.bomb());
        let task = pool.spawn(move || drop(first));
        assert!(task.cancel());
        assert!(task.join().unwrap_err().is_cancelled());
        drop(pool.spawn(move || drop(second)).cancel_on_drop());
        assert_eq!(drops.count(), 2);
        busy.release();
        expect_whole(&pool, 1);
        pool.shutdown();
        assert_eq!((pool.metrics().cancelled, pool.metrics().panicked), (2, 0));
    });
}

/// Spawns a closure that panics in its drop on a pool that refuses it.
fn spawn_refused(pool: &WorkerPool, bomb: Bomb) {
    let spawned = catch_unwind(AssertUnwindSafe(|| pool.spawn(move || drop(bomb))));
    let task = spawned.expect("`spawn` never fails: a refusal is a settled handle");
    assert!(matches!(task.join(), Err(TaskError::Rejected(_))));
}

/// Case 4.
#[test]
fn a_closure_that_a_closed_pool_refuses_may_panic_in_its_drop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        pool.close();
        spawn_refused(&pool, drops.bomb());
        assert_eq!((drops.count(), pool.metrics().rejected), (1, 1));
    });
}

/// Case 4.
#[test]
fn a_closure_that_a_full_pool_refuses_may_panic_in_its_drop() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = builder.when_full(WhenFull::Reject).build().unwrap();
        let _busy = occupy(&pool, 1);
        let drops = Drops::default();
        spawn_refused(&pool, drops.bomb());
        assert_eq!((drops.count(), pool.metrics().rejected), (1, 1));
    });
}

/// Case 4.
#[test]
fn a_closure_displaced_by_a_newer_one_may_panic_in_its_drop() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool = builder.when_full(WhenFull::DropOldest).build().unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let bomb = drops.bomb();
        let old = pool.spawn(move || drop(bomb));
        let new = pool.spawn(|| 5);
        assert!(matches!(old.join(), Err(TaskError::Rejected(_))));
        assert_eq!(drops.count(), 1);
        busy.release();
        assert_eq!(new.join().unwrap(), 5);
        expect_whole(&pool, 1);
    });
}

/// Case 4.
#[test]
fn a_closure_cancelled_by_a_shutdown_may_panic_in_its_drop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let bomb = drops.bomb();
                pool.spawn(move || drop(bomb))
            })
            .collect();
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert_eq!(report.cancelled, 10);
        // Another thread drops them, and a slow drop may take its time there.
        until(|| drops.count() == 10);
        assert!(tasks.into_iter().all(|task| task.join().unwrap_err().is_cancelled()));
        busy.release();
    });
}

/// A payload whose drop panics with another such payload, several levels deep.
struct Matryoshka(usize, Arc<AtomicUsize>);

impl Drop for Matryoshka {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
        if self.0 > 0 {
            panic::panic_any(Self(self.0 - 1, Arc::clone(&self.1)));
        }
    }
}

/// Case 5.
#[test]
fn a_payloads_drop_that_panics_repeatedly_is_contained() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for depth in [1, 2, 3, 100] {
            let drops = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&drops);
            let throw = move || {
                let count = Arc::clone(&count);
                pool_panic(depth, count)
            };
            // Dropped by its worker, by its handle, and by the thread that joined.
            let busy = occupy(&pool, 1);
            pool.spawn(throw.clone()).detach();
            busy.release();
            let dropped = pool.spawn(throw.clone());
            until(|| dropped.is_finished());
            drop(dropped);
            let joined = pool.spawn(throw).join();
            assert!(joined.as_ref().is_err_and(TaskError::is_panicked));
            drop(joined);
            let dropped = drops.load(Ordering::SeqCst);
            assert!(dropped >= 3 && dropped <= 3 * (depth + 1), "{dropped} drops of depth {depth}");
        }
        expect_whole(&pool, 1);
        assert_eq!(pool.metrics().panicked, 12);
    });
}

fn pool_panic(depth: usize, count: Arc<AtomicUsize>) {
    panic::panic_any(Matryoshka(depth, count));
}

/// Case 5: the drops of a cancelled closure throw such payloads.
#[test]
fn a_closures_drop_that_throws_payloads_that_throw_is_contained() {
    within(PATIENCE, || {
        struct Throws(Arc<AtomicUsize>);
        impl Drop for Throws {
            fn drop(&mut self) {
                pool_panic(3, Arc::clone(&self.0));
            }
        }
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Arc::new(AtomicUsize::new(0));
        let throws = Throws(Arc::clone(&drops));
        assert!(pool.spawn(move || drop(throws)).cancel());
        assert_ne!(drops.load(Ordering::SeqCst), 0);
        busy.release();
        expect_whole(&pool, 1);
    });
}
