//! A listener that hears that a pool is full hears that it has drained, too.

use std::time::{Duration, Instant};

use corepool::{PoolEvent, WhenFull, WorkerPool};

use crate::support::{PATIENCE, within};

const TRIALS: Duration = Duration::from_secs(2);

#[test]
fn a_quiet_pool_was_never_called_full_last() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = builder.when_full(WhenFull::Reject).build().unwrap();
        let events = pool.events();
        let mut is_full = false;
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < TRIALS {
            rounds += 1;
            let first = pool.spawn(|| ());
            let more: Vec<_> = (0..3).flat_map(|_| pool.try_spawn(|| ())).collect();
            // The place is free before the handle knows.
            more.into_iter().for_each(|task| task.join().unwrap());
            let _may_be_rejected = first.join();
            for event in events.try_iter() {
                match event {
                    PoolEvent::QueueFull => is_full = true,
                    PoolEvent::QueueDrained => is_full = false,
                    _ => {}
                }
            }
            assert!(
                !is_full,
                "nothing waits or runs, and the pool is called full (round {rounds})"
            );
        }
    });
}
