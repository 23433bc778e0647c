//! A task's state word, bit by bit, and its transitions.
//!
//! | bits | name | meaning |
//! | --- | --- | --- |
//! | 0–2 | phase | queued, running (claimed), or settled, with the reason |
//! | 3 | `OWNER` | the queue, and later the thread that runs the task, holds a reference |
//! | 4 | `HANDLE` | the handle holds a reference |
//! | 5 | `WAITER` | the waiter slot is filled |
//! | 6 | `CANCEL` | a running task was asked to stop |
//! | 7 | `CANCEL_ON_DROP` | dropping the handle cancels |
//! | 8 | `EXTENDED` | the allocation carries the optional part; never changes |
//! | 9 | `LINKED` | a continuation that waits for the task before it; no queue has it yet |
//! | 10 | `PINNED` | a thread that waits for a chain's end keeps this link from being queued |
//! | 11 | `TOKEN` | a token that claimed the task holds a reference until it has settled it |
//! | 12–13 | `REFUSAL` | why a refused task was refused; set with the phase, by the same exchange |
//! | 14 | `ANYWAY` | a continuation that always runs and is never cancelled or refused; never changes |
//! | 15–31 | `ERA` | when the task was spawned, so that its pool can stop all its tasks: see `era.rs` |
//!
//! Rules that every transition keeps:
//! - the closure belongs to the thread that moved the phase from queued to running (the
//!   *claimant*);
//! - a phase beyond running is final: the task is settled once;
//! - the waiter slot belongs to the handle while `WAITER` is clear or the task is unsettled, and
//!   to the settler once a settled phase was set with `WAITER` present;
//! - the value belongs to the handle if `HANDLE` was set when the task was settled, otherwise to
//!   the settler;
//! - the thread that clears the last of `OWNER`, `HANDLE` and `TOKEN` frees the allocation;
//! - a settler that finds `PINNED` set when it clears `LINKED` leaves the owner's reference to the
//!   thread that pinned the link.
#![forbid(unsafe_code)]

mod link;

use super::era;
use crate::base::error::{Refusal, TaskError};
use crate::base::sync::{AtomicU32, Ordering};
pub(crate) use link::NotPinned;

const PHASE: u32 = 0b111;
const QUEUED: u32 = 0;
const RUNNING: u32 = 1;
const OWNER: u32 = 1 << 3;
const HANDLE: u32 = 1 << 4;
const WAITER: u32 = 1 << 5;
const CANCEL: u32 = 1 << 6;
const CANCEL_ON_DROP: u32 = 1 << 7;
const EXTENDED: u32 = 1 << 8;
const LINKED: u32 = 1 << 9;
const PINNED: u32 = 1 << 10;
const TOKEN: u32 = 1 << 11;
const REFUSED: u32 = 6;
const REFUSAL_SHIFT: u32 = 12;
const REFUSAL: u32 = 0b11 << REFUSAL_SHIFT;
const ANYWAY: u32 = 1 << 14;
const ERA: u32 = !0 << era::SHIFT;

// ORDERING: acquire, partner of the release in the settling transitions: the result is visible.
ordering!(SEE_PHASE = Acquire, planted "phase_relaxed": Relaxed);
// ORDERING: acquire, so that nothing of the run moves before the claim. The closure itself came
// through the queue or with the handle, and both synchronise on their own.
const CLAIM: Ordering = Ordering::Acquire;
// ORDERING: release, partner of `SEE_PHASE` and `SEE_RELEASED`: the result is visible to the
// handle. Acquire, partner of the release in `LET_GO`: an orphan is the owner's.
ordering!(SETTLE = AcqRel,
    planted "settle_unreleased": Acquire, planted "settle_unacquired": Release);
// ORDERING: release, partner of the acquire in `RELEASE_OWNER`: the owner may free the task next.
// Acquire for the other direction.
ordering!(SETTLE_IN_PLACE = AcqRel,
    planted "settle_in_place_unreleased": Acquire, planted "settle_in_place_unacquired": Release);
// ORDERING: release, partner of `SEE_RELEASED`: the handle may free the task next. Acquire for the
// other direction, from `LET_GO` and `SETTLE_IN_PLACE`.
ordering!(RELEASE_OWNER = AcqRel,
    planted "release_owner_unreleased": Acquire, planted "release_owner_unacquired": Release);
// ORDERING: as `RELEASE_OWNER`, with the other two references as partners.
ordering!(RELEASE_TOKEN = AcqRel, planted "release_token_unreleased": Acquire);
// ORDERING: acquire, partner of the owner's and the token's releases: if their references are gone,
// the handle may free the task.
ordering!(SEE_RELEASED = Acquire, planted "let_go_relaxed": Relaxed);
// ORDERING: release, partner of the acquire in `SETTLE` and `RELEASE_OWNER`: all use by the handle
// is over before the owner frees the task.
ordering!(LET_GO = AcqRel, planted "let_go_unreleased": Acquire);
// ORDERING: release, partner of the acquire in `SETTLE`: the settler sees the waiter in the slot.
ordering!(SET_WAITER = AcqRel, planted "waiter_unreleased": Acquire);

/// How a task was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Outcome {
    Value = 2,
    Panicked = 3,
    Cancelled = 4,
    Expired = 5,
    /// Refused because the pool is closed. The other refusals share this phase and differ in the
    /// `REFUSAL` bits.
    Closed = REFUSED,
    Lost = 7,
    /// Refused because the queue is full.
    Full = REFUSED | 1 << REFUSAL_SHIFT,
    /// Accepted at first, then refused: newer tasks have taken its place in the queue.
    Displaced = REFUSED | 2 << REFUSAL_SHIFT,
    /// There was no task to wait for, so there was nothing to settle with.
    Empty = REFUSED | 3 << REFUSAL_SHIFT,
}

impl Outcome {
    /// The outcome of a task that passes this error on.
    pub(crate) fn without_value(error: &TaskError) -> Self {
        match error {
            TaskError::Panicked(_) => Self::Panicked,
            TaskError::Cancelled => Self::Cancelled,
            TaskError::Expired => Self::Expired,
            TaskError::Rejected(Refusal::Full) => Self::Full,
            TaskError::Rejected(Refusal::Closed) => Self::Closed,
            TaskError::Rejected(Refusal::Displaced) => Self::Displaced,
            TaskError::Rejected(Refusal::Empty) => Self::Empty,
            TaskError::Lost => Self::Lost,
        }
    }

    #[inline]
    fn of(word: u32) -> Option<Self> {
        match word & PHASE {
            QUEUED | RUNNING => None,
            2 => Some(Self::Value),
            3 => Some(Self::Panicked),
            4 => Some(Self::Cancelled),
            5 => Some(Self::Expired),
            REFUSED => Some(match (word & REFUSAL) >> REFUSAL_SHIFT {
                0 => Self::Closed,
                1 => Self::Full,
                2 => Self::Displaced,
                _ => Self::Empty,
            }),
            _ => Some(Self::Lost),
        }
    }
}

/// A task's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Running,
    Settled(Outcome),
}

/// What the owner must do after it settled a task. Its reference is released, except for `Wake`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum SettledBy {
    /// Nothing: the handle takes the result. The task may be freed already, so do not touch it.
    Done,
    /// The waiter slot is the owner's. Take the waiter, wake it, release the reference.
    Wake,
    /// No handle is left: drop the value and free the task.
    Orphan,
}

/// What a handle must do when it lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum LetGo {
    /// Nothing more; the owner frees the task.
    Done,
    /// Free the allocation: both references are gone.
    Free,
    /// The task is settled now. Take or drop the result first, then let go again.
    TakeFirst,
}

/// The result of setting or clearing a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Registered {
    /// The task is unsettled. A waiter that was set will be woken by the settler.
    Waiting,
    /// The task was settled before. The word is unchanged.
    Settled,
}

/// Where a task was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimedAt {
    /// In a queue, or on its way into one.
    Queue,
    /// Behind an unsettled task: no queue has it yet.
    Link,
}

/// The state word.
#[derive(Debug)]
pub(crate) struct State(AtomicU32);

impl State {
    /// A task on its way into a queue, with a handle.
    #[inline]
    pub(crate) fn queued(extended: bool) -> Self {
        let extended = if extended { EXTENDED } else { 0 };
        Self(AtomicU32::new(QUEUED | OWNER | HANDLE | extended | era::now()))
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        let word = self.0.load(SEE_PHASE);
        match Outcome::of(word) {
            Some(outcome) => Phase::Settled(outcome),
            None if word & PHASE == QUEUED => Phase::Queued,
            None => Phase::Running,
        }
    }

    pub(crate) fn is_extended(&self) -> bool {
        // ORDERING: the bit never changes.
        self.0.load(Ordering::Relaxed) & EXTENDED != 0
    }

    /// Takes the closure. From here on only the claimant may run it, drop it and settle the task.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        self.claim_with(RUNNING).is_some()
    }

    /// Like [`claim`](Self::claim), but returns where the task was claimed.
    pub(crate) fn claim_anywhere(&self) -> Option<ClaimedAt> {
        self.claim_with(RUNNING)
    }

    /// Like [`claim`](Self::claim), for a token, which gets its own reference with the claim.
    pub(crate) fn claim_for_token(&self) -> bool {
        self.claim_with(RUNNING | TOKEN).is_some()
    }

    #[inline]
    fn claim_with(&self, change: u32) -> Option<ClaimedAt> {
        // Guess the whole word, including the era: a failed exchange costs as much as a successful
        // one, so a good first guess saves one.
        let mut word = QUEUED | OWNER | HANDLE | era::now();
        loop {
            // ORDERING: relaxed on failure, because the loser touches nothing.
            match self.0.compare_exchange(word, word | change, CLAIM, Ordering::Relaxed) {
                Ok(_) if word & LINKED != 0 => return Some(ClaimedAt::Link),
                Ok(_) => return Some(ClaimedAt::Queue),
                Err(seen) if seen & (PHASE | PINNED) == QUEUED => word = seen,
                Err(seen) => return claimed_too_late(seen),
            }
        }
    }

    /// The owner settles a task that it claimed, and releases its reference if there is no waiter.
    #[inline]
    pub(crate) fn settle_as_owner(&self, outcome: Outcome) -> SettledBy {
        // A guess as in `claim_with`: no waiter is set, and the handle is still there.
        let mut word = RUNNING | OWNER | HANDLE | era::now();
        let (mut next, mut todo) = (word & !(PHASE | OWNER) | outcome as u32, SettledBy::Done);
        loop {
            // ORDERING: relaxed on failure, because the loop starts again.
            match self.0.compare_exchange(word, next, SETTLE, Ordering::Relaxed) {
                Ok(_) => return todo,
                Err(seen) => word = seen,
            }
            let settled = word & !PHASE | outcome as u32;
            (next, todo) = match (word & WAITER != 0, word & HANDLE != 0) {
                (true, _) => (settled, SettledBy::Wake),
                (false, true) => (settled & !OWNER, SettledBy::Done),
                (false, false) => (settled & !OWNER, SettledBy::Orphan),
            };
        }
    }

    /// A holder of the handle settles a task that it claimed; the owner's reference stays. Returns
    /// `true` if the caller must now empty the waiter slot and wake the waiter.
    pub(crate) fn settle_beside_owner(&self, outcome: Outcome) -> bool {
        // The phase was RUNNING, and only the claimant advances it, so an addition is enough.
        // ORDERING: release and acquire as in `settle_as_owner`.
        let before = self.0.fetch_add(outcome as u32 - RUNNING, Ordering::AcqRel);
        before & WAITER != 0
    }

    /// The handle's own thread ran the task in place and has taken the result. It settles the task
    /// and lets go. Returns `true` if the caller must free the allocation.
    pub(crate) fn settle_and_let_go(&self, outcome: Outcome) -> bool {
        // As above. HANDLE is set, so one subtraction clears it and moves the phase.
        let change = HANDLE.wrapping_sub(outcome as u32 - RUNNING);
        self.0.fetch_sub(change, SETTLE_IN_PLACE) & (OWNER | TOKEN) == 0
    }

    /// The owner lets go of a task that is settled or that another thread has claimed. Returns
    /// `true` if the caller must free the allocation.
    pub(crate) fn release_owner(&self) -> bool {
        self.0.fetch_and(!OWNER, RELEASE_OWNER) & (HANDLE | TOKEN) == 0
    }

    /// The token that claimed and settled the task lets go of it. Returns `true` if the caller must
    /// free the allocation.
    pub(crate) fn release_token(&self) -> bool {
        self.0.fetch_and(!TOKEN, RELEASE_TOKEN) & (OWNER | HANDLE) == 0
    }

    /// The handle lets go. `result_taken` means that it has taken or dropped the result of a
    /// settled task.
    pub(crate) fn let_go(&self, result_taken: bool) -> LetGo {
        let mut word = self.0.load(SEE_RELEASED);
        loop {
            if Outcome::of(word).is_some() && !result_taken {
                return LetGo::TakeFirst;
            }
            if word & (OWNER | TOKEN) == 0 {
                return LetGo::Free;
            }
            match self.0.compare_exchange(word, word & !HANDLE, LET_GO, SEE_RELEASED) {
                Ok(_) => return LetGo::Done,
                Err(seen) => word = seen,
            }
        }
    }

    /// Announces the waiter that the handle has put into the slot.
    pub(crate) fn set_waiter(&self) -> Registered {
        self.change_waiter(|word| word | WAITER)
    }

    /// Takes the slot back from a waiter that was announced.
    pub(crate) fn clear_waiter(&self) -> Registered {
        self.change_waiter(|word| word & !WAITER)
    }

    pub(crate) fn has_waiter(&self) -> bool {
        // ORDERING: relaxed, because only the handle sets the bit, so it reads its own write.
        self.0.load(Ordering::Relaxed) & WAITER != 0
    }

    /// Asks a running task to stop.
    pub(crate) fn request_cancel(&self) {
        // ORDERING: relaxed, a flag on its own. A task that sees it reads no other data because
        // of it.
        self.0.fetch_or(CANCEL, Ordering::Relaxed);
    }

    /// Whether the task was asked to stop. If not, and the era that the task carries is over,
    /// returns that era as the error.
    #[inline]
    pub(crate) fn is_cancel_requested(&self) -> Result<bool, u32> {
        // ORDERING: relaxed, partner of `request_cancel`: a flag on its own.
        let word = self.0.load(Ordering::Relaxed);
        let is_requested = word & CANCEL != 0;
        if is_requested || word & ERA == era::now() { Ok(is_requested) } else { Err(word & ERA) }
    }

    /// The era that the task carries.
    pub(crate) fn era(&self) -> u32 {
        // ORDERING: as in `is_cancel_requested`.
        self.0.load(Ordering::Relaxed) & ERA
    }

    /// Gives the task a newer era, because the end of its old era was not meant for it.
    pub(crate) fn renew(&self, era: u32) {
        // ORDERING: relaxed, also on failure: no other data is published with these bits.
        let mut word = self.0.load(Ordering::Relaxed);
        // ORDERING: as above.
        while let Err(seen) =
            self.0.compare_exchange(word, word & !ERA | era, Ordering::Relaxed, Ordering::Relaxed)
        {
            word = seen;
        }
    }

    pub(crate) fn set_cancel_on_drop(&self) {
        // ORDERING: relaxed, because only the handle reads it.
        self.0.fetch_or(CANCEL_ON_DROP, Ordering::Relaxed);
    }

    pub(crate) fn clear_cancel_on_drop(&self) {
        // ORDERING: relaxed, because only the handle reads it.
        self.0.fetch_and(!CANCEL_ON_DROP, Ordering::Relaxed);
    }

    pub(crate) fn is_cancel_on_drop(&self) -> bool {
        // ORDERING: relaxed, because only the handle writes it.
        self.0.load(Ordering::Relaxed) & CANCEL_ON_DROP != 0
    }

    /// Changes the waiter bit unless the task is settled.
    fn change_waiter(&self, change: impl Fn(u32) -> u32) -> Registered {
        // ORDERING: acquire, partner of the settler's release: a settled task's result is visible.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if refuses_waiter(word) {
                return Registered::Settled;
            }
            // ORDERING: acquire on failure, as for the load above.
            match self.0.compare_exchange(word, change(word), SET_WAITER, Ordering::Acquire) {
                Ok(_) => return Registered::Waiting,
                Err(seen) => word = seen,
            }
        }
    }
}

/// The result of a claim that found the task claimed, settled or pinned.
#[inline]
fn claimed_too_late(seen: u32) -> Option<ClaimedAt> {
    mutant!("claim_twice" => return (seen & PHASE == RUNNING).then_some(ClaimedAt::Queue));
    None
}

/// Whether a waiter comes too late, because the task is settled.
fn refuses_waiter(word: u32) -> bool {
    mutant!("waiter_after_settling" => return false);
    Outcome::of(word).is_some()
}

/// In a model, the drop counts as a write, so loom reports any thread that still touches the task.
#[cfg(corepool_loom)]
impl Drop for State {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use super::{LetGo, Outcome, Phase, Registered, SettledBy, State};

    const ALL: [Outcome; 9] = [
        Outcome::Value,
        Outcome::Panicked,
        Outcome::Cancelled,
        Outcome::Expired,
        Outcome::Closed,
        Outcome::Full,
        Outcome::Displaced,
        Outcome::Empty,
        Outcome::Lost,
    ];

    #[test]
    fn every_outcome_survives_packing() {
        for outcome in ALL {
            for extended in [false, true] {
                let state = State::queued(extended);
                state.set_cancel_on_drop();
                state.request_cancel();
                assert!(state.claim() && !state.claim());
                assert_eq!(state.settle_as_owner(outcome), SettledBy::Done);
                assert_eq!(state.phase(), Phase::Settled(outcome));
                assert_eq!(state.is_extended(), extended);
                assert!(state.is_cancel_on_drop() && state.is_cancel_requested() == Ok(true));
                assert_eq!(state.let_go(false), LetGo::TakeFirst);
                assert_eq!(state.let_go(true), LetGo::Free);
            }
        }
    }

    #[test]
    fn a_run_in_place_leaves_the_owner_to_free() {
        for outcome in ALL {
            let state = State::queued(false);
            assert!(state.claim());
            assert!(!state.settle_and_let_go(outcome), "the queue still holds it");
            assert_eq!(state.phase(), Phase::Settled(outcome));
            assert!(!state.claim());
            assert!(state.release_owner(), "now the queue frees it");
        }
    }

    #[test]
    fn a_dropped_handle_leaves_an_orphan() {
        let state = State::queued(false);
        assert_eq!(state.let_go(false), LetGo::Done);
        assert!(state.claim());
        assert_eq!(state.settle_as_owner(Outcome::Value), SettledBy::Orphan);
    }

    #[test]
    fn a_waiter_is_the_settlers_after_settling() {
        let state = State::queued(false);
        assert_eq!(state.set_waiter(), Registered::Waiting);
        assert_eq!(state.clear_waiter(), Registered::Waiting);
        assert!(!state.has_waiter());
        assert_eq!(state.set_waiter(), Registered::Waiting);
        assert!(state.claim());
        assert_eq!(state.settle_as_owner(Outcome::Value), SettledBy::Wake);
        assert_eq!(state.clear_waiter(), Registered::Settled);
        assert_eq!(state.let_go(true), LetGo::Done, "the settler still holds it");
        assert!(state.release_owner());
    }
}
