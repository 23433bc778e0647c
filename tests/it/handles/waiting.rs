//! Waiting for a result: how long a wait lasts, and what it leaves untouched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corepool::WorkerPool;

use crate::support::{Gate, PATIENCE, occupy, within};
#[cfg(target_os = "linux")]
use crate::support::{thread_number, until_asleep};

/// Case 59.
#[test]
fn join_timeout_of_zero_says_not_yet_and_loses_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 7);
        for _ in 0..100 {
            assert!(task.join_timeout(Duration::ZERO).is_none(), "the only worker is busy");
        }
        busy.release();
        assert_eq!(task.join().unwrap(), 7);
        let mut settled = pool.spawn(|| 8);
        pool.shutdown();
        assert_eq!(settled.join_timeout(Duration::ZERO).expect("it is settled").unwrap(), 8);
    });
}

/// Case 59.
#[test]
fn join_timeout_of_a_moment_says_not_yet_and_loses_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 7);
        for nanoseconds in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
            let moment = Duration::from_nanos(nanoseconds);
            assert!(task.join_timeout(moment).is_none(), "the only worker is busy");
        }
        busy.release();
        assert_eq!(task.join().unwrap(), 7);
    });
}

/// Case 59.
#[cfg(target_os = "linux")]
#[test]
fn join_timeout_of_the_longest_time_waits_as_join_does() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let gate = Gate::default();
        let wait = gate.clone();
        let mut task = pool.spawn(move || {
            wait.wait();
            7
        });
        let waiter = thread_number();
        let opener = thread::spawn(move || {
            until_asleep(waiter);
            gate.open();
        });
        assert_eq!(task.join_timeout(Duration::MAX).expect("no end comes").unwrap(), 7);
        opener.join().unwrap();
    });
}

/// Case 59.
#[test]
fn a_timeout_at_the_moment_of_completion_loses_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut given_up = 0_u64;
        for round in 0..5_000_u64 {
            let mut task = pool.spawn(move || Box::new(round));
            let timeout = Duration::from_nanos(round % 64 * 500);
            let value = loop {
                if let Some(result) = task.join_timeout(timeout) {
                    break result.unwrap();
                }
                given_up += 1;
                thread::yield_now();
            };
            assert_eq!(*value, round);
        }
        assert_ne!(given_up, 0, "the timeouts are meant to end at about the moment of completion");
    });
}

/// Case 46.
#[cfg(target_os = "linux")]
#[test]
fn a_join_that_sleeps_leaves_the_users_park_token() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let gate = Gate::default();
        let wait = gate.clone();
        let task = pool.spawn(move || wait.wait());
        let waiter = thread_number();
        let opener = thread::spawn(move || {
            until_asleep(waiter);
            gate.open();
        });
        thread::current().unpark();
        task.join().unwrap();
        thread::park();
        opener.join().unwrap();
    });
}

/// Case 46.
#[test]
fn a_join_that_gives_up_leaves_the_users_park_token() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| ());
        thread::current().unpark();
        assert!(task.join_timeout(Duration::from_millis(1)).is_none(), "the worker is busy");
        thread::park();
        task.detach();
    });
}

/// Case 46.
#[cfg(target_os = "linux")]
#[test]
fn a_submitter_that_waits_for_room_leaves_its_park_token() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        let busy = occupy(&pool, 1);
        let submitter = thread_number();
        let opener = thread::spawn(move || {
            until_asleep(submitter);
            busy.release();
        });
        thread::current().unpark();
        let task = pool.spawn(|| ());
        thread::park();
        task.join().unwrap();
        opener.join().unwrap();
    });
}

/// Case 46.
#[cfg(target_os = "linux")]
#[test]
fn building_a_pool_leaves_the_users_park_token() {
    within(PATIENCE, || {
        let builder = thread_number();
        thread::current().unpark();
        // The hook ends only once `build` really waits for it.
        let _pool = WorkerPool::builder()
            .workers(1)
            .on_worker_start(move |_| until_asleep(builder))
            .build()
            .unwrap();
        thread::park();
    });
}

/// Case 46.
#[cfg(target_os = "linux")]
#[test]
fn a_shutdown_leaves_the_users_park_token() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let gate = Gate::default();
        let wait = gate.clone();
        let task = pool.spawn(move || wait.wait());
        let owner = thread_number();
        let opener = thread::spawn(move || {
            until_asleep(owner);
            gate.open();
        });
        thread::current().unpark();
        pool.shutdown();
        thread::park();
        task.join().unwrap();
        opener.join().unwrap();
    });
}

/// Case 47.
#[test]
fn spurious_wakes_at_a_high_rate_do_not_end_a_join() {
    static STOP: AtomicBool = AtomicBool::new(false);
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let waiter = thread::current();
        let (waking, wakes) = mpsc::channel();
        let waker = thread::spawn(move || {
            for count in 0_u64.. {
                if STOP.load(Ordering::SeqCst) {
                    break;
                }
                waiter.unpark();
                if count == 1_000 {
                    waking.send(()).unwrap();
                }
            }
        });
        wakes.recv().unwrap();
        for round in 0..500 {
            let gate = Gate::default();
            let wait = gate.clone();
            let mut task = pool.spawn(move || {
                wait.wait();
                round
            });
            let early = task.join_timeout(Duration::from_micros(50));
            assert!(early.is_none(), "unparks are no results");
            gate.open();
            assert_eq!(task.join().unwrap(), round);
        }
        STOP.store(true, Ordering::SeqCst);
        waker.join().unwrap();
    });
}
