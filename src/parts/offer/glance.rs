//! Hints about a line that thieves read from afar, without a fence. They save most visits that
//! would find nothing, and looking at them disturbs no owner.
//!
//! A line is a thread's row of fork-join work (see `README.md`). All hints may be out of date.
//! Soundness does not depend on them, and they hide no work for good: the lookout, the worker that
//! naps and checks all lines, uses only the hint that a line is bare, and that one is wrong for a
//! moment at most.

use core::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::job::Job;
use super::line::Line;
use super::stretch::Stretch;
use crate::base::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// How long a line counts as poor after a visit that found nothing.
const POOR_FOR: Duration = Duration::from_millis(1);

/// What thieves look at from afar. It has a cache line of its own that is seldom written: looks at
/// data that the owner writes all the time would slow the owner down.
#[derive(Debug)]
pub(super) struct Sign {
    /// How many stretches (the entries that belong to one thing the thread runs) lie on the first
    /// one.
    pub(super) runs: AtomicU32,
    /// How much the only source has left, as a [`Plenty`].
    pub(super) plenty: AtomicU32,
}

impl Sign {
    pub(super) fn new() -> Self {
        Self { runs: AtomicU32::new(0), plenty: AtomicU32::new(Plenty::Unknown as u32) }
    }
}

/// What a thief leaves for the next one, to save it a useless visit. Hints, read without a fence.
#[derive(Debug)]
pub(super) struct Hints {
    /// If this is the newest entry, nothing is left.
    pub(super) bare: AtomicPtr<Job>,
    /// The newest entry when a thief found that none had anything to give, and the number of the
    /// owner's changes then (`poor_since`).
    pub(super) poor: AtomicPtr<Job>,
    pub(super) poor_since: AtomicUsize,
    /// When a thief last visited, in nanoseconds since an arbitrary time.
    pub(super) visited: AtomicUsize,
    /// Whether the owner gave the last thief no answer.
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

/// What [`Line::note_source`] found before it changed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OuterSource(*mut Job, bool);

/// How much is left to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Plenty {
    Nothing,
    Little,
    Some,
    Much,
    /// The line does not say.
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
    /// The number of the call that the owner is inside, if any.
    pub(crate) fn call(&self) -> Option<usize> {
        // ORDERING: relaxed, a hint.
        let top = self.owned.top.load(Ordering::Relaxed);
        if top.is_null() || self.is_first_root(top) { None } else { Some(self.calls()) }
    }

    /// Whether the owner is inside a call, or works for one.
    pub(crate) fn is_in_call(&self) -> bool {
        self.is_helping() || self.call().is_some()
    }

    /// How many calls the owner has begun.
    pub(crate) fn calls(&self) -> usize {
        // ORDERING: relaxed, a hint.
        self.owned.calls.load(Ordering::Relaxed)
    }

    /// Whether the owner runs something that it took from another line.
    pub(crate) fn is_helping(&self) -> bool {
        // ORDERING: relaxed, a hint.
        self.sign.runs.load(Ordering::Relaxed) > 0
    }

    /// Whether a thief visited less than `time` before `now`.
    pub(crate) fn was_visited(&self, now: Instant, time: Duration) -> bool {
        // ORDERING: relaxed, a hint.
        let visited = self.hints.visited.load(Ordering::Relaxed);
        (ticks(now).wrapping_sub(visited) as u128) < time.as_nanos()
    }

    /// Whether the owner did not answer the last thief. The owner may be waiting for work that it
    /// has left on the line.
    pub(crate) fn was_stuck(&self) -> bool {
        // ORDERING: relaxed, a hint.
        self.hints.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn note_stuck(&self, is_stuck: bool) {
        // ORDERING: relaxed, a hint.
        self.hints.stuck.store(is_stuck, Ordering::Relaxed);
    }

    /// Whether nothing seems to be left. A hint: it may miss what was added just now.
    pub(crate) fn is_bare(&self) -> bool {
        // ORDERING: relaxed, both are hints.
        self.owned.top.load(Ordering::Relaxed) == self.hints.bare.load(Ordering::Relaxed)
    }

    /// How much seems to be left.
    pub(crate) fn plenty(&self) -> Plenty {
        // ORDERING: relaxed, a hint.
        let plenty = Plenty::from_bits(self.sign.plenty.load(Ordering::Relaxed));
        // Something else may lie above a source that has nothing left.
        // ORDERING: relaxed, both are hints.
        if plenty == Plenty::Nothing
            && self.owned.top.load(Ordering::Relaxed) != self.owned.source.load(Ordering::Relaxed)
        {
            return Plenty::Unknown;
        }
        plenty
    }

    /// Notes that the newest source has `left` items left. Only for the owner.
    #[inline]
    pub(crate) fn note_left(&self, left: usize) {
        // ORDERING: relaxed, only the owner writes it.
        if self.owned.is_only.load(Ordering::Relaxed) {
            self.say(Plenty::of(left));
        }
    }

    #[inline]
    fn say(&self, plenty: Plenty) {
        // ORDERING: relaxed, only the owner writes it.
        let before = self.owned.plenty.load(Ordering::Relaxed);
        if before != plenty as u32 {
            if before < plenty as u32 {
                self.note_change();
            }
            // ORDERING: as above.
            self.owned.plenty.store(plenty as u32, Ordering::Relaxed);
            // ORDERING: relaxed, a hint.
            self.sign.plenty.store(plenty as u32, Ordering::Relaxed);
        }
    }

    /// Notes that a source was opened. Returns the value for
    /// [`forget_source`](Self::forget_source).
    #[inline]
    pub(crate) fn note_source(&self, source: NonNull<Job>, below: NonNull<Job>) -> OuterSource {
        let owned = &*self.owned;
        // ORDERING: relaxed, only the owner writes them.
        let outer = owned.source.load(Ordering::Relaxed);
        let outer = OuterSource(outer, owned.is_only.load(Ordering::Relaxed));
        // ORDERING: relaxed, all of them are hints.
        let is_only = self.hints.bare.load(Ordering::Relaxed) == below.as_ptr();
        owned.is_only.store(is_only, Ordering::Relaxed);
        owned.source.store(source.as_ptr(), Ordering::Relaxed);
        self.say(Plenty::Unknown);
        self.note_change();
        outer
    }

    /// Notes that the source was closed.
    #[inline]
    pub(crate) fn forget_source(&self, OuterSource(source, is_only): OuterSource) {
        // ORDERING: relaxed, hints.
        self.owned.source.store(source, Ordering::Relaxed);
        self.owned.is_only.store(is_only, Ordering::Relaxed);
        self.say(Plenty::Unknown);
        self.note_change();
    }

    /// Notes that another thread has added something to a source of this line.
    pub(crate) fn note_stray(&self) {
        // ORDERING: relaxed, both are hints.
        self.sign.plenty.store(Plenty::Unknown as u32, Ordering::Relaxed);
        self.hints.poor.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Whether a thief recently found nothing to take here, and nothing is known to have been added
    /// since. This may be wrong; the lookout does not use it.
    pub(crate) fn looks_poor(&self, now: Instant) -> bool {
        // ORDERING: relaxed, all of them are hints.
        let is_same =
            self.hints.poor.load(Ordering::Relaxed) == self.owned.top.load(Ordering::Relaxed);
        let is_unchanged = is_same
            && self.hints.poor_since.load(Ordering::Relaxed)
                == self.owned.changes.load(Ordering::Relaxed);
        is_unchanged && self.was_visited(now, POOR_FOR)
    }

    /// Notes that a source was opened or closed, or has more to give. Only for the owner.
    #[inline]
    pub(crate) fn note_change(&self) {
        // ORDERING: relaxed, a hint that only the owner writes.
        let changes = self.owned.changes.load(Ordering::Relaxed);
        self.owned.changes.store(changes.wrapping_add(1), Ordering::Relaxed);
    }

    /// Notes the newest entry by which the line can be known to be bare. The lock is held.
    pub(super) fn note_bare(&self, innermost: NonNull<Stretch>) {
        // SAFETY: a stretch exists while the line names it, and the lock is held.
        let stretch = unsafe { innermost.as_ref() };
        // SAFETY: the caller holds the line's lock.
        let is_only = unsafe { stretch.is_alone() };
        let bare = if is_only { stretch.base.get().as_ptr() } else { ptr::null_mut() };
        // ORDERING: relaxed, a hint.
        self.hints.bare.store(bare, Ordering::Relaxed);
    }
}
