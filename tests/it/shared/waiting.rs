//! Threads that wait: how a wait ends, which waiters are woken, and how many.

use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, Ordering,
};
#[cfg(target_os = "linux")]
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::shared::{self, Atomic, WaitResult};
use corepool::{SharedArray, WorkerPool};

use crate::support::{PATIENCE, until, within};

const MOMENT: Duration = Duration::from_millis(5);

#[test]
fn a_cell_with_another_value_is_not_waited_on() {
    let cell = AtomicU32::new(1);
    assert_eq!(shared::wait(&cell, 0, None), WaitResult::NotEqual);
    assert_eq!(shared::wait(&cell, 2, MOMENT), WaitResult::NotEqual);
    assert_eq!(shared::wait(&cell, 0, Duration::ZERO), WaitResult::NotEqual);
}

#[test]
fn a_wait_that_nobody_ends_is_timed_out_and_not_before() {
    let cell = AtomicU32::new(0);
    assert_eq!(shared::wait(&cell, 0, Duration::ZERO), WaitResult::TimedOut);
    let start = Instant::now();
    assert_eq!(shared::wait(&cell, 0, Some(MOMENT)), WaitResult::TimedOut);
    assert!(start.elapsed() >= MOMENT);
    // A waiter that timed out has left the line.
    assert_eq!(shared::notify(&cell, usize::MAX), 0);
}

#[test]
fn a_notify_without_waiters_is_not_kept() {
    let cell = AtomicU32::new(0);
    assert_eq!(shared::notify(&cell, 5), 0);
    assert_eq!(shared::wait(&cell, 0, MOMENT), WaitResult::TimedOut);
}

#[test]
fn a_notify_ends_a_wait_though_the_cell_did_not_change() {
    within(PATIENCE, || {
        for timeout in [None, Some(PATIENCE * 10), Some(Duration::MAX)] {
            let cell = AtomicU32::new(0);
            thread::scope(|threads| {
                let waiter = threads.spawn(|| shared::wait(&cell, 0, timeout));
                until(|| shared::notify(&cell, 1) == 1);
                assert_eq!(waiter.join().unwrap(), WaitResult::Ok);
            });
        }
    });
}

fn check<A: Atomic>(cell: &A, now: A::Value, other: A::Value) {
    assert_eq!(shared::wait(cell, other, None), WaitResult::NotEqual);
    assert_eq!(shared::wait(cell, now, Duration::ZERO), WaitResult::TimedOut);
    thread::scope(|threads| {
        let waiter = threads.spawn(|| shared::wait(cell, now, None));
        until(|| shared::notify(cell, usize::MAX) == 1);
        assert_eq!(waiter.join().unwrap(), WaitResult::Ok);
    });
}

#[test]
fn cells_of_each_width_can_be_waited_on() {
    within(PATIENCE, || {
        check(&AtomicBool::new(true), true, false);
        check(&AtomicU8::new(255), 255, 0);
        check(&AtomicI8::new(-1), -1, 1);
        check(&AtomicU16::new(1), 1, 257);
        check(&AtomicI16::new(-1), -1, 0);
        check(&AtomicU64::new(1 << 40), 1 << 40, 0);
        check(&AtomicI64::new(i64::MIN), i64::MIN, 0);
        check(&AtomicUsize::new(9), 9, 0);
        check(&AtomicIsize::new(-9), -9, 0);
    });
}

#[test]
fn neighbouring_cells_have_waiters_of_their_own() {
    within(PATIENCE, || {
        // More cells than the table has lines, so some cells share a line.
        let cells = SharedArray::<AtomicU8>::new(200);
        thread::scope(|threads| {
            let waiter = threads.spawn(|| shared::wait(&cells[100], 0, None));
            let (before, after) = (&cells[..100], &cells[101..]);
            for _ in 0..100 {
                assert!(before.iter().chain(after).all(|cell| shared::notify(cell, 1) == 0));
            }
            until(|| shared::notify(&cells[100], 1) == 1);
            assert_eq!(waiter.join().unwrap(), WaitResult::Ok);
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_change_alone_wakes_nobody() {
    use crate::support::{thread_number, until_asleep};
    within(PATIENCE, || {
        let cell = AtomicU32::new(0);
        let (tell, told) = mpsc::channel();
        thread::scope(|threads| {
            threads.spawn(|| {
                tell.send(thread_number()).unwrap();
                let result = shared::wait(&cell, 0, None);
                tell.send(0).unwrap();
                assert_eq!(result, WaitResult::Ok);
            });
            until_asleep(told.recv().unwrap());
            cell.store(1, Ordering::SeqCst);
            assert!(told.recv_timeout(MOMENT).is_err());
            assert_eq!(shared::notify(&cell, 1), 1);
            assert_eq!(told.recv().unwrap(), 0);
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn waiters_are_woken_in_the_order_of_waiting_and_no_more_than_asked_for() {
    use crate::support::{thread_number, until_asleep};
    within(PATIENCE, || {
        let cell = AtomicU32::new(0);
        let (started, starts) = mpsc::channel();
        let (woken, wakes) = mpsc::channel();
        thread::scope(|threads| {
            let cell = &cell;
            for number in 0..8 {
                let (started, woken) = (started.clone(), woken.clone());
                threads.spawn(move || {
                    started.send(thread_number()).unwrap();
                    assert_eq!(shared::wait(cell, 0, None), WaitResult::Ok);
                    woken.send(number).unwrap();
                });
                until_asleep(starts.recv().unwrap());
            }
            let next = |count| {
                let mut numbers: Vec<i32> = wakes.iter().take(count).collect();
                // The waiters of one notify run at the same time, so only the set of them is
                // certain.
                numbers.sort_unstable();
                numbers
            };
            assert_eq!(shared::notify(cell, 0), 0);
            assert_eq!(shared::notify(cell, 1), 1);
            assert_eq!(next(1), [0]);
            assert_eq!(shared::notify(cell, 1), 1);
            assert_eq!(next(1), [1]);
            assert_eq!(shared::notify(cell, 3), 3);
            assert_eq!(next(3), [2, 3, 4]);
            assert!(wakes.try_recv().is_err());
            assert_eq!(shared::notify(cell, 100), 3);
            assert_eq!(next(3), [5, 6, 7]);
            assert_eq!(shared::notify(cell, 100), 0);
        });
    });
}

#[test]
fn tasks_of_a_pool_wait_for_one_another() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let cells = SharedArray::<AtomicU64>::new(2);
        // Each thread adds one to its own cell and waits until the other's cell follows.
        let side = |own: usize| {
            let cells = cells.clone();
            move || {
                for round in 1..=1000 {
                    cells[own].store(round, Ordering::Release);
                    shared::notify(&cells[own], 1);
                    while cells[1 - own].load(Ordering::Acquire) < round {
                        shared::wait(&cells[1 - own], round - 1, None);
                    }
                }
            }
        };
        let tasks = [pool.spawn(side(0)), pool.spawn(side(1))];
        for task in tasks {
            task.join().unwrap();
        }
        assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 1000));
    });
}

#[test]
fn a_wait_and_a_join_on_one_thread_do_not_take_one_anothers_wakes() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for _ in 0..1000 {
            let cell = SharedArray::<AtomicU32>::new(1);
            let other = cell.clone();
            let task = pool.spawn(move || {
                other[0].store(1, Ordering::SeqCst);
                shared::notify(&other[0], 1);
            });
            assert_ne!(shared::wait(&cell[0], 0, None), WaitResult::TimedOut);
            task.join().unwrap();
            assert_eq!(shared::wait(&cell[0], 1, Duration::ZERO), WaitResult::TimedOut);
        }
    });
}
