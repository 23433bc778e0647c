//! What tokens cost: little each, and nothing that stays with a parent or a timer.

use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;
use std::{future::Future, pin::Pin};

use corepool::CancelToken;

use super::{LIVE, alone, least};

const MILLION: usize = 1_000_000;

/// The growth of bytes in use over one run, after a first run to warm up.
fn growth(mut run: impl FnMut()) -> usize {
    run();
    let before = LIVE.load(Ordering::SeqCst);
    run();
    LIVE.load(Ordering::SeqCst).saturating_sub(before)
}

#[test]
fn a_million_children_made_and_dropped_leave_nothing_with_their_parent() {
    let _alone = alone();
    let parent = CancelToken::new();
    let before = LIVE.load(Ordering::SeqCst);
    for _ in 0..MILLION {
        drop(parent.child());
    }
    let one_by_one = LIVE.load(Ordering::SeqCst).saturating_sub(before);
    assert!(one_by_one < 10_000, "{one_by_one} bytes");
    drop((0..MILLION / 10).map(|_| parent.child()).collect::<Vec<_>>());
    let at_once = LIVE.load(Ordering::SeqCst).saturating_sub(before);
    assert!(at_once < 10_000, "{at_once} bytes");
}

#[test]
fn deadlines_that_are_called_off_leave_nothing_with_the_timer() {
    let _alone = alone();
    let more = growth(|| {
        for _ in 0..MILLION / 10 {
            drop(CancelToken::with_timeout(Duration::from_secs(3600)));
        }
    });
    assert!(more < 10_000, "{more} bytes");
}

#[test]
fn futures_and_waits_that_give_up_leave_nothing_with_the_token() {
    let _alone = alone();
    let token = CancelToken::new();
    let more = growth(|| {
        for _ in 0..MILLION / 10 {
            let mut future = token.cancelled();
            let polled = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            assert!(!token.wait_timeout(Duration::ZERO));
        }
    });
    assert!(more < 10_000, "{more} bytes");
}

#[test]
fn a_token_is_one_allocation_and_looking_at_it_none() {
    let _alone = alone();
    let (allocations, bytes) = least(|| drop(CancelToken::new()));
    assert_eq!(allocations, 1);
    assert!(bytes <= 160, "{bytes} bytes");
    let token = CancelToken::new();
    let (allocations, _) = least(|| {
        assert!(token.check().is_ok());
        assert!(token.reason().is_none());
        drop(token.clone());
    });
    assert_eq!(allocations, 0);
}
