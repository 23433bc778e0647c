//! One task: the half that stands in a queue, and the half that a handle holds.
//!
//! Both halves are small owning pointers to one allocation. [`QueuedTask`] is the owner's
//! reference. If it is dropped without a run, it settles the task, so no accepted task is ever
//! silently lost. [`HeldTask`] is the handle's reference. `README.md` in this directory describes
//! the states and which party may touch what.

mod body;
mod chain;
mod contents;
mod context;
mod ended;
pub(crate) mod era;
mod extra;
mod given;
mod held;
mod memory;
#[cfg(all(test, corepool_loom))]
mod models;
mod raw;
mod running;
mod state;
mod strip;
mod token;
mod unsettled;

use core::ptr::NonNull;
use core::task::Waker;

use crate::base::id::{PoolId, WorkerId};
use crate::base::unwind;
use crate::parts::queue::{Link, Linked};

pub(crate) use body::{Body, Stop};
pub(crate) use chain::{Pinned, Released, Turn, make_link};
pub use context::TaskContext;
#[cfg(all(test, not(corepool_loom)))]
pub(crate) use context::end_worker;
pub(crate) use ended::Ended;
pub(crate) use extra::{Extra, Plan};
pub(crate) use given::{GivenTask, make_given};
pub(crate) use held::{HeldTask, Ran};
pub(crate) use raw::ends_worker;
use raw::{Header, Table};
pub(crate) use running::RunningName;
pub(crate) use state::{ClaimedAt, Outcome};
use state::{SettledBy, State};
pub(crate) use token::{Ledger, Meaning};
pub(crate) use unsettled::{Settling, Unsettled};

/// The address of a task, for code that knows that the task is still alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Header>);

/// Makes a task: one half for a queue, one for a handle. The task is named after the type
/// `NameSource`.
#[inline]
pub(crate) fn make<NameSource, F, T>(
    pool: PoolId,
    extra: Option<Extra>,
    closure: F,
) -> (QueuedTask, HeldTask<T>)
where
    F: Body<T> + Send + 'static,
    T: Send + 'static,
{
    let task = raw::allocate::<NameSource, F, T>(pool, State::queued, extra, closure);
    (QueuedTask { task }, HeldTask::new(task))
}

/// Makes an errand: a queue entry that is run like a task but is not one. It has no value, it is
/// not counted, and it must not panic. The handle can take it back.
pub(crate) fn make_errand<NameSource, F>(pool: PoolId, closure: F) -> (QueuedTask, HeldTask<()>)
where
    F: FnOnce(&TaskContext) + Send + 'static,
{
    let task = raw::allocate_errand::<NameSource, F>(pool, closure);
    (QueuedTask { task }, HeldTask::new(task))
}

/// The owner's reference to a task.
#[derive(Debug)]
pub(crate) struct QueuedTask {
    task: NonNull<Header>,
}

// SAFETY: closure and result are `Send` (see `make`), and the state word decides which thread
// touches them.
unsafe impl Send for QueuedTask {}

// SAFETY: the link is the header's first field, and the owner's reference keeps the header in place
// until `from_link` gives that reference back.
unsafe impl Linked for QueuedTask {
    #[inline]
    fn into_link(self) -> NonNull<Link> {
        let link = self.task.cast();
        core::mem::forget(self);
        link
    }

    #[inline]
    unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self { task: link.cast() }
    }
}

impl QueuedTask {
    /// Claims the task in order to run it. `None` if it was cancelled or its handle runs it in
    /// place.
    #[inline]
    pub(crate) fn claim(self) -> Option<ClaimedTask> {
        // If the task is not ours any more, dropping `self` only releases the owner's reference.
        self.state().claim().then(|| {
            let task = self.task;
            core::mem::forget(self);
            ClaimedTask { task }
        })
    }

    /// Settles the task without a run. Returns the outcome if this call settled it. A task that
    /// [runs anyway](Body::runs_anyway) is run instead.
    pub(crate) fn settle_unrun(self, outcome: Outcome) -> Option<Outcome> {
        self.claim().map(|claimed| claimed.settle_unrun(outcome))
    }

    /// The task's place in the order of acceptance. `None` if it has no place or is already
    /// claimed.
    pub(crate) fn age(&self) -> Option<usize> {
        // SAFETY: we hold the owner's reference.
        let extra = unsafe { raw::extra(self.task) };
        extra.filter(|_| !self.is_claimed()).map(|extra| extra.age)
    }

    pub(crate) fn pool(&self) -> PoolId {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }.pool()
    }

    /// Whether the task was spawned before this era.
    pub(crate) fn is_before(&self, era: u64) -> bool {
        era::is_before(self.state().era(), era)
    }

    /// Whether the task always runs: it can be neither cancelled nor refused.
    pub(crate) fn runs_anyway(&self) -> bool {
        self.state().runs_anyway()
    }

    /// Whether this is an errand, which is not counted.
    pub(crate) fn is_errand(&self) -> bool {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }.table.is_errand()
    }

    /// Whether `task` is this task, so that a handle to it is this value's other half.
    fn is(&self, task: NonNull<Header>) -> bool {
        self.task == task
    }

    /// Whether the task has been claimed while it stands in its queue.
    pub(crate) fn is_claimed(&self) -> bool {
        self.state().phase() != state::Phase::Queued
    }

    fn state(&self) -> &State {
        // SAFETY: we hold the owner's reference.
        &unsafe { Header::of(self.task) }.state
    }
}

impl Drop for QueuedTask {
    fn drop(&mut self) {
        let task = self.task;
        if !self.is_claimed() && self.state().claim() {
            let _uncounted = ClaimedTask { task }.settle_unrun(Outcome::Closed);
        } else if self.state().release_owner() {
            // SAFETY: that was the last reference, and the claimant has emptied the contents.
            unsafe { raw::free(task) };
        }
    }
}

/// A task that its owner has claimed. It must be run, or settled without a run.
#[derive(Debug)]
#[must_use = "a claimed task has to be run or settled"]
pub(crate) struct ClaimedTask {
    task: NonNull<Header>,
}

// SAFETY: as for `QueuedTask`; the claim moves along with the value.
unsafe impl Send for ClaimedTask {}

impl ClaimedTask {
    fn table(&self) -> &'static Table {
        self.header().table
    }

    pub(crate) fn extra(&self) -> Option<&Extra> {
        // SAFETY: we hold the owner's reference.
        unsafe { raw::extra(self.task) }
    }

    /// Runs the closure. The task is not settled yet: [`RanTask::settle`] does that.
    #[inline]
    pub(crate) fn run(self, worker: Option<WorkerId>) -> RanTask {
        let context = TaskContext::new(self.task, worker);
        // SAFETY: this value is the claim, and it is consumed here.
        let ended = unsafe { raw::run(self.task, &context) };
        RanTask { claimed: self, ended }
    }

    #[inline]
    pub(crate) fn is_extended(&self) -> bool {
        self.header().state.is_extended()
    }

    /// Like [`run`](Self::run), for a task without the optional part.
    #[inline]
    pub(crate) fn run_plain(self, worker: Option<WorkerId>) -> RanTask {
        debug_assert!(!self.is_extended(), "the optional part has a say in the run");
        let context = TaskContext::new(self.task, worker);
        // SAFETY: this value is the claim, and it is consumed here.
        let ended = unsafe { raw::run_plain(self.task, &context) };
        RanTask { claimed: self, ended }
    }

    /// Drops the closure and settles the task with the reason why there is no value. Runs the task
    /// instead if it [runs anyway](Body::runs_anyway). Returns the outcome.
    pub(crate) fn settle_unrun(self, outcome: Outcome) -> Outcome {
        let state = &self.header().state;
        if state.runs_anyway() && !state.is_linked() {
            mutant!("anyway_refused" => return self.refuse(outcome));
            let ran = self.run(None);
            let outcome = ran.outcome();
            ran.settle();
            return outcome;
        }
        self.refuse(outcome)
    }

    fn refuse(self, outcome: Outcome) -> Outcome {
        // SAFETY: this value is the claim, and it is consumed here.
        unsafe { raw::drop_closure(self.task) };
        if let Some(extra) = self.extra() {
            extra.give_place_back();
        }
        RanTask { claimed: self, ended: Ended::passed_on(outcome) }.settle();
        outcome
    }

    fn header(&self) -> &Header {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }
    }
}

/// A task whose closure is gone. Its handle does not know that yet.
#[derive(Debug)]
#[must_use = "a task that ran has to be settled"]
pub(crate) struct RanTask {
    claimed: ClaimedTask,
    ended: Ended,
}

impl RanTask {
    pub(crate) fn ended(&self) -> Ended {
        self.ended
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.ended.outcome
    }

    /// Whether the outcome did not come from this task's own closure.
    #[inline]
    pub(crate) fn is_passed_on(&self) -> bool {
        self.ended.passed_on
    }

    pub(crate) fn claimed(&self) -> &ClaimedTask {
        &self.claimed
    }

    /// Calls `look` with the name of the task and the panic message, if this task panicked.
    pub(crate) fn with_panic(&self, look: impl FnOnce(String, &str)) {
        if self.ended.outcome == Outcome::Panicked && !self.ended.passed_on {
            // SAFETY: the run left a payload, which belongs to the claimant until the task is
            // settled.
            unsafe { raw::with_panic(self.claimed.task, look) };
        }
    }

    /// Publishes the outcome to the handle, releases the owner's reference, and wakes the waiter.
    #[inline]
    pub(crate) fn settle(self) {
        if let Some(waker) = self.settle_but_wake() {
            unwind::quietly(|| waker.wake());
        }
    }

    /// Like [`settle`](Self::settle), but returns the waiter for the caller to wake, because waking
    /// is user code.
    #[inline]
    pub(crate) fn settle_but_wake(self) -> Option<Waker> {
        let task = self.claimed.task;
        match self.claimed.header().state.settle_as_owner(self.ended.outcome) {
            SettledBy::Done => None,
            SettledBy::Wake => Some(held::take_waker_and_release(task)),
            SettledBy::Orphan => {
                held::drop_orphan(task, self.ended.outcome);
                None
            }
        }
    }
}
