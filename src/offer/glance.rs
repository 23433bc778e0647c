//! What can be seen of a line from afar: glances without a fence, so that thieves seldom come in
//! vain, and disturb nobody by looking.
//!
//! All of it may be out of date. Nothing is sound because of it, and nothing stays hidden: the
//! lookout asks for none of it but whether a line is bare, and that is wrong for a moment only.

use core::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::job::Job;
use super::line::Line;
use super::stretch::Stretch;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// For so long after a visit in vain a line counts as poor.
const POOR_FOR: Duration = Duration::from_millis(1);

/// What thieves look at from afar. On a cache line of its own that is seldom written: looks at what
/// the owner writes all the time would hold it up.
#[derive(Debug)]
pub(super) struct Sign {
    /// How many stretches lie on the first one.
    pub(super) runs: AtomicU32,
    /// How much the only source has left, as a [`Plenty`].
    pub(super) plenty: AtomicU32,
}

impl Sign {
    pub(super) fn new() -> Self {
        Self { runs: AtomicU32::new(0), plenty: AtomicU32::new(Plenty::Unknown as u32) }
    }
}

/// What a thief leaves for the next one, so that nobody comes in vain. Glances, without a fence.
#[derive(Debug)]
pub(super) struct Hints {
    /// If this is the newest entry, nothing is left.
    pub(super) bare: AtomicPtr<Job>,
    /// The newest entry when a thief found that none had anything to give, and the owner's changes
    /// then.
    pub(super) poor: AtomicPtr<Job>,
    pub(super) poor_since: AtomicUsize,
    /// When a thief was here last, in nanoseconds since some time.
    pub(super) visited: AtomicUsize,
    /// Whether the owner left the last thief without an answer.
    pub(super) stuck: AtomicBool,
}

impl Hints {
    pub(super) fn new() -> Self {
        Self {
            bare: AtomicPtr::new(ptr::null_mut()),
            poor: AtomicPtr::new(ptr::null_mut()),
            poor_since: AtomicUsize::new(0),
            visited: AtomicUsize::new(0),
            stuck: AtomicBool::new(false),
        }
    }
}

/// What [`Line::note_source`] found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OuterSource(*mut Job, bool);

/// How much is left to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Plenty {
    Nothing,
    Little,
    Some,
    Much,
    /// It does not say.
    Unknown,
}

impl Plenty {
    #[inline]
    fn of(left: usize) -> Self {
        match left {
            0 => Self::Nothing,
            1..=3 => Self::Little,
            4..=15 => Self::Some,
            _ => Self::Much,
        }
    }

    fn from_bits(bits: u32) -> Self {
        [Self::Nothing, Self::Little, Self::Some, Self::Much]
            .get(bits as usize)
            .copied()
            .unwrap_or(Self::Unknown)
    }
}

pub(super) fn ticks(time: Instant) -> usize {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(|| time);
    time.saturating_duration_since(*start).as_nanos() as usize
}

impl Line {
    /// Whether the owner is inside a call, and which.
    pub(crate) fn call(&self) -> Option<usize> {
        // ORDERING: a hint.
        let top = self.owned.top.load(Ordering::Relaxed);
        if top.is_null() || self.is_first_root(top) { None } else { Some(self.calls()) }
    }

    /// Whether the owner is inside a call, or works for one.
    pub(crate) fn is_in_call(&self) -> bool {
        self.is_helping() || self.call().is_some()
    }

    /// How many calls the owner has begun.
    pub(crate) fn calls(&self) -> usize {
        // ORDERING: a hint.
        self.owned.calls.load(Ordering::Relaxed)
    }

    /// Whether the owner runs something that it took from another line.
    pub(crate) fn is_helping(&self) -> bool {
        // ORDERING: a hint.
        self.sign.runs.load(Ordering::Relaxed) > 0
    }

    /// Whether a thief was here so short a time before now.
    pub(crate) fn was_visited(&self, now: Instant, time: Duration) -> bool {
        // ORDERING: a hint.
        let visited = self.hints.visited.load(Ordering::Relaxed);
        (ticks(now).wrapping_sub(visited) as u128) < time.as_nanos()
    }

    /// Whether the owner was in something long when a thief came last: it may wait for what it has
    /// left.
    pub(crate) fn was_stuck(&self) -> bool {
        // ORDERING: a hint.
        self.hints.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn note_stuck(&self, is_stuck: bool) {
        // ORDERING: a hint.
        self.hints.stuck.store(is_stuck, Ordering::Relaxed);
    }

    /// A glance: what was added just now may be missed.
    pub(super) fn is_bare(&self) -> bool {
        // ORDERING: hints, both of them.
        self.owned.top.load(Ordering::Relaxed) == self.hints.bare.load(Ordering::Relaxed)
    }

    /// How much seems to be left.
    pub(crate) fn plenty(&self) -> Plenty {
        // ORDERING: a hint.
        let plenty = Plenty::from_bits(self.sign.plenty.load(Ordering::Relaxed));
        // Something else may lie above a source that has nothing.
        // ORDERING: hints, both of them.
        if plenty == Plenty::Nothing
            && self.owned.top.load(Ordering::Relaxed) != self.owned.source.load(Ordering::Relaxed)
        {
            return Plenty::Unknown;
        }
        plenty
    }

    /// The newest source has so many things left. Only for the owner.
    #[inline]
    pub(crate) fn note_left(&self, left: usize) {
        // ORDERING: only the owner writes it.
        if self.owned.is_only.load(Ordering::Relaxed) {
            self.say(Plenty::of(left));
        }
    }

    #[inline]
    fn say(&self, plenty: Plenty) {
        // ORDERING: only the owner writes it.
        let before = self.owned.plenty.load(Ordering::Relaxed);
        if before != plenty as u32 {
            if before < plenty as u32 {
                self.note_change();
            }
            // ORDERING: as above.
            self.owned.plenty.store(plenty as u32, Ordering::Relaxed);
            // ORDERING: a hint.
            self.sign.plenty.store(plenty as u32, Ordering::Relaxed);
        }
    }

    /// A source was opened. Gives what to [forget](Self::forget_source) it by.
    #[inline]
    pub(crate) fn note_source(&self, source: NonNull<Job>, below: NonNull<Job>) -> OuterSource {
        let owned = &*self.owned;
        // ORDERING: only the owner writes them.
        let outer = owned.source.load(Ordering::Relaxed);
        let outer = OuterSource(outer, owned.is_only.load(Ordering::Relaxed));
        // ORDERING: hints, all of them.
        let is_only = self.hints.bare.load(Ordering::Relaxed) == below.as_ptr();
        owned.is_only.store(is_only, Ordering::Relaxed);
        owned.source.store(source.as_ptr(), Ordering::Relaxed);
        self.say(Plenty::Unknown);
        self.note_change();
        outer
    }

    /// The source was closed.
    #[inline]
    pub(crate) fn forget_source(&self, OuterSource(source, is_only): OuterSource) {
        // ORDERING: hints.
        self.owned.source.store(source, Ordering::Relaxed);
        self.owned.is_only.store(is_only, Ordering::Relaxed);
        self.say(Plenty::Unknown);
        self.note_change();
    }

    /// Another thread has added something to a source of this line.
    pub(crate) fn note_stray(&self) {
        // ORDERING: hints, both of them.
        self.sign.plenty.store(Plenty::Unknown as u32, Ordering::Relaxed);
        self.hints.poor.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Whether a thief found lately that nothing here could be given, and nothing is known to have
    /// been added since. That may be wrong: the lookout does not ask.
    pub(crate) fn looks_poor(&self, now: Instant) -> bool {
        // ORDERING: hints, all of them.
        let is_same =
            self.hints.poor.load(Ordering::Relaxed) == self.owned.top.load(Ordering::Relaxed);
        let is_unchanged = is_same
            && self.hints.poor_since.load(Ordering::Relaxed)
                == self.owned.changes.load(Ordering::Relaxed);
        is_unchanged && self.was_visited(now, POOR_FOR)
    }

    /// A source was opened or closed, or has more to give. Only for the owner.
    #[inline]
    pub(crate) fn note_change(&self) {
        // ORDERING: a hint, and only the owner writes it.
        let changes = self.owned.changes.load(Ordering::Relaxed);
        self.owned.changes.store(changes.wrapping_add(1), Ordering::Relaxed);
    }

    /// Notes by which newest entry the line can be known to be bare. With the lock held.
    pub(super) fn note_bare(&self, innermost: NonNull<Stretch>) {
        // SAFETY: a stretch is there while the line names it, and the lock is held.
        let stretch = unsafe { innermost.as_ref() };
        // SAFETY: as above.
        let is_only = unsafe { stretch.is_alone() };
        let bare = if is_only { stretch.base.get().as_ptr() } else { ptr::null_mut() };
        // ORDERING: a hint.
        self.hints.bare.store(bare, Ordering::Relaxed);
    }
}
