//! `QueueFull` and `QueueDrained`: a listener that hears of the first also hears of the second.
//! Also covers tasks that take no room.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use corepool::{PoolEvent, WhenFull, WorkerPool};

use crate::support::{Gate, PATIENCE, within};

const TRIALS: Duration = Duration::from_secs(1);

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
            // A place is free before the task's handle is settled.
            more.into_iter().for_each(|task| task.join().unwrap());
            let _may_be_rejected = first.join();
            for event in events.receiver().try_iter() {
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

/// What `queue_capacity` says about workers that are busy with tasks that take no room.
#[test]
fn beside_tasks_that_take_no_room_one_more_waits_for_each_of_them() {
    within(PATIENCE, || {
        for (workers, placed) in [(1, 1), (3, 1), (3, 3)] {
            let capacity = 4;
            let builder = WorkerPool::builder().workers(workers).queue_capacity(capacity);
            let pool = builder.when_full(WhenFull::Reject).build().unwrap();
            let gate = Gate::default();
            let mut busy = Vec::new();
            for worker in 0..workers {
                let (begins, has_begun) = mpsc::channel();
                let held = gate.clone();
                let task = pool.task();
                // The tasks start one after another, so that no worker gets two of them.
                let task = if worker < placed { task.on_worker(worker) } else { task };
                busy.push(task.spawn(move || {
                    begins.send(()).unwrap();
                    held.wait();
                }));
                has_begun.recv().unwrap();
            }
            let accepted = std::iter::from_fn(|| pool.try_spawn(|| ()).ok()).count();
            assert_eq!(accepted, capacity + placed);
            gate.open();
            busy.into_iter().for_each(|task| task.join().unwrap());
        }
    });
}
