//! Waiting for a set: in threads that take turns, and in async code.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use corepool::{TaskSet, WorkerPool};

use super::{held, pool};
use crate::support::{Gate, PATIENCE, until, within};

struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting() -> (Arc<Counting>, Waker) {
    let count = Arc::new(Counting(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

/// Polls a new future once, and drops it.
fn is_pending<T>(set: &mut TaskSet<T>, waker: &Waker) -> bool {
    pin!(set.next_async()).poll(&mut Context::from_waker(waker)).is_pending()
}

#[test]
fn results_can_be_awaited() {
    within(PATIENCE, || {
        let pool = pool();
        let mut set: TaskSet<u64> = (0..1_000).map(|n| pool.spawn(move || n)).collect();
        let sum = pollster::block_on(async {
            let mut sum = 0;
            while let Some(result) = set.next_async().await {
                sum += result.unwrap();
            }
            sum
        });
        assert_eq!(sum, 1_000 * 999 / 2);
    });
}

#[test]
fn the_last_waker_wins() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1)]);
        let (first, old) = counting();
        let (second, new) = counting();
        assert!(is_pending(&mut set, &old) && is_pending(&mut set, &new));
        gate.open();
        until(|| second.0.load(Ordering::SeqCst) > 0);
        assert_eq!(first.0.load(Ordering::SeqCst), 0);
        assert_eq!(set.next().unwrap().unwrap(), 1);
    });
}

#[test]
fn a_future_that_is_dropped_loses_nothing() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let (count, waker) = counting();
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1), held(&pool, &gate, 2)]);
        assert!(is_pending(&mut set, &waker));
        gate.open();
        // The waker of a dropped future may be woken; the results are there anyway.
        until(|| count.0.load(Ordering::SeqCst) == 1);
        assert_eq!(set.map(Result::unwrap).sum::<i32>(), 3);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
    });
}

#[test]
fn a_dropped_set_lets_go_of_its_waker() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let (count, waker) = counting();
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1), held(&pool, &gate, 2)]);
        assert!(is_pending(&mut set, &waker));
        drop((set, waker));
        assert_eq!(Arc::strong_count(&count), 1);
        gate.open();
        pool.shutdown();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    });
}

/// A waiter is woken once for many tasks that finish, until it waits again.
#[test]
fn who_does_not_come_back_is_woken_once() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let (count, waker) = counting();
        let mut set: TaskSet<u32> = (0..100).map(|n| held(&pool, &gate, n)).collect();
        assert!(is_pending(&mut set, &waker));
        gate.open();
        pool.shutdown();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(set.count(), 100);
    });
}

#[test]
fn a_set_may_be_waited_for_in_another_thread_each_time() {
    within(PATIENCE, || {
        // One worker for each task, because they may start in a different order than their gates
        // open.
        let pool = WorkerPool::with_workers(6).unwrap();
        let gates: Vec<_> = (0..6).map(|_| Gate::default()).collect();
        let mut set: TaskSet<usize> =
            gates.iter().enumerate().map(|(n, gate)| held(&pool, gate, n)).collect();
        for (n, gate) in gates.into_iter().enumerate() {
            let waiter = thread::spawn(move || {
                assert!(set.next_timeout(Duration::from_millis(1)).is_none());
                gate.open();
                let result = match n % 2 {
                    0 => set.next(),
                    _ => pollster::block_on(set.next_async()),
                };
                assert_eq!(result.unwrap().unwrap(), n);
                set
            });
            set = waiter.join().unwrap();
        }
        assert!(set.is_empty());
    });
}

/// Threads and async code wait while workers settle tasks, over and over. No waiter is left
/// waiting.
#[test]
fn nobody_misses_the_last_to_settle() {
    within(PATIENCE * 3, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            thread::scope(|s| {
                for waiter in 0..3 {
                    let pool = &pool;
                    s.spawn(move || {
                        for round in 0..300_u64 {
                            let count = round % 40 + 1;
                            let mut set: TaskSet<u64> =
                                (0..count).map(|n| pool.spawn(move || n)).collect();
                            let mut sum = 0;
                            while let Some(result) = match waiter {
                                0 => set.next(),
                                1 => pollster::block_on(set.next_async()),
                                _ => set.next_timeout(PATIENCE * 3),
                            } {
                                sum += result.unwrap();
                            }
                            assert_eq!(sum, count * (count - 1) / 2);
                        }
                    });
                }
            });
        }
    });
}
