//! The entries of a line: jobs, which run once, and sources, which give parts away again and again.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use std::sync::Arc;

use super::{Offer, Work};
use crate::base::sync::{AtomicPtr, Ordering};
use crate::parts::parker::Parker;

/// The header of every entry of a line. It lies in a frame of the owner.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Job {
    /// The job's table; or, once a thief has taken it, its offer with the lowest bit set.
    word: AtomicPtr<()>,
    /// The entry above. Written when there is one.
    newer: MaybeUninit<AtomicPtr<Self>>,
    /// The entry below. Written by the thread that takes this one.
    below: UnsafeCell<MaybeUninit<NonNull<Self>>>,
}

/// What differs between types of jobs.
#[derive(Debug)]
pub(crate) struct JobTable {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// It runs once, on the thread that has it.
    Once(unsafe fn(NonNull<()>)),
    /// It is the header of a [`SourceJob`], and gives parts away again and again.
    Source,
    /// The root, which lies below all others.
    Root,
}

/// The mark in the address of the offer.
const TAKEN: usize = 1;

impl JobTable {
    /// # Safety
    /// - `run` may be called once with a pointer to any job of this table, on any thread, from when
    ///   the job was pushed until it was taken back or the offer made of it is done.
    /// - It does not unwind.
    pub(crate) const unsafe fn new(run: unsafe fn(NonNull<()>)) -> Self {
        Self { kind: Kind::Once(run) }
    }
}

/// Writes nothing, because a store would add to the price of each call.
#[cfg(not(corepool_loom))]
#[inline(always)]
fn no_newer() -> MaybeUninit<AtomicPtr<Job>> {
    MaybeUninit::uninit()
}

/// Loom's atomics must be created.
#[cfg(corepool_loom)]
fn no_newer() -> MaybeUninit<AtomicPtr<Job>> {
    MaybeUninit::new(AtomicPtr::new(ptr::null_mut()))
}

static SOURCE: JobTable = JobTable { kind: Kind::Source };
pub(super) static ROOT: JobTable = JobTable { kind: Kind::Root };

impl Job {
    #[inline(always)]
    pub(crate) fn new(table: &'static JobTable) -> Self {
        Self {
            word: AtomicPtr::new(ptr::from_ref(table).cast_mut().cast()),
            newer: no_newer(),
            below: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The place for the entry above.
    ///
    /// # Safety
    /// - The caller writes to it, or there is an entry above.
    #[inline(always)]
    pub(super) unsafe fn newer(&self) -> &AtomicPtr<Self> {
        // SAFETY: an atomic store may write to a place that was never written. Any bytes are a
        // valid atomic pointer, and no thread reads it before the store.
        unsafe { self.newer.assume_init_ref() }
    }

    /// The entry below.
    ///
    /// # Safety
    /// - This entry was taken, and the line's lock is held.
    pub(super) unsafe fn below(&self) -> NonNull<Self> {
        // SAFETY: `lies_on` wrote it with the lock held, and it is never written again.
        let below = unsafe { *self.below.get() };
        // SAFETY: `lies_on` has written it: the caller promises that this entry was taken.
        unsafe { below.assume_init() }
    }

    /// Notes the entry below, for a thread that finds this one taken.
    ///
    /// # Safety
    /// - The caller takes this entry, and the line's lock is held.
    pub(super) unsafe fn lies_on(&self, below: NonNull<Self>) {
        // SAFETY: the caller promises that it takes this entry and that the lock is held.
        unsafe { *self.below.get() = MaybeUninit::new(below) };
    }

    /// Whether a thief has taken it. Only for the owner, after [`Line::pop`](super::Line::pop).
    #[inline(always)]
    pub(crate) fn was_taken(&self) -> bool {
        // ORDERING: relaxed. After `pop` the owner has checked whether the line is asked. If it was
        // not, no thief has marked this job. If it was, `attend` has taken the lock, or answered
        // the thief itself.
        self.word.load(Ordering::Relaxed).addr() & TAKEN != 0
    }

    /// The offer that a thief has made of it. Only for the owner, after `was_taken`, and only once.
    pub(crate) fn take_offer(&self) -> Arc<Offer> {
        // ORDERING: as above.
        let offer = self.word.load(Ordering::Relaxed).map_addr(|addr| addr & !TAKEN);
        debug_assert!(self.was_taken(), "only a thief makes an offer");
        // SAFETY: `give_of` left it there for the owner.
        unsafe { Arc::from_raw(offer.cast::<Offer>()) }
    }
}

/// An entry of the line that can give parts of itself away again and again: a scope, or a range.
pub(crate) trait Source {
    /// Splits off a part, if there is one, and makes an offer of it.
    ///
    /// # Safety
    /// - The line on which the source lies is held: see `give_oldest` in `stretch.rs`.
    unsafe fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>>;
}

/// A source's entry.
#[repr(C)]
pub(crate) struct SourceJob {
    job: Job,
    source: NonNull<dyn Source>,
}

impl SourceJob {
    /// # Safety
    /// - The source outlives the entry.
    pub(crate) unsafe fn new(source: &dyn Source) -> Self {
        let source: NonNull<dyn Source + '_> = NonNull::from(source);
        // SAFETY: the types differ only in the lifetime, and the caller promises that the source
        // outlives the entry.
        let source = unsafe {
            core::mem::transmute::<NonNull<dyn Source + '_>, NonNull<dyn Source>>(source)
        };
        Self { job: Job::new(&SOURCE), source }
    }

    pub(crate) fn job(&self) -> NonNull<Job> {
        NonNull::from(self).cast()
    }
}

/// Makes offers of what lies on a line.
pub(crate) struct Maker<'a> {
    /// What the line's thread ran when it added this.
    parent: Option<&'a Arc<Offer>>,
    owner: &'a Arc<Parker>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(parent: Option<&'a Arc<Offer>>, owner: &'a Arc<Parker>) -> Self {
        Self { parent, owner }
    }

    pub(crate) fn offer(&self, work: Work) -> Arc<Offer> {
        Offer::new(work, self.parent.cloned(), Arc::clone(self.owner))
    }

    /// An offer that is part of what the group stands for.
    pub(crate) fn offer_in(&self, group: &Arc<Offer>, work: Work) -> Arc<Offer> {
        Offer::new(work, Some(Arc::clone(group)), Arc::clone(self.owner))
    }

    /// An offer for the line's thread to wait for, which other offers may be parts of.
    pub(crate) fn group(&self) -> Arc<Offer> {
        Offer::group(self.parent.cloned(), Arc::clone(self.owner))
    }
}

/// What an entry has to give.
pub(super) enum Given {
    /// A part of it.
    Offer(Arc<Offer>),
    /// All of it.
    Taken(Arc<Offer>),
    /// Nothing now.
    Nothing,
    /// A thread has taken it already.
    Gone,
}

/// # Safety
/// - The job's line is held (see `give_oldest` in `stretch.rs`), and the job is on the line.
pub(super) unsafe fn give_of(job: NonNull<Job>, maker: &Maker<'_>) -> Given {
    // SAFETY: the caller promises that the job is on the line.
    let entry = unsafe { job.as_ref() };
    // ORDERING: relaxed, because the job was found with acquire. Only thieves change the word, and
    // the owner on behalf of one, while the line is held.
    let word = entry.word.load(Ordering::Relaxed);
    if word.addr() & TAKEN != 0 {
        return Given::Gone;
    }
    // SAFETY: a word without a mark is the address of a table.
    match unsafe { &*word.cast::<JobTable>() }.kind {
        Kind::Once(run) => {
            // SAFETY: the table promises this. The job's frame waits for the offer's end, and the
            // owner runs the job only if it finds no offer.
            let offer = maker.offer(unsafe { Work::new(job.cast(), run) });
            let kept = Arc::into_raw(Arc::clone(&offer)).cast_mut().cast::<()>();
            // ORDERING: relaxed, because the owner reads it after it has seen that the thief is
            // gone.
            entry.word.store(kept.map_addr(|addr| addr | TAKEN), Ordering::Relaxed);
            Given::Taken(offer)
        }
        Kind::Source => {
            // SAFETY: a job of this kind is the header of a source's entry, which exists as long as
            // the job.
            let source = unsafe { job.cast::<SourceJob>().as_ref() }.source;
            // SAFETY: the source outlives its entry, and the line is held.
            let source = unsafe { source.as_ref() };
            // SAFETY: the caller promises that the line is held.
            let given = unsafe { source.give(maker) };
            given.map_or(Given::Nothing, Given::Offer)
        }
        Kind::Root => unreachable!("a root lies below all that is looked at"),
    }
}
