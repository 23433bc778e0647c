//! Continuations: a task that waits for another, how its turn comes, and how a thread that waits
//! for the end of a chain walks it.
//!
//! A link is a continuation. Its closure holds the handle of the task before it. That task's waiter
//! slot holds the link's owner reference, as a waker. So a chain keeps itself alive, and the holder
//! of its end can drop or cancel all of it.

use core::mem::{self, ManuallyDrop};
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::body::Body;
use super::ended::Ended;
use super::extra::Extra;
use super::held::{self, HeldTask};
use super::raw::{self, Header};
use super::state::{NotPinned, Phase, Registered, State};
use super::{QueuedTask, TaskRef};
use crate::base::id::{PoolId, WorkerId};

/// What happens to a link when the task before it is settled. Called on the thread that settled it.
pub(crate) trait Turn {
    /// `passes_on` says that the link needs no worker: see [`Body::passes_on`].
    fn come(link: QueuedTask, passes_on: bool);
}

/// Makes a link of this pool behind the task `before`. The link's body must hold that task's
/// handle, and that task's waiter slot must be empty.
pub(crate) fn make_link<R, NameSource, F, T>(
    before: TaskRef,
    pool: PoolId,
    extra: Option<Extra>,
    body: F,
) -> HeldTask<T>
where
    R: Turn,
    F: Body<T> + Send + 'static,
    T: Send + 'static,
{
    debug_assert_eq!(body.before(), Some(before), "the body holds the task before it");
    // SAFETY: the body holds its handle.
    let before = unsafe { Header::of(before.0) };
    let state = if body.runs_anyway() { State::linked_anyway } else { State::linked };
    let task = raw::allocate::<NameSource, F, T>(pool, state, extra, body);
    let waker = turn_waker::<R>(QueuedTask { task });
    if matches!(before.state.phase(), Phase::Settled(_)) {
        // The slot may be the settler's, which is about to take an earlier waker out of it.
        waker.wake();
        return HeldTask::new(task);
    }
    // SAFETY: the task was not settled after the slot had been emptied, so the slot is the
    // handle's, and it is empty.
    unsafe { before.put_waiter(waker) };
    if before.state.set_waiter() == Registered::Settled {
        // SAFETY: the bit was not set when the task was settled, so the slot is still the handle's.
        let waker = unsafe { before.take_waiter() };
        waker.wake();
    }
    HeldTask::new(task)
}

fn turn_waker<R: Turn>(link: QueuedTask) -> Waker {
    let table = const {
        &RawWakerVTable::new(no_second_waker, turn_comes::<R>, turn_comes_by_ref, turn_never_comes)
    };
    let pointer = link.task.as_ptr().cast_const().cast();
    mem::forget(link);
    // SAFETY: the functions treat the pointer as the owner's reference that was just forgotten.
    unsafe { Waker::from_raw(RawWaker::new(pointer, table)) }
}

/// A waker in a waiter slot is only ever taken and woken or dropped, never cloned. The clone does
/// nothing.
unsafe fn no_second_waker(_link: *const ()) -> RawWaker {
    RawWaker::new(core::ptr::null(), Waker::noop().vtable())
}

/// Never called, as for [`no_second_waker`].
unsafe fn turn_comes_by_ref(_link: *const ()) {}

/// # Safety
/// - The pointer is that of a waker made by [`turn_waker`], which is consumed.
unsafe fn turn_never_comes(link: *const ()) {
    // SAFETY: the waker's pointer is the link's.
    let task = unsafe { NonNull::new_unchecked(link.cast_mut()) }.cast();
    // A link that was claimed already only loses a reference. Any other link is refused.
    drop(QueuedTask { task });
}

/// # Safety
/// - As for [`turn_never_comes`].
unsafe fn turn_comes<R: Turn>(link: *const ()) {
    // SAFETY: the waker's pointer is the link's.
    let task = unsafe { NonNull::new_unchecked(link.cast_mut()) }.cast();
    let link = QueuedTask { task };
    loop {
        // Pin it, so that no other thread cancels it in the meantime.
        if link.state().pin() {
            // SAFETY: while the link is pinned, its closure stays.
            let passes_on = unsafe { raw::passes_on(task) };
            link.state().unpin_ready();
            return R::come(link, passes_on);
        }
        match link.state().leave_to_pinner() {
            NotPinned::LeftToPinner => return mem::forget(link),
            NotPinned::Claimed => return drop(link),
            NotPinned::Free => {}
        }
    }
}

/// A chain that is walked from its end: the waiting links, all pinned, and the task at the bottom.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// The end of the chain comes first.
    links: Vec<NonNull<Header>>,
    /// Kept alive by the last of the links while that is pinned.
    bottom: NonNull<Header>,
}

/// A link after it was unpinned.
#[derive(Debug)]
#[must_use]
pub(crate) enum Released {
    /// Its turn has come, and it is the caller's to run.
    Ready(QueuedTask),
    /// It still waits, or another thread takes care of it.
    Waits,
}

impl<T> HeldTask<T> {
    /// Whether the task waits for another task.
    pub(crate) fn is_linked(&self) -> bool {
        self.state().is_linked()
    }

    /// Pins this link and every waiting link before it. `None` if this task does not wait.
    pub(crate) fn pin_chain(&self) -> Option<Pinned> {
        let mut links = Vec::new();
        let mut at = self.task();
        // SAFETY: our own task, or one held by a link that is pinned.
        while unsafe { Header::of(at) }.state.pin() {
            links.push(at);
            // SAFETY: the link is pinned, so its closure stays.
            let before = unsafe { raw::before(at) };
            at = before.expect("only a link is marked as one").0;
        }
        (!links.is_empty()).then_some(Pinned { links, bottom: at })
    }

    /// Whether the task is a continuation that is never cancelled: it always runs when the task
    /// before it is settled.
    pub(crate) fn runs_anyway(&self) -> bool {
        self.state().runs_anyway()
    }

    /// Like [`pin_chain`](Self::pin_chain), but stops at the first task that may be cancelled.
    pub(crate) fn pin_those_that_run_anyway(&self) -> Option<Pinned> {
        let mut links = Vec::new();
        let mut at = self.task();
        loop {
            // SAFETY: our own task, or one held by a link that is pinned.
            let state = unsafe { &Header::of(at).state };
            if !state.runs_anyway() || !state.pin() {
                return (!links.is_empty()).then_some(Pinned { links, bottom: at });
            }
            links.push(at);
            // SAFETY: the link is pinned, so its closure stays.
            let before = unsafe { raw::before(at) };
            at = before.expect("only a link is marked as one").0;
        }
    }
}

impl Pinned {
    /// Calls `look` with the task at the bottom, which stays alive while the chain is pinned.
    pub(crate) fn with_bottom<R>(&self, look: impl FnOnce(&HeldTask<()>) -> R) -> R {
        // Not dropped: the handle's reference belongs to the link in front of it.
        let bottom = ManuallyDrop::new(HeldTask::new(self.bottom));
        look(&bottom)
    }

    /// Runs the task at the bottom in place if it has not started. Returns the outcome.
    ///
    /// Does nothing if the task is bound to a worker other than `home`, the worker whose own tasks
    /// the calling thread may run.
    pub(crate) fn run_bottom(
        &self,
        worker: Option<WorkerId>,
        home: Option<usize>,
        started: impl FnOnce(Option<&Extra>),
        panicked: impl FnOnce(String, &str),
    ) -> Option<Ended> {
        let bottom = self.bottom;
        // SAFETY: the link in front of it keeps its handle.
        let header = unsafe { Header::of(bottom) };
        // SAFETY: the link in front of it keeps its handle.
        let plan = unsafe { raw::extra(bottom) }.and_then(|extra| extra.plan.as_deref());
        let only_on = plan.and_then(|plan| plan.worker);
        let elsewhere = only_on.is_some_and(|only| home != Some(only));
        if elsewhere || header.state.phase() != Phase::Queued || !header.state.claim() {
            return None;
        }
        // SAFETY: the link in front of it keeps its handle.
        started(unsafe { raw::extra(bottom) });
        // SAFETY: we have just claimed it.
        let ended = unsafe { held::run_claimed(bottom, worker, panicked) };
        header.settle_beside_owner(ended.outcome);
        Some(ended)
    }

    /// Unpins the link that is nearest to the bottom. `None` once all links are unpinned.
    pub(crate) fn release_next(&mut self) -> Option<Released> {
        let task = self.links.pop()?;
        // SAFETY: its handle is kept by the next link or by the holder of the chain's end.
        if unsafe { Header::of(task) }.state.unpin() {
            Some(Released::Ready(QueuedTask { task }))
        } else {
            Some(Released::Waits)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        while self.release_next().is_some() {}
    }
}
