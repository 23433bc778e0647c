//! One thread's line: the row of everything that its fork-join calls have left to run, within reach
//! of every thief.
//!
//! `README.md` beside this file has the protocol and the argument. In short: the owner adds entries
//! and takes them back with plain stores, and after each checks whether a thief is there. A thief
//! locks the line and asks the owner first; the owner gives when it checks. If the owner does not
//! check, the thief freezes the line, and pays for the fence of both sides.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::glance::{Hints, Plenty, Sign, ticks};
use super::job::Job;
use super::stretch::{Stretch, give_oldest, is_wanted};
use super::wish::{Wish, timed_heavy_fence};
use super::{Offer, Taken};
use crate::base::clock;
use crate::base::sync::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, fence,
    is_asymmetric, light_fence,
};
use crate::parts::metrics::{self, ThreadClock};
use crate::parts::parker::Parker;

/// A thief is or was here, so an entry that the owner takes back may belong to a thief. Set until
/// the owner checks the line.
const FROZEN: u32 = 1;
/// No worker watches the lines: an owner that adds something calls one.
const CALL: u32 = 2;
/// The kernel has no fence for both sides, so the owner must run its own.
const FENCED: u32 = 4;
/// A thief waits for the owner to give it something.
const WISH: u32 = 8;

/// What the line's owner writes, and thieves read.
#[derive(Debug)]
pub(super) struct Owned {
    /// The newest entry, or a root if there is none.
    pub(super) top: AtomicPtr<Job>,
    /// What the owner has to attend to. Thieves and the hub write it, too.
    pub(super) asked: AtomicU32,
    /// How many calls have begun on the first stretch.
    pub(super) calls: AtomicUsize,
    /// The thing that the owner changes with plain loads and stores right now, though a source
    /// could give it away.
    pub(super) busy_with: AtomicPtr<()>,
    /// How often a source was opened or closed, or got more to give.
    pub(super) changes: AtomicUsize,
    /// The newest source.
    pub(super) source: AtomicPtr<Job>,
    /// Whether the newest source reports how much is left. It does if it is the only thing on the
    /// line, except for what lies above it.
    pub(super) is_only: AtomicBool,
    /// What [`Sign::plenty`] says.
    pub(super) plenty: AtomicU32,
}

/// What the lock guards. While a thief that holds the lock waits for the owner's answer, the owner
/// uses this.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) innermost: Option<NonNull<Stretch>>,
    pub(super) owner: Option<Arc<Parker>>,
    clock: Option<ThreadClock>,
    /// Whether the line was frozen, and the owner has not checked it since.
    is_frozen: Cell<bool>,
}

// SAFETY: stretches lie in frames of the owner or in the line itself, and threads reach them only
// under the lock.
unsafe impl Send for Guarded {}

/// What an owner was asked for: a call of a worker, or something for a thief.
#[derive(Debug, Clone, Copy)]
#[must_use = "a worker may have to be called"]
pub(crate) struct Asked {
    pub(crate) is_called: bool,
    pub(crate) has_thief: bool,
}

/// The result of a thief's look.
pub(crate) enum Look {
    Taken(Taken),
    /// There are entries, but they have nothing to give now.
    Nothing,
    /// The line has nothing left.
    Bare,
    /// Another thief is there.
    Busy,
}

/// One thread's line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) owned: CachePadded<Owned>,
    pub(super) sign: CachePadded<Sign>,
    /// What the thief that holds the lock wants to take.
    wish: AtomicPtr<Wish>,
    pub(super) hints: Hints,
    guarded: Mutex<Guarded>,
    first: UnsafeCell<Stretch>,
}

// SAFETY: `first` is a stretch like any other; the rest is shared through atomics and the lock.
unsafe impl Sync for Line {}
// SAFETY: it moves only before it is attached to its thread, when nothing points into it.
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
        // SAFETY: the line exists, and no code makes an exclusive reference to `first`.
        NonNull::from(unsafe { &*self.first.get() })
    }

    /// Makes the calling thread the owner of the line. From here on the line must not move.
    pub(crate) fn attach(&self, owner: Arc<Parker>) {
        let mut guarded = self.guarded.lock();
        let first = self.first();
        // SAFETY: the first stretch lies in the line, and the lock is held.
        let stretch = unsafe { first.as_ref() };
        stretch.base.set(stretch.root());
        guarded.innermost = Some(first);
        guarded.owner = Some(owner);
        guarded.clock = Some(metrics::of_thread());
        // ORDERING: relaxed, because thieves come through the lock.
        self.owned.top.store(stretch.root().as_ptr(), Ordering::Relaxed);
        self.note_bare(first);
    }

    #[inline(always)]
    pub(super) fn is_first_root(&self, job: *mut Job) -> bool {
        // The root is the first field of a stretch, and the stretch does not move.
        ptr::eq(job, self.first.get().cast())
    }

    /// Adds an entry. Returns the entry below, for [`pop`](Self::pop). Check
    /// [`is_asked`](Self::is_asked) afterwards.
    ///
    /// # Safety
    /// - Only the owner calls this, and the line is attached.
    /// - The job does not move until it was popped, and jobs are popped in reverse order.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, job: NonNull<Job>) -> NonNull<Job> {
        let owned = &*self.owned;
        // ORDERING: relaxed, because only the owner writes it.
        let below = owned.top.load(Ordering::Relaxed);
        // SAFETY: an attached line has a top, which exists until it was popped.
        let below = unsafe { NonNull::new_unchecked(below) };
        // ORDERING: release, partner of the acquire in `give`: a thief that arrives through this
        // link sees the complete job.
        // SAFETY: the entry below lies on the line.
        let entry_below = unsafe { below.as_ref() };
        // SAFETY: this writes the place.
        unsafe { entry_below.newer() }.store(job.as_ptr(), Ordering::Release);
        // ORDERING: as above, for a thief that arrives through `top`.
        owned.top.store(job.as_ptr(), Ordering::Release);
        if self.is_first_root(below.as_ptr()) {
            // ORDERING: relaxed, because only the owner writes it; for thieves it is a hint.
            let calls = owned.calls.load(Ordering::Relaxed);
            owned.calls.store(calls.wrapping_add(1), Ordering::Relaxed);
        }
        light_fence();
        below
    }

    /// Takes the newest entry back. It then belongs to the owner, unless a thief has it. So
    /// [`attend`](Self::attend) if the line [is asked](Self::is_asked), and then check whether the
    /// job [was taken](Job::was_taken).
    #[inline(always)]
    pub(crate) fn pop(&self, below: NonNull<Job>) {
        // ORDERING: release, so that a thief that sees this sees everything that the owner did
        // before.
        self.owned.top.store(below.as_ptr(), Ordering::Release);
        light_fence();
    }

    /// Whether the owner must [attend](Self::attend) to the line before it goes on.
    #[inline(always)]
    pub(crate) fn is_asked(&self) -> bool {
        // ORDERING: relaxed, because the owner sees what thieves did through the lock, in `attend`;
        // only the owner ends a freeze.
        self.owned.asked.load(Ordering::Relaxed) != 0
    }

    /// Gives a thief what it asks for, and ends a freeze: waits until no thief is at the line.
    /// Returns whether a worker must be called to watch, and whether a thief was there.
    #[cold]
    #[inline(never)]
    pub(crate) fn attend(&self) -> Asked {
        // ORDERING: as in `is_asked`.
        let mut asked = self.owned.asked.load(Ordering::Relaxed);
        if asked & FENCED != 0 {
            fence(Ordering::SeqCst);
            // ORDERING: as above; the fence stands between the owner's store and this load.
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
        mutant!("thief_not_waited_for" => return);
        let guarded = self.guarded.lock();
        // ORDERING: relaxed, because thieves freeze the line with the lock held.
        self.owned.asked.fetch_and(!FROZEN, Ordering::Relaxed);
        mutant!("thawed_for_good" => return);
        guarded.is_frozen.set(false);
        drop(guarded);
    }

    /// Whether the line asks for a call. For threads other than the owner.
    pub(crate) fn asks_for_a_call(&self) -> bool {
        fence(Ordering::SeqCst);
        self.owned.asked.load(Ordering::SeqCst) & CALL != 0
    }

    /// Does on behalf of a thief what the thief would do, if it still waits for that. Only for the
    /// owner.
    fn grant(&self) {
        // ORDERING: acquire, partner of `ask`. Release keeps the chain from an earlier thief's
        // release.
        if self.owned.asked.fetch_and(!WISH, Ordering::AcqRel) & WISH == 0 {
            return;
        }
        // ORDERING: relaxed, because the wish was seen with the bit.
        let wish = NonNull::new(self.wish.load(Ordering::Relaxed)).expect("a thief waits");
        // SAFETY: the bit was cleared here, so the thief waits for the answer.
        let wished = unsafe { wish.as_ref() };
        // SAFETY: the bit was cleared here, and there is no answer yet.
        let (guarded, part_of) = unsafe { wished.about() };
        // ORDERING: relaxed, because only the owner writes it.
        let top = NonNull::new(self.owned.top.load(Ordering::Relaxed));
        // SAFETY: the thief holds the lock for the owner, and the owner pops nothing meanwhile.
        let given = unsafe { give_oldest(guarded, top, part_of) };
        // SAFETY: the bit was cleared here, and this is the only answer.
        unsafe { Wish::answer(wish, given) };
    }

    /// Locks for the owner. A thief that holds the lock may be waiting for the owner.
    fn lock_as_owner(&self) -> MutexGuard<'_, Guarded> {
        if let Some(guarded) = self.guarded.try_lock() {
            return guarded;
        }
        self.grant();
        self.guarded.lock()
    }

    /// Announces that the owner is about to change a thing with plain loads and stores, though a
    /// source of this line could give it away. Thieves skip the thing until
    /// [`conclude`](Self::conclude). A thing that was given before is marked already.
    #[inline]
    pub(crate) fn announce(&self, thing: NonNull<()>) {
        // ORDERING: relaxed, because the fence orders it before the check of `asked`.
        self.owned.busy_with.store(thing.as_ptr(), Ordering::Relaxed);
        light_fence();
        if self.is_asked() {
            let _asked = self.attend();
        }
    }

    /// Ends an announcement, once the change was made.
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

    /// Asks the owner to call a worker when it adds something, because no worker watches any more.
    pub(crate) fn ask_for_a_call(&self) {
        self.owned.asked.fetch_or(CALL, Ordering::SeqCst);
    }

    /// Clears the request, because the owner is about to call a worker.
    pub(crate) fn answer_call(&self) {
        self.owned.asked.fetch_and(!CALL, Ordering::SeqCst);
    }

    /// Moves the base below a popped job that a thief took: thieves must not begin their walk
    /// there.
    pub(crate) fn retreat(&self, job: NonNull<Job>) {
        mutant!("no_retreat" => return drop(self.lock_as_owner()));
        let guarded = self.lock_as_owner();
        let innermost = guarded.innermost.expect("the line is attached");
        // SAFETY: a stretch exists while the line names it, and the lock is held.
        let stretch = unsafe { innermost.as_ref() };
        if stretch.base.get() == job {
            // SAFETY: the owner is in the frame of this job.
            let entry = unsafe { job.as_ref() };
            // SAFETY: the job was taken, as every job that becomes a base.
            stretch.base.set(unsafe { entry.below() });
            self.note_bare(innermost);
        }
    }

    /// Runs a closure that only this thread may run on its line. No thief is there meanwhile.
    pub(crate) fn alone<R>(&self, body: impl FnOnce() -> R) -> R {
        let guarded = self.lock_as_owner();
        let result = body();
        drop(guarded);
        result
    }

    /// The clock that shows how much time the owner has spent on a core.
    pub(crate) fn clock(&self) -> Option<ThreadClock> {
        self.guarded.lock().clock
    }

    /// Takes the oldest piece, which is the biggest, unless another thief is here right now.
    pub(crate) fn try_take(&self) -> Look {
        if self.is_bare() {
            return Look::Bare;
        }
        let Some(guarded) = self.guarded.try_lock() else { return Look::Busy };
        if self.is_bare() {
            return Look::Bare;
        }
        // ORDERING: relaxed, both are hints.
        let top = self.owned.top.load(Ordering::Relaxed);
        let changes = self.owned.changes.load(Ordering::Relaxed);
        let taken = self.take_from(&guarded, None);
        // ORDERING: relaxed, a hint.
        self.hints.visited.store(ticks(clock::now()), Ordering::Relaxed);
        if taken.is_some() {
            // ORDERING: as above.
            self.hints.poor.store(ptr::null_mut(), Ordering::Relaxed);
        }
        // Jobs come and go at one address, so only a source at the same address is known to be the
        // same entry.
        // ORDERING: as above.
        if taken.is_none() && top == self.owned.source.load(Ordering::Relaxed) {
            // ORDERING: as above.
            self.hints.poor.store(top, Ordering::Relaxed);
            self.hints.poor_since.store(changes, Ordering::Relaxed);
        }
        drop(guarded);
        taken.map_or(Look::Nothing, Look::Taken)
    }

    /// As [`try_take`](Self::try_take), but waits for other thieves. If `part_of` is given, takes
    /// only parts of that work.
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

    /// Asks the owner. Returns `None` if it does not answer.
    fn ask(&self, guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Option<Option<Arc<Offer>>> {
        let wish = Wish::new(guarded, part_of);
        // ORDERING: relaxed, because the bit publishes it.
        self.wish.store(ptr::from_ref(&wish).cast_mut(), Ordering::Relaxed);
        // ORDERING: release, partner of `grant`.
        self.owned.asked.fetch_or(WISH, Ordering::Release);
        let answer = wish.wait_a_moment(self.was_stuck());
        if answer.is_some() {
            return answer;
        }
        // ORDERING: acquire, because the owner may have begun.
        let is_withdrawn = self.owned.asked.fetch_and(!WISH, Ordering::AcqRel) & WISH != 0;
        mutant!("wish_granted_twice" => return None);
        if is_withdrawn { None } else { Some(wish.wait()) }
    }

    /// Freezes the line. From here on the owner makes at most one change to the line before it
    /// waits for the lock. The line stays frozen until the owner checks it. So of many thieves that
    /// find the owner stuck, only the first pays for the fence.
    fn freeze(&self, guarded: &Guarded) {
        if !guarded.is_frozen.replace(true) {
            self.owned.asked.fetch_or(FROZEN, Ordering::SeqCst);
            timed_heavy_fence();
        }
    }

    /// Takes something without the owner's help. The line is frozen.
    fn take_frozen(&self, guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Option<Arc<Offer>> {
        // ORDERING: acquire, partner of `push`.
        let top = NonNull::new(self.owned.top.load(Ordering::Acquire));
        // SAFETY: the line is frozen, and its lock is held.
        unsafe { give_oldest(guarded, top, part_of) }
    }

    /// Runs what was taken from a line, on a new stretch. What this thread has left on outer
    /// stretches is no part of that work, and stays within reach.
    pub(crate) fn run(&self, taken: Taken) {
        let stretch = Stretch::new(Some(Arc::clone(taken.offer())));
        stretch.base.set(stretch.root());
        let below = self.open(&stretch);
        taken.run();
        self.close(&stretch, below);
    }

    fn open(&self, stretch: &Stretch) -> NonNull<Job> {
        let mut guarded = self.lock_as_owner();
        // ORDERING: relaxed, because only the owner writes it.
        let below = NonNull::new(self.owned.top.load(Ordering::Relaxed));
        let below = below.expect("the line is attached");
        let outer = guarded.innermost.expect("the line is attached");
        stretch.outer.set(Some((outer, below)));
        guarded.innermost = Some(NonNull::from(stretch));
        // ORDERING: relaxed, because thieves come through the lock.
        self.owned.top.store(stretch.root().as_ptr(), Ordering::Relaxed);
        // ORDERING: relaxed, a hint.
        self.sign.runs.fetch_add(1, Ordering::Relaxed);
        self.note_bare(NonNull::from(stretch));
        drop(guarded);
        below
    }

    fn close(&self, stretch: &Stretch, below: NonNull<Job>) {
        let mut guarded = self.lock_as_owner();
        guarded.innermost = stretch.outer.get().map(|(outer, _)| outer);
        // ORDERING: relaxed, because thieves come through the lock.
        self.owned.top.store(below.as_ptr(), Ordering::Relaxed);
        // ORDERING: relaxed, a hint.
        self.sign.runs.fetch_sub(1, Ordering::Relaxed);
        if let Some(innermost) = guarded.innermost {
            self.note_bare(innermost);
        }
        drop(guarded);
    }
}
