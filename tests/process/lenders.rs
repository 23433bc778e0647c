//! Hundreds of lent cores at once, on stacks of the smallest size: an overflow would end the process.

use std::sync::{Arc, mpsc};

use corepool::{Pinning, TaskHandle, WorkerPool, blocking};

use crate::child;

/// A worker that has lent its core until the sender is dropped.
fn lender(pool: &WorkerPool, worker: usize) -> (TaskHandle<()>, mpsc::Sender<()>) {
    let (go, waits) = mpsc::channel::<()>();
    let (lends, is_lending) = mpsc::channel();
    let task = pool.task().on_worker(worker).spawn(move || {
        blocking(|| {
            lends.send(()).unwrap();
            assert!(waits.recv().is_err(), "the sender is dropped");
        });
    });
    is_lending.recv().unwrap();
    (task, go)
}

#[test]
fn many_lent_cores_without_a_spare_worker_need_no_stack() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    const WORKERS: usize = 500;
    let builder = WorkerPool::builder().workers(WORKERS).spare_workers(1);
    let pool = builder.stack_size(64 << 10).pinning(Pinning::None).build().unwrap();
    let pool = Arc::new(pool);
    let lenders: Vec<_> = (0..WORKERS).map(|worker| lender(&pool, worker)).collect();
    let inner = Arc::clone(&pool);
    // Runs on the spare worker's small stack, and takes all other lent cores from the list, in vain.
    let spawns = pool.task().on_worker(0).spawn(move || inner.spawn(|| 7));
    assert_eq!(spawns.join().unwrap().join().unwrap(), 7);
    drop(lenders);
}
