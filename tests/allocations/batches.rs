//! What a batch costs when its items wait.

use std::sync::atomic::Ordering;

use corepool::WorkerPool;

use super::{LIVE, TASKS, alone};

/// The highest number of bytes allocated at once while such items ran.
fn most(pool: &WorkerPool, item: fn() -> usize) -> usize {
    let items = pool.spawn_batch((0..TASKS).map(|_| item));
    items.map(|live| live.expect("no panic")).max().expect("there are items")
}

/// Each item lends its worker's core, so a spare worker is called to go on with the batch. There
/// must not be one spare worker for each item.
#[test]
fn the_items_of_a_batch_that_wait_call_no_crowd() {
    let _alone = alone();
    for spares in [1, 3] {
        let pool = WorkerPool::builder().workers(1).spare_workers(spares).build().expect("threads");
        let plain = most(&pool, || LIVE.load(Ordering::SeqCst));
        let waiting = most(&pool, || corepool::blocking(|| LIVE.load(Ordering::SeqCst)));
        println!("{spares} spare: {plain} bytes, {waiting} with items that wait");
        assert!(waiting < plain + 100_000, "{waiting} bytes, {plain} where no item waits");
    }
}
