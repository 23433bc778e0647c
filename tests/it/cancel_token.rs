//! Cancel tokens: what a cancel reaches, which reason it gives, and which waiters it wakes.

mod deadlines;
mod trees;
mod waiting;

use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use corepool::CancelToken;
use corepool::cancel::{CancelReason, Cancelled, UntilCancelled};

use crate::support::{PATIENCE, within};

/// Counts its wakes and runs `deed` at the first one.
struct Bell {
    rings: AtomicUsize,
    deed: Box<dyn Fn() + Send + Sync>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if self.rings.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.deed)();
        }
    }
}

impl Bell {
    fn new() -> (Arc<Self>, Waker) {
        Self::that(|| ())
    }

    fn that(deed: impl Fn() + Send + Sync + 'static) -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self { rings: AtomicUsize::new(0), deed: Box::new(deed) });
        (Arc::clone(&bell), Waker::from(bell))
    }

    fn rings(&self) -> usize {
        self.rings.load(Ordering::SeqCst)
    }
}

fn poll(future: &mut UntilCancelled, waker: &Waker) -> Poll<CancelReason> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn because(text: &str) -> CancelReason {
    CancelReason::Because(text.into())
}

#[test]
fn a_token_is_cancelled_for_all_its_clones_and_for_good() {
    let token = CancelToken::default();
    let clone = token.clone();
    assert_eq!((clone.is_cancelled(), clone.check(), clone.reason()), (false, Ok(()), None));
    token.cancel();
    for token in [&token, &clone] {
        assert!(token.is_cancelled());
        assert!(matches!(token.check(), Err(Cancelled { .. })));
        assert_eq!(token.reason(), Some(CancelReason::Asked));
    }
}

#[test]
fn the_first_reason_stays() {
    let token = CancelToken::new();
    token.cancel_because("first");
    token.cancel_because(String::from("second"));
    token.cancel();
    assert_eq!(token.reason(), Some(because("first")));
    assert_eq!(token.clone().reason().unwrap().to_string(), "first");
}

#[test]
fn reasons_say_what_happened() {
    assert_eq!(CancelReason::Asked.to_string(), "somebody asked for it");
    assert_eq!(CancelReason::DeadlinePassed.to_string(), "the deadline has passed");
    assert_eq!(because("no room").to_string(), "no room");
}

#[test]
fn dropping_tokens_cancels_nothing() {
    let token = CancelToken::new();
    let child = token.child();
    drop(token.clone());
    assert!(!token.is_cancelled());
    drop(token);
    assert!(!child.is_cancelled());
}

#[test]
fn a_token_goes_anywhere_and_shows_its_state() {
    fn goes_anywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Clone>(_: &T) {}
    let token = CancelToken::new();
    goes_anywhere(&token);
    assert_eq!(format!("{token:?}"), "CancelToken { reason: None, .. }");
    token.cancel();
    assert_eq!(format!("{token:?}"), "CancelToken { reason: Some(Asked), .. }");
    assert_eq!(format!("{:?}", token.cancelled()), "UntilCancelled { reason: Some(Asked), .. }");
}

#[test]
fn of_eight_that_cancel_at_once_one_gives_the_reason_and_each_waiter_is_woken_once() {
    within(PATIENCE, || {
        for _ in 0..300 {
            let token = CancelToken::new();
            let children: Vec<_> = (0..4).map(|_| token.child()).collect();
            let waiting: Vec<_> = children
                .iter()
                .chain([&token; 4])
                .map(|token| {
                    let (mut future, (bell, waker)) = (token.cancelled(), Bell::new());
                    assert!(poll(&mut future, &waker).is_pending());
                    (future, bell)
                })
                .collect();
            let blocked = [(); 2].map(|()| {
                let token = token.child();
                thread::spawn(move || token.wait())
            });
            let start = Arc::new(Barrier::new(8));
            let cancellers = [0, 1, 2, 3, 4, 5, 6, 7].map(|number| {
                let (token, start) = (token.clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    token.cancel_because(number.to_string());
                    token.reason().expect("it is cancelled when the call is back")
                })
            });
            let seen = cancellers.map(|canceller| canceller.join().unwrap());
            let reason = token.reason().unwrap();
            assert!(seen.iter().all(|seen| *seen == reason), "{seen:?}");
            for (mut future, bell) in waiting {
                assert_eq!(bell.rings(), 1);
                assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(reason.clone()));
            }
            for blocked in blocked {
                assert_eq!(blocked.join().unwrap(), reason);
            }
        }
    });
}

/// A thread that learns of the cancellation also sees what the canceller did before it.
#[test]
fn the_reason_brings_along_what_was_done_before() {
    within(PATIENCE, || {
        for round in 0..200 {
            let (token, done) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
            let canceller = thread::spawn({
                let (token, done) = (token.clone(), Arc::clone(&done));
                move || {
                    done.store(7, Ordering::Relaxed);
                    token.cancel();
                }
            });
            if round % 2 == 0 {
                token.wait();
            } else {
                while token.reason().is_none() {
                    thread::yield_now();
                }
            }
            assert_eq!(done.load(Ordering::Relaxed), 7);
            canceller.join().unwrap();
        }
    });
}
