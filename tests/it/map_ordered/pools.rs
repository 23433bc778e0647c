//! Maps in pools of every kind: bounded pools, and inside tasks of a pool with one worker.

use std::sync::Arc;
use std::thread;

use corepool::{WhenFull, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

#[test]
fn a_full_pool_neither_refuses_the_tasks_nor_has_the_caller_run_them() {
    within(PATIENCE, || {
        for when_full in [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns] {
            for capacity in [0, 1] {
                let pool = WorkerPool::builder().workers(1).queue_capacity(capacity);
                let pool = pool.when_full(when_full).build().unwrap();
                let thread = |_| thread::current().id();
                let here = thread::current().id();
                for result in pool.map_ordered(0..50, 10, thread) {
                    assert_ne!(result.unwrap(), here);
                }
                for result in pool.map_unordered(0..50, 10, thread) {
                    assert_ne!(result.unwrap(), here);
                }
            }
        }
    });
}

/// If the map waited for room, it would wait for the very task that it runs in.
#[test]
fn inside_a_task_of_one_worker_there_is_progress() {
    within(PATIENCE, || {
        for capacity in [None, Some(0), Some(3)] {
            let mut builder = WorkerPool::builder().workers(1);
            if let Some(capacity) = capacity {
                builder = builder.queue_capacity(capacity);
            }
            let pool = Arc::new(builder.build().unwrap());
            let inner = Arc::clone(&pool);
            let parent = pool.spawn(move || {
                let ordered = inner.map_ordered(0..100, 7, |n| n).map(Result::unwrap);
                assert_eq!(ordered.collect::<Vec<u64>>(), (0..100).collect::<Vec<_>>());
                inner.map_unordered(0..100, 7, |n: u64| n).map(Result::unwrap).sum::<u64>()
            });
            assert_eq!(parent.join().unwrap(), 4_950);
        }
    });
}

#[test]
fn a_maps_tasks_take_no_place_of_others() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool = pool.when_full(WhenFull::Reject).build().unwrap();
        let mut results = pool.map_unordered(0..100, 20, |n| n);
        results.next().unwrap().unwrap();
        let busy = occupy(&pool, 1);
        // However much of the map is in flight, one place is free.
        let queued = pool.try_spawn(|| 7).unwrap();
        pool.try_spawn(|| 8).unwrap_err();
        busy.release();
        assert_eq!(queued.join().unwrap(), 7);
        assert_eq!(results.count(), 99);
    });
}

/// Each item's task runs a map itself.
#[test]
fn maps_may_nest() {
    within(PATIENCE, || {
        for workers in [1, 2, 4] {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let inner = Arc::downgrade(&pool);
            let sums = pool.map_ordered(1..=20_u64, 3, move |n| {
                let pool = inner.upgrade().unwrap();
                pool.map_unordered(0..n, 2, |m| m).map(Result::unwrap).sum::<u64>()
            });
            let sums: Vec<u64> = sums.map(Result::unwrap).collect();
            assert_eq!(sums, (1..=20).map(|n| n * (n - 1) / 2).collect::<Vec<_>>());
        }
    });
}
