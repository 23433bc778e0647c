//! One item of a batch: its closure, then its value or panic in the same place, and the state that
//! says which.
//!
//! States and contents stand apart. The states of a whole range fill one cache line, so the taker
//! fetches one line for the results of a range, and beside it only the lines of the values
//! themselves.

use core::any::type_name;
use core::mem::ManuallyDrop;

use crate::error::{PanicPayload, Refusal, TaskError, TaskName};
use crate::sync::{AtomicU8, Ordering, UnsafeCell, planted};
use crate::task::{self, Outcome};
use crate::unwind;

/// Holds its closure; nobody has claimed it.
const WAITING: u8 = 0;
/// Claimed: the contents are the claimant's.
const RUNNING: u8 = 1;
const VALUE: u8 = 2;
const PANICKED: u8 = 3;
const CANCELLED: u8 = 4;
const REJECTED: u8 = 5;
const LOST: u8 = 6;
/// Settled, and the result was taken.
const TAKEN: u8 = 7;

/// Where closures and results lie: the contents of one item. Dropped by who has its state, never by
/// itself.
pub(super) struct Place<F, T>(UnsafeCell<Contents<F, T>>);

/// The state of one item.
#[derive(Debug)]
pub(super) struct State(AtomicU8);

/// One item.
pub(super) struct Slot<'a, F, T> {
    state: &'a State,
    place: &'a Place<F, T>,
}

/// What a slot holds, by its state: nothing while it runs.
union Contents<F, T> {
    closure: ManuallyDrop<F>,
    value: ManuallyDrop<T>,
    /// In a box, or each value would need as much room.
    panic: ManuallyDrop<Box<PanicPayload>>,
}

// SAFETY: closure, value and payload are moved to other threads and never shared: the state word
// gives the contents to one thread at a time.
unsafe impl<F: Send, T: Send> Sync for Place<F, T> {}

/// An item whose closure is the holder's, to be run or dropped. Forgotten, it would never settle.
#[must_use = "a claimed item has to be run or settled"]
pub(super) struct Claimed<'a, F, T> {
    slot: Slot<'a, F, T>,
}

impl<F, T> Place<F, T> {
    pub(super) fn new(closure: F) -> Self {
        Self(UnsafeCell::new(Contents { closure: ManuallyDrop::new(closure) }))
    }
}

impl State {
    /// Of an item that nobody has claimed.
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(WAITING))
    }
}

impl<'a, F, T> Slot<'a, F, T> {
    pub(super) fn new(state: &'a State, place: &'a Place<F, T>) -> Self {
        Self { state, place }
    }

    /// Takes the item, if nobody has.
    #[inline]
    pub(super) fn claim(self) -> Option<Claimed<'a, F, T>> {
        // SeqCst: the owner of a range claims an item after it finished the one before, and then
        // looks whether somebody waits; see `Items::harvest` for the other half. The closure was
        // there before anybody heard of the batch.
        // ORDERING: relaxed on failure, because the loser touches nothing.
        let claim =
            self.state.0.compare_exchange(WAITING, RUNNING, Ordering::SeqCst, Ordering::Relaxed);
        let is_ours = claim.is_ok() || mutant!("batch_claim_twice") && claim == Err(RUNNING);
        is_ours.then_some(Claimed { slot: self })
    }

    /// A glance, to spare an exchange that would fail.
    pub(super) fn looks_waiting(&self) -> bool {
        // ORDERING: a hint; `claim` decides.
        self.state.0.load(Ordering::Relaxed) == WAITING
    }

    /// Whether a result is there that nobody has taken. Part of a handshake: see `Items::harvest`.
    pub(super) fn has_result(&self) -> bool {
        !matches!(self.state.0.load(Ordering::SeqCst), WAITING | RUNNING | TAKEN)
    }

    /// Moves the result out, if it is there and was not taken. For the taker, as long as there is
    /// one: nobody else takes results then. So no exchange is needed.
    #[inline]
    pub(super) fn take(&self) -> Option<Result<T, TaskError>> {
        // ORDERING: acquire, partner of the release in `Claimed::settle`: the contents are visible.
        let order = planted(mutant!("batch_take_unacquired"), Ordering::Acquire, Ordering::Relaxed);
        let state = self.state.0.load(order);
        if matches!(state, WAITING | RUNNING | TAKEN) {
            return None;
        }
        // ORDERING: for this thread; and for those that come after the taker's farewell, by the
        // word that says it.
        self.state.0.store(TAKEN, Ordering::Relaxed);
        Some(self.move_out(state))
    }

    /// As [`take`](Self::take), where others may take the same result: the taker has left.
    pub(super) fn take_beside_others(&self) -> Option<Result<T, TaskError>> {
        // ORDERING: a guess, which the exchange checks.
        let state = self.state.0.load(Ordering::Relaxed);
        if matches!(state, WAITING | RUNNING | TAKEN) {
            return None;
        }
        // ORDERING: acquire, as in `take`. Relaxed on failure, because the loser touches nothing.
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.state.0.compare_exchange(state, TAKEN, order.0, order.1);
        let is_ours = taken.is_ok() || mutant!("batch_dropped_twice");
        is_ours.then(|| self.move_out(state))
    }

    /// For who has moved the item from this state to [`TAKEN`].
    #[inline]
    fn move_out(&self, state: u8) -> Result<T, TaskError> {
        match state {
            VALUE => self.place.0.with_mut(|contents| {
                // SAFETY: whoever moved the state to TAKEN owns the contents.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a value is there; it is moved out once.
                Ok(unsafe { take_value(contents) })
            }),
            PANICKED => self.place.0.with_mut(|contents| {
                // SAFETY: as for the value.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a payload is there; it is moved out once.
                Err(TaskError::Panicked(unsafe { take_panic(contents) }))
            }),
            CANCELLED => Err(TaskError::Cancelled),
            REJECTED => Err(TaskError::Rejected(Refusal::Closed)),
            _ => Err(TaskError::Lost),
        }
    }

    /// What was neither run nor taken, when the memory goes: results that came when nobody was left
    /// to take them, and closures that nobody ran.
    pub(super) fn clear(self) {
        // Glances first: an exchange for each item would cost as much as all the rest here.
        if let Some(result) = self.take() {
            unwind::quietly(|| drop(result));
        } else if self.looks_waiting() {
            if let Some(claimed) = self.claim() {
                claimed.settle_unrun(Outcome::Closed, || ());
            }
        }
    }
}

impl<F, T> Claimed<'_, F, T> {
    /// Runs the closure and settles the item. `note` is told how it ended before anybody can see
    /// the result.
    #[inline]
    pub(super) fn run(self, note: impl FnOnce(Outcome, Option<&PanicPayload>)) -> Outcome
    where
        F: FnOnce() -> T,
    {
        let closure = self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents.
            let contents = unsafe { &mut *contents };
            // SAFETY: an item that nobody had claimed holds its closure; it is moved out once.
            unsafe { take_closure(contents) }
        });
        match unwind::catch(closure) {
            Ok(value) => {
                note(Outcome::Value, None);
                self.settle(VALUE, Contents { value: ManuallyDrop::new(value) });
                Outcome::Value
            }
            Err(payload) => self.settle_thrown(payload, note),
        }
    }

    #[cold]
    fn settle_thrown(
        self,
        payload: unwind::Payload,
        note: impl FnOnce(Outcome, Option<&PanicPayload>),
    ) -> Outcome {
        if task::ends_worker(&payload) {
            note(Outcome::Lost, None);
            self.settle_empty(LOST);
            return Outcome::Lost;
        }
        let panic = PanicPayload::new(payload, Some(TaskName::Type(type_name::<F>())));
        note(Outcome::Panicked, Some(&panic));
        self.settle(PANICKED, Contents { panic: ManuallyDrop::new(Box::new(panic)) });
        Outcome::Panicked
    }

    /// Drops the closure, and settles the item with the reason why there is no value. `note` comes
    /// between.
    pub(super) fn settle_unrun(self, outcome: Outcome, note: impl FnOnce()) {
        self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents.
            let contents = unsafe { &mut *contents };
            // SAFETY: as in `run`; here it is dropped in place, once.
            unwind::quietly(|| unsafe { drop_closure(contents) });
        });
        note();
        let state = if outcome == Outcome::Cancelled { CANCELLED } else { REJECTED };
        self.settle_empty(state);
    }

    fn settle(self, state: u8, result: Contents<F, T>) {
        self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents, and the closure has left them.
            unsafe { contents.write(result) };
        });
        self.settle_empty(state);
    }

    fn settle_empty(self, state: u8) {
        // ORDERING: release, partner of the acquire in `take`: the contents are visible with the
        // state.
        let order = planted(mutant!("batch_settle_relaxed"), Ordering::Release, Ordering::Relaxed);
        self.slot.state.0.store(state, order);
    }
}

/// # Safety
/// - The contents are a closure, the caller's, and are not used again.
unsafe fn take_closure<F, T>(contents: &mut Contents<F, T>) -> F {
    // SAFETY: the caller's promise.
    let closure = unsafe { &mut contents.closure };
    // SAFETY: the caller's promise.
    unsafe { ManuallyDrop::take(closure) }
}

/// # Safety
/// - As for [`take_closure`].
unsafe fn drop_closure<F, T>(contents: &mut Contents<F, T>) {
    // SAFETY: the caller's promise.
    let closure = unsafe { &mut contents.closure };
    // SAFETY: the caller's promise.
    unsafe { ManuallyDrop::drop(closure) };
}

/// # Safety
/// - The contents are a value, the caller's, and are not used again.
unsafe fn take_value<F, T>(contents: &mut Contents<F, T>) -> T {
    // SAFETY: the caller's promise.
    let value = unsafe { &mut contents.value };
    // SAFETY: the caller's promise.
    unsafe { ManuallyDrop::take(value) }
}

/// # Safety
/// - The contents are what a panic carried, the caller's, and are not used again.
unsafe fn take_panic<F, T>(contents: &mut Contents<F, T>) -> PanicPayload {
    // SAFETY: the caller's promise.
    let panic = unsafe { &mut contents.panic };
    // SAFETY: the caller's promise.
    *unsafe { ManuallyDrop::take(panic) }
}
