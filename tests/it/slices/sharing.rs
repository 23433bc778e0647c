//! Which thread runs what: work is shared while workers are hungry (looking for work), and a slow
//! item delays no other thread.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use corepool::WorkerPool;
use corepool::metrics::WorkerState;

use super::work;
use crate::support::{PATIENCE, occupy, until, within};

/// How many items each thread ran.
#[derive(Default)]
struct Ran(Mutex<HashMap<ThreadId, usize>>);

impl Ran {
    fn note(&self) {
        *self.0.lock().unwrap().entry(thread::current().id()).or_default() += 1;
    }

    fn by_others(&self, than: ThreadId) -> usize {
        self.0.lock().unwrap().iter().filter(|(thread, _)| **thread != than).map(|(_, n)| n).sum()
    }

    fn total(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }
}

/// The first item waits until as many items have run as were given away before it began. They are
/// run by other threads, or by the thread that runs the first item: a worker, if the caller lost
/// its core before.
#[test]
fn a_slow_first_item_does_not_hold_up_the_second_half() {
    within(PATIENCE, || {
        for _ in 0..10 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let ran = Ran::default();
            // The call inside makes this thread check for hungry workers.
            pool.for_each(0..2_000, |n| {
                if n == 0 {
                    until(|| {
                        pool.join(|| (), || ());
                        ran.total() >= 1_000
                    });
                } else {
                    ran.note();
                }
            });
            assert_eq!(ran.total(), 1_999);
        }
    });
}

/// A few expensive items are worth a wake-up each, although small items need many blocks to be
/// worth one.
#[test]
fn a_few_dear_items_are_run_by_many() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(8).unwrap();
        until(|| pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
        let ran = Ran::default();
        let threads = || ran.0.lock().unwrap().len();
        pool.for_each(0..16, |_| {
            ran.note();
            // Expensive, but uses no core, because this test is about threads. Each item waits
            // until the threads are there, which takes time on a busy machine. It does not wait
            // forever, because work is also given away between items.
            let begun = Instant::now();
            while threads() < 6 && begun.elapsed() < Duration::from_millis(500) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let threads = threads();
        assert!(threads >= 6, "{threads} threads: {}", pool.metrics());
    });
}

/// One item, anywhere in the range, takes 1,000 times as long as each of the others. The thread
/// that has it runs few of the others.
#[test]
fn one_slow_item_leaves_nobody_idle() {
    within(PATIENCE * 2, || {
        const ITEM: Duration = Duration::from_micros(10);
        let pool = WorkerPool::with_workers(2).unwrap();
        for slow in [0, 1, 500, 1_000, 1_999] {
            // Tries again if necessary: on a busy machine the other thread may have no core just
            // then.
            until(|| {
                let (ran, by) = (Ran::default(), Mutex::new(None));
                let item = |n| {
                    if n == slow {
                        *by.lock().unwrap() = Some(thread::current().id());
                        work(ITEM * 1_000);
                    } else {
                        work(ITEM);
                        ran.note();
                    }
                };
                pool.install(|| pool.for_each(0..2_000, item));
                let slow_one = by.into_inner().unwrap().expect("it was run");
                assert_eq!(ran.total(), 1_999);
                // It would be 1,500 if both threads had a core of their own all the time.
                ran.by_others(slow_one) > 500
            });
        }
    });
}

#[test]
fn heavy_items_run_on_several_threads_at_once() {
    within(PATIENCE, || {
        for workers in [2, 4, 16] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let arrived = AtomicUsize::new(0);
            // Two items that wait for each other. The calls inside make their threads check for
            // hungry workers.
            pool.for_each(0..2, |_| {
                arrived.fetch_add(1, Ordering::SeqCst);
                until(|| {
                    pool.join(|| (), || ());
                    arrived.load(Ordering::SeqCst) == 2
                });
            });
            let threads = pool.map(0..500, |_| {
                work(Duration::from_micros(50));
                thread::current().id()
            });
            let first = threads[0];
            assert!(threads.iter().any(|thread| *thread != first));
        }
    });
}

#[test]
fn a_loop_does_without_workers_that_are_busy() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let _busy = occupy(&pool, 2);
        let here = thread::current().id();
        let threads = pool.map(0..10_000, |_| thread::current().id());
        assert!(threads.into_iter().all(|thread| thread == here));
    });
}

/// A worker that comes free in the middle of a loop gets a share of it. The loop goes on until the
/// test sees that.
#[test]
fn a_worker_that_comes_late_takes_part() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let _busy = occupy(&pool, 1);
        let late = Mutex::new(Some(occupy(&pool, 1)));
        let ran = Ran::default();
        let looped = || {
            let here = thread::current().id();
            pool.for_each(0..usize::MAX, |n| {
                if ran.by_others(here) > 10 {
                    // There is no other way out of such a long loop.
                    std::panic::resume_unwind(Box::new("seen"));
                }
                if n == 1_000 {
                    drop(late.lock().unwrap().take());
                }
                ran.note();
            });
        };
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.install(looped)));
        assert_eq!(seen.unwrap_err().downcast_ref(), Some(&"seen"));
    });
}
