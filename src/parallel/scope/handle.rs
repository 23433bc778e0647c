//! `ScopedHandle`: joins one closure of a scope before the scope ends.
#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

use super::branch::Core;
use super::held::{HeldJob, Look};
use crate::base::error::{PanicPayload, TaskError};
use crate::base::unwind::Payload;
use crate::parts::spin::Patience;

/// The handle of a closure that was spawned in a scope. It stays on the thread that spawned the
/// closure.
///
/// **Dropping** the handle detaches the closure; the scope still waits for it.
///
/// ```
/// let words = ["to", "be"];
/// let lengths = corepool::scope(|s| {
///     let handles = words.map(|word| s.spawn(move || word.len()));
///     handles.map(|handle| handle.join().unwrap())
/// });
/// assert_eq!(lengths, [2, 2]);
/// ```
pub struct ScopedHandle<'scope, R> {
    held: Option<HeldJob<R>>,
    core: &'scope Core,
    /// The spawning thread reaches its job without atomic exchanges, so the handle stays on that
    /// thread.
    stays: PhantomData<*mut ()>,
}

impl<'scope, R> ScopedHandle<'scope, R> {
    pub(super) fn new(held: HeldJob<R>, core: &'scope Core) -> Self {
        Self { held: Some(held), core, stays: PhantomData }
    }

    /// Waits for the closure and returns its result. If the closure has not started, it runs right
    /// here.
    ///
    /// **May block** while another thread runs the closure. Nothing else runs on this thread
    /// meanwhile; a worker lends its core for that time.
    ///
    /// # Errors
    /// [`Panicked`](TaskError::Panicked) with the closure's panic payload. The scope then does not
    /// panic with it.
    ///
    /// # Panics
    /// Never: a handle has its closure until it is joined or dropped.
    ///
    /// ```
    /// corepool::scope(|s| {
    ///     let sum = s.spawn(|| (1..=10).sum::<u32>());
    ///     let failed = s.spawn(|| std::panic::resume_unwind(Box::new("told here")));
    ///     assert_eq!(sum.join().unwrap(), 55);
    ///     let error: Result<(), _> = failed.join();
    ///     assert_eq!(error.unwrap_err().to_string(), "the task panicked: told here");
    /// });
    /// ```
    pub fn join(mut self) -> Result<R, TaskError> {
        let mut held =
            self.held.take().expect("only `join` and `drop` take it, and each uses up `self`");
        loop {
            let result = match held.look() {
                Look::RanHere(result) => result,
                Look::Done(result) => {
                    if result.is_err() {
                        self.core.told();
                    }
                    result
                }
                Look::Running(running) => {
                    held = running;
                    wait(&held, self.core);
                    continue;
                }
            };
            return result.map_err(|payload| PanicPayload::new(payload, None).into());
        }
    }

    /// Returns `true` if the closure has ended, so that `join` would not wait.
    ///
    /// ```
    /// corepool::scope(|s| {
    ///     let handle = s.spawn(|| 1);
    ///     while !handle.is_finished() {
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(handle.join().unwrap(), 1);
    /// });
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.held.as_ref().is_none_or(HeldJob::is_done)
    }
}

impl<R> Drop for ScopedHandle<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(payload) = self.held.take().and_then(HeldJob::let_go) {
            self.tell(payload);
        }
    }
}

impl<R> ScopedHandle<'_, R> {
    #[cold]
    fn tell(&self, payload: Payload) {
        self.core.tell(payload);
    }
}

// The result lies in the job's own memory and is moved out by value.
impl<R> Unpin for ScopedHandle<'_, R> {}

impl<R> fmt::Debug for ScopedHandle<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// Waits until another thread has run the job.
#[cold]
fn wait<R>(held: &HeldJob<R>, core: &Core) {
    let mut pause = Patience::joining().pause();
    while pause.turn() {
        if held.is_done() {
            return;
        }
    }
    core.sleep_until(held);
}
