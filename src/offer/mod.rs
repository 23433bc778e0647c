//! Work that one thread offers to the others of its pool, and takes back if nobody came for it.
//!
//! A fork-join call never depends on an offer being taken: whoever made it takes it back when it has
//! nothing else to do. So an offer that nobody sees costs time, never progress. `README.md` beside this
//! file has the states and the argument; this module knows nothing of tasks, workers or pools.

mod board;
#[cfg(all(test, corepool_loom))]
mod models;
mod mode;

use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::parker::Parker;
use crate::sync::{AtomicU32, Ordering, handshake, planted};

pub(crate) use board::Board;
pub(crate) use mode::Mode;

/// Nobody waits for it: it is open, or somebody runs it.
const UNWATCHED: u32 = 0;
/// Its owner waits for it, and looks for something to do meanwhile.
const WAITED: u32 = 1;
/// Its owner waits for it, asleep.
const ASLEEP: u32 = 2;
/// It was run.
const DONE: u32 = 3;

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
    state: AtomicU32,
    /// The place where the thread that made the offer sleeps.
    owner: Arc<Parker>,
    /// When a sleeping worker was called for it, if one was.
    called: Option<Instant>,
    /// How long it ran, in nanoseconds.
    nanos: AtomicU32,
}

impl Offer {
    pub(crate) fn new(
        work: Work,
        parent: Option<Arc<Self>>,
        owner: Arc<Parker>,
        called: Option<Instant>,
    ) -> Arc<Self> {
        let state = AtomicU32::new(UNWATCHED);
        Arc::new(Self { work, parent, state, owner, called, nanos: AtomicU32::new(0) })
    }

    /// What hangs on no board, and nobody takes: it stands for all offers that are made as parts of it. Whoever
    /// finds that they are done [finishes](Self::finish) it.
    pub(crate) fn group(parent: Option<Arc<Self>>, owner: Arc<Parker>) -> Arc<Self> {
        unsafe fn nothing(_: NonNull<()>) {}
        // SAFETY: it may be called at any time, and does not unwind.
        let work = unsafe { Work::new(NonNull::dangling(), nothing) };
        Self::new(work, parent, owner, None)
    }

    /// How long ago a sleeping worker was called for this, if one was.
    pub(crate) fn since_call(&self) -> Option<Duration> {
        self.called.map(|called| clock::now().saturating_duration_since(called))
    }

    /// How long the work took, once it is done.
    pub(crate) fn took(&self) -> Duration {
        // ORDERING: written before the exchange in `finish`, and read after `is_done` has seen that.
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed).into())
    }

    /// Whether the work was run; then what it did is seen.
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: acquire, partner of the exchange in `finish`.
        let order = planted(mutant!("offer_done_relaxed"), Ordering::Acquire, Ordering::Relaxed);
        self.state.load(order) == DONE
    }

    /// The owner has nothing else to do: whoever runs the work may offer it a part of it.
    pub(crate) fn watch(&self) {
        let _done = self.change(UNWATCHED, WAITED);
    }

    /// The owner has found something to do for now: whoever has a part to offer may look for another waiter.
    pub(crate) fn look_away(&self) {
        let _done = self.change(WAITED, UNWATCHED);
    }

    /// Before the owner's last look at the board, and its sleep. Says whether it may sleep: not if the
    /// work is done.
    pub(crate) fn lie_down(&self) -> bool {
        let down = self.change(WAITED, ASLEEP);
        if !mutant!("lie_down_handshake") {
            handshake();
        }
        down
    }

    /// Sleeps until somebody calls the owner, or spuriously. Only for the owner's thread.
    pub(crate) fn park(&self) {
        self.owner.park();
    }

    /// As [`park`](Self::park), but gives up at `end`. Says whether somebody called.
    pub(crate) fn park_until(&self, end: Instant) -> bool {
        self.owner.park_until(end)
    }

    /// After the sleep.
    pub(crate) fn get_up(&self) {
        let _done = self.change(ASLEEP, WAITED);
    }

    fn change(&self, from: u32, to: u32) -> bool {
        if mutant!("end_overwritten") {
            return self.state.swap(to, Ordering::SeqCst) == from;
        }
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether the owner waits for this, or for something that this is a part of.
    pub(crate) fn is_watched(&self) -> bool {
        // SeqCst: the owner changes this and then pokes. A thread that turned to plain calls after the poke,
        // and so lost it, has to see the change when it looks.
        matches!(self.state.load(Ordering::SeqCst), WAITED | ASLEEP)
    }

    /// After a post: wakes the owner, if it sleeps, to help with what this offer is about. Says whether it
    /// slept.
    pub(crate) fn call_owner(&self) -> bool {
        if !mutant!("post_handshake") {
            handshake();
        }
        let sleeps = self.state.load(Ordering::SeqCst) == ASLEEP;
        if sleeps {
            self.owner.unpark();
        }
        sleeps
    }

    /// The nearest offer whose owner waits, from this one outwards.
    pub(crate) fn nearest_watched(self: &Arc<Self>) -> Option<&Arc<Self>> {
        self.line().find(|offer| offer.is_watched())
    }

    /// Whether this is part of the other's work.
    pub(crate) fn is_part_of(&self, whole: &Arc<Self>) -> bool {
        let mut parents = self.parent.iter().flat_map(Self::line);
        if mutant!("parts_of_parts_strange") {
            return parents.next().is_some_and(|parent| Arc::ptr_eq(parent, whole));
        }
        parents.any(|offer| Arc::ptr_eq(offer, whole))
    }

    /// This offer, the one it is part of, and so on. Not to the end where that is far: what is missed then
    /// is help, never work.
    fn line(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        const FAR: usize = 64;
        std::iter::successors(Some(self), |offer| offer.parent.as_ref()).take(FAR)
    }

    /// All of it was done: tells the owner.
    pub(crate) fn finish(&self) {
        // ORDERING: release, partner of `is_done`: the owner's frame is gone soon after, so nothing of it
        // is touched from here on; the sleeping place belongs to this offer as well.
        let order = planted(mutant!("offer_finish_relaxed"), Ordering::AcqRel, Ordering::Relaxed);
        if self.state.swap(DONE, order) == ASLEEP && !mutant!("offer_no_wake") {
            self.owner.unpark();
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
        let start = clock::now();
        // SAFETY: whoever made the offer promised that this may be called until it is withdrawn or done. It
        // was taken from the board, so it can't be withdrawn; and this value is used up, so it is called once.
        unsafe { run(data) };
        let nanos = clock::now().saturating_duration_since(start).as_nanos();
        // ORDERING: see `took`.
        self.0.nanos.store(u32::try_from(nanos).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.0.finish();
    }
}
