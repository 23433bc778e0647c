//! Tests of listeners: what is called, when, how often, and what it may do.

use core::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::{CancelReason, CancelToken, Listener, Registration};

type Deed = Box<dyn FnOnce() + Send>;

/// A listener that counts its calls.
#[derive(Default)]
struct Post {
    declines: bool,
    claims: AtomicUsize,
    finishes: AtomicUsize,
    /// What it does when it is finished.
    deed: Mutex<Option<Deed>>,
}

/// # Safety
/// - `data` points to a live post.
unsafe fn claim(data: NonNull<()>) -> bool {
    // SAFETY: the caller promises that `data` points to a live post (see `# Safety`).
    let post = unsafe { data.cast::<Post>().as_ref() };
    post.claims.fetch_add(1, Ordering::SeqCst);
    !post.declines
}

/// # Safety
/// - `data` points to a live post.
unsafe fn finish(data: NonNull<()>) {
    // SAFETY: the caller promises that `data` points to a live post (see `# Safety`).
    let post = unsafe { data.cast::<Post>().as_ref() };
    post.finishes.fetch_add(1, Ordering::SeqCst);
    let deed = post.deed.lock().unwrap().take();
    if let Some(deed) = deed {
        deed();
    }
}

impl Post {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn declining() -> Arc<Self> {
        Arc::new(Self { declines: true, ..Self::default() })
    }

    fn does(deed: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self { deed: Mutex::new(Some(Box::new(deed))), ..Self::default() })
    }

    fn listens_to(self: &Arc<Self>, token: &CancelToken) -> Result<Registration, CancelReason> {
        // SAFETY: each test keeps its posts until no token uses them any more.
        token.listen(unsafe { Listener::new(NonNull::from(&**self).cast(), claim, finish) })
    }

    /// How often it was claimed and finished.
    fn calls(&self) -> (usize, usize) {
        (self.claims.load(Ordering::SeqCst), self.finishes.load(Ordering::SeqCst))
    }
}

#[test]
fn who_claims_is_finished_and_each_once() {
    let token = CancelToken::new();
    let (keen, declining) = (Post::new(), Post::declining());
    let _registrations = [keen.listens_to(&token), declining.listens_to(&token)];
    assert_eq!((keen.calls(), declining.calls()), ((0, 0), (0, 0)));
    token.cancel();
    token.cancel();
    assert_eq!((keen.calls(), declining.calls()), ((1, 1), (1, 0)));
}

#[test]
fn of_a_cancelled_token_nothing_is_called() {
    let token = CancelToken::new();
    token.cancel_because("early");
    let post = Post::new();
    let refused = post.listens_to(&token).err();
    assert_eq!(refused, Some(CancelReason::Because("early".into())));
    token.cancel();
    assert_eq!(post.calls(), (0, 0));
}

#[test]
fn who_is_taken_off_is_not_called() {
    let token = CancelToken::new();
    let (stays, goes) = (Post::new(), Post::new());
    let stay = stays.listens_to(&token).ok();
    drop(goes.listens_to(&token));
    token.cancel();
    drop(stay);
    assert_eq!((stays.calls(), goes.calls()), ((1, 1), (0, 0)));
}

#[test]
fn a_registration_outlives_the_tokens_and_may_be_dropped_after() {
    let post = Post::new();
    let registration = post.listens_to(&CancelToken::new()).ok();
    drop(registration);
    let parent = CancelToken::new();
    let registration = post.listens_to(&parent.child()).ok();
    parent.cancel();
    assert_eq!(post.calls(), (1, 1), "it kept the child that it listens to");
    drop(registration);
}

#[test]
fn a_registration_may_be_dropped_while_its_listener_is_finished() {
    let token = CancelToken::new();
    let slot = Arc::new(Mutex::new(None));
    let post = Post::does({
        let slot = Arc::clone(&slot);
        move || drop(slot.lock().unwrap().take())
    });
    *slot.lock().unwrap() = post.listens_to(&token).ok();
    token.cancel();
    assert_eq!(post.calls(), (1, 1));
    assert!(slot.lock().unwrap().is_none());
}

#[test]
fn a_finish_that_panics_keeps_nobody_from_being_finished() {
    let token = CancelToken::new();
    let bomb = || Post::does(|| std::panic::resume_unwind(Box::new("planned")));
    let posts = [Post::new(), bomb(), Post::new(), bomb(), Post::new()];
    let _registrations = posts.each_ref().map(|post| post.listens_to(&token));
    token.cancel();
    assert!(posts.iter().all(|post| post.calls() == (1, 1)));
}

#[test]
fn the_whole_tree_is_claimed_before_anybody_is_finished() {
    let parent = CancelToken::new();
    let child = parent.child();
    let below = Post::new();
    let _below = below.listens_to(&child);
    let seen = Arc::new(Mutex::new(None));
    let above = Post::does({
        let (seen, below) = (Arc::clone(&seen), Arc::clone(&below));
        move || *seen.lock().unwrap() = Some((child.is_cancelled(), below.calls().0))
    });
    let _above = above.listens_to(&parent);
    parent.cancel();
    assert_eq!(*seen.lock().unwrap(), Some((true, 1)));
    assert_eq!(below.calls(), (1, 1));
}

#[test]
fn a_hundred_thousand_listeners_hear_of_one_cancel() {
    let token = CancelToken::new();
    let posts: Vec<_> = (0..100_000).map(|_| Post::new()).collect();
    let registrations: Vec<_> = posts.iter().map(|post| post.listens_to(&token)).collect();
    assert!(registrations.iter().all(Result::is_ok));
    token.cancel();
    assert!(posts.iter().all(|post| post.calls() == (1, 1)));
}

const LISTENS: u32 = 0;
const CLAIMED: u32 = 1;
const FINISHED: u32 = 2;

/// A listener in its own memory, which is freed as soon as that is allowed.
struct Mortal {
    state: AtomicU32,
}

/// # Safety
/// - `data` points to a live mortal.
unsafe fn claim_mortal(data: NonNull<()>) -> bool {
    // SAFETY: the caller promises that `data` points to a live mortal (see `# Safety`).
    let state = unsafe { &data.cast::<Mortal>().as_ref().state };
    state.compare_exchange(LISTENS, CLAIMED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// # Safety
/// - `data` points to a mortal that lives until it says that it is finished.
unsafe fn finish_mortal(data: NonNull<()>) {
    // SAFETY: the caller promises that the mortal lives until the store below (see `# Safety`).
    let state = unsafe { &data.cast::<Mortal>().as_ref().state };
    state.store(FINISHED, Ordering::SeqCst);
}

/// For tools that detect a use of freed memory.
#[test]
fn a_listener_may_be_freed_when_it_is_taken_off_or_finished() {
    let claimed_some = AtomicBool::new(false);
    for round in 0..2_000 {
        let token = CancelToken::new();
        let start = Barrier::new(2);
        thread::scope(|threads| {
            threads.spawn(|| {
                start.wait();
                token.cancel();
            });
            for turn in 0..=round % 3 {
                let mortal = Box::new(Mortal { state: AtomicU32::new(LISTENS) });
                let data = NonNull::from(&*mortal).cast();
                // SAFETY: it is freed below, after its registration is dropped and, if it was
                // claimed, after it is finished.
                let listener = unsafe { Listener::new(data, claim_mortal, finish_mortal) };
                let registration = token.listen(listener);
                if turn == 0 {
                    start.wait();
                }
                drop(registration);
                while mortal.state.load(Ordering::SeqCst) == CLAIMED {
                    thread::yield_now();
                }
                if mortal.state.load(Ordering::SeqCst) == FINISHED {
                    claimed_some.store(true, Ordering::SeqCst);
                }
            }
        });
    }
    assert!(claimed_some.into_inner(), "the cancel never came first: no race");
}
