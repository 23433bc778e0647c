//! Work that one thread offers to the others of its pool, and takes back if nobody came for it.
//!
//! A fork-join call never depends on an offer being taken: whoever made it takes it back when it
//! has nothing else to do. So an offer that nobody sees costs time, never progress. `README.md`
//! beside this file has the states and the argument; this module knows nothing of tasks, workers or
//! pools.

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

use crate::parker::Parker;
use crate::sync::{AtomicU32, Ordering, planted};

pub(crate) use glance::{OuterSource, Plenty};
pub(crate) use job::{Job, JobTable, Maker, Source, SourceJob};
pub(crate) use line::{Asked, Line, Look};

/// Somebody runs it.
const RUNNING: u32 = 0;
/// Its owner sleeps until it is done.
const ASLEEP: u32 = 1;
/// It was run.
const DONE: u32 = 2;

/// What an offer is about: a piece of somebody's work, in that thread's memory.
pub(crate) struct Work {
    data: NonNull<()>,
    run: unsafe fn(NonNull<()>),
}

// SAFETY: see `Work::new`: the pair may be used on any thread.
unsafe impl Send for Work {}
// SAFETY: a shared `Work` can only be looked at; `Taken::run` is what uses it, once.
unsafe impl Sync for Work {}

impl Work {
    /// # Safety
    /// - `run(data)` may be called once, on any thread, at any time until the offer made of this is
    ///   withdrawn or done.
    /// - It does not unwind.
    pub(crate) unsafe fn new(data: NonNull<()>, run: unsafe fn(NonNull<()>)) -> Self {
        Self { data, run }
    }
}

/// One piece of work on offer, or taken, or done.
pub(crate) struct Offer {
    work: Work,
    /// The offer in whose run this one was made: it is part of that one's work.
    parent: Option<Arc<Self>>,
    /// How many it is part of.
    depth: u32,
    state: AtomicU32,
    /// The place where the thread that made the offer sleeps.
    owner: Arc<Parker>,
}

impl Offer {
    pub(crate) fn new(work: Work, parent: Option<Arc<Self>>, owner: Arc<Parker>) -> Arc<Self> {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth.saturating_add(1));
        Arc::new(Self { work, parent, depth, state: AtomicU32::new(RUNNING), owner })
    }

    /// What hangs on no board, and nobody takes: it stands for all offers that are made as parts of
    /// it. Whoever finds that they are done [finishes](Self::finish) it.
    pub(crate) fn group(parent: Option<Arc<Self>>, owner: Arc<Parker>) -> Arc<Self> {
        unsafe fn nothing(_: NonNull<()>) {}
        // SAFETY: it may be called at any time, and does not unwind.
        let work = unsafe { Work::new(NonNull::dangling(), nothing) };
        Self::new(work, parent, owner)
    }

    /// Whether the work was run; then what it did is seen.
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: acquire, partner of the exchange in `finish`.
        let order = planted(mutant!("offer_done_relaxed"), Ordering::Acquire, Ordering::Relaxed);
        self.state.load(order) == DONE
    }

    /// Before the owner's sleep. Says whether it may sleep: not if the work is done.
    pub(crate) fn lie_down(&self) -> bool {
        self.change(RUNNING, ASLEEP)
    }

    /// Sleeps until somebody calls the owner, or spuriously. Only for the owner's thread.
    #[cfg(all(test, corepool_loom))]
    pub(crate) fn park(&self) {
        self.owner.park();
    }

    /// Sleeps until somebody calls the owner, spuriously, or until `end`. Says whether somebody
    /// called. Only for the owner's thread.
    pub(crate) fn park_until(&self, end: Instant) -> bool {
        self.owner.park_until(end)
    }

    /// After the sleep.
    pub(crate) fn get_up(&self) {
        let _done = self.change(ASLEEP, RUNNING);
    }

    fn change(&self, from: u32, to: u32) -> bool {
        if mutant!("end_overwritten") {
            return self.state.swap(to, Ordering::SeqCst) == from;
        }
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether this is part of the other's work.
    pub(crate) fn is_part_of(&self, whole: &Arc<Self>) -> bool {
        let parents = std::iter::successors(self.parent.as_ref(), |offer| offer.parent.as_ref());
        // What is as deep as the whole is not below it.
        let mut above = parents.take_while(|offer| offer.depth >= whole.depth);
        above.any(|offer| Arc::ptr_eq(offer, whole))
    }

    /// All of it was done: tells the owner.
    pub(crate) fn finish(&self) {
        // ORDERING: release, partner of `is_done`: the owner's frame is gone soon after, so nothing
        // of it is touched from here on; the sleeping place belongs to this offer as well.
        let order = planted(mutant!("offer_finish_relaxed"), Ordering::AcqRel, Ordering::Relaxed);
        if self.state.swap(DONE, order) == ASLEEP && !mutant!("offer_no_wake") {
            self.owner.unpark();
        }
    }
}

impl Drop for Offer {
    /// One after another: along a list that is cut again and again the line of parents is as long
    /// as the list.
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

/// An offer that this thread took from the board.
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
        // SAFETY: whoever made the offer promised that this may be called until it is withdrawn or
        // done. It was taken from the board, so it can't be withdrawn; and this value is used up,
        // so it is called once.
        unsafe { run(data) };
        self.0.finish();
    }
}
