//! One item of a batch: its closure, then its value or panic in the same place, and the state that says which.

use core::mem::ManuallyDrop;

use crate::error::{PanicPayload, TaskError};
use crate::sync::{AtomicU32, Ordering, UnsafeCell, planted};
use crate::task::{self, Outcome};
use crate::unwind;

/// Holds its closure; nobody has claimed it.
const WAITING: u32 = 0;
/// Claimed: the contents are the claimant's.
const RUNNING: u32 = 1;
const VALUE: u32 = 2;
const PANICKED: u32 = 3;
const CANCELLED: u32 = 4;
const REJECTED: u32 = 5;
const LOST: u32 = 6;
/// Settled, and the result was taken.
const TAKEN: u32 = 7;

/// Not the place of any item.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One item.
pub(super) struct Slot<F, T> {
    state: AtomicU32,
    /// Where a run of finished items begins: the run that was put on the list before it, and how many
    /// items this one has.
    older: AtomicU32,
    length: AtomicU32,
    contents: UnsafeCell<Contents<F, T>>,
}

/// What a slot holds, by its state: nothing while it runs.
union Contents<F, T> {
    closure: ManuallyDrop<F>,
    value: ManuallyDrop<T>,
    panic: ManuallyDrop<PanicPayload>,
}

// SAFETY: closure, value and payload are moved to other threads and never shared: the state word gives the
// contents to one thread at a time.
unsafe impl<F: Send, T: Send> Sync for Slot<F, T> {}

/// An item whose closure is the holder's, to be run or dropped. Forgotten, it would never settle.
#[must_use = "a claimed item has to be run or settled"]
pub(super) struct Claimed<'a, F, T> {
    slot: &'a Slot<F, T>,
}

impl<F, T> Slot<F, T> {
    pub(super) fn new(closure: F) -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            older: AtomicU32::new(NOWHERE),
            length: AtomicU32::new(0),
            contents: UnsafeCell::new(Contents { closure: ManuallyDrop::new(closure) }),
        }
    }

    /// Takes the item, if nobody has.
    #[inline]
    pub(super) fn claim(&self) -> Option<Claimed<'_, F, T>> {
        // SeqCst: the owner of a range claims an item after it finished the one before, and then looks
        // whether somebody waits; see `Items::harvest` for the other half. The closure was there before
        // anybody heard of the batch.
        // ORDERING: relaxed on failure, because the loser touches nothing.
        let claim =
            self.state.compare_exchange(WAITING, RUNNING, Ordering::SeqCst, Ordering::Relaxed);
        let is_ours = claim.is_ok() || mutant!("batch_claim_twice") && claim == Err(RUNNING);
        is_ours.then_some(Claimed { slot: self })
    }

    /// A glance, to spare an exchange that would fail.
    pub(super) fn looks_waiting(&self) -> bool {
        // ORDERING: a hint; `claim` decides.
        self.state.load(Ordering::Relaxed) == WAITING
    }

    /// Whether a result is there that nobody has taken. Part of a handshake: see `Items::harvest`.
    pub(super) fn has_result(&self) -> bool {
        !matches!(self.state.load(Ordering::SeqCst), WAITING | RUNNING | TAKEN)
    }

    /// Moves the result out, if it is there and nobody else has taken it.
    #[inline]
    pub(super) fn take(&self) -> Option<Result<T, TaskError>> {
        // ORDERING: acquire, partner of the release in `Claimed::settle`: the contents are visible. (They are
        // already, to who has the item from the list or from `has_result`.)
        let state = self.state.load(Ordering::Acquire);
        if matches!(state, WAITING | RUNNING | TAKEN) {
            return None;
        }
        // ORDERING: it only decides who of two takes; the load above has made the contents visible, and
        // nobody reads them after.
        self.state.compare_exchange(state, TAKEN, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(match state {
            VALUE => self.contents.with_mut(|contents| {
                // SAFETY: whoever moved the state to TAKEN owns the contents.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a value is there; it is moved out once.
                Ok(unsafe { take_value(contents) })
            }),
            PANICKED => self.contents.with_mut(|contents| {
                // SAFETY: as for the value.
                let contents = unsafe { &mut *contents };
                // SAFETY: the state said that a payload is there; it is moved out once.
                Err(TaskError::Panicked(unsafe { take_panic(contents) }))
            }),
            CANCELLED => Err(TaskError::Cancelled),
            REJECTED => Err(TaskError::Rejected),
            _ => Err(TaskError::Lost),
        })
    }

    /// Notes a run of finished items that begins here and stands before `older` on the list.
    pub(super) fn begin_run(&self, length: u32) {
        // ORDERING: published by the exchange that puts the run on the list.
        self.length.store(length, Ordering::Relaxed);
    }

    pub(super) fn set_older(&self, older: u32) {
        // ORDERING: as in `begin_run`; or the list is one thread's own by now.
        self.older.store(older, Ordering::Relaxed);
    }

    /// The next run on the list, and how many items this one has. For who has taken the list.
    pub(super) fn run(&self) -> (u32, u32) {
        // ORDERING: the exchange that took the list acquired both.
        (self.older.load(Ordering::Relaxed), self.length.load(Ordering::Relaxed))
    }
}

impl<F, T> Claimed<'_, F, T> {
    /// Runs the closure and settles the item. `note` is told how it ended before anybody can see the result.
    #[inline]
    pub(super) fn run(self, note: impl FnOnce(Outcome, Option<&PanicPayload>)) -> Outcome
    where
        F: FnOnce() -> T,
    {
        let closure = self.slot.contents.with_mut(|contents| {
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
        let panic = PanicPayload::new(payload);
        note(Outcome::Panicked, Some(&panic));
        self.settle(PANICKED, Contents { panic: ManuallyDrop::new(panic) });
        Outcome::Panicked
    }

    /// Drops the closure, and settles the item with the reason why there is no value. `note` comes between.
    pub(super) fn settle_unrun(self, outcome: Outcome, note: impl FnOnce()) {
        self.slot.contents.with_mut(|contents| {
            // SAFETY: the claimant owns the contents.
            let contents = unsafe { &mut *contents };
            // SAFETY: as in `run`; here it is dropped in place, once.
            unwind::quietly(|| unsafe { drop_closure(contents) });
        });
        note();
        let state = if outcome == Outcome::Cancelled { CANCELLED } else { REJECTED };
        self.settle_empty(state);
    }

    fn settle(self, state: u32, result: Contents<F, T>) {
        self.slot.contents.with_mut(|contents| {
            // SAFETY: the claimant owns the contents, and the closure has left them.
            unsafe { contents.write(result) };
        });
        self.settle_empty(state);
    }

    fn settle_empty(self, state: u32) {
        // ORDERING: release, partner of the acquire in `take`: the contents are visible with the state.
        let order = planted(mutant!("batch_settle_relaxed"), Ordering::Release, Ordering::Relaxed);
        self.slot.state.store(state, order);
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
    unsafe { ManuallyDrop::take(panic) }
}

/// What was neither run nor taken goes with the memory: closures of an iterator that panicked, and results
/// that came when nobody was left to take them.
impl<F, T> Drop for Slot<F, T> {
    fn drop(&mut self) {
        // Glances first: an exchange for each item would cost as much as all the rest here.
        if let Some(result) = self.take() {
            unwind::quietly(|| drop(result));
        } else if self.looks_waiting() {
            if let Some(claimed) = self.claim() {
                claimed.settle_unrun(Outcome::Rejected, || ());
            }
        }
    }
}
