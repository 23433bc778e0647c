//! Lines and offers: the work that a thread has left in its fork-join calls, and what thieves took.
//!
//! A fork-join call never depends on a thief: the thread takes back what lies on its line when it
//! has nothing else to do. So work that no thief sees costs time, but the call still makes
//! progress. `README.md` beside this file has the protocol and the argument. This module knows
//! nothing of tasks, workers or pools.

mod glance;
mod job;
mod line;
#[cfg(all(test, corepool_loom))]
mod models;
mod stretch;
#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests;
mod wish;

use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use crate::base::sync::{AtomicU32, Ordering};
use crate::parts::parker::Parker;

pub(crate) use glance::{OuterSource, Plenty};
pub(crate) use job::{Job, JobTable, Maker, Source, SourceJob};
pub(crate) use line::{Asked, Line, Look};

/// A thread runs it, or will.
const RUNNING: u32 = 0;
/// Its owner sleeps until it is done.
const ASLEEP: u32 = 1;
/// Its run has ended.
const DONE: u32 = 2;

// ORDERING: acquire, partner of `FINISH`: the effects of the work are visible.
ordering!(SEE_DONE = Acquire, planted "offer_done_relaxed": Relaxed);
// ORDERING: release, partner of `SEE_DONE`.
ordering!(FINISH = AcqRel, planted "offer_finish_relaxed": Relaxed);

/// What an offer is about: a piece of a thread's work, in that thread's memory.
pub(crate) struct Work {
    data: NonNull<()>,
    run: unsafe fn(NonNull<()>),
}

// SAFETY: the pair may be used on any thread, see `Work::new`.
unsafe impl Send for Work {}
// SAFETY: a shared `Work` can only be looked at. Only `Taken::run` uses it, once.
unsafe impl Sync for Work {}

impl Work {
    /// # Safety
    /// - `run(data)` may be called once, on any thread, at any time until the offer made of this is
    ///   done.
    /// - It does not unwind.
    pub(crate) unsafe fn new(data: NonNull<()>, run: unsafe fn(NonNull<()>)) -> Self {
        Self { data, run }
    }
}

/// One piece of work that a thief has taken, running or done.
pub(crate) struct Offer {
    work: Work,
    /// The offer that was running when this one was made. This one is part of its work.
    parent: Option<Arc<Self>>,
    /// How many offers this one is part of.
    depth: u32,
    state: AtomicU32,
    /// The parker of the thread whose work this is.
    owner: Arc<Parker>,
}

impl Offer {
    pub(crate) fn new(work: Work, parent: Option<Arc<Self>>, owner: Arc<Parker>) -> Arc<Self> {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth.saturating_add(1));
        Arc::new(Self { work, parent, depth, state: AtomicU32::new(RUNNING), owner })
    }

    /// An offer that no thread takes: it stands for all offers that are made as parts of it. The
    /// thread that finds them done [finishes](Self::finish) it.
    pub(crate) fn group(parent: Option<Arc<Self>>, owner: Arc<Parker>) -> Arc<Self> {
        unsafe fn nothing(_: NonNull<()>) {}
        // SAFETY: `nothing` may be called at any time, and does not unwind.
        let work = unsafe { Work::new(NonNull::dangling(), nothing) };
        Self::new(work, parent, owner)
    }

    /// Whether the work was run. If so, its effects are visible.
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(SEE_DONE) == DONE
    }

    /// Prepares the owner's sleep. Returns whether it may sleep; it may not if the work is done.
    pub(crate) fn lie_down(&self) -> bool {
        self.change(RUNNING, ASLEEP)
    }

    /// Sleeps until another thread wakes the owner, or spuriously. Only for the owner's thread.
    #[cfg(all(test, corepool_loom))]
    pub(crate) fn park(&self) {
        self.owner.park();
    }

    /// Sleeps until another thread wakes the owner, until `end`, or spuriously. Returns whether the
    /// owner was woken. Only for the owner's thread.
    pub(crate) fn park_until(&self, end: Instant) -> bool {
        self.owner.park_until(end)
    }

    /// Ends the owner's sleep.
    pub(crate) fn get_up(&self) {
        let _done = self.change(ASLEEP, RUNNING);
    }

    fn change(&self, from: u32, to: u32) -> bool {
        mutant!("end_overwritten" => return self.state.swap(to, Ordering::SeqCst) == from);
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether this is part of the other's work.
    pub(crate) fn is_part_of(&self, whole: &Arc<Self>) -> bool {
        let parents = std::iter::successors(self.parent.as_ref(), |offer| offer.parent.as_ref());
        // An offer as deep as the whole is not below it.
        let mut above = parents.take_while(|offer| offer.depth >= whole.depth);
        above.any(|offer| Arc::ptr_eq(offer, whole))
    }

    /// Marks the work as done, and tells the owner.
    pub(crate) fn finish(&self) {
        // The owner's frame may go away right after this exchange, so nothing in it is touched
        // from here on. The parker belongs to this offer as well.
        let before = self.state.swap(DONE, FINISH);
        mutant!("offer_no_wake" => return);
        if before == ASLEEP {
            self.owner.unpark();
        }
    }
}

impl Drop for Offer {
    /// Drops the parents one after another, not recursively. If a list is split again and again,
    /// the chain of parents is as long as the list.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut parent) = next.and_then(Arc::into_inner) {
            next = parent.parent.take();
        }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}

/// An offer that this thread has taken.
#[derive(Debug)]
#[must_use = "the owner waits until it was run"]
pub(crate) struct Taken(Arc<Offer>);

impl Taken {
    /// What was taken, for the offers made during its run.
    pub(crate) fn offer(&self) -> &Arc<Offer> {
        &self.0
    }

    /// Runs the work, and tells the owner.
    pub(crate) fn run(self) {
        let Work { data, run } = self.0.work;
        // SAFETY: the maker of the offer promised that this may be called until the offer is done.
        // This consumes `self`, so the call happens once.
        unsafe { run(data) };
        self.0.finish();
    }
}
