//! What a review found: each of these failed before the fix beside it.
#![cfg(target_os = "linux")]

mod child;

#[path = "review/lending.rs"]
mod lending;
#[path = "review/refused.rs"]
mod refused;
#[path = "review/races.rs"]
mod races;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Far more than any of these takes, on a machine under load too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a body on a thread of its own and fails if it has no end in time. The thread is made before the body can have it refused.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    let _left_behind = thread::spawn(move || done.send(body()));
    ended.recv_timeout(PATIENCE).expect("the test hangs, or panicked; see above")
}

/// Waits until it is so.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}
