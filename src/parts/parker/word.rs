//! A parker's sleeper on one word, which says whether the token is there and whether the owner
//! sleeps. The kernel keeps the sleeping thread.
//!
//! The word goes from empty to a token (`notify`) and back (`take`), and from empty to asleep and
//! back. Three properties make that correct:
//!
//! - The owner announces its sleep by an exchange, which fails if the token is already there. So
//!   either the owner sees the token, or the giver sees the sleeper.
//! - The kernel checks the word once more, under the lock of its own queue of sleepers (`Line`). A
//!   token between the exchange and the sleep ends the sleep before it begins.
//! - When the time is up, a single exchange records that and takes a token that came at that
//!   moment.
#![forbid(unsafe_code)]

#[cfg(not(any(corepool_loom, corepool_virtual)))]
use core::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

#[cfg(not(any(corepool_loom, corepool_virtual)))]
use super::futex::Line;
#[cfg(any(corepool_loom, corepool_virtual))]
use crate::base::sync::AtomicU32;
use crate::base::sync::Ordering;
#[cfg(any(corepool_loom, corepool_virtual))]
use kernel::Line;

const EMPTY: u32 = 0;
const TOKEN: u32 = 1;
const ASLEEP: u32 = 2;

// ORDERING: release, partner of `TAKE` and `GIVE_UP`: the woken thread sees what the waker did.
ordering!(GIVE = Release, planted "token_unreleased": Relaxed);
// ORDERING: acquire, partner of `GIVE`.
ordering!(TAKE = Acquire, planted "token_unacquired": Relaxed);
// ORDERING: acquire, partner of `GIVE`, for the case that the token is there.
ordering!(GIVE_UP = Acquire, planted "give_up_unacquired": Relaxed);

#[derive(Debug)]
pub(super) struct Sleeper {
    state: AtomicU32,
    line: Line,
}

impl Sleeper {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), line: Line::new() }
    }

    pub(super) fn wait(&self, end: Option<Instant>) -> bool {
        if self.take() {
            return true;
        }
        if !self.lie_down() {
            return self.take();
        }
        loop {
            let left = match end.map(|end| end.saturating_duration_since(crate::base::clock::now()))
            {
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
        if self.state.swap(TOKEN, GIVE) == ASLEEP {
            self.line.wake_one(&self.state);
        }
    }

    /// Returns whether the owner may sleep. It may not if the token is there.
    fn lie_down(&self) -> bool {
        // ORDERING: this store is only a planted bug.
        mutant!("lie_down_blind" => { self.state.store(ASLEEP, Ordering::Relaxed); return true; });
        // ORDERING: only the state word itself matters; the token is taken with acquire in `take`.
        self.state.compare_exchange(EMPTY, ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Returns after a signal, a spurious wake-up or a change of the word; the caller checks the
    /// word again.
    fn sleep(&self, left: Option<Duration>) {
        self.line.wait(&self.state, ASLEEP, left);
    }

    fn take(&self) -> bool {
        // ORDERING: relaxed on failure, because there is no token.
        self.state.compare_exchange(TOKEN, EMPTY, TAKE, Ordering::Relaxed).is_ok()
    }

    /// Called when the time is up. It takes a token that came at that moment, because the token
    /// must not end the next sleep.
    fn give_up(&self) -> bool {
        let had_token = self.state.swap(EMPTY, GIVE_UP) == TOKEN;
        mutant!("give_up_blind" => return false);
        had_token
    }
}

/// The virtual machine's kernel.
#[cfg(corepool_virtual)]
mod kernel {
    use std::time::Duration;

    use machine::futex;

    use crate::base::sync::AtomicU32;

    #[derive(Debug)]
    pub(super) struct Line;

    impl Line {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) fn wait(&self, word: &AtomicU32, value: u32, left: Option<Duration>) {
            let _woken = futex::wait(word, value, left);
        }

        pub(super) fn wake_one(&self, word: &AtomicU32) {
            let _woken = futex::wake(word, 1);
        }
    }
}

/// What the kernel guarantees for a futex: the check of the word and the step into the queue are
/// one step, under the queue's lock.
#[cfg(corepool_loom)]
mod kernel {
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    use crate::base::sync::{AtomicU32, Ordering};

    #[derive(Debug)]
    pub(super) struct Line {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl Line {
        pub(super) fn new() -> Self {
            Self { lock: Mutex::new(()), woken: Condvar::new() }
        }

        pub(super) fn wait(&self, word: &AtomicU32, value: u32, _left: Option<Duration>) {
            let line = self.lock.lock().expect("no model panics here");
            if word.load(Ordering::SeqCst) == value {
                let _line = self.woken.wait(line).expect("no model panics here");
            }
        }

        pub(super) fn wake_one(&self, _word: &AtomicU32) {
            let line = self.lock.lock().expect("no model panics here");
            self.woken.notify_one();
            drop(line);
        }
    }
}
