//! Promises are futures, and a promise of many tasks costs the same for each of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use corepool::{WorkerPool, promise};

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

#[test]
fn every_promise_can_be_awaited() {
    within(PATIENCE, || {
        let pool = pool();
        let values = pollster::block_on(async {
            let all = promise::all((0..100).map(|n| pool.spawn(move || n))).await.unwrap();
            let settled = promise::all_settled([pool.spawn(|| 1)]).await;
            let any = promise::any([pool.spawn(|| 2)]).await.unwrap();
            let race = promise::race([pool.spawn(|| 3)]).await.unwrap();
            (all.len(), settled.len(), any, race)
        });
        assert_eq!(values, (100, 1, 2, 3));
    });
}

#[test]
fn the_last_waker_wins() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let mut promise = promise::all([held(&pool, &gate, 1), held(&pool, &gate, 2)]);
        let (first, old) = counting();
        let (second, new) = counting();
        for waker in [&old, &new] {
            let polled = Pin::new(&mut promise).poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        }
        gate.open();
        until(|| second.0.load(Ordering::SeqCst) > 0);
        assert_eq!(first.0.load(Ordering::SeqCst), 0);
        assert_eq!(promise.join().unwrap(), [1, 2]);
    });
}

#[test]
fn a_dropped_promise_lets_go_of_its_waker() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let (count, waker) = counting();
        let mut promise = promise::race([held(&pool, &gate, 1), held(&pool, &gate, 2)]);
        assert!(Pin::new(&mut promise).poll(&mut Context::from_waker(&waker)).is_pending());
        drop((promise, waker));
        assert_eq!(Arc::strong_count(&count), 1);
        gate.open();
        pool.shutdown();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    });
}

#[test]
#[should_panic(expected = "the promise was used after its output was taken")]
fn polled_after_its_end_it_panics() {
    let pool = pool();
    let mut promise = promise::all([pool.spawn(|| 1)]);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let _ready: Poll<_> = Pin::new(&mut promise).poll(&mut context);
    }
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
                            let handles = (0..count).map(|n| pool.spawn(move || n));
                            let sum: u64 = match waiter {
                                0 => promise::all(handles).join().unwrap().iter().sum(),
                                1 => {
                                    pollster::block_on(promise::all(handles)).unwrap().iter().sum()
                                }
                                _ => {
                                    let results = promise::all_settled(handles).join();
                                    results.into_iter().map(Result::unwrap).sum()
                                }
                            };
                            assert_eq!(sum, count * (count - 1) / 2);
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn a_hundred_thousand_handles() {
    within(PATIENCE * 2, || {
        let pool = pool();
        let handles: Vec<_> = (0..100_000_u64).map(|n| pool.spawn(move || n)).collect();
        let values = promise::all(handles).join().unwrap();
        assert_eq!(values.into_iter().sum::<u64>(), 100_000 * 99_999 / 2);
    });
}
