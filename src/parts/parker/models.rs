//! Models of `word::Sleeper`: a token is never lost, wakes the sleeper, and publishes what its
//! giver did.
//!
//! The futex itself is the model's (`word::kernel`), which guarantees exactly what the kernel's
//! does.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use loom::thread;

use super::word::Sleeper;
use crate::base::clock;
use crate::base::sync::{UnsafeCell, explore};

struct Told {
    sleeper: Sleeper,
    /// What the giver of a token did before.
    written: UnsafeCell<()>,
}

impl Told {
    fn new() -> Arc<Self> {
        Arc::new(Self { sleeper: Sleeper::new(), written: UnsafeCell::new(()) })
    }

    /// Gives the token, on a thread of its own.
    fn call(self: &Arc<Self>) -> thread::JoinHandle<()> {
        let told = Arc::clone(self);
        thread::spawn(move || {
            told.written.with_mut(|_| ());
            told.sleeper.notify();
        })
    }

    /// Waits, and reads what the giver wrote if the token ended the wait.
    fn wait(&self, end: Option<Instant>) -> bool {
        let woken = self.sleeper.wait(end);
        if woken {
            self.written.with_mut(|_| ());
        }
        woken
    }
}

#[test]
fn a_token_is_given_while_its_owner_lies_down() {
    explore(|| {
        let told = Told::new();
        let caller = told.call();
        assert!(told.wait(None));
        caller.join().unwrap();
        assert!(!told.wait(Some(clock::now())), "there was one token, and it is taken");
    });
}

/// The token ends this wait or the next one; it is not lost.
#[test]
fn a_token_is_given_when_the_time_is_up() {
    explore(|| {
        let told = Told::new();
        let caller = told.call();
        let in_time = told.wait(Some(clock::now()));
        caller.join().unwrap();
        assert_ne!(told.wait(Some(clock::now())), in_time, "the token is there once");
    });
}

/// A thread that has just been woken waits again and is called again.
#[test]
fn a_second_token_wakes_the_second_sleep() {
    explore(|| {
        let told = Told::new();
        let first = told.call();
        assert!(told.wait(None));
        let second = told.call();
        assert!(told.wait(None));
        first.join().unwrap();
        second.join().unwrap();
        assert!(!told.wait(Some(clock::now())));
    });
}

/// Tokens do not accumulate: two that come before a wait count as one.
#[test]
fn two_tokens_at_once_wake_one_sleep_or_two() {
    explore(|| {
        let sleeper = Arc::new(Sleeper::new());
        let callers = [(); 2].map(|()| {
            let sleeper = Arc::clone(&sleeper);
            thread::spawn(move || sleeper.notify())
        });
        assert!(sleeper.wait(None));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        let _second = sleeper.wait(Some(clock::now()));
        assert!(!sleeper.wait(Some(clock::now())), "there were two at most");
    });
}
