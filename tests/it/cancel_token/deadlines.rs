//! Deadlines of tokens: each one passes once, never early, for every holder of the token.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use corepool::CancelToken;
use corepool::cancel::CancelReason;

use super::{Bell, because, poll};
use crate::support::{PATIENCE, until, within};

const SOON: Duration = Duration::from_millis(5);
const FAR: Duration = Duration::from_secs(3600);

#[test]
fn a_deadline_in_the_past_cancels_at_once() {
    let past = Instant::now();
    let parent = CancelToken::new();
    let tokens = [
        CancelToken::with_deadline(past),
        CancelToken::with_timeout(Duration::ZERO),
        parent.child_with_deadline(past),
        parent.child_with_timeout(Duration::ZERO),
    ];
    for token in tokens {
        assert_eq!(token.reason(), Some(CancelReason::DeadlinePassed));
    }
    assert!(!parent.is_cancelled());
}

#[test]
fn a_deadline_comes_and_not_early() {
    within(PATIENCE, || {
        let start = Instant::now();
        let parent = CancelToken::new();
        let tokens = [
            CancelToken::with_deadline(start + SOON),
            CancelToken::with_timeout(SOON),
            parent.child_with_deadline(start + SOON),
            parent.child_with_timeout(SOON),
        ];
        for token in tokens {
            assert_eq!(token.wait(), CancelReason::DeadlinePassed);
            assert!(start.elapsed() >= SOON);
        }
        assert!(!parent.is_cancelled());
    });
}

#[test]
fn a_deadline_is_seen_by_one_who_only_looks() {
    within(PATIENCE, || {
        let token = CancelToken::with_timeout(SOON);
        until(|| token.check().is_err());
        assert_eq!(token.reason(), Some(CancelReason::DeadlinePassed));
    });
}

#[test]
fn of_two_deadlines_the_earlier_one_counts() {
    within(PATIENCE, || {
        let parent = CancelToken::with_timeout(FAR);
        let child = parent.child_with_timeout(SOON);
        assert_eq!(child.wait(), CancelReason::DeadlinePassed);
        assert!(!parent.is_cancelled());

        let parent = CancelToken::with_timeout(SOON);
        let child = parent.child_with_timeout(FAR);
        assert_eq!(child.wait(), CancelReason::DeadlinePassed);
        assert_eq!(parent.reason(), Some(CancelReason::DeadlinePassed));
    });
}

#[test]
fn a_deadline_after_the_end_changes_nothing() {
    within(PATIENCE, || {
        let deadline = Instant::now() + SOON;
        let token = CancelToken::with_deadline(deadline);
        token.cancel_because("earlier");
        let later = CancelToken::with_deadline(deadline + SOON);
        let _passed = later.wait();
        // The second case: this thread slept through the deadline before it could cancel.
        let reason = token.reason().unwrap();
        assert!(reason == because("earlier") || reason == CancelReason::DeadlinePassed);
        assert!(token.child_with_deadline(deadline).reason() == Some(reason));
    });
}

#[test]
fn a_far_deadline_can_be_given() {
    let token = CancelToken::with_timeout(Duration::MAX);
    assert!(!token.wait_timeout(Duration::from_millis(1)));
    token.cancel();
    assert_eq!(token.wait(), CancelReason::Asked);
}

#[test]
fn an_earlier_deadline_set_later_comes_first() {
    within(PATIENCE, || {
        let far = CancelToken::with_timeout(FAR);
        let tokens: Vec<_> = (1..20).rev().map(|n| CancelToken::with_timeout(SOON * n)).collect();
        for token in tokens.iter().rev() {
            assert_eq!(token.wait(), CancelReason::DeadlinePassed);
        }
        assert!(!far.is_cancelled());
    });
}

#[test]
fn who_awaits_a_deadline_is_woken_and_a_waker_that_panics_stops_nobody() {
    within(PATIENCE, || {
        let token = CancelToken::with_timeout(SOON);
        let (ring, rung) = mpsc::channel();
        let (_bomb, bad) = Bell::that(|| std::panic::resume_unwind(Box::new("planned")));
        let (bell, good) = Bell::that(move || ring.send(()).unwrap());
        let mut futures = [token.cancelled(), token.cancelled()];
        let [first, second] = &mut futures;
        let waits = poll(first, &bad).is_pending() & poll(second, &good).is_pending();
        // On a slow machine the deadline may have passed by now.
        if waits {
            rung.recv().unwrap();
            assert_eq!(bell.rings(), 1);
        }
        // The timer's thread has survived.
        assert_eq!(CancelToken::with_timeout(SOON).wait(), CancelReason::DeadlinePassed);
    });
}

/// The deadline's alarm holds the token weakly, so a waker that the token holds is dropped with it.
#[test]
fn a_token_dropped_before_its_deadline_is_gone() {
    let (bell, waker) = Bell::new();
    let token = CancelToken::with_timeout(FAR);
    let mut future = token.child().cancelled();
    assert!(poll(&mut future, &waker).is_pending());
    drop((token, waker));
    assert_eq!(std::sync::Arc::strong_count(&bell), 2, "the future still waits");
    drop(future);
    assert_eq!(std::sync::Arc::strong_count(&bell), 1);
}

#[test]
fn many_deadlines_at_once_all_come() {
    within(PATIENCE, || {
        let start = Instant::now();
        let tokens: Vec<_> = (0..5_000_u32)
            .map(|n| CancelToken::with_deadline(start + SOON + Duration::from_micros(n.into())))
            .collect();
        // Every third token is dropped, usually before its deadline.
        let tokens: Vec<_> =
            tokens.into_iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, t)| t).collect();
        for token in &tokens {
            assert_eq!(token.wait(), CancelReason::DeadlinePassed);
        }
    });
}
