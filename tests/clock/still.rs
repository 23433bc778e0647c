//! A clock that stands still: whatever needs no time goes on, and what waits for a time keeps
//! waiting.

use std::sync::mpsc;
use std::time::Duration;

use corepool::shared::{self, Counter, WaitResult};
use corepool::{CancelToken, TaskSet, WorkerPool};

use crate::child::{is_child, run_again};
use crate::hands::{self, wait_truly, years};

const SHORT: Duration = Duration::from_millis(1);
/// Long enough for a short wait to end many times over.
const LONG: Duration = Duration::from_millis(30);

fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (left, right) = corepool::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    left + right
}

#[test]
fn what_needs_no_time_goes_on_while_the_clock_stands() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    hands::expect_to_be_asked();
    hands::stop();
    let builder = WorkerPool::builder().workers(2).spare_workers(1);
    let pool = builder.record_timing(true).watchdog(SHORT).build().unwrap();
    let handles: Vec<_> = (0..1_000).map(|n| pool.spawn(move || n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n);
    }
    assert_eq!(pool.install(|| fibonacci(20)), 6765);
    assert_eq!(fibonacci(18), 2584);
    let numbers: Vec<u64> = (0..10_000).collect();
    assert_eq!(pool.map(&numbers, |n| n + 1)[9_999], 10_000);
    let sum = Counter::new();
    pool.scope(|s| {
        for n in 0..100 {
            let sum = &sum;
            s.spawn(move || sum.add(n));
        }
    });
    assert_eq!(sum.sum(), 4_950);
    assert_eq!(pool.spawn(|| corepool::blocking(|| 7)).join().unwrap(), 7);
    let metrics = pool.metrics();
    assert!(metrics.run_time.unwrap().count() >= 1_000);
    assert_eq!(metrics.wait_time.unwrap().max(), Duration::ZERO);
    assert!(pool.shutdown_timeout(LONG).abandoned.is_empty());
}

#[test]
fn no_timeout_comes_while_the_clock_stands() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    let pool = WorkerPool::with_workers(2).unwrap();
    hands::stop();
    let slow = || {
        wait_truly(LONG);
        7
    };
    assert_eq!(pool.spawn(slow).join_timeout(SHORT).unwrap().unwrap(), 7);
    let mut set = TaskSet::new();
    set.push(pool.spawn(slow));
    assert_eq!(set.next_timeout(SHORT).unwrap().unwrap(), 7);
    let cell = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let other = std::sync::Arc::clone(&cell);
    let notified = pool.spawn(move || {
        wait_truly(LONG);
        while shared::notify(&*other, 1) == 0 {}
    });
    assert_eq!(shared::wait(&*cell, 0, SHORT), WaitResult::Ok);
    notified.join().unwrap();
    assert_eq!(pool.task().start_within(SHORT).spawn(slow).join().unwrap(), 7);
    let token = CancelToken::with_timeout(SHORT);
    let patient = pool.task().run_for(SHORT).cancel_token(&token).spawn_with(|cx| {
        wait_truly(LONG);
        cx.is_cancelled()
    });
    assert!(!patient.join().unwrap());
}

#[test]
fn what_was_waited_for_comes_when_the_clock_goes_on() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    let pool = WorkerPool::with_workers(1).unwrap();
    hands::stop();
    let token = CancelToken::with_timeout(SHORT);
    let (told, ended) = mpsc::channel();
    let ending = pool.task().run_for(SHORT).spawn_with(move |cx| {
        told.send(()).unwrap();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
    });
    ended.recv().unwrap();
    wait_truly(LONG);
    assert!(!token.is_cancelled() && !ending.is_finished());
    hands::go_on();
    ending.join().unwrap();
    while !token.is_cancelled() {
        std::thread::yield_now();
    }
    hands::jump(years(1));
    assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
}
