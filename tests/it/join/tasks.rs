//! Tasks and joins inside one another: handles go from half to half (a join's closures) and are
//! settled once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use corepool::{TaskHandle, WorkerPool};

use super::{LONG, WORKERS, expected, fibonacci, quiet, until_free, work};
use crate::support::{Gate, PATIENCE, until, within};

/// Spawns in one half and joins in the other, on every level.
fn spawn_and_join(pool: &WorkerPool, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let inner: Vec<_> = (0..3_u64).map(|n| pool.spawn(move || n)).collect();
    let (own, below) = pool.join(
        || inner.into_iter().map(|task| task.join().unwrap()).sum::<u64>(),
        || {
            let task = pool.spawn(|| fibonacci(5));
            let below = spawn_and_join(pool, depth - 1);
            below + task.join().unwrap()
        },
    );
    own + below
}

#[test]
fn handles_are_joined_inside_halves() {
    within(PATIENCE * 2, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            assert_eq!(spawn_and_join(&pool, 100), 801);
            assert_eq!(pool.install(|| spawn_and_join(&pool, 100)), 801);
            let (a, b) = pool.join(|| spawn_and_join(&pool, 50), || spawn_and_join(&pool, 50));
            assert_eq!(a + b, 802);
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.queue_depth), (metrics.completed, 0));
        }
    });
}

/// The task may be running by then, or the joining thread runs it in place, whichever thread that
/// is.
#[test]
fn a_task_spawned_in_one_half_is_joined_in_the_other() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let exchange = |rounds| {
                for n in 0..rounds {
                    let between: Mutex<Option<TaskHandle<u64>>> = Mutex::new(None);
                    corepool::join(
                        || *between.lock().unwrap() = Some(corepool::spawn(move || n)),
                        || {
                            let task = between.lock().unwrap().take();
                            if let Some(task) = task {
                                assert_eq!(task.join().unwrap(), n);
                            }
                        },
                    );
                    if let Some(task) = between.into_inner().unwrap() {
                        assert_eq!(task.join().unwrap(), n);
                    }
                }
            };
            pool.install(|| exchange(2_000));
            pool.join(|| exchange(1_000), || exchange(1_000));
        }
    });
}

/// A half that has moved waits for a task that already runs on another worker.
#[test]
fn a_half_that_moved_waits_for_a_task_that_runs() {
    within(PATIENCE, || {
        let pool = quiet(3);
        for _ in 0..30 {
            let (begun, gate) = (Gate::default(), Gate::default());
            pool.install(|| {
                let held = gate.clone();
                let (starting, started) = std::sync::mpsc::channel();
                let task = corepool::spawn(move || {
                    starting.send(()).unwrap();
                    held.wait();
                    fibonacci(10)
                });
                started.recv().unwrap();
                until_free(&pool, 1);
                corepool::join(
                    || {
                        begun.wait();
                        work(LONG / 4);
                        gate.open();
                    },
                    || {
                        begun.open();
                        assert_eq!(task.join().unwrap(), 55);
                    },
                );
            });
        }
    });
}

/// A task that runs in place does not hide the work that lies below it: while the task takes its
/// time, a worker comes for that work.
#[test]
fn a_task_run_in_place_inside_a_half_lets_the_other_half_be_taken() {
    within(PATIENCE, || {
        let pool = quiet(2);
        pool.install(|| {
            until(|| {
                until_free(&pool, 1);
                let here = thread::current().id();
                let first = || {
                    let task = corepool::spawn(|| {
                        corepool::join(|| work(LONG / 2), || work(LONG / 2));
                        thread::current().id()
                    });
                    task.join().unwrap() == here
                };
                let second = || {
                    work(LONG / 2);
                    thread::current().id() != here
                };
                let (in_place, moved) = corepool::join(first, second);
                in_place && moved
            });
        });
    });
}

#[test]
fn cancelled_and_detached_tasks_do_not_disturb_the_halves_around_them() {
    within(PATIENCE, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let ran = AtomicUsize::new(0);
            let cancelled = AtomicUsize::new(0);
            pool.install(|| {
                for _ in 0..500 {
                    corepool::join(
                        || {
                            let task = corepool::spawn(|| 1);
                            if task.cancel() {
                                cancelled.fetch_add(1, Ordering::SeqCst);
                            } else {
                                ran.fetch_add(task.join().unwrap(), Ordering::SeqCst);
                            }
                        },
                        || corepool::spawn(|| ()).detach(),
                    );
                }
            });
            assert_eq!(ran.into_inner() + cancelled.into_inner(), 500);
        }
    });
}

#[test]
fn a_half_may_spawn_tasks_that_outlive_the_call() {
    within(PATIENCE, || {
        let pool = quiet(2);
        let tasks = Mutex::new(Vec::new());
        for n in 0..500 {
            let add = |n: u32| tasks.lock().unwrap().push((n, pool.spawn(move || fibonacci(n))));
            pool.join(|| add(n % 12), || add(n % 10));
        }
        let tasks = tasks.into_inner().unwrap();
        assert!(tasks.into_iter().all(|(n, task)| task.join().unwrap() == expected(n)));
    });
}

/// Each thread has its own joins, and they do not affect those of other threads.
#[test]
fn a_task_and_a_half_on_two_threads_wait_for_one_another_in_order() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for _ in 0..100 {
            let (sender, receiver) = std::sync::mpsc::channel();
            let task = pool.spawn(move || receiver.iter().sum::<u64>());
            let (a, b) = (sender.clone(), sender);
            pool.join(
                move || (0..50).for_each(|n| a.send(n).unwrap()),
                move || (50..100).for_each(|n| b.send(n).unwrap()),
            );
            thread::yield_now();
            assert_eq!(task.join().unwrap(), 4_950);
        }
    });
}
