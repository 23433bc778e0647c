//! Workers that block: spare workers run what is queued meanwhile, and no wait lasts forever.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{end, outside, pool_of};
use crate::base::sync::schedule::explore;
use crate::pool::WorkerPool;
use crate::pool::blocking::blocking;

fn lending(workers: usize, spares: usize) -> Arc<WorkerPool> {
    pool_of(WorkerPool::builder().workers(workers).spare_workers(spares))
}

/// A task waits, inside `blocking`, until another task has run. When all workers do that, only
/// spare workers can run the other task.
#[test]
fn a_worker_that_blocks_leaves_its_core_to_who_ends_its_wait() {
    explore(|| {
        let pool = lending(1, 1);
        let (give, take) = shuttle::sync::mpsc::channel();
        let waits = pool.spawn(move || blocking(|| take.recv().ok()));
        let gives = pool.spawn(move || give.send(7).is_ok());
        assert_eq!(waits.join().ok().flatten(), Some(7));
        assert_eq!(gives.join().ok(), Some(true));
        end(&pool);
    });
}

#[test]
fn three_that_block_are_helped_by_two() {
    explore(|| {
        let pool = lending(2, 2);
        outside(3, &pool, |pool, number| {
            let (give, take) = shuttle::sync::mpsc::channel();
            let waits = pool.spawn(move || blocking(|| take.recv().ok()));
            // At most two of the three pairs keep a worker's place waiting. The third pair then
            // finds a spare worker free again.
            assert!(give.send(number).is_ok());
            assert_eq!(waits.join().ok().flatten(), Some(number));
        });
        end(&pool);
    });
}

#[test]
fn a_worker_that_joins_a_running_task_lends_its_core() {
    explore(|| {
        let pool = lending(2, 2);
        let (give, take) = shuttle::sync::mpsc::channel();
        let slow = pool.spawn(move || blocking(|| take.recv().ok()));
        let joins = pool.spawn(move || slow.join().ok().flatten());
        let gives = pool.spawn(move || give.send(3).is_ok());
        assert_eq!(gives.join().ok(), Some(true));
        assert_eq!(joins.join().ok().flatten(), Some(3));
        end(&pool);
    });
}
