//! One task: the half that stands in a queue, and the half that a handle holds.
//!
//! Both halves are small owning pointers to one allocation. [`QueuedTask`] is the owner's
//! reference: dropped without a run, it settles the task, so that nothing accepted is ever silently
//! lost. [`HeldTask`] is the handle's. `README.md` beside this file has the states and who may
//! touch what.

mod body;
mod chain;
mod contents;
mod context;
pub(crate) mod era;
mod extra;
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

use crate::id::{PoolId, WorkerId};
use crate::queue::{Link, Linked};
use crate::unwind;

pub(crate) use body::{Body, Stop};
pub(crate) use chain::{Pinned, Released, Turn, make_link};
pub use context::TaskContext;
#[cfg(test)]
pub(crate) use context::end_worker;
pub(crate) use extra::{Extra, Plan};
pub(crate) use held::{HeldTask, Ran};
pub(crate) use raw::ends_worker;
use raw::{Header, Table};
pub(crate) use running::RunningName;
pub(crate) use state::{ClaimedAt, Outcome};
use state::{SettledBy, State};
pub(crate) use token::{Ledger, Meaning};
pub(crate) use unsettled::{Settling, Unsettled};

/// A task by its address, for whoever knows that it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Header>);

/// Makes a task: one half for a queue, one for a handle. `Named` is the type whose name it bears.
#[inline]
pub(crate) fn make<Named, F, T>(
    pool: PoolId,
    extra: Option<Extra>,
    closure: F,
) -> (QueuedTask, HeldTask<T>)
where
    F: Body<T> + Send + 'static,
    T: Send + 'static,
{
    let task = raw::allocate::<Named, F, T>(pool, State::queued, extra, closure);
    (QueuedTask { task }, HeldTask::new(task))
}

/// Makes an errand: it stands in a queue and is run like a task, but it is none. It has no value,
/// nobody counts it, and it must not panic. The handle is there to take it back.
pub(crate) fn make_errand<Named, F>(pool: PoolId, closure: F) -> (QueuedTask, HeldTask<()>)
where
    F: FnOnce(&TaskContext) + Send + 'static,
{
    let task = raw::allocate_errand::<Named, F>(pool, closure);
    (QueuedTask { task }, HeldTask::new(task))
}

/// The owner's reference to a task.
#[derive(Debug)]
pub(crate) struct QueuedTask {
    task: NonNull<Header>,
}

// SAFETY: closure and result are `Send` (see `make`), and the state word decides who touches them.
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
    /// Claims the task, to run it. `None` if it was cancelled, or its handle runs it in place.
    #[inline]
    pub(crate) fn claim(self) -> Option<ClaimedTask> {
        // A task that is not ours any more only loses the owner's reference, by our drop.
        self.state().claim().then(|| {
            let task = self.task;
            core::mem::forget(self);
            ClaimedTask { task }
        })
    }

    /// Settles the task without a run. Says how, if this call did: a task that [runs
    /// anyway](Body::runs_anyway) was run instead.
    pub(crate) fn settle_unrun(self, outcome: Outcome) -> Option<Outcome> {
        self.claim().map(|claimed| claimed.settle_unrun(outcome))
    }

    /// The task's place in the order of acceptance; none if it has none or is claimed already.
    pub(crate) fn age(&self) -> Option<usize> {
        // SAFETY: we hold the owner's reference.
        let extra = unsafe { raw::extra(self.task) };
        extra.filter(|_| !self.is_claimed()).map(|extra| extra.age)
    }

    pub(crate) fn pool(&self) -> PoolId {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }.pool()
    }

    /// Whether it was spawned before this era.
    pub(crate) fn is_before(&self, era: u64) -> bool {
        era::is_before(self.state().era(), era)
    }

    /// Whether it is neither cancelled nor refused, but run.
    pub(crate) fn runs_anyway(&self) -> bool {
        self.state().runs_anyway()
    }

    /// Whether this is an errand, which is not counted.
    pub(crate) fn is_errand(&self) -> bool {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }.table.is_errand()
    }

    /// Whether this is the other half of a handle's task.
    fn is(&self, task: NonNull<Header>) -> bool {
        self.task == task
    }

    /// Whether somebody has claimed the task where it stands in its queue.
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
            // SAFETY: that was the last reference, and whoever claimed the task saw to its
            // contents.
            unsafe { raw::free(task) };
        }
    }
}

/// A task that its owner has claimed: it will be run, or settled without.
#[derive(Debug)]
#[must_use = "a claimed task has to be run or settled"]
pub(crate) struct ClaimedTask {
    task: NonNull<Header>,
}

// SAFETY: as for `QueuedTask`; the claim goes along.
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
        // SAFETY: this value is the claim, and it is used up here.
        let ended = unsafe { raw::run(self.task, &context) };
        RanTask { claimed: self, outcome: ended.outcome, passed_on: ended.passed_on }
    }

    #[inline]
    pub(crate) fn is_extended(&self) -> bool {
        self.header().state.is_extended()
    }

    /// As [`run`](Self::run), for a task without the optional part.
    #[inline]
    pub(crate) fn run_plain(self, worker: Option<WorkerId>) -> RanTask {
        debug_assert!(!self.is_extended(), "the optional part has a say in the run");
        let context = TaskContext::new(self.task, worker);
        // SAFETY: this value is the claim, and it is used up here.
        let ended = unsafe { raw::run_plain(self.task, &context) };
        RanTask { claimed: self, outcome: ended.outcome, passed_on: ended.passed_on }
    }

    /// Drops the closure and settles the task with the reason why there is no value; or runs it, if
    /// it [runs anyway](Body::runs_anyway). Says how it was settled.
    pub(crate) fn settle_unrun(self, outcome: Outcome) -> Outcome {
        let state = &self.header().state;
        if state.runs_anyway() && !state.is_linked() && !mutant!("anyway_refused") {
            let ran = self.run(None);
            let outcome = ran.outcome();
            ran.settle();
            return outcome;
        }
        // SAFETY: this value is the claim, and it is used up here.
        unsafe { raw::drop_closure(self.task) };
        if let Some(extra) = self.extra() {
            extra.give_place_back();
        }
        RanTask { claimed: self, outcome, passed_on: true }.settle();
        outcome
    }

    fn header(&self) -> &Header {
        // SAFETY: we hold the owner's reference.
        unsafe { Header::of(self.task) }
    }
}

/// A task whose closure is gone; its handle does not know yet.
#[derive(Debug)]
#[must_use = "a task that ran has to be settled"]
pub(crate) struct RanTask {
    claimed: ClaimedTask,
    outcome: Outcome,
    /// The outcome is not this task's own.
    passed_on: bool,
}

impl RanTask {
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether the outcome is not this task's own.
    #[inline]
    pub(crate) fn is_passed_on(&self) -> bool {
        self.passed_on
    }

    pub(crate) fn claimed(&self) -> &ClaimedTask {
        &self.claimed
    }

    /// Shows the name of a task that panicked, and the text of the panic.
    pub(crate) fn with_panic(&self, look: impl FnOnce(String, &str)) {
        if self.outcome == Outcome::Panicked && !self.passed_on {
            // SAFETY: the run left a payload, and until it is settled it is the claimant's.
            unsafe { raw::with_panic(self.claimed.task, look) };
        }
    }

    /// Tells the handle, and gives up the owner's reference. Whoever waits is woken.
    #[inline]
    pub(crate) fn settle(self) {
        if let Some(waker) = self.settle_but_wake() {
            unwind::quietly(|| waker.wake());
        }
    }

    /// As [`settle`](Self::settle), but leaves it to the caller to wake who waits, which is user
    /// code.
    #[inline]
    pub(crate) fn settle_but_wake(self) -> Option<Waker> {
        let task = self.claimed.task;
        match self.claimed.header().state.settle_as_owner(self.outcome) {
            SettledBy::Done => None,
            SettledBy::Wake => Some(held::take_waker_and_release(task)),
            SettledBy::Orphan => {
                held::drop_orphan(task, self.outcome);
                None
            }
        }
    }
}
