//! A token's hold on a task: a queued one is settled when the token ends, a running one is asked to
//! stop.
//!
//! The token knows the task by its address, and the task holds its place on the token's list. So
//! the address is good until that place is given up, which the task does before it is freed. A
//! token that claims the task gets a reference of its own with that, for the time until the task is
//! settled.

use core::ptr::NonNull;
use std::sync::Arc;

use super::HeldTask;
use super::extra::Tie;
use super::raw::{self, Header};
use super::state::Outcome;
use super::unsettled::Unsettled;
use crate::cancel::{CancelReason, CancelToken, Listener};
use crate::id::PoolId;
use crate::unwind;

/// Who counts what a token did to a pool's tasks.
pub(crate) trait Ledger {
    /// A task was settled where it stands in its queue.
    fn note_settled_in_queue(pool: PoolId, outcome: Outcome);
}

/// What a token means to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It must not start, or is to stop.
    Stop,
    /// It must not start.
    TooLate,
    /// It must not start, for it is too late for that, or is to stop.
    TimeIsUp,
}

impl<T> HeldTask<T> {
    /// Ties a task that has a plan to a token.
    ///
    /// # Errors
    /// The reason, if the token has ended: then nothing happens to the task.
    pub(crate) fn tie<L: Ledger>(
        &self,
        token: &CancelToken,
        meaning: Meaning,
    ) -> Result<(), CancelReason> {
        let claim = match meaning {
            Meaning::Stop | Meaning::TimeIsUp => claim_or_stop,
            Meaning::TooLate => claim,
        };
        let finish = match meaning {
            Meaning::Stop => finish_cancelled::<L>,
            Meaning::TooLate | Meaning::TimeIsUp => finish_expired::<L>,
        };
        let is_heeded = meaning != Meaning::TooLate;
        // SAFETY: the handle keeps the task until it is tied; from there the tie's drop, which
        // comes before the task is freed, takes the listener off. The closure and what else is
        // touched are `Send`.
        unsafe { tie(self.task(), token, is_heeded, claim, finish) }
    }
}

/// Runs a task that carries the optional part: not if it is late, and with its time limited if that
/// was asked for.
///
/// # Safety
/// - As for [`raw::run`].
pub(super) unsafe fn begin(task: NonNull<Header>) -> bool {
    // SAFETY: the claimant holds a reference.
    let Some(plan) = unsafe { raw::extra(task) }.and_then(|extra| extra.plan.as_deref()) else {
        return true;
    };
    if plan.is_late() {
        return false;
    }
    if let Some(run_for) = plan.run_for {
        let token = CancelToken::with_timeout(run_for);
        // SAFETY: the claimant's reference keeps the task until it is tied, and then as in
        // `HeldTask::tie`.
        let tied = unsafe { tie(task, &token, true, stop, finish_nothing) };
        if tied.is_err() {
            // SAFETY: the claimant holds a reference.
            unsafe { Header::of(task) }.state.request_cancel();
        }
    }
    true
}

/// A token that a running task heeds stays with the task though it has ended: it says why the task
/// is to stop.
///
/// # Safety
/// - The task has a plan, and somebody keeps it meanwhile.
/// - `claim` and `finish` take a header.
unsafe fn tie(
    task: NonNull<Header>,
    token: &CancelToken,
    is_heeded: bool,
    claim: unsafe fn(NonNull<()>) -> bool,
    finish: unsafe fn(NonNull<()>),
) -> Result<(), CancelReason> {
    // SAFETY: the caller's promise.
    let plan = unsafe { raw::extra(task) }.and_then(|extra| extra.plan.as_deref());
    let plan = plan.expect("only a task with a plan is tied to a token");
    // SAFETY: the caller's promise; the registration is kept by the task, whose drop gives it up.
    let listener = unsafe { Listener::new(task.cast(), claim, finish) };
    let listened = token.listen(listener);
    let ended = listened.as_ref().err().cloned();
    plan.tie(Tie { registration: listened.ok(), token: is_heeded.then(|| token.clone()) });
    ended.map_or(Ok(()), Err)
}

/// # Safety
/// - `task` is a task's header, and its tie is not dropped yet.
unsafe fn claim(task: NonNull<()>) -> bool {
    let task = task.cast();
    // SAFETY: the caller's promise. Also after a claim that failed: the drop of the tie waits for
    // the token's lock, which is held here.
    let unsettled = unsafe { unsettled(task) };
    if let Some(unsettled) = unsettled.filter(|_| !mutant!("unsettled_late")) {
        unsettled.raise();
    }
    // SAFETY: the caller's promise.
    let is_claimed = unsafe { Header::of(task) }.state.claim_for_token();
    if let Some(unsettled) = unsettled {
        if mutant!("unsettled_late") {
            unsettled.raise();
        }
        if !is_claimed {
            unsettled.lower();
        }
    }
    is_claimed
}

/// # Safety
/// - `task` is there for as long as what is given is used.
unsafe fn unsettled<'t>(task: NonNull<Header>) -> Option<&'t Arc<Unsettled>> {
    // SAFETY: the caller's promise.
    let plan = unsafe { raw::extra(task) }.and_then(|extra| extra.plan.as_deref())?;
    plan.unsettled.as_ref()
}

/// # Safety
/// - As for [`claim`].
unsafe fn claim_or_stop(task: NonNull<()>) -> bool {
    // SAFETY: the caller's promise.
    let is_claimed = unsafe { claim(task) };
    if !is_claimed {
        // SAFETY: the caller's promise.
        unsafe { stop(task) };
    }
    is_claimed
}

/// # Safety
/// - As for [`claim`].
unsafe fn stop(task: NonNull<()>) -> bool {
    // SAFETY: the caller's promise.
    unsafe { Header::of(task.cast()) }.state.request_cancel();
    false
}

/// # Safety
/// - The task was claimed for its token.
unsafe fn finish_cancelled<L: Ledger>(task: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { finish::<L>(task.cast(), Outcome::Cancelled) };
}

/// # Safety
/// - As for [`finish_cancelled`].
unsafe fn finish_expired<L: Ledger>(task: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { finish::<L>(task.cast(), Outcome::Expired) };
}

/// For a claim that never succeeds.
unsafe fn finish_nothing(_task: NonNull<()>) {}

/// # Safety
/// - As for [`finish_cancelled`].
unsafe fn finish<L: Ledger>(task: NonNull<Header>, outcome: Outcome) {
    // SAFETY: the token's reference keeps the task meanwhile.
    let unsettled = unsafe { unsettled(task) }.cloned();
    let settling = unsettled.map(Unsettled::settle_here);
    // SAFETY: it was claimed for this.
    unsafe { raw::drop_closure(task) };
    // SAFETY: the token's reference is there.
    let header = unsafe { Header::of(task) };
    let settling = settling.filter(|_| !mutant!("unsettled_early"));
    // SAFETY: as above.
    if let Some(extra) = unsafe { raw::extra(task) } {
        extra.give_place_back();
        extra.untie();
    }
    L::note_settled_in_queue(header.pool(), outcome);
    if header.state.settle_beside_owner(outcome) {
        // SAFETY: the slot was filled when the task was settled, so it is ours now.
        let waker = unsafe { header.take_waiter() };
        unwind::quietly(|| waker.wake());
    }
    // After the wake-up: where the pool's workers have left it has settled the continuation that
    // hangs behind the task.
    drop(settling);
    if header.state.release_token() {
        // SAFETY: that was the last reference, and there is no result.
        unsafe { raw::free(task) };
    }
}
