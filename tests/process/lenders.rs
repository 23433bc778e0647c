//! Hundreds of lent cores at once, on stacks of the smallest size: an overflow would end the
//! process.

use std::sync::Arc;

use corepool::{Pinning, WorkerPool};

use crate::child;
use crate::support::lender;

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
    // Runs on the spare worker's small stack, and takes all other lent cores from the list in vain.
    let spawns = pool.task().on_worker(0).spawn(move || inner.spawn(|| 7));
    assert_eq!(spawns.join().unwrap().join().unwrap(), 7);
    drop(lenders);
}
