//! The sharded counter loses nothing and counts nothing twice.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use corepool::WorkerPool;
use corepool::shared::Counter;

use crate::support::{PATIENCE, within};

#[test]
fn it_starts_at_zero() {
    for counter in [Counter::new(), Counter::default()] {
        assert_eq!((counter.sum(), counter.reset(), counter.sum()), (0, 0, 0));
    }
}

#[test]
fn amounts_add_up() {
    let counter = Counter::new();
    counter.add(40);
    counter.increment();
    counter.add(0);
    counter.increment();
    assert_eq!(counter.sum(), 42);
    assert_eq!(format!("{counter:?}"), "Counter(42)");
    assert_eq!((counter.reset(), counter.sum()), (42, 0));
}

#[test]
fn it_wraps_as_an_atomic_does() {
    let counter = Counter::new();
    counter.add(u64::MAX);
    counter.add(3);
    assert_eq!(counter.sum(), 2);
    // The sum of two shards wraps too.
    thread::scope(|scope| scope.spawn(|| counter.add(u64::MAX)).join().unwrap());
    assert_eq!(counter.sum(), 1);
}

#[test]
fn a_pools_additions_are_all_there_when_its_tasks_are_joined() {
    static COUNTER: Counter = Counter::new();
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let add = |number| pool.spawn(move || COUNTER.add(number));
        let tasks: Vec<_> = (0..1000).map(add).collect();
        for task in tasks {
            task.join().unwrap();
        }
        assert_eq!(COUNTER.sum(), 499_500);
    });
}

#[test]
fn more_threads_than_shards_lose_nothing() {
    within(PATIENCE, || {
        let counter = Counter::new();
        let all = Barrier::new(300);
        thread::scope(|scope| {
            for _ in 0..300 {
                scope.spawn(|| {
                    all.wait();
                    (0..100).for_each(|_| counter.increment());
                });
            }
        });
        assert_eq!(counter.sum(), 30_000);
    });
}

#[test]
fn a_sum_beside_additions_goes_only_up_and_never_too_far() {
    const ADDED: u64 = 300_000;
    within(PATIENCE, || {
        let counter = Counter::new();
        thread::scope(|scope| {
            let adders =
                [(); 2].map(|()| scope.spawn(|| (0..ADDED).for_each(|_| counter.increment())));
            let mut last = 0;
            while !adders.iter().all(thread::ScopedJoinHandle::is_finished) {
                let sum = counter.sum();
                assert!((last..=2 * ADDED).contains(&sum), "{sum} after {last}");
                last = sum;
            }
        });
        assert_eq!(counter.sum(), 2 * ADDED);
    });
}

#[test]
fn resets_beside_additions_take_each_once() {
    const ADDED: u64 = 300_000;
    within(PATIENCE, || {
        let counter = Counter::new();
        let over = AtomicBool::new(false);
        let taken: u64 = thread::scope(|scope| {
            let adders = [(); 2].map(|()| scope.spawn(|| (0..ADDED).for_each(|_| counter.add(3))));
            let takers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut taken = 0;
                    while !over.load(Ordering::SeqCst) {
                        taken += counter.reset();
                    }
                    taken
                })
            });
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            over.store(true, Ordering::SeqCst);
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken + counter.reset(), 6 * ADDED);
        assert_eq!(counter.sum(), 0);
    });
}
