//! No task is left behind: not beside a parked worker, behind a blocked one, or beside a busy pair.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use corepool::WorkerPool;

use crate::support::{Gate, PATIENCE, until, within};

/// Case 43.
#[test]
fn a_worker_that_spawns_to_itself_and_blocks_has_its_task_taken_by_a_parked_peer() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..1_000 {
            let outer = pool.spawn(|| {
                let (sender, receiver) = mpsc::channel();
                corepool::spawn(move || sender.send(5)).detach();
                receiver.recv().unwrap()
            });
            assert_eq!(outer.join().unwrap(), 5);
        }
    });
}

/// Case 79.
#[test]
fn what_a_blocked_worker_had_queued_is_taken_by_others() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..100 {
            let outer = pool.spawn(|| {
                let (sender, receiver) = mpsc::channel();
                for n in 0..100_u64 {
                    let sender = sender.clone();
                    corepool::spawn(move || sender.send(n)).detach();
                }
                drop(sender);
                receiver.iter().sum::<u64>()
            });
            assert_eq!(outer.join().unwrap(), 4_950);
        }
    });
}

/// Case 79, from outside: a worker that takes a task also takes some of the tasks behind it. Then
/// the first task blocks until all the others have run.
#[test]
fn what_a_worker_took_along_from_the_shared_queue_is_not_lost_from_sight() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..if cfg!(any(corepool_chaos, corepool_tsan)) { 500 } else { 4_000 } {
            let rest = 1 + round % 7;
            let (sender, receiver) = mpsc::channel();
            let first = pool.spawn(move || receiver.iter().count());
            for _ in 0..rest {
                let sender = sender.clone();
                pool.spawn(move || sender.send(())).detach();
            }
            drop(sender);
            assert_eq!(first.join().unwrap(), rest);
        }
    });
}

/// Two tasks that spawn each other until they are told to stop.
fn volley(stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) {
    if !stop.load(Ordering::SeqCst) {
        count.fetch_add(1, Ordering::SeqCst);
        corepool::spawn(move || volley(stop, count)).detach();
    }
}

/// Stops a volley (two tasks that spawn each other) when the test ends, even if it fails.
struct Volley {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Volley {
    /// Starts a volley on the pool, and returns when it keeps itself going.
    fn start(pool: &WorkerPool) -> Self {
        let started = Self { stop: Arc::default(), count: Arc::default() };
        let (stop, count) = (Arc::clone(&started.stop), Arc::clone(&started.count));
        pool.spawn(move || {
            let (other_stop, other_count) = (Arc::clone(&stop), Arc::clone(&count));
            corepool::spawn(move || volley(other_stop, other_count)).detach();
            volley(stop, count);
        })
        .detach();
        started.goes_on();
        started
    }

    /// Waits until a few hundred more of its tasks have run.
    fn goes_on(&self) {
        let before = self.count.load(Ordering::SeqCst);
        until(|| self.count.load(Ordering::SeqCst) > before + 300);
    }
}

impl Drop for Volley {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Case 77.
#[test]
fn two_tasks_that_spawn_each_other_for_ever_do_not_starve_a_third() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let volley = Volley::start(&pool);
        for n in 0..100 {
            assert_eq!(pool.spawn(move || n).join().unwrap(), n);
        }
        let burst: Vec<_> = (0..500).map(|n| pool.spawn(move || n)).collect();
        assert!(burst.into_iter().enumerate().all(|(n, task)| task.join().unwrap() == n));
        volley.goes_on();
    });
}

/// Case 77, on every worker.
#[test]
fn a_volley_on_each_worker_does_not_starve_a_third_task() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let _volleys = [Volley::start(&pool), Volley::start(&pool)];
        let burst: Vec<_> = (0..200).map(|n| pool.spawn(move || n)).collect();
        assert!(burst.into_iter().enumerate().all(|(n, task)| task.join().unwrap() == n));
    });
}

/// Cases 77 and 79 at once: other workers take what a blocked worker had queued, although they have
/// enough work of their own.
#[test]
fn what_a_blocked_worker_had_queued_is_taken_though_the_others_are_never_idle() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        // One worker is held, so the volley runs on the other.
        let gate = Gate::default();
        let (begin, begun) = (Gate::default(), mpsc::channel());
        let (wait, go) = (gate.clone(), begin.clone());
        let starting = begun.0;
        let blocked = pool.spawn(move || {
            starting.send(()).unwrap();
            go.wait();
            // The volley is running now. This task enters the queue of a worker that then blocks.
            let (sender, receiver) = mpsc::channel();
            corepool::spawn(move || sender.send(5)).detach();
            let taken = receiver.recv();
            wait.wait();
            taken
        });
        begun.1.recv().unwrap();
        let volley = Volley::start(&pool);
        begin.open();
        volley.goes_on();
        gate.open();
        assert_eq!(blocked.join().unwrap().unwrap(), 5);
    });
}

/// Cases 78 and 79 at once: the same during a flood of tasks from outside.
#[test]
fn a_flood_from_outside_does_not_starve_what_a_blocked_worker_had_queued() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let (begin, (starting, started)) = (Gate::default(), mpsc::channel());
        let go = begin.clone();
        let mut blocked = pool.spawn(move || {
            starting.send(()).unwrap();
            go.wait();
            let (sender, receiver) = mpsc::channel();
            corepool::spawn(move || sender.send(5)).detach();
            receiver.recv()
        });
        started.recv().unwrap();
        let (flooded, stop) = (Arc::clone(&pool), Arc::new(AtomicBool::new(false)));
        let until_then = Arc::clone(&stop);
        let flood = std::thread::spawn(move || {
            while !until_then.load(Ordering::SeqCst) {
                // The queue is bounded, so that memory is too, and never empty, so that the free
                // worker is never idle.
                if flooded.metrics().queue_depth < 1_000 {
                    (0..1_000).for_each(|_| flooded.spawn(a_little_work).detach());
                }
            }
        });
        until(|| pool.metrics().completed > 1_000);
        begin.open();
        let taken = blocked.join_timeout(PATIENCE / 2);
        stop.store(true, Ordering::SeqCst);
        flood.join().unwrap();
        assert_eq!(taken.expect("it was starved by the flood").unwrap().unwrap(), 5);
    });
}

/// Case 52, as far as a test without a clock can check it: every idle worker comes, so tasks that
/// need all workers at once get them.
#[test]
fn as_many_tasks_as_workers_run_at_once() {
    within(PATIENCE, || {
        for workers in [2, 3, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for _ in 0..300 {
                let all = Arc::new(std::sync::Barrier::new(workers));
                let tasks: Vec<_> = (0..workers)
                    .map(|_| {
                        let all = Arc::clone(&all);
                        pool.spawn(move || all.wait().is_leader())
                    })
                    .collect();
                let leaders = tasks.into_iter().map(|task| task.join().unwrap());
                assert_eq!(leaders.filter(|&leads| leads).count(), 1);
            }
        }
    });
}

/// Takes longer than a spawn, so that one thread can flood a worker.
fn a_little_work() {
    for _ in 0..500 {
        std::hint::spin_loop();
    }
}

/// A task on worker 0 waits in `fork` for a closure on the other worker, which waits for a task
/// that is placed on worker 0.
fn wait_for_a_half_that_waits_for_ones_worker(
    fork: impl FnOnce(&(dyn Fn() + Sync), &(dyn Fn() + Sync)) + Send + 'static,
) {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let inner = Arc::clone(&pool);
        let waits = pool.task().on_worker(0).spawn(move || {
            let started = AtomicBool::new(false);
            let stays = || {
                while !started.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            };
            let moves = || {
                started.store(true, Ordering::SeqCst);
                assert_eq!(inner.task().on_worker(0).spawn(|| 7).join().unwrap(), 7);
            };
            fork(&stays, &moves);
        });
        waits.join().unwrap();
    });
}

#[test]
fn a_join_whose_half_waits_for_a_task_placed_on_the_waiting_worker() {
    wait_for_a_half_that_waits_for_ones_worker(|stays, moves| {
        corepool::join(stays, moves);
    });
}

#[test]
fn a_scope_whose_closure_waits_for_a_task_placed_on_the_waiting_worker() {
    wait_for_a_half_that_waits_for_ones_worker(|stays, moves| {
        corepool::scope(|s| {
            s.spawn(moves);
            s.spawn(stays);
        });
    });
}
