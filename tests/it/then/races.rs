//! A link's turn, its cancellation and a walk down its chain happen at once: the link settles once,
//! and nothing is lost.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, TaskError, TaskHandle, WorkerPool};

use crate::support::{PATIENCE, within};

const ROUNDS: usize = if cfg!(any(corepool_chaos, corepool_tsan)) { 300 } else { 1_500 };

#[test]
fn a_cancel_races_with_the_turn() {
    within(6 * PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..ROUNDS {
            let end = pool.spawn(move || round).then(|n| n + 1).then(|n| n + 1);
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            let kept_from_running = end.cancel();
            match end.join() {
                Ok(value) => assert_eq!(value, round + 2),
                Err(error) => assert!(error.is_cancelled()),
            }
            // A cancel that comes in between may have cancelled only the links before the end.
            let _either = kept_from_running;
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.spawned, 3 * ROUNDS as u64);
        assert_eq!(metrics.completed + metrics.cancelled, metrics.spawned);
        assert_eq!(metrics.queue_depth, 0);
    });
}

#[test]
fn walks_down_a_chain_race_with_workers_that_run_it() {
    within(6 * PATIENCE, || {
        for workers in [1, 2, 8] {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let tasks: Vec<TaskHandle<usize>> = (0..ROUNDS / 10)
                .map(|round| {
                    let inner = Arc::clone(&pool);
                    pool.spawn(move || {
                        let mut end = inner.spawn(move || round);
                        for _ in 0..round % 7 {
                            end = end.then(|n| n + 1);
                        }
                        let limit = Duration::from_micros(round as u64 % 40);
                        let result = match round % 3 {
                            0 => end.join(),
                            1 => end.join_timeout(limit).unwrap_or_else(|| end.join()),
                            _ => pollster::block_on(end),
                        };
                        result.unwrap()
                    })
                })
                .collect();
            for (round, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join().unwrap(), round + round % 7);
            }
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!(metrics.completed, metrics.spawned);
        }
    });
}

#[test]
fn two_pools_wait_for_one_anothers_chains() {
    within(6 * PATIENCE, || {
        let pools = Arc::new([1, 1].map(|workers| WorkerPool::with_workers(workers).unwrap()));
        let tasks: Vec<_> = (0..ROUNDS / 10)
            .map(|round| {
                let inner = Arc::clone(&pools);
                pools[round % 2].spawn(move || {
                    let other = &inner[1 - round % 2];
                    other.spawn(move || round).then(|n| n + 1).then(|n| n + 1).join().unwrap()
                })
            })
            .collect();
        for (round, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), round + 2);
        }
    });
}

#[test]
fn the_pool_closes_while_chains_are_under_way() {
    within(6 * PATIENCE, || {
        for round in 0..ROUNDS / 30 {
            let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
            let closer = Arc::clone(&pool);
            let closer = thread::spawn(move || {
                for _ in 0..round * 20 {
                    std::hint::spin_loop();
                }
                closer.shutdown();
            });
            let ends: Vec<_> =
                (0..20).map(|n| pool.spawn(move || n).then(|n| n + 1).then(|n| n + 1)).collect();
            for (n, end) in ends.into_iter().enumerate() {
                if let Ok(value) = end.join() {
                    assert_eq!(value, n + 2);
                }
            }
            closer.join().unwrap();
            let metrics = pool.metrics();
            assert_eq!(metrics.spawned, metrics.completed + metrics.rejected);
        }
    });
}

/// This thread pushes the continuation at about the time when the last worker has looked for one.
#[test]
fn the_last_worker_leaves_while_a_continuation_is_hung_behind_a_settled_task() {
    within(PATIENCE * 3, || {
        for round in 0..ROUNDS / 3 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let first = pool.spawn(|| 1);
            while !first.is_finished() {
                thread::yield_now();
            }
            pool.close();
            for _ in 0..round % 300 * 20 {
                std::hint::spin_loop();
            }
            match first.then(|n| n + 1).join() {
                Ok(value) => assert_eq!(value, 2),
                Err(error) => assert!(matches!(error, TaskError::Rejected(_))),
            }
        }
    });
}

/// The thread that settles the remaining tasks settles a link, which brings the next link to
/// another queue.
#[test]
fn the_workers_leave_while_a_chain_is_hung_behind_a_refused_task() {
    within(PATIENCE * 3, || {
        for round in 0..ROUNDS / 3 {
            let pool = WorkerPool::builder().workers(4).dispatch(Dispatch::RoundRobin);
            let pool = pool.build().unwrap();
            pool.close();
            for _ in 0..round % 100 * 4 {
                std::hint::spin_loop();
            }
            let chains: Vec<_> = (0..20)
                .map(|n| (0..4).fold(pool.spawn(move || n), |link, _| link.finally(|| ())))
                .collect();
            for chain in chains {
                assert!(matches!(chain.join(), Err(TaskError::Rejected(_))));
            }
        }
    });
}
