//! Work does not wait beside a worker that sleeps: a monitor watches a storm of tasks of all kinds.
//!
//! The bound is 50 ms, on a machine that gives a thread its turn. So the monitor calls a control
//! thread for each sample, which has to be woken as a worker has: a worker may sleep for twenty
//! times as long as the slowest of those calls took.

mod monitor;
mod storm;

use std::sync::Arc;

use corepool::{Dispatch, Pinning, WorkerPool};

use crate::support::{PATIENCE, within};
use monitor::Whose;

fn watch(workers: usize, dispatch: Dispatch, whose: Whose) {
    within(PATIENCE, move || {
        // Not pinned, as the control thread is not: else the one may have a core to itself, and the
        // other none.
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
