//! How a thread waits for a task's result: in place, with a look, asleep.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::Instant;

use super::care::Care;
use super::do_what_waits;
use crate::base::error::TaskError;
use crate::os::lineage;
use crate::parts::parker;
use crate::parts::spin::{Patience, Spin};
use crate::sched::hub;
use crate::sched::worker;
use crate::task::HeldTask;

crate::base::sync::thread_local! {
    /// What the calling thread has learnt about joins.
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::joining()) };
    /// How many first polls skip the pause from now on.
    static SKIPPED_PAUSES: Cell<u8> = const { Cell::new(0) };
}

/// Waits for a task: runs it in place if this thread does a pool's work and the task has not
/// started; otherwise sleeps.
#[cold]
pub(super) fn wait<T>(
    mut held: HeldTask<T>,
    end: Option<Instant>,
    core_is_wanted: bool,
) -> Result<Result<T, TaskError>, HeldTask<T>> {
    if worker::runs_in_place() {
        match worker::run_in_place(held) {
            Ok(result) => return Ok(result),
            Err(running) => held = running,
        }
    }
    do_what_waits();
    if core_is_wanted || !look_again(&held) {
        if is_copy(&held) {
            return Ok(Err(TaskError::Lost));
        }
        sleep(&mut held, end);
    }
    held.try_take()
}

/// Whether the task was handed to the pool of a parent process, whose workers do not exist here.
pub(super) fn is_copy<T>(held: &HeldTask<T>) -> bool {
    lineage::is_child() && hub::find(held.pool()).is_some_and(|hub| hub.is_copy())
}

/// Spins for a few tenths of a microsecond. Without this, a thread that polls a tiny task would go
/// to sleep just when the worker finishes it. If a pause was in vain, the thread skips the next few
/// pauses, so that polling many handles one after another costs little more.
pub(super) fn pause_before_first_poll<T>(held: &HeldTask<T>) {
    let to_skip = SKIPPED_PAUSES.try_with(Cell::get).unwrap_or(1);
    let to_skip = if to_skip > 0 {
        to_skip - 1
    } else {
        let mut pause = Spin::short();
        while pause.turn() && !held.is_settled() {}
        if held.is_settled() { 0 } else { 15 }
    };
    let _kept = SKIPPED_PAUSES.try_with(|kept| kept.set(to_skip));
}

/// Spins before the sleep. Returns whether the task settled meanwhile.
fn look_again<T>(held: &HeldTask<T>) -> bool {
    let mut patience = PATIENCE.try_with(Cell::get).unwrap_or(const { Patience::joining() });
    let mut pause = patience.pause();
    while pause.turn() && !held.is_settled() {}
    let settled = held.is_settled();
    patience.learn(settled);
    let _kept = PATIENCE.try_with(|kept| kept.set(patience));
    settled
}

/// Sleeps until the task is settled or the time is over.
fn sleep<T>(held: &mut HeldTask<T>, end: Option<Instant>) {
    parker::with_current(|parker, waker| {
        if held.set_waker(waker) {
            return;
        }
        let mut care = Care::of(held.pool());
        while !held.is_settled() {
            if !care.park(parker, end) {
                // Settled or not, the waker is removed. The caller looks at the state once more.
                let _unsettled = held.clear_waker();
                return;
            }
        }
    });
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use super::{SKIPPED_PAUSES, pause_before_first_poll};
    use crate::base::id::PoolId;
    use crate::task::{self, Outcome, TaskContext};

    #[test]
    fn of_first_polls_in_vain_each_sixteenth_pauses() {
        let (queued, held) = task::make::<(), _, ()>(PoolId::next(), None, |_: &TaskContext| ());
        for left in (0..16_u8).rev().cycle().take(40) {
            pause_before_first_poll(&held);
            assert_eq!(SKIPPED_PAUSES.get(), left);
        }
        assert!(held.settle_unrun(Outcome::Cancelled).is_some());
        drop(queued);
    }
}
