//! Schedules of the whole pool under shuttle: the real workers, queues, locks and sleeps, in an
//! order that a random scheduler chooses.
//!
//! Loom's models are small and cover every schedule and every weak ordering. These programs are big
//! and cover some schedules, one access at a time. A lost wake-up shows as a deadlock, which
//! shuttle reports. `ci/shuttle.sh` says how to run them and how to replay a failure.
#![forbid(unsafe_code)]

mod bounded;
mod lending;
mod programs;
mod shapes;
mod tasks;
mod waits;

use std::sync::Arc;

use shuttle::thread;

use crate::pool::WorkerPool;
use crate::pool::builder::PoolBuilder;
use crate::sched::config::Pinning;

/// A pool whose workers are shuttle's threads. They must not be pinned, because all of them share
/// one real thread.
fn pool_of(builder: PoolBuilder) -> Arc<WorkerPool> {
    Arc::new(builder.pinning(Pinning::None).build().expect("two or three workers can be had"))
}

fn pool(workers: usize) -> Arc<WorkerPool> {
    pool_of(WorkerPool::builder().workers(workers))
}

/// Runs `submit` on several threads outside the pool at once, each with its number, and joins them.
fn outside(
    threads: usize,
    pool: &Arc<WorkerPool>,
    submit: impl Fn(&Arc<WorkerPool>, usize) + Send + Sync + 'static,
) {
    let submit = Arc::new(submit);
    let start = |number| {
        let (pool, submit) = (Arc::clone(pool), Arc::clone(&submit));
        thread::spawn(move || submit(&pool, number))
    };
    let threads: Vec<_> = (0..threads).map(start).collect();
    for thread in threads {
        thread.join().expect("a failed assertion ends the schedule before this");
    }
}

/// Shuts the pool down. The shutdown must end, and every task must be in one of the counters.
fn end(pool: &WorkerPool) {
    pool.shutdown();
    let told = pool.metrics();
    let settled =
        told.completed + told.panicked + told.cancelled + told.expired + told.rejected + told.lost;
    assert_eq!(told.spawned, settled, "{told}");
    assert_eq!(told.queue_depth, 0, "{told}");
}

/// As [`end`], and checks that nothing that belonged to the tasks is still owned.
fn end_with(pool: &WorkerPool, owned: &Arc<()>) {
    end(pool);
    assert_eq!(Arc::strong_count(owned), 1, "a closure or a result was not dropped, or twice");
}
