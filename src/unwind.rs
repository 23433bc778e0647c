//! The whole policy on panics: one in user code is a value; one in our own loop ends the process.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs user code and turns its panic into a value.
///
/// `AssertUnwindSafe`: what the closure could leave half done is its own, and goes to the handle's
/// owner as a panic that may be resumed there; nothing of the pool is touched inside.
#[inline]
pub(crate) fn catch<R>(user_code: impl FnOnce() -> R) -> Result<R, Payload> {
    panic::catch_unwind(AssertUnwindSafe(user_code))
}

/// Runs user code whose panic nobody is to see, such as a drop; says whether that was quiet.
pub(crate) fn quietly(user_code: impl FnOnce()) -> bool {
    match catch(user_code) {
        Ok(()) => true,
        Err(payload) => {
            drop_payload(payload);
            false
        }
    }
}

/// Drops what a panic carried, though that may panic in turn.
///
/// The drop of a payload may throw a payload whose drop throws again, without an end. After a few
/// rounds it is leaked: better a few bytes than a worker.
pub(crate) fn drop_payload(mut payload: Payload) {
    for _ in 0..4 {
        match catch(|| drop(payload)) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// Ends the process when dropped by a panic: the guard of the worker's own loop.
#[derive(Debug)]
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("corepool: a worker's own loop panicked, which is a bug; aborting");
            std::process::abort();
        }
    }
}
