//! One thread's line: what it has left to be run in its fork-join calls, within reach of every
//! thief.
//!
//! `README.md` beside this file has the protocol and the argument. In short: the owner adds and
//! takes back by plain stores, and looks after each whether a thief is there. A thief locks the
//! line, and asks the owner first, who gives when it looks. If it does not look, the thief freezes
//! the line, and pays for the fence of both sides.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::glance::{Hints, Plenty, Sign, ticks};
use super::job::Job;
use super::stretch::{Stretch, give_oldest, is_wanted};
use super::wish::{Wish, timed_heavy_fence};
use super::{Offer, Taken};
use crate::clock;
use crate::metrics::{self, ThreadClock};
use crate::parker::Parker;
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, fence,
    is_asymmetric, light_fence,
};

/// A thief was here, or is: what the owner has taken back may be a thief's. Set until the owner
/// comes by.
const FROZEN: u32 = 1;
/// No worker watches: whoever adds something calls one.
const CALL: u32 = 2;
/// The kernel has no fence for both sides, so the owner has to run its own.
const FENCED: u32 = 4;
/// A thief waits for the owner to give it something.
const WISH: u32 = 8;

/// What only the line's owner writes, and thieves look at.
#[derive(Debug)]
pub(super) struct Owned {
    /// The newest entry; a root if there is none.
    pub(super) top: AtomicPtr<Job>,
    pub(super) asked: AtomicU32,
    /// Calls begun on the first stretch.
    pub(super) calls: AtomicUsize,
    /// What the owner changes by plain loads and stores just now, though a source could give it.
    pub(super) busy_with: AtomicPtr<()>,
    /// How often a source was opened or closed, or got more to give.
    pub(super) changes: AtomicUsize,
    /// The newest source.
    pub(super) source: AtomicPtr<Job>,
    /// Whether it says how much is left: if it is the only thing on the line but for what lies
    /// above it.
    pub(super) is_only: AtomicBool,
    /// What [`Sign::plenty`] says.
    pub(super) plenty: AtomicU32,
}

/// What the lock guards. While a thief waits for the owner's answer, with the lock held, the owner
/// uses it.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) innermost: Option<NonNull<Stretch>>,
    pub(super) owner: Option<Arc<Parker>>,
    clock: Option<ThreadClock>,
    /// Whether the line was frozen, and the owner has not come by since.
    is_frozen: Cell<bool>,
}

// SAFETY: stretches lie in frames of the owner or in the line itself, and are reached under the
// lock only.
unsafe impl Send for Guarded {}

/// Who asked an owner for something.
#[derive(Debug, Clone, Copy)]
#[must_use = "a worker may have to be called"]
pub(crate) struct Asked {
    pub(crate) is_called: bool,
    pub(crate) has_thief: bool,
}

/// What a thief's look came to.
pub(crate) enum Look {
    Taken(Taken),
    /// What lies there has nothing to give now.
    Nothing,
    /// Nothing lies there.
    Bare,
    /// Another thief is there.
    Busy,
}

/// One thread's line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) owned: CachePadded<Owned>,
    pub(super) sign: CachePadded<Sign>,
    /// What the thief that holds the lock would take.
    wish: AtomicPtr<Wish>,
    pub(super) hints: Hints,
    guarded: Mutex<Guarded>,
    first: UnsafeCell<Stretch>,
}

// SAFETY: `first` is a stretch as any other; the rest is shared by way of atomics and the lock.
unsafe impl Sync for Line {}
// SAFETY: as above; a line is attached to its thread only after it has come to its place.
unsafe impl Send for Line {}

impl Line {
    pub(crate) fn new() -> Self {
        let asked = CALL | if is_asymmetric() { 0 } else { FENCED };
        Self {
            owned: CachePadded::new(Owned {
                top: AtomicPtr::new(ptr::null_mut()),
                asked: AtomicU32::new(asked),
                calls: AtomicUsize::new(0),
                busy_with: AtomicPtr::new(ptr::null_mut()),
                changes: AtomicUsize::new(0),
                source: AtomicPtr::new(ptr::null_mut()),
                is_only: AtomicBool::new(false),
                plenty: AtomicU32::new(Plenty::Unknown as u32),
            }),
            sign: CachePadded::new(Sign::new()),
            wish: AtomicPtr::new(ptr::null_mut()),
            hints: Hints::new(),
            guarded: Mutex::new(Guarded {
                innermost: None,
                owner: None,
                clock: None,
                is_frozen: Cell::new(false),
            }),
            first: UnsafeCell::new(Stretch::new(None)),
        }
    }

    fn first(&self) -> NonNull<Stretch> {
        // SAFETY: the line is there, and nobody makes an exclusive reference of it.
        NonNull::from(unsafe { &*self.first.get() })
    }

    /// From now on the line is the calling thread's. It stays where it is from here on.
    pub(crate) fn attach(&self, owner: Arc<Parker>) {
        let mut guarded = self.guarded.lock();
        let first = self.first();
        // SAFETY: the first stretch lies in the line, and the lock is held.
        let stretch = unsafe { first.as_ref() };
        stretch.base.set(stretch.root());
        guarded.innermost = Some(first);
        guarded.owner = Some(owner);
        guarded.clock = Some(metrics::of_thread());
        // ORDERING: thieves come by the lock.
        self.owned.top.store(stretch.root().as_ptr(), Ordering::Relaxed);
        self.note_bare(first);
    }

    #[inline(always)]
    pub(super) fn is_first_root(&self, job: *mut Job) -> bool {
        // The root is a stretch's first field, and the stretch does not move.
        ptr::eq(job, self.first.get().cast())
    }

    /// Adds an entry. Gives the one below, for [`pop`](Self::pop). Ask [`is_asked`](Self::is_asked)
    /// after it.
    ///
    /// # Safety
    /// - Only the owner calls this; the line is attached.
    /// - The job stays where it is until it was popped, and jobs are popped in the reverse order.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, job: NonNull<Job>) -> NonNull<Job> {
        let owned = &*self.owned;
        // ORDERING: only the owner writes it.
        let below = owned.top.load(Ordering::Relaxed);
        // SAFETY: an attached line has a top, and that is there until it was popped.
        let below = unsafe { NonNull::new_unchecked(below) };
        // ORDERING: release, partner of the acquire in `give`: a thief that comes by this finds the
        // job whole.
        // SAFETY: it lies on the line.
        let entry_below = unsafe { below.as_ref() };
        // SAFETY: this writes it.
        unsafe { entry_below.newer() }.store(job.as_ptr(), Ordering::Release);
        // ORDERING: as above, for a thief that comes by the top.
        owned.top.store(job.as_ptr(), Ordering::Release);
        if self.is_first_root(below.as_ptr()) {
            // ORDERING: only the owner writes; thieves take it for a hint.
            let calls = owned.calls.load(Ordering::Relaxed);
            owned.calls.store(calls.wrapping_add(1), Ordering::Relaxed);
        }
        light_fence();
        below
    }

    /// Takes the newest entry back. Afterwards it is the owner's, unless a thief has it: so wait if
    /// the line [is asked](Self::is_asked), and look whether the job [was taken](Job::was_taken).
    #[inline(always)]
    pub(crate) fn pop(&self, below: NonNull<Job>) {
        // ORDERING: release, so that a thief that sees this sees all that the owner did before.
        self.owned.top.store(below.as_ptr(), Ordering::Release);
        light_fence();
    }

    /// Whether the owner has to [attend](Self::attend) before it goes on.
    #[inline(always)]
    pub(crate) fn is_asked(&self) -> bool {
        // ORDERING: what thieves did is seen by way of the lock, in `attend`; only the owner ends a
        // freeze.
        self.owned.asked.load(Ordering::Relaxed) != 0
    }

    /// Gives what a thief asks for, and ends a freeze: waits until no thief is at the line. Says
    /// whether a worker is to be called to watch, and whether a thief was there.
    #[cold]
    #[inline(never)]
    pub(crate) fn attend(&self) -> Asked {
        // ORDERING: as in `is_asked`.
        let mut asked = self.owned.asked.load(Ordering::Relaxed);
        if asked & FENCED != 0 {
            fence(Ordering::SeqCst);
            // ORDERING: as above; the fence stands between the owner's store and this.
            asked = self.owned.asked.load(Ordering::Relaxed);
        }
        if asked & WISH != 0 {
            self.grant();
        }
        if asked & FROZEN != 0 {
            self.thaw();
        }
        Asked { is_called: asked & CALL != 0, has_thief: asked & (WISH | FROZEN) != 0 }
    }

    /// Ends a freeze, once no thief is at the line. Only for the owner.
    fn thaw(&self) {
        if mutant!("thief_not_waited_for") {
            return;
        }
        let guarded = self.guarded.lock();
        // ORDERING: thieves freeze the line with the lock held.
        self.owned.asked.fetch_and(!FROZEN, Ordering::Relaxed);
        if mutant!("thawed_for_good") {
            return;
        }
        guarded.is_frozen.set(false);
        drop(guarded);
    }

    /// Whether the line asks for a call. For other threads than the owner.
    pub(crate) fn asks_for_a_call(&self) -> bool {
        fence(Ordering::SeqCst);
        self.owned.asked.load(Ordering::SeqCst) & CALL != 0
    }

    /// Does in a thief's name what it would do, if it still waits for that. Only for the owner.
    fn grant(&self) {
        // ORDERING: acquire, partner of `ask`. Release keeps the chain from an earlier thief's
        // release.
        if self.owned.asked.fetch_and(!WISH, Ordering::AcqRel) & WISH == 0 {
            return;
        }
        // ORDERING: seen with the bit.
        let wish = NonNull::new(self.wish.load(Ordering::Relaxed)).expect("a thief waits");
        // SAFETY: the bit was cleared here, so the thief waits for the answer.
        let wished = unsafe { wish.as_ref() };
        // SAFETY: as above.
        let (guarded, part_of) = unsafe { wished.about() };
        // ORDERING: only the owner writes it.
        let top = NonNull::new(self.owned.top.load(Ordering::Relaxed));
        // SAFETY: the thief holds the lock for the owner, who pops nothing meanwhile.
        let given = unsafe { give_oldest(guarded, top, part_of) };
        // SAFETY: as above.
        unsafe { Wish::answer(wish, given) };
    }

    /// The lock, for the owner: a thief that holds it may be waiting for the owner.
    fn lock_as_owner(&self) -> MutexGuard<'_, Guarded> {
        if let Some(guarded) = self.guarded.try_lock() {
            return guarded;
        }
        self.grant();
        self.guarded.lock()
    }

    /// The owner is about to change a thing by plain loads and stores that a source of this line
    /// could give. Until [`conclude`](Self::conclude) thieves pass over it; what was given before
    /// has been marked.
    #[inline]
    pub(crate) fn announce(&self, thing: NonNull<()>) {
        // ORDERING: the fence orders it before the look at who asks.
        self.owned.busy_with.store(thing.as_ptr(), Ordering::Relaxed);
        light_fence();
        if self.is_asked() {
            let _asked = self.attend();
        }
    }

    /// The change was made.
    #[inline]
    pub(crate) fn conclude(&self) {
        // ORDERING: release, partner of `is_busy_with`: a thief that sees this sees the change.
        self.owned.busy_with.store(ptr::null_mut(), Ordering::Release);
    }

    /// Whether the owner is changing this thing. For a thief that has frozen the line.
    pub(crate) fn is_busy_with(&self, thing: NonNull<()>) -> bool {
        // ORDERING: acquire, partner of `conclude`.
        self.owned.busy_with.load(Ordering::Acquire) == thing.as_ptr()
    }

    /// No worker watches any more: whoever adds something is to call one.
    pub(crate) fn ask_for_a_call(&self) {
        self.owned.asked.fetch_or(CALL, Ordering::SeqCst);
    }

    /// The owner is about to call one.
    pub(crate) fn answer_call(&self) {
        self.owned.asked.fetch_and(!CALL, Ordering::SeqCst);
    }

    /// The owner has popped a job that a thief took: thieves must not begin their walk there.
    pub(crate) fn retreat(&self, job: NonNull<Job>) {
        let guarded = self.lock_as_owner();
        let innermost = guarded.innermost.expect("the line is attached");
        // SAFETY: a stretch is there while the line names it, and the lock is held.
        let stretch = unsafe { innermost.as_ref() };
        if stretch.base.get() == job && !mutant!("no_retreat") {
            // SAFETY: the owner is in the frame of this job.
            let entry = unsafe { job.as_ref() };
            // SAFETY: it was taken, as all that become a base.
            stretch.base.set(unsafe { entry.below() });
            self.note_bare(innermost);
        }
    }

    /// Runs something that only this thread may do to its line: no thief is there meanwhile.
    pub(crate) fn alone<R>(&self, body: impl FnOnce() -> R) -> R {
        let guarded = self.lock_as_owner();
        let result = body();
        drop(guarded);
        result
    }

    /// By this the owner's time on a core is known.
    pub(crate) fn clock(&self) -> Option<ThreadClock> {
        self.guarded.lock().clock
    }

    /// Takes the oldest piece, which is the biggest, unless another thief is here just now.
    pub(crate) fn try_take(&self) -> Look {
        if self.is_bare() {
            return Look::Bare;
        }
        let Some(guarded) = self.guarded.try_lock() else { return Look::Busy };
        if self.is_bare() {
            return Look::Bare;
        }
        // ORDERING: hints, both of them.
        let top = self.owned.top.load(Ordering::Relaxed);
        let changes = self.owned.changes.load(Ordering::Relaxed);
        let taken = self.take_from(&guarded, None);
        // ORDERING: a hint.
        self.hints.visited.store(ticks(clock::now()), Ordering::Relaxed);
        if taken.is_some() {
            // ORDERING: as above.
            self.hints.poor.store(ptr::null_mut(), Ordering::Relaxed);
        }
        // Jobs come and go at one place, so only of sources it is known whether it is still the
        // same.
        // ORDERING: as above.
        if taken.is_none() && top == self.owned.source.load(Ordering::Relaxed) {
            // ORDERING: as above.
            self.hints.poor.store(top, Ordering::Relaxed);
            self.hints.poor_since.store(changes, Ordering::Relaxed);
        }
        drop(guarded);
        taken.map_or(Look::Nothing, Look::Taken)
    }

    /// The same; of a certain work only, if one is given. Waits for other thieves.
    pub(crate) fn take(&self, part_of: Option<&Arc<Offer>>) -> Option<Taken> {
        if self.is_bare() {
            return None;
        }
        let guarded = self.guarded.lock();
        let taken = self.take_from(&guarded, part_of);
        drop(guarded);
        taken
    }

    fn take_from(&self, guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Option<Taken> {
        let innermost = guarded.innermost?;
        // SAFETY: the lock is held.
        if !unsafe { is_wanted(innermost, part_of) } {
            return None;
        }
        let answer = if guarded.is_frozen.get() { None } else { self.ask(guarded, part_of) };
        self.note_stuck(answer.is_none());
        let given = match answer {
            Some(answer) => answer,
            None if self.is_bare() => return None,
            None => {
                self.freeze(guarded);
                self.take_frozen(guarded, part_of)
            }
        };
        self.note_bare(innermost);
        given.map(Taken)
    }

    /// Asks the owner. `None` if it does not answer.
    fn ask(&self, guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Option<Option<Arc<Offer>>> {
        let wish = Wish::new(guarded, part_of);
        // ORDERING: the bit tells of it.
        self.wish.store(ptr::from_ref(&wish).cast_mut(), Ordering::Relaxed);
        // ORDERING: release, partner of `grant`.
        self.owned.asked.fetch_or(WISH, Ordering::Release);
        let answer = wish.wait_a_moment(self.was_stuck());
        if answer.is_some() {
            return answer;
        }
        // ORDERING: acquire, as the owner may have begun.
        let is_withdrawn = self.owned.asked.fetch_and(!WISH, Ordering::AcqRel) & WISH != 0;
        if is_withdrawn || mutant!("wish_granted_twice") { None } else { Some(wish.wait()) }
    }

    /// From here on the owner does no more than one thing to the line before it waits for the lock.
    /// It stays so until the owner has come by: so only the first of many thieves that find it
    /// stuck pays for the fence.
    fn freeze(&self, guarded: &Guarded) {
        if !guarded.is_frozen.replace(true) {
            self.owned.asked.fetch_or(FROZEN, Ordering::SeqCst);
            timed_heavy_fence();
        }
    }

    /// Takes something without the owner's help. With the line frozen.
    fn take_frozen(&self, guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Option<Arc<Offer>> {
        // ORDERING: acquire, partner of `push`.
        let top = NonNull::new(self.owned.top.load(Ordering::Acquire));
        // SAFETY: the line is frozen, and its lock is held.
        unsafe { give_oldest(guarded, top, part_of) }
    }

    /// Runs what was taken from a line, as a stretch of its own: what this thread has left further
    /// out is no part of it, and stays within reach.
    pub(crate) fn run(&self, taken: Taken) {
        let stretch = Stretch::new(Some(Arc::clone(taken.offer())));
        stretch.base.set(stretch.root());
        let below = self.open(&stretch);
        taken.run();
        self.close(&stretch, below);
    }

    fn open(&self, stretch: &Stretch) -> NonNull<Job> {
        let mut guarded = self.lock_as_owner();
        // ORDERING: only the owner writes it.
        let below = NonNull::new(self.owned.top.load(Ordering::Relaxed));
        let below = below.expect("the line is attached");
        let outer = guarded.innermost.expect("the line is attached");
        stretch.outer.set(Some((outer, below)));
        guarded.innermost = Some(NonNull::from(stretch));
        // ORDERING: thieves come by the lock.
        self.owned.top.store(stretch.root().as_ptr(), Ordering::Relaxed);
        // ORDERING: a hint.
        self.sign.runs.fetch_add(1, Ordering::Relaxed);
        self.note_bare(NonNull::from(stretch));
        drop(guarded);
        below
    }

    fn close(&self, stretch: &Stretch, below: NonNull<Job>) {
        let mut guarded = self.lock_as_owner();
        guarded.innermost = stretch.outer.get().map(|(outer, _)| outer);
        // ORDERING: thieves come by the lock.
        self.owned.top.store(below.as_ptr(), Ordering::Relaxed);
        // ORDERING: a hint.
        self.sign.runs.fetch_sub(1, Ordering::Relaxed);
        if let Some(innermost) = guarded.innermost {
            self.note_bare(innermost);
        }
        drop(guarded);
    }
}
