//! The handle's half of a task: wait for it, take its result, cancel it, run it in place.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;
use core::task::Waker;

use super::context::TaskContext;
use super::ended::Ended;
use super::extra::Extra;
use super::raw::{self, Header};
use super::running;
use super::state::{ClaimedAt, LetGo, Outcome, Phase, Registered, State};
use super::{QueuedTask, TaskRef};
use crate::base::error::{PanicPayload, Refusal, TaskError};
use crate::base::id::{PoolId, WorkerId};
use crate::base::unwind;
use crate::parts::queue::Link;

/// The handle's reference to a task whose value is a `T`.
///
/// Dropping it detaches the task.
#[repr(transparent)]
pub(crate) struct HeldTask<T> {
    task: NonNull<Header>,
    value: PhantomData<T>,
}

/// The outcome and result of a task that was run in place.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    pub(crate) ended: Ended,
    pub(crate) result: Result<T, TaskError>,
}

// SAFETY: the reference gives the value away, once, so the value must be `Send`. The closure, which
// `cancel` may drop, is `Send` (see `make`).
unsafe impl<T: Send> Send for HeldTask<T> {}
// SAFETY: `&HeldTask` allows reading the state and cancelling; neither gives access to a `T`.
unsafe impl<T: Send> Sync for HeldTask<T> {}

impl<T> HeldTask<T> {
    pub(super) fn new(task: NonNull<Header>) -> Self {
        Self { task, value: PhantomData }
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.state().phase(), Phase::Settled(_))
    }

    pub(crate) fn pool(&self) -> PoolId {
        self.header().pool()
    }

    /// The task's link in its queue, if it still stands in one.
    pub(crate) fn link(&self) -> NonNull<Link> {
        self.task.cast()
    }

    /// Takes the result of a settled task.
    #[inline]
    pub(crate) fn try_take(self) -> Result<Result<T, TaskError>, Self> {
        let Phase::Settled(outcome) = self.state().phase() else { return Err(self) };
        // SAFETY: the task is settled with this outcome, and only the handle takes the result.
        let result = unsafe { take_result(self.task, outcome) };
        self.let_go_empty();
        Ok(result)
    }

    /// Lets go of a task whose result was taken.
    #[inline]
    fn let_go_empty(self) {
        let state = self.state();
        if state.let_go(true) == LetGo::Free {
            // SAFETY: both references are gone, and the result was taken.
            unsafe { raw::free(self.task) };
        }
        mem::forget(self);
    }

    /// Registers a waker and replaces an earlier one. Returns `true` if the task is settled
    /// already.
    pub(crate) fn set_waker(&mut self, waker: &Waker) -> bool {
        // Clone first, so that nothing has changed if the user's clone panics.
        let waker = waker.clone();
        if !self.clear_waker() {
            return true;
        }
        // SAFETY: the slot was cleared, and the exclusive borrow keeps others from filling it.
        unsafe { self.header().put_waiter(waker) };
        match self.state().set_waiter() {
            Registered::Waiting => false,
            Registered::Settled => {
                // SAFETY: the bit was not set when the task was settled, so the slot is still ours.
                let waker = unsafe { self.header().take_waiter() };
                unwind::quietly(|| drop(waker));
                true
            }
        }
    }

    /// Whether a waker is registered on this handle.
    pub(crate) fn has_waker(&self) -> bool {
        self.state().has_waiter()
    }

    /// Takes back a registered waker. Returns `true` if the task is still unsettled.
    pub(crate) fn clear_waker(&mut self) -> bool {
        if !self.state().has_waiter() {
            return !self.is_settled();
        }
        match self.state().clear_waiter() {
            Registered::Waiting => {
                // SAFETY: the bit is clear again, so the slot is ours, and it was filled.
                let waker = unsafe { self.header().take_waiter() };
                unwind::quietly(|| drop(waker));
                true
            }
            // The settler empties the slot.
            Registered::Settled => false,
        }
    }

    /// Empties the slot before a run in place. Its waker is from an earlier poll, and no other
    /// thread will settle the task.
    #[inline]
    fn forget_waker(&mut self) {
        mutant!("waker_left_behind" => return);
        if self.state().has_waiter() {
            let _unsettled = self.clear_waker();
        }
    }

    /// Settles a task that has not started, wherever it stands. `None` if it has started.
    pub(crate) fn settle_unrun(&self, outcome: Outcome) -> Option<ClaimedAt> {
        let claimed_at = self.state().claim_anywhere()?;
        // SAFETY: we have claimed the task, and our borrow keeps the handle's reference.
        unsafe { raw::drop_closure(self.task) };
        if let Some(extra) = self.extra() {
            extra.give_place_back();
        }
        self.header().settle_beside_owner(outcome);
        Some(claimed_at)
    }

    /// Asks a running task to stop, or the thread that will give its result.
    pub(crate) fn request_cancel(&self) {
        self.state().request_cancel();
        if let Some(token) = self.extra().and_then(Extra::asks) {
            token.cancel();
        }
    }

    pub(crate) fn is_cancel_on_drop(&self) -> bool {
        self.state().is_cancel_on_drop()
    }

    pub(crate) fn cancel_on_drop(&self, wanted: bool) {
        if wanted {
            self.state().set_cancel_on_drop();
        } else {
            self.state().clear_cancel_on_drop();
        }
    }

    /// Claims the task and runs it on the calling thread. Returns the handle if the task is already
    /// claimed.
    #[inline]
    pub(crate) fn try_run_here(
        mut self,
        worker: Option<WorkerId>,
        started: impl FnOnce(Option<&Extra>),
        panicked: impl FnOnce(String, &str),
    ) -> Result<Ran<T>, Self> {
        // A link must not run before its turn.
        if self.is_linked() || !self.state().claim() {
            return Err(self);
        }
        self.forget_waker();
        let task = self.task;
        started(self.extra());
        mem::forget(self);
        // SAFETY: we have just claimed it.
        let ended = unsafe { run_claimed(task, worker, panicked) };
        // SAFETY: the run left a result of this outcome, and no other thread knows of it yet.
        let result = unsafe { take_result(task, ended.outcome) };
        // SAFETY: we still hold the handle's reference.
        if unsafe { Header::of(task) }.state.settle_and_let_go(ended.outcome) {
            // SAFETY: the owner's reference is gone too, and the result was taken.
            unsafe { raw::free(task) };
        }
        Ok(Ran { ended, result })
    }

    /// Like [`try_run_here`](Self::try_run_here), for a caller that holds the queue's half as well.
    /// With both references in one place no other thread can reach the task, so no exchange is
    /// needed. Not for a task that [may be tied](Self::may_be_tied).
    #[inline]
    pub(crate) fn run_whole(
        mut self,
        queued: QueuedTask,
        worker: Option<WorkerId>,
        started: impl FnOnce(Option<&Extra>),
        panicked: impl FnOnce(String, &str),
    ) -> Result<Ran<T>, Self> {
        debug_assert!(queued.is(self.task), "the two halves belong together");
        debug_assert!(!self.may_be_tied(), "a token can reach the task");
        if queued.is_claimed() {
            return Err(self);
        }
        self.forget_waker();
        let task = self.task;
        started(self.extra());
        mem::forget(self);
        mem::forget(queued);
        // SAFETY: both references are ours, so the task is as good as claimed.
        let ended = unsafe { run_claimed(task, worker, panicked) };
        // SAFETY: the run left a result of this outcome.
        let result = unsafe { take_result(task, ended.outcome) };
        // SAFETY: both references end here, and the result was taken.
        unsafe { raw::free(task) };
        Ok(Ran { ended, result })
    }

    /// Runs `run` with this task through `elsewhere`, which may use another thread. `elsewhere`
    /// must call its argument on some thread and return after that call.
    pub(crate) fn run_across_threads<R, E>(self, run: R, elsewhere: E) -> RunHere<T>
    where
        R: FnOnce(Self) -> RunHere<T> + Send,
        E: FnOnce(&mut (dyn FnMut() + Send)),
    {
        let mut crossing = Crossing { before: Some((self, run)), after: None };
        elsewhere(&mut || crossing.cross());
        crossing.after.expect("what was given is called")
    }

    /// The address of the task.
    pub(crate) fn task_ref(&self) -> TaskRef {
        TaskRef(self.task)
    }

    pub(super) fn task(&self) -> NonNull<Header> {
        self.task
    }

    /// A view of the same handle for code that does not touch the value.
    pub(crate) fn as_unvalued(&self) -> &HeldTask<()> {
        // SAFETY: both types are only the pointer, and no value is taken through a shared
        // reference.
        unsafe { &*(&raw const *self).cast::<HeldTask<()>>() }
    }

    /// The same handle, for a caller that does not want the value.
    pub(crate) fn without_value(self) -> HeldTask<()> {
        let task = self.task;
        mem::forget(self);
        HeldTask::new(task)
    }

    /// Whether the task carries the optional part.
    pub(crate) fn is_extended(&self) -> bool {
        self.state().is_extended()
    }

    /// Whether a token may claim the task, no matter where its two halves are.
    pub(crate) fn may_be_tied(&self) -> bool {
        self.extra().is_some_and(|extra| extra.plan.is_some())
    }

    /// The task's name, for people to read.
    pub(crate) fn name(&self) -> String {
        // SAFETY: we hold the handle's reference.
        unsafe { running::name(self.task) }.into_string()
    }

    /// The index of the only worker that may run the task, if it has such a worker.
    pub(crate) fn only_on(&self) -> Option<usize> {
        self.extra()?.plan.as_ref()?.worker
    }

    /// Whether the task is settled with a value.
    pub(crate) fn has_value(&self) -> bool {
        self.state().phase() == Phase::Settled(Outcome::Value)
    }

    fn extra(&self) -> Option<&Extra> {
        // SAFETY: we hold the handle's reference.
        unsafe { raw::extra(self.task) }
    }

    pub(super) fn state(&self) -> &State {
        &self.header().state
    }

    fn header(&self) -> &Header {
        // SAFETY: we hold the handle's reference.
        unsafe { Header::of(self.task) }
    }
}

impl<T> Drop for HeldTask<T> {
    fn drop(&mut self) {
        let _unsettled = self.clear_waker();
        let mut let_go = self.state().let_go(false);
        if let_go == LetGo::TakeFirst {
            if let Phase::Settled(outcome) = self.state().phase() {
                // SAFETY: settled with this outcome while the handle was there, so the result is
                // ours.
                unsafe { raw::drop_result(self.task, outcome) };
            }
            let_go = self.state().let_go(true);
        }
        if let_go == LetGo::Free {
            // SAFETY: both references are gone, and the result was dropped. (An unsettled task
            // always has its owner, so it is never freed here.)
            unsafe { raw::free(self.task) };
        }
    }
}

impl<T> fmt::Debug for HeldTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldTask").field("phase", &self.state().phase()).finish_non_exhaustive()
    }
}

/// The result of a run in place, or the handle if the task was already claimed.
type RunHere<T> = Result<Result<T, TaskError>, HeldTask<T>>;

/// A task on its way to another thread, and its result on the way back.
struct Crossing<T, R> {
    before: Option<(HeldTask<T>, R)>,
    after: Option<RunHere<T>>,
}

// SAFETY: a task's value is `Send` (see `make`), but the handle's type does not say so.
unsafe impl<T, R: Send> Send for Crossing<T, R> {}

impl<T, R: FnOnce(HeldTask<T>) -> RunHere<T>> Crossing<T, R> {
    fn cross(&mut self) {
        if let Some((task, run)) = self.before.take() {
            self.after = Some(run(task));
        }
    }
}

/// The owner found a waiter when it settled the task. Takes the waiter and releases the reference.
#[cold]
pub(super) fn take_waker_and_release(task: NonNull<Header>) -> Waker {
    // SAFETY: the owner's reference is still ours.
    let header = unsafe { Header::of(task) };
    let release = || {
        if header.state.release_owner() {
            // SAFETY: both references are gone. The handle took or dropped the result before it let
            // go.
            unsafe { raw::free(task) };
        }
    };
    // SAFETY: the slot was filled when we settled the task, so it is ours now.
    let take = || unsafe { header.take_waiter() };
    mutant!("waiter_after_release" => { release(); return take(); });
    let waker = take();
    release();
    waker
}

/// Frees a task that its owner settled after the handle was gone.
#[cold]
pub(super) fn drop_orphan(task: NonNull<Header>, outcome: Outcome) {
    // SAFETY: no handle is left, so the result is the settler's.
    unsafe { raw::drop_result(task, outcome) };
    // SAFETY: both references are gone.
    unsafe { raw::free(task) };
}

/// Runs a claimed task in place. `panicked` is called if its own closure panicked, before another
/// thread can know that. The result stays in the task.
///
/// # Safety
/// - The caller has claimed the task, and holds a reference.
#[inline]
pub(super) unsafe fn run_claimed(
    task: NonNull<Header>,
    worker: Option<WorkerId>,
    panicked: impl FnOnce(String, &str),
) -> Ended {
    let context = TaskContext::new(task, worker);
    // SAFETY: the caller promises that it has claimed the task.
    let ended = unsafe { raw::run(task, &context) };
    if ended.outcome == Outcome::Panicked && !ended.passed_on {
        // SAFETY: it panicked, and no other thread knows that yet.
        unsafe { raw::with_panic(task, panicked) };
    }
    ended
}

/// # Safety
/// - The task's value type is `T`, its run ended with `outcome`, and the result is the caller's.
#[inline]
unsafe fn take_result<T>(task: NonNull<Header>, outcome: Outcome) -> Result<T, TaskError> {
    match outcome {
        // SAFETY: the caller promises that the contents are a `T` and its own.
        Outcome::Value => Ok(unsafe { raw::take_contents(task) }),
        // SAFETY: the caller promises that the task panicked and the payload is its own.
        Outcome::Panicked => Err(unsafe { take_panic(task) }),
        Outcome::Cancelled => Err(TaskError::Cancelled),
        Outcome::Expired => Err(TaskError::Expired),
        Outcome::Full => Err(TaskError::Rejected(Refusal::Full)),
        Outcome::Closed => Err(TaskError::Rejected(Refusal::Closed)),
        Outcome::Displaced => Err(TaskError::Rejected(Refusal::Displaced)),
        Outcome::Empty => Err(TaskError::Rejected(Refusal::Empty)),
        Outcome::Lost => Err(TaskError::Lost),
    }
}

/// # Safety
/// - The task panicked, and the payload is the caller's.
#[cold]
unsafe fn take_panic(task: NonNull<Header>) -> TaskError {
    // SAFETY: the caller promises that the contents are a payload and its own.
    let payload = unsafe { raw::take_contents(task) };
    // SAFETY: the caller takes the payload, so it holds a reference.
    let name = unsafe { running::name(task) };
    TaskError::Panicked(PanicPayload::new(payload, Some(name)))
}
