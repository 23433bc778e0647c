//! The line of submitters that wait for room: they are served in order, may leave at any time, and
//! are sent away when the pool closes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use corepool::errors::{Closed, Refusal};
use corepool::{TaskError, TaskHandle, WhenFull, WorkerPool};

use super::{bounded, room};
use crate::support::{Drops, PATIENCE, occupy, until, within};

/// Starts a thread that spawns. Returns when the thread waits in line.
fn stand_in_line<T: Send + 'static>(
    pool: &Arc<WorkerPool>,
    closure: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<TaskHandle<T>> {
    let before = pool.metrics().waiting_for_room;
    let submitter = Arc::clone(pool);
    let thread = thread::spawn(move || submitter.spawn(closure));
    until(|| pool.metrics().waiting_for_room == before + 1);
    thread
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

type Spawning<'a, T> = Pin<Box<dyn Future<Output = Result<TaskHandle<T>, Closed>> + 'a>>;

/// Returns a future that waits in line.
fn wait_in_line<T: Send + 'static>(
    pool: &WorkerPool,
    closure: impl FnOnce() -> T + Send + 'static,
) -> Spawning<'_, T> {
    let before = pool.metrics().waiting_for_room;
    let spawns = async { Ok(pool.reserve().await?.spawn(closure)) };
    let mut future: Spawning<'_, T> = Box::pin(spawns);
    assert!(poll(&mut future).is_pending());
    assert_eq!(pool.metrics().waiting_for_room, before + 1);
    future
}

/// With one worker and no queue, a task runs once it is admitted and its predecessor is done. So
/// tasks run in the order of the line.
#[test]
fn threads_in_line_are_served_in_order() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(1, 0, WhenFull::Block));
        let order = Arc::new(Mutex::new(Vec::new()));
        let busy = occupy(&pool, 1);
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let order = Arc::clone(&order);
                stand_in_line(&pool, move || order.lock().unwrap().push(n))
            })
            .collect();
        busy.release();
        for thread in threads {
            thread.join().unwrap().join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    });
}

#[test]
fn futures_and_threads_stand_in_one_line() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(1, 0, WhenFull::Block));
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |n: usize| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(n)
        };
        let busy = occupy(&pool, 1);
        let mut first = wait_in_line(&pool, note(0));
        let second = stand_in_line(&pool, note(1));
        let mut third = wait_in_line(&pool, note(2));
        let fourth = stand_in_line(&pool, note(3));
        busy.release();
        let first = pollster::block_on(&mut first).unwrap();
        first.join().unwrap();
        second.join().unwrap().join().unwrap();
        pollster::block_on(&mut third).unwrap().join().unwrap();
        fourth.join().unwrap().join().unwrap();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    });
}

/// A later submitter never takes a place that was promised to a waiting one.
#[test]
fn a_place_that_is_promised_is_not_given_to_who_comes_later() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        let busy = occupy(&pool, 1);
        let mut waits = wait_in_line(&pool, || "first");
        busy.release();
        // The place belongs to the waiting future, which has not been polled since.
        assert!(pool.try_spawn(|| "later").unwrap_err().is_full());
        let Poll::Ready(Ok(task)) = poll(&mut waits) else { panic!("it has its place") };
        assert_eq!(task.join().unwrap(), "first");
        assert_eq!(pool.try_spawn(|| "later").unwrap().join().unwrap(), "later");
    });
}

/// Case 50.
#[test]
fn a_future_that_is_dropped_steps_out_of_the_line() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(1, 0, WhenFull::Block));
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let first = wait_in_line(&pool, move || drop(token));
        let mut second = wait_in_line(&pool, || 2);
        let third = stand_in_line(&pool, || 3);
        drop(first);
        assert_eq!((pool.metrics().waiting_for_room, drops.count()), (2, 1));
        busy.release();
        assert_eq!(pollster::block_on(&mut second).unwrap().join().unwrap(), 2);
        assert_eq!(third.join().unwrap().join().unwrap(), 3);
        let _busy = occupy(&pool, 1);
        assert_eq!(room(&pool), 0);
    });
}

/// Case 50.
#[test]
fn a_future_dropped_with_its_place_in_hand_gives_it_to_the_next() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(1, 0, WhenFull::Block));
        for _ in 0..50 {
            let busy = occupy(&pool, 1);
            let first = wait_in_line(&pool, || 1);
            let mut second = wait_in_line(&pool, || 2);
            // The first future owns the place now, but has not been polled since.
            busy.release();
            drop(first);
            assert_eq!(pollster::block_on(&mut second).unwrap().join().unwrap(), 2);
        }
        let _busy = occupy(&pool, 1);
        assert_eq!(room(&pool), 0);
    });
}

#[test]
fn a_cancelled_queued_task_frees_its_room_at_once() {
    within(PATIENCE, || {
        let pool = Arc::new(bounded(1, 1, WhenFull::Block));
        let busy = occupy(&pool, 1);
        let waiting = pool.spawn(|| 1);
        assert!(pool.try_spawn(|| 2).is_err());
        assert!(waiting.cancel());
        let next = pool.try_spawn(|| 2).expect("there is room though the worker is busy");
        // A submitter that waits in line gets the next place.
        let third = stand_in_line(&pool, || 3);
        drop(next.cancel_on_drop());
        let third = third.join().unwrap();
        assert!(!third.is_finished());
        busy.release();
        assert_eq!(third.join().unwrap(), 3);
    });
}

/// Case 55.
#[test]
fn close_sends_those_in_line_away() {
    within(PATIENCE, || {
        for capacity in [0, 1, 3] {
            let pool = Arc::new(bounded(1, capacity, WhenFull::Block));
            let busy = occupy(&pool, 1);
            let accepted: Vec<_> = (0..capacity).map(|n| pool.spawn(move || n)).collect();
            let mut future = wait_in_line(&pool, || unreachable!("it has no room"));
            let threads: Vec<_> = (0..3).map(|n| stand_in_line(&pool, move || n)).collect();
            pool.close();
            assert!(matches!(poll(&mut future), Poll::Ready(Err::<TaskHandle<()>, _>(Closed))));
            for thread in threads {
                let refused = thread.join().unwrap().join();
                assert!(matches!(refused, Err(TaskError::Rejected(Refusal::Closed))));
            }
            assert_eq!(pollster::block_on(pool.reserve()).unwrap_err(), Closed);
            busy.release();
            for (n, task) in accepted.into_iter().enumerate() {
                assert_eq!(task.join().unwrap(), n, "what was accepted runs");
            }
        }
    });
}

/// Case 55.
#[test]
fn close_spawn_and_receive_at_once_settle_every_handle() {
    within(PATIENCE, || {
        for round in 0..100 {
            let pool = Arc::new(bounded(2, round % 4, WhenFull::Block));
            let (handing, handed) = mpsc::channel();
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    let (pool, handing) = (Arc::clone(&pool), handing.clone());
                    thread::spawn(move || {
                        for n in 0_u64.. {
                            let task = pool.spawn(move || n);
                            let closed = pool.is_closed();
                            handing.send((n, task)).unwrap();
                            if closed {
                                break;
                            }
                        }
                    })
                })
                .collect();
            drop(handing);
            let (mut ran, mut rejected) = (0, 0);
            for (count, (n, task)) in handed.into_iter().enumerate() {
                if count == 50 {
                    pool.close();
                }
                match task.join() {
                    Ok(value) => {
                        assert_eq!(value, n);
                        ran += 1;
                    }
                    Err(TaskError::Rejected(_)) => rejected += 1,
                    Err(other) => panic!("neither ran nor refused: {other}"),
                }
            }
            submitters.into_iter().for_each(|thread| thread.join().unwrap());
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.completed, metrics.rejected), (ran, rejected));
            assert_eq!(metrics.spawned, ran + rejected);
        }
    });
}

#[test]
fn many_tasks_go_through_a_narrow_pool() {
    within(PATIENCE, || {
        for capacity in [0, 1, 3] {
            let pool = Arc::new(bounded(2, capacity, WhenFull::Block));
            let submitters: Vec<_> = (0..3_u64)
                .map(|lane| {
                    let pool = Arc::clone(&pool);
                    thread::spawn(move || {
                        pollster::block_on(async {
                            let mut sum = 0;
                            for n in 0..200 {
                                let task = pool.reserve().await.unwrap().spawn(move || lane * n);
                                if n % 3 == 0 {
                                    sum += task.await.unwrap();
                                }
                            }
                            sum
                        })
                    })
                })
                .collect();
            let sum: u64 = submitters.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(sum, 3 * (0..200).filter(|n| n % 3 == 0).sum::<u64>());
        }
    });
}
