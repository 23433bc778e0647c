//! Tests of what a batch guarantees, on real pools.
#![forbid(unsafe_code)]

mod endings;
mod stress;

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::{BatchSource, submit, suits};
use crate::base::error::TaskError;
use crate::parts::event::PoolEvent;
use crate::parts::metrics::{Metrics, WorkerState};
use crate::parts::parker;
use crate::pool::WorkerPool;
use crate::sched::config::Dispatch;

/// Fails instead of hanging.
fn within<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (alive, ended) = mpsc::channel::<()>();
    let body = thread::spawn(move || {
        let _alive = alive;
        body()
    });
    let slow = cfg!(any(corepool_chaos, corepool_tsan));
    let patience = Duration::from_secs(if slow { 400 } else { 60 });
    if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    body.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Threads that wait at it continue when it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Counts drops.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn token(&self) -> Token {
        Token { drops: self.clone(), explodes: false }
    }

    /// A token whose drop panics after it was counted.
    fn bomb(&self) -> Token {
        Token { drops: self.clone(), explodes: true }
    }
}

struct Token {
    drops: Drops,
    explodes: bool,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, Ordering::SeqCst);
        if self.explodes {
            throw("a bomb was dropped");
        }
    }
}

/// A panic that prints nothing.
fn throw(text: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(text))
}

/// Waits for the next result as a set of tasks does.
fn next<T>(source: &mut BatchSource<T>) -> Option<Result<T, TaskError>> {
    parker::with_current(|parker, waker| {
        while source.left() > 0 {
            if let Some(result) = source.try_take() {
                return Some(result);
            }
            if !source.set_waker(waker) {
                parker.park();
            }
        }
        None
    })
}

fn all<T>(mut source: BatchSource<T>) -> Vec<Result<T, TaskError>> {
    std::iter::from_fn(|| next(&mut source)).collect()
}

fn values<T: Ord>(source: BatchSource<T>) -> Vec<T> {
    let mut values: Vec<T> = all(source).into_iter().map(Result::unwrap).collect();
    values.sort();
    values
}

/// Yields until the condition holds.
fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

#[track_caller]
fn assert_adds_up(metrics: &Metrics) {
    let ended =
        metrics.completed + metrics.panicked + metrics.cancelled + metrics.rejected + metrics.lost;
    assert_eq!(metrics.spawned, ended, "{metrics}");
    assert_eq!(metrics.queue_depth, 0, "{metrics}");
}

#[test]
fn every_value_comes_once() {
    within(|| {
        for workers in [1, 2, 3] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for size in [0_usize, 1, 2, 3, 31, 32, 33, 257, 1_000, 20_000] {
                let source = submit(pool.hub(), (0..size).map(|n| move || n));
                assert_eq!(source.left(), size);
                assert_eq!(values(source), (0..size).collect::<Vec<_>>());
            }
        }
    });
}

#[test]
fn counters_hold_the_items_and_not_the_runners_as_soon_as_the_results_are_there() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let mut total = 0;
        for size in 1..200 {
            assert_eq!(all(submit(pool.hub(), (0..size).map(|_| || ()))).len(), size);
            total += size as u64;
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.completed), (total, total), "{metrics}");
            assert_adds_up(&metrics);
            let run: u64 = metrics.workers.iter().map(|worker| worker.tasks_run).sum();
            assert_eq!(run, total);
        }
    });
}

#[test]
fn a_batch_wakes_each_worker_once_at_most() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..20 {
            until(|| pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
            let before = pool.metrics().wakes;
            all(submit(pool.hub(), (0..2_000).map(|n| move || n)));
            let wakes = pool.metrics().wakes - before;
            assert!(wakes <= 2, "{wakes} wake-ups");
        }
    });
}

#[test]
fn items_that_nobody_has_started_count_as_queued() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, started) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let source = submit(
            pool.hub(),
            (0..100).map(|_| {
                let (gate, started) = (gate.clone(), Arc::clone(&started));
                move || {
                    started.fetch_add(1, Ordering::SeqCst);
                    gate.wait();
                }
            }),
        );
        until(|| started.load(Ordering::SeqCst) == 1);
        assert_eq!(pool.metrics().queue_depth, 99);
        assert_eq!(pool.metrics().spawned, 100);
        gate.open();
        all(source);
        assert_eq!(pool.metrics().queue_depth, 0);
    });
}

#[test]
fn a_panic_stays_in_its_item_and_is_told() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let events = pool.events();
        let closure = |n: u32| move || if n % 10 == 3 { throw("three") } else { n };
        let results = all(submit(pool.hub(), (0..100).map(closure)));
        let panicked = results.iter().filter(
            |result| matches!(result, Err(TaskError::Panicked(panic)) if panic.message() == "three"),
        );
        assert_eq!(panicked.count(), 10);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 90);
        let told = events.receiver().try_iter().filter(|event| {
            matches!(event, PoolEvent::TaskPanicked { worker: Some(_), task, message }
                if message == "three" && task.contains("a_panic_stays_in_its_item"))
        });
        assert_eq!(told.count(), 10);
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.panicked), (90, 10));
        assert_adds_up(&metrics);
    });
}

/// If the items behind the first one had to wait for it, the first one would never end.
#[test]
fn a_long_item_holds_no_hostages() {
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let closures = (0..400).map(|n| {
            let done = Arc::clone(&done);
            move || {
                if n == 0 {
                    until(|| done.load(Ordering::SeqCst) == 399);
                } else {
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        assert_eq!(all(submit(pool.hub(), closures)).len(), 400);
    });
}

/// Twice: with a taker that sleeps, and with one that only looks now and then.
#[test]
fn a_long_item_does_not_keep_back_the_results_before_it() {
    within(|| {
        for sleeps in [true, false] {
            let pool = WorkerPool::with_workers(1).unwrap();
            let gate = Gate::default();
            let closures = (0..64).map(|n| {
                let gate = gate.clone();
                move || {
                    if n == 5 {
                        gate.wait();
                    }
                    n
                }
            });
            let mut source = submit(pool.hub(), closures);
            // The order is not guaranteed: a result may be found before those that are just being
            // listed.
            let mut take = || {
                if sleeps {
                    return next(&mut source).unwrap().unwrap();
                }
                loop {
                    match source.try_take() {
                        Some(result) => return result.unwrap(),
                        None => thread::yield_now(),
                    }
                }
            };
            let mut before: Vec<usize> = (0..5).map(|_| take()).collect();
            before.sort();
            assert_eq!(before, [0, 1, 2, 3, 4]);
            gate.open();
            let mut after: Vec<usize> = (5..64).map(|_| take()).collect();
            after.sort();
            assert!(after.into_iter().eq(5..64));
            assert_eq!(source.left(), 0);
        }
    });
}

#[test]
fn a_task_that_waits_runs_items_itself() {
    within(|| {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            let mut source = submit(inner.hub(), (0..100_u32).map(|n| move || n));
            let mut sum = 0;
            while source.left() > 0 {
                assert!(source.run_one_here());
                sum += source.try_take().unwrap().unwrap();
            }
            assert!(!source.run_one_here());
            sum
        });
        assert_eq!(outer.join().unwrap(), 4_950);
        until(|| pool.metrics().queue_depth == 0);
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.completed), (101, 101), "{metrics}");
    });
}

/// The same from a worker of another pool, which counts as a guest.
#[test]
fn a_task_of_another_pool_runs_items_itself() {
    within(|| {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let gate = Gate::default();
        let held = gate.clone();
        let busy = pool.spawn(move || held.wait());
        let other = WorkerPool::with_workers(1).unwrap();
        let inner = Arc::clone(&pool);
        let outer = other.spawn(move || {
            let mut source = submit(inner.hub(), (0..10_u32).map(|n| move || n));
            while source.run_one_here() {}
            all(source).len()
        });
        assert_eq!(outer.join().unwrap(), 10);
        gate.open();
        busy.join().unwrap();
        until(|| pool.metrics().queue_depth == 0);
        assert_eq!(pool.metrics().completed, 11);
    });
}

/// A task spawned after a large batch waits for one turn of it, not for the whole batch.
#[test]
fn a_large_batch_gives_others_a_turn() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let closures = (0..10_000).map(|_| {
            let (gate, ran) = (gate.clone(), Arc::clone(&ran));
            move || {
                gate.wait();
                ran.fetch_add(1, Ordering::SeqCst)
            }
        });
        let source = submit(pool.hub(), closures);
        let before = Arc::clone(&ran);
        let task = pool.spawn(move || before.load(Ordering::SeqCst));
        gate.open();
        let before = task.join().unwrap();
        assert!(before <= 1_056, "{before} items came first");
        assert_eq!(all(source).len(), 10_000);
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn closures_and_values_of_any_shape_are_carried() {
    #[repr(align(64))]
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Wide(u8);
    within(|| {
        let pool = WorkerPool::with_workers(2).unwrap();
        let large = [7_u8; 300];
        let sums =
            submit(pool.hub(), (0..50_u32).map(|n| move || n + u32::from(large[n as usize])));
        assert_eq!(values(sums), (7..57).collect::<Vec<_>>());
        let wide = submit(pool.hub(), (0..50).map(|n| move || Wide(n)));
        assert_eq!(values(wide), (0..50).map(Wide).collect::<Vec<_>>());
        let boxed = (0..3).map(|n| Box::new(move || n) as Box<dyn FnOnce() -> i32 + Send>);
        assert_eq!(values(submit(pool.hub(), boxed)), [0, 1, 2]);
        let any = submit(pool.hub(), [|| Box::new(1_u8) as Box<dyn Any + Send>]);
        assert!(all(any).remove(0).unwrap().is::<u8>());
    });
}

#[test]
fn pools_with_more_to_do_for_a_task_are_not_for_batches() {
    let suited = |pool: WorkerPool| suits(pool.hub());
    assert!(suited(WorkerPool::with_workers(1).unwrap()));
    let builder = || WorkerPool::builder().workers(1);
    assert!(!suited(builder().queue_capacity(9).build().unwrap()));
    assert!(!suited(builder().record_timing(true).build().unwrap()));
    assert!(!suited(builder().dispatch(Dispatch::RoundRobin).build().unwrap()));
}
