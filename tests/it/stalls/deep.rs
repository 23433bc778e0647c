//! A task that joins a task that joins a task runs them in place; a chain may be longer than the
//! stack.

use std::sync::Arc;

use corepool::{WorkerPool, promise};

use crate::support::{PATIENCE, within};

/// Several times as many levels as a stack has room for.
const LEVELS: usize = 6_000;

fn joins(pool: &Arc<WorkerPool>, level: usize) -> usize {
    if level == LEVELS {
        return level;
    }
    let own = Arc::clone(pool);
    pool.spawn(move || joins(&own, level + 1)).join().unwrap()
}

fn promises(pool: &Arc<WorkerPool>, level: usize) -> usize {
    if level == LEVELS {
        return level;
    }
    let own = Arc::clone(pool);
    promise::all([pool.spawn(move || promises(&own, level + 1))]).join().unwrap()[0]
}

fn batches(pool: &Arc<WorkerPool>, level: usize) -> usize {
    if level == LEVELS {
        return level;
    }
    let own = Arc::clone(pool);
    let mut set = pool.spawn_batch([move || batches(&own, level + 1)]);
    set.next().unwrap().unwrap()
}

fn run(pool: WorkerPool, chain: fn(&Arc<WorkerPool>, usize) -> usize) {
    within(PATIENCE, move || {
        let pool = Arc::new(pool);
        let own = Arc::clone(&pool);
        assert_eq!(pool.spawn(move || chain(&own, 0)).join().unwrap(), LEVELS);
    });
}

#[test]
fn a_chain_of_joins_goes_on_beyond_a_stack() {
    run(WorkerPool::with_workers(1).unwrap(), joins);
}

#[test]
fn it_needs_no_spare_worker() {
    run(WorkerPool::builder().workers(1).spare_workers(0).build().unwrap(), joins);
}

#[test]
fn a_chain_of_promises_goes_on_beyond_a_stack() {
    run(WorkerPool::with_workers(2).unwrap(), promises);
}

#[test]
fn a_chain_of_batches_goes_on_beyond_a_stack() {
    run(WorkerPool::with_workers(2).unwrap(), batches);
}

#[test]
fn a_panic_at_the_end_of_a_deep_chain_is_what_the_joins_give() {
    fn fails(pool: &Arc<WorkerPool>, level: usize) -> bool {
        if level == LEVELS {
            std::panic::resume_unwind(Box::new("planned"));
        }
        let own = Arc::clone(pool);
        let below = pool.spawn(move || fails(&own, level + 1)).join();
        below.unwrap_or_else(|error| error.is_panicked())
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let own = Arc::clone(&pool);
        assert!(pool.spawn(move || fails(&own, 0)).join().unwrap());
        let metrics = pool.metrics();
        assert_eq!((metrics.panicked, metrics.completed), (1, LEVELS as u64));
    });
}
