//! Waiting inside a task always makes progress and never runs unrelated work.

mod finding;
mod free_spawn;
mod progress;

use std::cell::Cell;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use corepool::{TaskContext, TaskError, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

/// Spawns and joins itself, `depth` levels deep.
fn nested(depth: u32) -> u32 {
    if depth == 0 { 0 } else { corepool::spawn(move || nested(depth - 1)).join().unwrap() + 1 }
}

/// Like [`nested`], with a small executor in each task.
fn nested_await(depth: u32) -> u32 {
    if depth == 0 {
        return 0;
    }
    pollster::block_on(
        async move { corepool::spawn(move || nested_await(depth - 1)).await.unwrap() },
    ) + 1
}

/// A pool for joins nested a thousand deep. An optimised build needs half a KiB per level, so a
/// worker's default stack is enough. An unoptimised build needs 2.5 KiB per level.
fn deep(workers: usize) -> WorkerPool {
    let builder = WorkerPool::builder().workers(workers);
    let builder = if cfg!(debug_assertions) { builder.stack_size(16 << 20) } else { builder };
    builder.build().unwrap()
}

/// Case 34.
#[test]
fn joins_nested_a_thousand_deep_work_on_one_worker() {
    within(PATIENCE, || {
        let pool = deep(1);
        assert_eq!(pool.spawn(|| nested(1_000)).join().unwrap(), 1_000);
        let workers = pool.workers();
        assert_eq!(workers[0].tasks_run, 1_001);
    });
}

/// Case 34.
#[test]
fn joins_nested_a_thousand_deep_work_on_two_workers() {
    within(PATIENCE, || {
        let pool = deep(2);
        let tasks: Vec<_> = (0..4).map(|_| pool.spawn(|| nested(1_000))).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == 1_000));
    });
}

#[test]
fn awaits_nested_deep_work_on_one_worker() {
    within(PATIENCE, || {
        let pool = deep(1);
        assert_eq!(pool.spawn(|| nested_await(1_000)).join().unwrap(), 1_000);
    });
}

fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let left = corepool::spawn(move || fibonacci(n - 1));
    let right = fibonacci(n - 2);
    left.join().unwrap() + right
}

#[test]
fn fibonacci_by_spawn_and_join_is_right_on_any_number_of_workers() {
    within(PATIENCE, || {
        for workers in [1, 2, 4] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            assert_eq!(pool.spawn(|| fibonacci(16)).join().unwrap(), 987);
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.queue_depth), (metrics.completed, 0));
        }
    });
}

#[test]
fn a_task_that_nobody_started_is_run_in_place_by_who_waits() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        // The other worker is busy and cannot take anything.
        let _busy = occupy(&pool, 1);
        let outer = pool.spawn_with(|cx| {
            let here = (thread::current().id(), cx.worker());
            let joined = corepool::spawn(|| thread::current().id());
            assert_eq!(joined.join().unwrap(), here.0);
            let mut timed = corepool::spawn(|| thread::current().id());
            let timed = timed.join_timeout(std::time::Duration::from_nanos(1));
            assert_eq!(timed.expect("the time bounds the wait, not the run").unwrap(), here.0);
            let awaited = corepool::spawn(|| thread::current().id());
            assert_eq!(pollster::block_on(awaited).unwrap(), here.0);
            let mut not_now = corepool::spawn(|| thread::current().id());
            assert!(not_now.try_join().is_none(), "`try_join` runs nothing");
            let at_once = not_now.join_timeout(std::time::Duration::ZERO);
            assert!(at_once.is_none(), "nor does a zero timeout");
            not_now
        });
        outer.join().unwrap().join().unwrap();
    });
}

/// Tasks are taken from the middle, the end and the front of the queue.
#[test]
fn tasks_are_claimed_in_any_order() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for seed in 0..50 {
            let outer = pool.spawn(move || {
                let mut tasks: Vec<_> =
                    (0..40).map(|n| (n, corepool::spawn(move || n * n))).collect();
                fastrand::Rng::with_seed(seed).shuffle(&mut tasks);
                tasks.truncate(30);
                tasks.into_iter().all(|(n, task)| task.join().unwrap() == n * n)
            });
            assert!(outer.join().unwrap());
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.queue_depth), (50 * 41, 0));
    });
}

#[test]
fn a_context_of_a_task_run_in_place_is_the_tasks_own() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inside = Arc::clone(&pool);
        let outer = pool.spawn_with(move |outer| {
            let inner = inside.spawn_with(|cx| (cx.is_cancelled(), cx.worker()));
            let (cancelled, worker) = inner.join().unwrap();
            assert!(!cancelled && !outer.is_cancelled());
            worker == outer.worker()
        });
        assert!(outer.join().unwrap());
    });
}

thread_local! {
    /// Whether the calling thread's stack holds the mutex, or waits as if it did (case 36).
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// Case 36.
#[test]
fn who_joins_with_a_mutex_held_never_runs_a_task_that_wants_it() {
    within(PATIENCE, || {
        for workers in [1, 2, 8] {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let mutex = Arc::new(Mutex::new(0_u64));
            for round in 0..50 {
                let (inside, held) = (Arc::clone(&pool), Arc::clone(&mutex));
                let holder = pool.spawn(move || {
                    let mut count = held.lock().unwrap();
                    HOLDS.set(true);
                    let children: Vec<_> = (0..4).map(|n| inside.spawn(move || n)).collect();
                    let mut sum = 0;
                    for child in children {
                        sum += match round % 2 {
                            0 => child.join().unwrap(),
                            _ => pollster::block_on(child).unwrap(),
                        };
                    }
                    *count += sum;
                    HOLDS.set(false);
                });
                let others: Vec<_> = (0..12)
                    .map(|_| {
                        let mutex = Arc::clone(&mutex);
                        pool.spawn(move || {
                            assert!(!HOLDS.get(), "it runs on the stack of who holds the mutex");
                            *mutex.lock().unwrap() += 1;
                        })
                    })
                    .collect();
                holder.join().unwrap();
                others.into_iter().for_each(|task| task.join().unwrap());
            }
            assert_eq!(*mutex.lock().unwrap(), 50 * (6 + 12));
        }
    });
}

/// Case 36: the awaited task already runs elsewhere, so it cannot be claimed, and unrelated tasks
/// (strangers) are queued.
#[test]
fn who_waits_for_a_running_task_runs_nothing_meanwhile() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        for _ in 0..200 {
            let (inside, in_child) = (Arc::clone(&pool), Arc::clone(&pool));
            let outer = pool.spawn(move || {
                let (starting, started) = mpsc::channel();
                let child = inside.spawn(move || {
                    starting.send(()).unwrap();
                    // Strangers enter the child's own queue while its parent waits for it.
                    let strangers: Vec<_> =
                        (0..8).map(|_| in_child.spawn(|| HOLDS.get())).collect();
                    thread::yield_now();
                    strangers
                });
                started.recv().unwrap();
                HOLDS.set(true);
                let strangers = child.join().unwrap();
                HOLDS.set(false);
                strangers
            });
            for stranger in outer.join().unwrap() {
                assert!(!stranger.join().unwrap(), "it ran on the stack of who waited");
            }
        }
    });
}

/// Case 37.
#[test]
fn two_pools_of_one_worker_each_wait_for_one_another() {
    within(PATIENCE, || {
        let pools = [(); 2].map(|()| Arc::new(WorkerPool::with_workers(1).unwrap()));
        for round in 0..200 {
            let both_run = Arc::new(Barrier::new(2));
            let tasks = [(0, 1), (1, 0)].map(|(own, other)| {
                let (other, both_run) = (Arc::clone(&pools[other]), Arc::clone(&both_run));
                pools[own].spawn(move || {
                    both_run.wait();
                    // The other pool's only worker is busy with a task that waits for this pool.
                    let task = other.spawn(move || round);
                    if round % 2 == 0 { task.join() } else { pollster::block_on(task) }
                })
            });
            for task in tasks {
                assert_eq!(task.join().unwrap().unwrap(), round);
            }
        }
        for pool in pools {
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.completed), (400, 400));
        }
    });
}

/// Case 37: back and forth between two pools, many levels deep.
#[test]
fn a_task_that_goes_through_two_pools_in_turn_comes_back() {
    fn there_and_back(pools: [Arc<WorkerPool>; 2], depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let [here, there] = pools;
        let next = [Arc::clone(&there), here];
        there.spawn(move || there_and_back(next, depth - 1)).join().unwrap() + 1
    }
    within(PATIENCE, || {
        let pools = [(); 2].map(|()| Arc::new(WorkerPool::with_workers(1).unwrap()));
        assert_eq!(there_and_back(pools, 100), 100);
    });
}

/// A task that runs on another pool's thread learns this from its context.
#[test]
fn a_task_run_by_another_pools_worker_has_no_worker_of_its_own() {
    within(PATIENCE, || {
        let [own, other] = [(); 2].map(|()| Arc::new(WorkerPool::with_workers(1).unwrap()));
        let _busy = occupy(&other, 1);
        let inside = Arc::clone(&other);
        let worker = own.spawn(move || inside.spawn_with(TaskContext::worker).join().unwrap());
        assert_eq!(worker.join().unwrap(), None);
    });
}

#[test]
fn a_join_inside_a_task_of_a_closed_pool_still_works() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inside = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            let before = corepool::spawn(|| 5);
            inside.close();
            let after = corepool::spawn(|| 6);
            (before.join(), after.join())
        });
        let (before, after) = outer.join().unwrap();
        assert_eq!(before.unwrap(), 5);
        assert!(matches!(after, Err(TaskError::Rejected(_))));
    });
}
