//! Models of eras: a task that is meant is told (sees that it should stop), and no other task is.
#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};

use loom::thread;

use super::Eras;
use crate::base::id::PoolId;
use crate::base::sync::{AtomicU32, explore};
use crate::cancel::CancelReason;

/// A running task of a pool. It checks whether it should stop as `TaskContext::is_cancelled` does.
struct Task {
    pool: PoolId,
    bears: u32,
}

impl Task {
    fn spawn(pool: PoolId, eras: &Eras) -> Self {
        Self { pool, bears: eras.now() }
    }

    fn is_cancelled(&mut self, eras: &Eras) -> bool {
        if self.bears == eras.now() {
            return false;
        }
        match eras.reason(self.pool, self.bears) {
            Ok(_) => true,
            Err(today) => {
                self.bears = today;
                false
            }
        }
    }
}

fn eras() -> Arc<Eras> {
    Arc::new(Eras { now: AtomicU32::new(0), ended: OnceLock::new() })
}

fn cancel_all(eras: &Eras, pool: PoolId) {
    let era = eras.end(pool);
    eras.stop(pool, era, CancelReason::PoolCancelled);
}

/// Ends an era on a thread of its own.
fn beside(eras: &Arc<Eras>, pool: PoolId) -> thread::JoinHandle<()> {
    let eras = Arc::clone(eras);
    thread::spawn(move || cancel_all(&eras, pool))
}

#[test]
fn a_task_that_looks_while_its_pool_ends_the_era_is_told() {
    explore(|| {
        let (eras, pool) = (eras(), PoolId::next());
        let mut task = Task::spawn(pool, &eras);
        let ends = beside(&eras, pool);
        let is_told = task.is_cancelled(&eras) || task.is_cancelled(&eras);
        ends.join().unwrap();
        assert!(is_told || task.is_cancelled(&eras));
    });
}

/// Spawned between two ends by its own pool, where the first end is announced after the second.
#[test]
fn a_task_that_is_spawned_between_two_ends_is_told_of_the_second() {
    explore(|| {
        let (eras, pool) = (eras(), PoolId::next());
        let ends = beside(&eras, pool);
        let mut task = Task::spawn(pool, &eras);
        cancel_all(&eras, pool);
        ends.join().unwrap();
        assert!(task.is_cancelled(&eras));
    });
}

/// The task asks, learns that another pool's tasks are meant, and takes a new era. Its own pool
/// ends an era at the same time.
#[test]
fn a_task_that_hears_of_another_pools_end_is_told_of_its_own() {
    explore(|| {
        let (eras, pool, other) = (eras(), PoolId::next(), PoolId::next());
        let mut task = Task::spawn(pool, &eras);
        cancel_all(&eras, other);
        let ends = beside(&eras, pool);
        let is_told = task.is_cancelled(&eras);
        ends.join().unwrap();
        assert!(is_told || task.is_cancelled(&eras));
    });
    explore(|| {
        let (eras, pool, other) = (eras(), PoolId::next(), PoolId::next());
        let mut task = Task::spawn(pool, &eras);
        let ends = beside(&eras, other);
        assert!(!task.is_cancelled(&eras), "it was not meant");
        ends.join().unwrap();
        assert!(!task.is_cancelled(&eras), "it was not meant");
    });
}

#[test]
fn a_task_that_comes_after_the_end_is_not_told() {
    explore(|| {
        let (eras, pool, other) = (eras(), PoolId::next(), PoolId::next());
        cancel_all(&eras, pool);
        let ends = beside(&eras, other);
        let mut task = Task::spawn(pool, &eras);
        assert!(!task.is_cancelled(&eras), "it came later");
        ends.join().unwrap();
        assert!(!task.is_cancelled(&eras), "it came later");
    });
}
