//! One thread's place to sleep, and the token that wakes it.
//!
//! The standard library has one token for each thread, and it belongs to the user: a pool that waited
//! on it would eat a wake-up that the user's own code had coming. A [`Parker`] has a token of its own.
//! On Linux it sleeps on a futex; elsewhere on a lock and a condition variable of `parking_lot`.
//! A model of whatever parks takes the latter as well, because it has fewer steps; the former has models of its own.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

#[cfg(all(test, corepool_loom))]
mod models;
#[cfg(any(all(target_os = "linux", not(corepool_loom)), all(test, corepool_loom)))]
mod word;

#[cfg(any(not(target_os = "linux"), corepool_loom))]
use seat::Seat;
#[cfg(all(target_os = "linux", not(corepool_loom)))]
use word::Seat;

/// A token that can be given once, and a thread that may sleep until it is.
#[derive(Debug)]
pub(crate) struct Parker {
    seat: Seat,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { seat: Seat::new() }
    }

    /// Sleeps until the token is there, and takes it. Only the owning thread may call this.
    pub(crate) fn park(&self) {
        let woken = self.seat.wait(None);
        debug_assert!(woken, "a wait without an end came back without the token");
    }

    /// As [`park`](Self::park), but gives up at `end`. Says whether it took the token.
    pub(crate) fn park_until(&self, end: Instant) -> bool {
        self.seat.wait(Some(end))
    }

    /// Gives the token and wakes the owner if it sleeps. Tokens do not add up.
    pub(crate) fn unpark(&self) {
        self.seat.notify();
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

thread_local! {
    static MINE: (Arc<Parker>, Waker) = {
        let parker = Arc::new(Parker::new());
        (Arc::clone(&parker), Waker::from(parker))
    };
}

/// The calling thread's parker, to be kept; a fresh one where thread-locals are gone.
pub(crate) fn current() -> Arc<Parker> {
    MINE.try_with(|(parker, _)| Arc::clone(parker)).unwrap_or_else(|_| Arc::new(Parker::new()))
}

/// Gives the calling thread's parker and a waker for it; a fresh pair where thread-locals are gone.
pub(crate) fn with_current<R>(wait: impl FnOnce(&Parker, &Waker) -> R) -> R {
    let mut wait = Some(wait);
    let done = MINE.try_with(|(parker, waker)| wait.take().map(|wait| wait(parker, waker)));
    if let Ok(Some(result)) = done {
        return result;
    }
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    let wait = wait.take().expect("the closure runs once: here only if not there");
    wait(&parker, &waker)
}

#[cfg(any(not(target_os = "linux"), corepool_loom))]
mod seat {
    use std::time::Instant;

    #[cfg(corepool_loom)]
    use loom::sync::{Condvar, Mutex};
    #[cfg(not(corepool_loom))]
    use parking_lot::{Condvar, Mutex};

    #[derive(Debug)]
    pub(super) struct Seat {
        token: Mutex<bool>,
        given: Condvar,
    }

    #[cfg(not(corepool_loom))]
    impl Seat {
        pub(super) fn new() -> Self {
            Self { token: Mutex::new(false), given: Condvar::new() }
        }

        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            let mut token = self.token.lock();
            while !*token {
                match end {
                    None => self.given.wait(&mut token),
                    Some(end) => {
                        if self.given.wait_until(&mut token, end).timed_out() {
                            break;
                        }
                    }
                }
            }
            std::mem::take(&mut *token)
        }

        pub(super) fn notify(&self) {
            *self.token.lock() = true;
            self.given.notify_one();
        }
    }

    #[cfg(corepool_loom)]
    impl Seat {
        pub(super) fn new() -> Self {
            Self { token: Mutex::new(false), given: Condvar::new() }
        }

        /// In a model time stands still: an end that has not passed by now will not come.
        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            let is_over = end.is_some_and(|end| end <= crate::clock::now());
            let mut token = self.token.lock().expect("no model panics here");
            while !*token && !is_over {
                token = self.given.wait(token).expect("no model panics here");
            }
            std::mem::take(&mut *token)
        }

        pub(super) fn notify(&self) {
            *self.token.lock().expect("no model panics here") = true;
            self.given.notify_one();
        }
    }
}
