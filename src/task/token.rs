//! A token's hold on a task: when the token ends, a queued task is settled and a running task is
//! asked to stop.
//!
//! The token knows the task by its address, and the task holds its place on the token's list. The
//! task gives that place up before it is freed, and until then the address is valid. A token that
//! claims the task gets its own reference with the claim, which it holds until the task is settled.

use core::ptr::NonNull;
use std::sync::Arc;

use super::HeldTask;
use super::extra::Tie;
use super::raw::{self, Header};
use super::state::{Outcome, State};
use super::unsettled::Unsettled;
use crate::base::id::PoolId;
use crate::cancel::{CancelReason, CancelToken, Listener};

/// Counts what a token did to a pool's tasks.
pub(crate) trait Ledger {
    /// A task was settled while it stood in its queue.
    fn note_settled_in_queue(pool: PoolId, outcome: Outcome);
}

/// What the end of a token means to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The task must not start, or should stop if it runs.
    Stop,
    /// The task must not start. A running task goes on.
    TooLate,
    /// The task must not start, because it is too late, or should stop if it runs.
    TimeIsUp,
}

impl<T> HeldTask<T> {
    /// Ties a task that has a plan to a token.
    ///
    /// # Errors
    /// The reason, if the token has ended already. The task is then neither settled nor asked
    /// to stop.
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
        // SAFETY: the handle keeps the task alive until it is tied. From then on, the tie's drop,
        // which comes before the task is freed, removes the listener. The closure and everything
        // else that is touched are `Send`.
        unsafe { tie(self.task(), token, is_heeded, claim, finish) }
    }
}

/// Prepares the run of a task that carries the optional part. Returns `false` if the task is late
/// (too late to start). Starts its time limit if it has one.
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
        // SAFETY: the claimant's reference keeps the task alive until it is tied. From then on as
        // in `HeldTask::tie`.
        let tied = unsafe { tie(task, &token, true, stop, finish_nothing) };
        if tied.is_err() {
            // SAFETY: the claimant holds a reference.
            unsafe { Header::of(task) }.state.request_cancel();
        }
    }
    true
}

/// Ties the task to the token. A token that a running task heeds stays with the task even after it
/// has ended, because it says why the task should stop.
///
/// # Safety
/// - The task has a plan, and is kept alive during the call.
/// - `claim` and `finish` take a pointer to a header.
unsafe fn tie(
    task: NonNull<Header>,
    token: &CancelToken,
    is_heeded: bool,
    claim: unsafe fn(NonNull<()>) -> bool,
    finish: unsafe fn(NonNull<()>),
) -> Result<(), CancelReason> {
    // SAFETY: the caller promises that the task is kept alive during the call.
    let plan = unsafe { raw::extra(task) }.and_then(|extra| extra.plan.as_deref());
    let plan = plan.expect("only a task with a plan is tied to a token");
    // SAFETY: the caller promises that `claim` and `finish` take a header. The task keeps the
    // registration, and its drop removes the listener.
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
    // SAFETY: the caller promises that the tie is not dropped yet, so the task is alive. This also
    // holds after a failed claim: dropping the tie waits for the token's lock, which is held here.
    let unsettled = unsafe { unsettled(task) };
    // SAFETY: the caller promises that the tie is not dropped yet, so the task is alive.
    let state = unsafe { &Header::of(task).state };
    match unsettled {
        None => state.claim_for_token(),
        Some(unsettled) => claim_counted(state, unsettled),
    }
}

/// The count is raised before the claim, and lowered if the claim failed.
fn claim_counted(state: &State, unsettled: &Unsettled) -> bool {
    mutant!("unsettled_late" => return claim_counted_late(state, unsettled));
    unsettled.raise();
    let is_claimed = state.claim_for_token();
    if !is_claimed {
        unsettled.lower();
    }
    is_claimed
}

/// A planted bug.
fn claim_counted_late(state: &State, unsettled: &Unsettled) -> bool {
    let is_claimed = state.claim_for_token();
    if is_claimed {
        unsettled.raise();
    }
    is_claimed
}

/// # Safety
/// - `task` is alive for as long as the result is used.
unsafe fn unsettled<'t>(task: NonNull<Header>) -> Option<&'t Arc<Unsettled>> {
    // SAFETY: the caller promises that the task is alive.
    let plan = unsafe { raw::extra(task) }.and_then(|extra| extra.plan.as_deref())?;
    plan.unsettled.as_ref()
}

/// # Safety
/// - As for [`claim`].
unsafe fn claim_or_stop(task: NonNull<()>) -> bool {
    // SAFETY: the caller promises that the tie is not dropped yet, so the task is alive.
    let is_claimed = unsafe { claim(task) };
    if !is_claimed {
        // SAFETY: the caller promises that the tie is not dropped yet, so the task is alive.
        unsafe { stop(task) };
    }
    is_claimed
}

/// # Safety
/// - As for [`claim`].
unsafe fn stop(task: NonNull<()>) -> bool {
    // SAFETY: the caller promises that the tie is not dropped yet, so the task is alive.
    unsafe { Header::of(task.cast()) }.state.request_cancel();
    false
}

/// # Safety
/// - The task was claimed for its token.
unsafe fn finish_cancelled<L: Ledger>(task: NonNull<()>) {
    // SAFETY: the caller promises that the task was claimed for its token.
    unsafe { finish::<L>(task.cast(), Outcome::Cancelled) };
}

/// # Safety
/// - As for [`finish_cancelled`].
unsafe fn finish_expired<L: Ledger>(task: NonNull<()>) {
    // SAFETY: the caller promises that the task was claimed for its token.
    unsafe { finish::<L>(task.cast(), Outcome::Expired) };
}

/// Paired with a claim that never succeeds.
unsafe fn finish_nothing(_task: NonNull<()>) {}

/// # Safety
/// - As for [`finish_cancelled`].
unsafe fn finish<L: Ledger>(task: NonNull<Header>, outcome: Outcome) {
    // SAFETY: the token's reference keeps the task alive during the call.
    let unsettled = unsafe { unsettled(task) }.cloned();
    let mut settling = unsettled.map(Unsettled::settle_here);
    // SAFETY: it was claimed for this.
    unsafe { raw::drop_closure(task) };
    // SAFETY: the token's reference is still held.
    let header = unsafe { Header::of(task) };
    mutant!("unsettled_early" => drop(settling.take()));
    // SAFETY: the token's reference is still held.
    if let Some(extra) = unsafe { raw::extra(task) } {
        extra.give_place_back();
        extra.untie();
    }
    L::note_settled_in_queue(header.pool(), outcome);
    header.settle_beside_owner(outcome);
    // Dropped after the wake-up: if the pool's workers are gone, the wake-up has settled the
    // continuation behind the task.
    drop(settling);
    if header.state.release_token() {
        // SAFETY: that was the last reference, and there is no result.
        unsafe { raw::free(task) };
    }
}
