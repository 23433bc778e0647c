//! The complete policy on panics: a panic in user code becomes a value; a panic in our own loop
//! aborts the process.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs user code and turns its panic into a value.
///
/// `AssertUnwindSafe`: only the closure's own state may be left half done. The panic goes to the
/// handle's owner, which may resume it there. Nothing of the pool is touched inside the closure.
#[inline]
pub(crate) fn catch<R>(user_code: impl FnOnce() -> R) -> Result<R, Payload> {
    panic::catch_unwind(AssertUnwindSafe(user_code))
}

/// Runs user code, such as a drop, and discards its panic. Returns whether it ran without a panic.
pub(crate) fn quietly(user_code: impl FnOnce()) -> bool {
    match catch(user_code) {
        Ok(()) => true,
        Err(payload) => {
            drop_payload(payload);
            false
        }
    }
}

/// Drops the payload of a panic, even if the drop panics in turn.
///
/// The drop of a payload may panic with another payload whose drop panics again, without end. After
/// a few rounds the payload is leaked, because losing a few bytes is better than losing a worker.
pub(crate) fn drop_payload(mut payload: Payload) {
    for _ in 0..4 {
        match catch(|| drop(payload)) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// Aborts the process when it is dropped by a panic. It guards the worker's own loop.
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
