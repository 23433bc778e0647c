//! Work does not wait while a worker sleeps: a monitor watches a storm of tasks of all kinds.
//!
//! The bound is 50 ms on a machine that schedules threads promptly. To allow for other machines,
//! the monitor wakes a control thread before each sample, which takes as long as waking a worker
//! does. A worker may sleep for the bound or for twenty times the slowest of those wake-ups,
//! whichever is longer.

mod monitor;
mod storm;

use std::sync::Arc;

use corepool::{Dispatch, Pinning, WorkerPool};

use crate::support::{PATIENCE, within};
use monitor::Whose;

fn watch(workers: usize, dispatch: Dispatch, whose: Whose) {
    within(PATIENCE, move || {
        // The workers are not pinned because the control thread is not. Otherwise one could have a
        // core to itself while the other has none.
        let builder = WorkerPool::builder().workers(workers).pinning(Pinning::None);
        let pool = Arc::new(builder.dispatch(dispatch).build().unwrap());
        let watched = monitor::watch(&pool, whose, || storm::blow(&pool, dispatch));
        println!("{watched:?}");
        assert!(watched.samples > 10, "nothing was looked at: {watched:?}");
        assert_eq!(watched.complaint, None);
    });
}

#[test]
fn no_worker_sleeps_beside_work_that_it_may_take() {
    watch(3, Dispatch::FreeWorker, Whose::Anybodys);
}

#[test]
fn the_only_worker_does_not_sleep_beside_work() {
    watch(1, Dispatch::FreeWorker, Whose::Anybodys);
}

#[test]
fn not_all_workers_sleep_while_work_that_was_dealt_waits() {
    watch(3, Dispatch::RoundRobin, Whose::Somebodys);
}
