//! One thread's place to sleep, and the token that wakes it.
//!
//! The standard library has one token for each thread, and it belongs to the user: a pool that waited
//! on it would eat a wake-up that the user's own code had coming. A [`Parker`] has a token of its own.
//! On Linux it sleeps on a futex; elsewhere on a lock and a condition variable of `parking_lot`.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use crate::sync::thread_local;
use seat::Seat;

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

#[cfg(all(target_os = "linux", not(any(corepool_loom, corepool_shuttle))))]
mod seat {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use rustix::thread::futex;

    const EMPTY: u32 = 0;
    const TOKEN: u32 = 1;
    const ASLEEP: u32 = 2;

    #[derive(Debug)]
    pub(super) struct Seat {
        state: AtomicU32,
    }

    impl Seat {
        pub(super) fn new() -> Self {
            Self { state: AtomicU32::new(EMPTY) }
        }

        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            if self.take() {
                return true;
            }
            // ORDERING: only the state word itself is at stake; the token is taken with acquire below.
            if self
                .state
                .compare_exchange(EMPTY, ASLEEP, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
            {
                return self.take();
            }
            loop {
                let left = match end.map(|end| end.saturating_duration_since(crate::clock::now())) {
                    Some(left) if left.is_zero() => return self.give_up(),
                    left => left,
                };
                self.sleep(left);
                if self.take() {
                    return true;
                }
            }
        }

        pub(super) fn notify(&self) {
            // ORDERING: release, partner of `take`'s acquire: what the waker did is seen by the woken.
            if self.state.swap(TOKEN, Ordering::Release) == ASLEEP {
                // An error can only be a bad address; there is nothing to do about one here.
                let _woken = futex::wake(&self.state, futex::Flags::PRIVATE, 1);
            }
        }

        /// Signals, spurious wakes and a changed word all end here; the caller looks at the word again.
        fn sleep(&self, left: Option<std::time::Duration>) {
            let timeout = left.map(|left| futex::Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let _why_awake =
                futex::wait(&self.state, futex::Flags::PRIVATE, ASLEEP, timeout.as_ref());
        }

        fn take(&self) -> bool {
            // ORDERING: acquire, partner of `notify`'s release.
            self.state.compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok()
        }

        /// The time is up. A token that came at that moment is taken: it must not wake the next sleep.
        fn give_up(&self) -> bool {
            // ORDERING: acquire, partner of `notify`'s release, for the case that the token is there.
            self.state.swap(EMPTY, Ordering::Acquire) == TOKEN
        }
    }
}

#[cfg(all(any(not(target_os = "linux"), corepool_loom), not(corepool_shuttle)))]
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

        /// A model has no clock: a wait with an end is a wait without one.
        pub(super) fn wait(&self, _end: Option<Instant>) -> bool {
            let mut token = self.token.lock().expect("no model panics here");
            while !*token {
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

#[cfg(corepool_shuttle)]
mod seat {
    use std::time::Instant;

    use parking_lot::Mutex;
    use shuttle::thread::{self, Thread};

    use crate::sync::schedule::gives_up;
    use crate::sync::{AtomicBool, Ordering};

    /// Made of things that may outlive a schedule: the timer's stands in a static.
    #[derive(Debug)]
    pub(super) struct Seat {
        token: AtomicBool,
        /// A real lock: nobody is let go on while it is held.
        sleeper: Mutex<Option<Thread>>,
    }

    impl Seat {
        pub(super) fn new() -> Self {
            Self { token: AtomicBool::new(false), sleeper: Mutex::new(None) }
        }

        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            while !self.take() {
                match end {
                    None => {
                        // No chance to switch lies between the look at the token and this sleep.
                        *self.sleeper.lock() = Some(thread::current());
                        thread::park();
                    }
                    Some(end) if gives_up(end) => return self.take(),
                    Some(_) => thread::yield_now(),
                }
            }
            *self.sleeper.lock() = None;
            true
        }

        pub(super) fn notify(&self) {
            self.token.swap(true, Ordering::SeqCst);
            let sleeper = self.sleeper.lock().take();
            if let Some(sleeper) = sleeper {
                sleeper.unpark();
            }
        }

        fn take(&self) -> bool {
            self.token.swap(false, Ordering::SeqCst)
        }
    }
}
