//! One item of a batch: its closure, then its value or panic in the same place, and its state.
//!
//! States and contents are stored apart. The states of as many items as a range has fill one cache
//! line. So the taker fetches one line for all of them, and otherwise only the lines of the values.

use core::any::type_name;
use core::mem::ManuallyDrop;

use crate::base::error::{PanicPayload, Refusal, TaskError, TaskName};
use crate::base::sync::{AtomicU8, Ordering, UnsafeCell};
use crate::base::unwind;
use crate::task::{self, Outcome};

/// The place holds the closure, and no thread has claimed it.
const WAITING: u8 = 0;
/// Claimed: the contents belong to the claimant.
const RUNNING: u8 = 1;
const VALUE: u8 = 2;
const PANICKED: u8 = 3;
const CANCELLED: u8 = 4;
const REJECTED: u8 = 5;
const LOST: u8 = 6;
/// Settled, and the result was taken.
const TAKEN: u8 = 7;

// ORDERING: acquire, partner of `SETTLE`: makes the contents visible.
ordering!(TAKE = Acquire, planted "batch_take_unacquired": Relaxed);
// ORDERING: release, partner of `TAKE`: publishes the contents with the state.
ordering!(SETTLE = Release, planted "batch_settle_relaxed": Relaxed);

/// The contents of one item: its closure, later its result. It never drops them itself; the code
/// that has the item's state does.
pub(super) struct ItemPlace<F, T>(UnsafeCell<Contents<F, T>>);

/// The state of one item.
#[derive(Debug)]
pub(super) struct ItemState(AtomicU8);

/// One item.
pub(super) struct Slot<'a, F, T> {
    state: &'a ItemState,
    place: &'a ItemPlace<F, T>,
}

/// The contents of a slot. The state says which field is there; while the item runs there is none.
union Contents<F, T> {
    closure: ManuallyDrop<F>,
    value: ManuallyDrop<T>,
    /// Boxed, because otherwise each value would take as much room.
    panic: ManuallyDrop<Box<PanicPayload>>,
}

// SAFETY: closure, value and payload are moved to other threads and never shared. The state gives
// the contents to one thread at a time.
unsafe impl<F: Send, T: Send> Sync for ItemPlace<F, T> {}

/// An item whose closure belongs to the holder, to be run or dropped. If it were forgotten, the
/// item would never settle.
#[must_use = "a claimed item has to be run or settled"]
pub(super) struct Claimed<'a, F, T> {
    slot: Slot<'a, F, T>,
}

impl<F, T> ItemPlace<F, T> {
    pub(super) fn new(closure: F) -> Self {
        Self(UnsafeCell::new(Contents { closure: ManuallyDrop::new(closure) }))
    }
}

impl ItemState {
    /// The state of an unclaimed item.
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(WAITING))
    }
}

impl<'a, F, T> Slot<'a, F, T> {
    pub(super) fn new(state: &'a ItemState, place: &'a ItemPlace<F, T>) -> Self {
        Self { state, place }
    }

    /// Claims the item, if no thread has.
    #[inline]
    pub(super) fn claim(self) -> Option<Claimed<'a, F, T>> {
        // SeqCst: the owner of a range claims an item after it has finished the one before, and
        // then checks whether the taker waits. See `Items::harvest` for the other half. The closure
        // was written before any other thread learned of the batch.
        // ORDERING: relaxed on failure, because the loser touches nothing.
        let claim =
            self.state.0.compare_exchange(WAITING, RUNNING, Ordering::SeqCst, Ordering::Relaxed);
        is_ours(claim).then_some(Claimed { slot: self })
    }

    /// A quick check that avoids an exchange that would fail.
    pub(super) fn looks_waiting(&self) -> bool {
        // ORDERING: relaxed, because it is a hint; `claim` decides.
        self.state.0.load(Ordering::Relaxed) == WAITING
    }

    /// Whether the result was taken, which only the taker does.
    pub(super) fn was_taken(&self) -> bool {
        // ORDERING: relaxed; the taker asks, and reads its own stores.
        self.state.0.load(Ordering::Relaxed) == TAKEN
    }

    /// Whether there is a result that was not taken. Part of a handshake: see `Items::harvest`.
    pub(super) fn has_result(&self) -> bool {
        !matches!(self.state.0.load(Ordering::SeqCst), WAITING | RUNNING | TAKEN)
    }

    /// Moves the result out, if it is there and was not taken. Only for the taker: while there is
    /// one, no other thread takes results, so no exchange is needed.
    #[inline]
    pub(super) fn take(&self) -> Option<Result<T, TaskError>> {
        let state = self.state.0.load(TAKE);
        if matches!(state, WAITING | RUNNING | TAKEN) {
            return None;
        }
        // ORDERING: relaxed, because only this thread reads it while it is the taker. When it
        // leaves, the `attention` word passes the store on to other threads.
        self.state.0.store(TAKEN, Ordering::Relaxed);
        Some(self.move_out(state))
    }

    /// Like [`take`](Self::take), after the taker has left: other threads may take the same result.
    pub(super) fn take_beside_others(&self) -> Option<Result<T, TaskError>> {
        // ORDERING: relaxed, because it is a guess that the exchange checks.
        let state = self.state.0.load(Ordering::Relaxed);
        if matches!(state, WAITING | RUNNING | TAKEN) {
            return None;
        }
        // ORDERING: relaxed on failure, because the loser touches nothing.
        let taken = self.state.0.compare_exchange(state, TAKEN, TAKE, Ordering::Relaxed);
        mutant!("batch_dropped_twice" => return Some(self.move_out(state)));
        taken.is_ok().then(|| self.move_out(state))
    }

    /// Moves the result out. Only for the thread that moved the item from this state to [`TAKEN`].
    #[inline]
    fn move_out(&self, state: u8) -> Result<T, TaskError> {
        match state {
            VALUE => self.place.0.with_mut(|contents| {
                // SAFETY: the thread that moved the state to `TAKEN` owns the contents.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a value is there. It is moved out once.
                Ok(unsafe { take_value(contents) })
            }),
            PANICKED => self.place.0.with_mut(|contents| {
                // SAFETY: as for the value.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a payload is there. It is moved out once.
                Err(TaskError::Panicked(unsafe { take_panic(contents) }))
            }),
            CANCELLED => Err(TaskError::Cancelled),
            REJECTED => Err(TaskError::Rejected(Refusal::Closed)),
            _ => Err(TaskError::Lost),
        }
    }

    /// Drops what is left when the memory is freed: results that came after the taker had left, and
    /// closures that did not run.
    pub(super) fn clear(self) {
        // Plain loads first: an exchange for each item would cost as much as everything else here.
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
    /// Runs the closure and settles the item. Calls `note` with the outcome before any thread can
    /// see the result.
    #[inline]
    pub(super) fn run(self, note: impl FnOnce(Outcome, Option<&PanicPayload>)) -> Outcome
    where
        F: FnOnce() -> T,
    {
        let closure = self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents.
            let contents = unsafe { &mut *contents };
            // SAFETY: an unclaimed item holds its closure, and a claim succeeds once. So the
            // closure is there and is moved out once.
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

    /// Drops the closure, and settles the item with the reason why there is no value. Calls `note`
    /// in between.
    pub(super) fn settle_unrun(self, outcome: Outcome, note: impl FnOnce()) {
        self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents.
            let contents = unsafe { &mut *contents };
            // SAFETY: the claimant owns the closure, which nobody has moved out, and drops it once.
            unwind::quietly(|| unsafe { drop_closure(contents) });
        });
        note();
        let state = if outcome == Outcome::Cancelled { CANCELLED } else { REJECTED };
        self.settle_empty(state);
    }

    fn settle(self, state: u8, result: Contents<F, T>) {
        self.slot.place.0.with_mut(|contents| {
            // SAFETY: the claimant owns the contents, and the closure has been moved out.
            unsafe { contents.write(result) };
        });
        self.settle_empty(state);
    }

    fn settle_empty(self, state: u8) {
        self.slot.state.0.store(state, SETTLE);
    }
}

/// Whether the exchange that claims an item succeeded.
#[inline]
fn is_ours(claim: Result<u8, u8>) -> bool {
    mutant!("batch_claim_twice" => return claim.is_ok() || claim == Err(RUNNING));
    claim.is_ok()
}

/// # Safety
/// - The contents are a closure. It belongs to the caller and is not used again.
unsafe fn take_closure<F, T>(contents: &mut Contents<F, T>) -> F {
    // SAFETY: the caller promises a closure that belongs to it (see `# Safety`).
    let closure = unsafe { &mut contents.closure };
    // SAFETY: the caller promises that the closure is not used again (see `# Safety`).
    unsafe { ManuallyDrop::take(closure) }
}

/// # Safety
/// - As for [`take_closure`].
unsafe fn drop_closure<F, T>(contents: &mut Contents<F, T>) {
    // SAFETY: the caller promises a closure that belongs to it (see `# Safety`).
    let closure = unsafe { &mut contents.closure };
    // SAFETY: the caller promises that the closure is not used again (see `# Safety`).
    unsafe { ManuallyDrop::drop(closure) };
}

/// # Safety
/// - The contents are a value. It belongs to the caller and is not used again.
unsafe fn take_value<F, T>(contents: &mut Contents<F, T>) -> T {
    // SAFETY: the caller promises a value that belongs to it (see `# Safety`).
    let value = unsafe { &mut contents.value };
    // SAFETY: the caller promises that the value is not used again (see `# Safety`).
    unsafe { ManuallyDrop::take(value) }
}

/// # Safety
/// - The contents are the payload of a panic. It belongs to the caller and is not used again.
unsafe fn take_panic<F, T>(contents: &mut Contents<F, T>) -> PanicPayload {
    // SAFETY: the caller promises a payload that belongs to it (see `# Safety`).
    let panic = unsafe { &mut contents.panic };
    // SAFETY: the caller promises that the payload is not used again (see `# Safety`).
    *unsafe { ManuallyDrop::take(panic) }
}
