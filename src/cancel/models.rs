//! Loom models of a token's end: it races with listeners and waiters that come and go, with
//! children, and with another end.

use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::{CancelReason, CancelToken, Listener, Registration};
use crate::base::sync::{AtomicBool, Ordering, UnsafeCell, explore};
use crate::parts::parker::Parker;

/// A listener. The model watches its memory: a read is a use, and a write stands for freeing it.
struct Post {
    is_claimed: AtomicBool,
    memory: UnsafeCell<()>,
    claims: Count,
    finishes: Count,
}

/// # Safety
/// - `data` points to a live post.
unsafe fn claim(data: NonNull<()>) -> bool {
    // SAFETY: the caller promises that `data` points to a live post (see `# Safety`).
    let post = unsafe { data.cast::<Post>().as_ref() };
    post.memory.with(|_| ());
    post.claims.fetch_add(1, SeqCst);
    !post.is_claimed.swap(true, Ordering::AcqRel)
}

/// # Safety
/// - `data` points to a live post.
unsafe fn finish(data: NonNull<()>) {
    // SAFETY: the caller promises that `data` points to a live post (see `# Safety`).
    let post = unsafe { data.cast::<Post>().as_ref() };
    // The listener frees itself.
    post.memory.with_mut(|_| ());
    post.finishes.fetch_add(1, SeqCst);
}

impl Post {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            is_claimed: AtomicBool::new(false),
            memory: UnsafeCell::new(()),
            claims: Count::new(0),
            finishes: Count::new(0),
        })
    }

    fn listens_to(self: &Arc<Self>, token: &CancelToken) -> Result<Registration, CancelReason> {
        // SAFETY: each model keeps its posts until its end.
        token.listen(unsafe { Listener::new(NonNull::from(&**self).cast(), claim, finish) })
    }

    /// Removes the listener, and frees it unless it was claimed.
    fn leaves(&self, registration: Registration) {
        drop(registration);
        if !self.is_claimed.swap(true, Ordering::AcqRel) {
            self.memory.with_mut(|_| ());
        }
    }

    fn calls(&self) -> (usize, usize) {
        (self.claims.load(SeqCst), self.finishes.load(SeqCst))
    }
}

fn cancels(token: &CancelToken) -> thread::JoinHandle<()> {
    let token = token.clone();
    thread::spawn(move || token.cancel())
}

#[test]
fn one_listens_while_the_token_is_cancelled() {
    explore(|| {
        let (token, post) = (CancelToken::new(), Post::new());
        let canceller = cancels(&token);
        let registration = post.listens_to(&token);
        canceller.join().unwrap();
        let calls = if registration.is_ok() { (1, 1) } else { (0, 0) };
        assert_eq!(post.calls(), calls);
    });
}

#[test]
fn a_listener_goes_while_the_token_is_cancelled() {
    explore(|| {
        let (token, post) = (CancelToken::new(), Post::new());
        let registration = post.listens_to(&token).ok().expect("it is not cancelled");
        let canceller = cancels(&token);
        post.leaves(registration);
        canceller.join().unwrap();
        assert!(matches!(post.calls(), (0, 0) | (1, 1)));
    });
}

#[test]
fn a_listener_comes_and_goes_while_another_stays() {
    explore(|| {
        let (token, stays, goes) = (CancelToken::new(), Post::new(), Post::new());
        let stay = stays.listens_to(&token).ok().expect("it is not cancelled");
        let canceller = cancels(&token);
        if let Ok(registration) = goes.listens_to(&token) {
            goes.leaves(registration);
        }
        canceller.join().unwrap();
        assert!(matches!(goes.calls(), (0, 0) | (1, 1)));
        assert_eq!(stays.calls(), (1, 1));
        drop(stay);
    });
}

#[test]
fn two_cancel_for_different_reasons() {
    explore(|| {
        let (token, post) = (CancelToken::new(), Post::new());
        let registration = post.listens_to(&token).ok().expect("it is not cancelled");
        let other = thread::spawn({
            let token = token.clone();
            move || {
                token.cancel_because("other");
                token.reason().expect("it is cancelled")
            }
        });
        token.cancel();
        let reason = token.reason().expect("it is cancelled");
        assert_eq!(other.join().unwrap(), reason, "the first reason stays");
        assert_eq!(token.reason(), Some(reason));
        assert_eq!(post.calls(), (1, 1));
        drop(registration);
    });
}

#[test]
fn who_sees_the_end_finds_the_reason() {
    explore(|| {
        let token = CancelToken::new();
        let canceller = cancels(&token);
        if token.is_cancelled() {
            assert_eq!(token.reason(), Some(CancelReason::Asked));
        }
        canceller.join().unwrap();
        assert!(token.is_cancelled());
    });
}

#[test]
fn a_child_is_born_while_the_parent_is_cancelled() {
    explore(|| {
        let token = CancelToken::new();
        let canceller = cancels(&token);
        let grandchild = token.child().child();
        canceller.join().unwrap();
        assert_eq!(grandchild.reason(), Some(CancelReason::Asked));
    });
}

#[test]
fn a_child_goes_and_another_is_cancelled_alone_while_the_parent_is_cancelled() {
    explore(|| {
        let token = CancelToken::new();
        let (goes, ends, stays) = (token.child(), token.child(), token.child());
        let canceller = cancels(&token);
        drop(goes);
        ends.cancel_because("alone");
        canceller.join().unwrap();
        let reason = ends.reason().expect("it is cancelled twice");
        assert!(matches!(reason, CancelReason::Asked | CancelReason::Because(_)));
        assert_eq!(stays.reason(), Some(CancelReason::Asked));
        assert_eq!(token.reason(), Some(CancelReason::Asked));
    });
}

#[test]
fn one_waits_while_the_token_is_cancelled() {
    explore(|| {
        let token = CancelToken::new();
        let canceller = cancels(&token);
        let parker = Arc::new(Parker::new());
        let waker = Waker::from(Arc::clone(&parker));
        let mut cancelled = token.cancelled();
        while poll(&mut cancelled, &waker).is_pending() {
            parker.park();
        }
        canceller.join().unwrap();
    });
}

/// Counts how often it is woken.
struct Bell(Count);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll(future: &mut super::UntilCancelled, waker: &Waker) -> Poll<CancelReason> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_last_waker_is_woken() {
    explore(|| {
        let token = CancelToken::new();
        let bells = [Arc::new(Bell(Count::new(0))), Arc::new(Bell(Count::new(0)))];
        let wakers = bells.each_ref().map(|bell| Waker::from(Arc::clone(bell)));
        let mut cancelled = token.cancelled();
        assert!(poll(&mut cancelled, &wakers[0]).is_pending());
        let canceller = cancels(&token);
        let ends = poll(&mut cancelled, &wakers[1]).is_ready();
        canceller.join().unwrap();
        let rings = bells.each_ref().map(|bell| bell.0.load(SeqCst));
        assert_eq!(rings, if ends { [1, 0] } else { [0, 1] });
    });
}

#[test]
fn a_waiter_goes_while_the_token_is_cancelled() {
    explore(|| {
        let token = CancelToken::new();
        let bell = Arc::new(Bell(Count::new(0)));
        let mut cancelled = token.cancelled();
        assert!(poll(&mut cancelled, &Waker::from(Arc::clone(&bell))).is_pending());
        let begins = Arc::new(AtomicBool::new(false));
        let canceller = thread::spawn({
            let (token, begins) = (token.clone(), Arc::clone(&begins));
            move || {
                begins.store(true, Ordering::SeqCst);
                token.cancel();
            }
        });
        drop(cancelled);
        // The waiter is not woken any more, unless the cancel had already begun.
        let may_ring = begins.load(Ordering::SeqCst);
        canceller.join().unwrap();
        assert!(bell.0.load(SeqCst) <= usize::from(may_ring));
        assert_eq!(Arc::strong_count(&bell), 1, "its waker is dropped");
    });
}
