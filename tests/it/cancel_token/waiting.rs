//! Waiting for cancellation: futures, their wakers, and blocking threads.

use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corepool::CancelToken;
use corepool::cancel::CancelReason;

use super::{Bell, because, poll};
use crate::support::{PATIENCE, within};

#[test]
fn a_future_is_ready_with_the_reason_again_and_again() {
    let token = CancelToken::new();
    let mut future = token.cancelled();
    assert!(poll(&mut future, Waker::noop()).is_pending());
    token.cancel_because("enough");
    for _ in 0..2 {
        assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(because("enough")));
    }
    let mut late = token.cancelled();
    assert_eq!(poll(&mut late, Waker::noop()), Poll::Ready(because("enough")));
}

#[test]
fn a_future_is_awaited_on_a_runtime_and_without_one() {
    within(PATIENCE, || {
        let token = CancelToken::new();
        let (starting, started) = mpsc::channel();
        let waiter = thread::spawn({
            let token = token.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let task = runtime.spawn(token.cancelled());
                starting.send(()).unwrap();
                runtime.block_on(task).unwrap()
            }
        });
        started.recv().unwrap();
        let blocked = thread::spawn({
            let future = token.cancelled();
            move || pollster::block_on(future)
        });
        token.cancel();
        assert_eq!(waiter.join().unwrap(), CancelReason::Asked);
        assert_eq!(blocked.join().unwrap(), CancelReason::Asked);
    });
}

#[test]
fn the_last_waker_wins() {
    let token = CancelToken::new();
    let mut future = token.cancelled();
    let bells = [Bell::new(), Bell::new(), Bell::new()];
    for (_, waker) in &bells {
        assert!(poll(&mut future, waker).is_pending());
    }
    token.cancel();
    assert_eq!(bells.each_ref().map(|(bell, _)| bell.rings()), [0, 0, 1]);
}

#[test]
fn a_future_dropped_part_way_lets_go_of_its_waker() {
    let token = CancelToken::new();
    let (bell, waker) = Bell::new();
    let mut stays = token.cancelled();
    let (other, other_waker) = Bell::new();
    for turn in 0..100 {
        let mut goes = token.cancelled();
        assert!(poll(&mut goes, &waker).is_pending());
        if turn == 50 {
            assert!(poll(&mut stays, &other_waker).is_pending());
        }
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&bell), 1);
    token.cancel();
    assert_eq!((bell.rings(), other.rings()), (0, 1));
}

#[test]
fn a_future_dropped_while_the_token_is_cancelled_is_woken_at_most_once() {
    within(PATIENCE, || {
        for _ in 0..500 {
            let token = CancelToken::new();
            let (bell, waker) = Bell::new();
            let futures: Vec<_> = (0..4)
                .map(|_| {
                    let mut future = token.cancelled();
                    assert!(poll(&mut future, &waker).is_pending());
                    future
                })
                .collect();
            drop(waker);
            let start = Barrier::new(2);
            thread::scope(|threads| {
                threads.spawn(|| {
                    start.wait();
                    token.cancel();
                });
                start.wait();
                drop(futures);
            });
            assert!(bell.rings() <= 4);
            assert_eq!(Arc::strong_count(&bell), 1);
        }
    });
}

#[test]
fn a_waker_may_cancel_wait_and_drop() {
    within(PATIENCE, || {
        let (token, other) = (CancelToken::new(), CancelToken::new());
        let kept = Arc::new(std::sync::Mutex::new(Some(token.cancelled())));
        let (bell, waker) = Bell::that({
            let (token, other, kept) = (token.clone(), other.clone(), Arc::clone(&kept));
            move || {
                token.cancel_because("too late");
                other.cancel_because("from a waker");
                assert_eq!(token.wait(), CancelReason::Asked);
                assert!(token.child_with_timeout(PATIENCE).is_cancelled());
                drop(kept.lock().unwrap().take());
            }
        });
        let mut future = token.cancelled();
        for future in [&mut future, kept.lock().unwrap().as_mut().unwrap()] {
            assert!(poll(future, &waker).is_pending());
        }
        token.cancel();
        assert_eq!(bell.rings(), 2);
        assert_eq!(other.reason(), Some(because("from a waker")));
        assert!(kept.lock().unwrap().is_none());
    });
}

#[test]
fn a_waker_that_panics_harms_neither_the_canceller_nor_the_others() {
    within(PATIENCE, || {
        let token = CancelToken::new();
        let bells = [1, 2, 3, 4, 5].map(|number| {
            Bell::that(move || {
                if number % 2 == 0 {
                    std::panic::resume_unwind(Box::new("planned"));
                }
            })
        });
        let mut futures = [(); 5].map(|()| token.cancelled());
        for (future, (_, waker)) in futures.iter_mut().zip(&bells) {
            assert!(poll(future, waker).is_pending());
        }
        token.cancel();
        assert!(bells.iter().all(|(bell, _)| bell.rings() == 1));
        assert!(futures.iter_mut().all(|future| poll(future, Waker::noop()).is_ready()));
    });
}

#[test]
fn threads_wait_until_somebody_cancels() {
    within(PATIENCE, || {
        let token = CancelToken::new();
        let (starting, started) = mpsc::channel();
        let waiters = [0, 1, 2, 3].map(|number| {
            let (token, starting) = (token.clone(), starting.clone());
            thread::spawn(move || {
                starting.send(()).unwrap();
                match number % 2 {
                    0 => assert_eq!(token.wait(), because("go home")),
                    _ => assert!(token.wait_timeout(Duration::MAX)),
                }
                // Waits again, now that the token is cancelled.
                assert_eq!(token.wait(), because("go home"));
            })
        });
        (0..4).for_each(|_| started.recv().unwrap());
        token.cancel_because("go home");
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn a_wait_with_a_limit_ends_then_and_leaves_nothing() {
    within(PATIENCE, || {
        let token = CancelToken::new();
        assert!(!token.wait_timeout(Duration::ZERO));
        let (start, limit) = (Instant::now(), Duration::from_millis(5));
        for turns in 1..=3 {
            assert!(!token.wait_timeout(limit));
            assert!(start.elapsed() >= limit * turns);
        }
        token.cancel();
        assert!(token.wait_timeout(Duration::ZERO));
        // The thread's park token was not touched, so only the timeout ends this call.
        let start = Instant::now();
        thread::park_timeout(limit);
        assert!(start.elapsed() >= limit);
    });
}

#[test]
fn waits_that_give_up_race_a_cancel() {
    within(PATIENCE, || {
        for round in 0..200_u64 {
            let token = CancelToken::new();
            let limit = Duration::from_micros(round % 100);
            thread::scope(|threads| {
                let waiter = threads.spawn(|| {
                    let was_cancelled = token.wait_timeout(limit);
                    assert!(!was_cancelled || token.is_cancelled());
                    // A leftover of the race does not end this wait early.
                    CancelToken::new().wait_timeout(Duration::from_micros(50))
                });
                token.cancel();
                assert!(!waiter.join().unwrap());
            });
        }
    });
}
