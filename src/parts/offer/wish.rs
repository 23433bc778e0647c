//! A thief's wish: a request to a line's owner, which can give the thief what it wants without a
//! fence.
//!
//! The thief holds the line's lock the whole time. It publishes its wish by a bit in the word that
//! the owner checks anyway. The owner clears the bit, does what the thief would have done, and
//! answers. If no answer comes within about the time that the heavy fence takes, the thief clears
//! the bit itself and takes what it wants. Only one of the two clears the bit, so only one of them
//! acts.

use core::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use super::Offer;
use super::line::Guarded;
use crate::base::clock;
use crate::base::sync::{AtomicPtr, Ordering, heavy_fence, plain, spin_loop};
#[cfg(not(corepool_loom))]
use crate::parts::spin::Gap;

/// The shortest and the longest time that the thief waits for an answer.
const SHORTEST_WAIT: Duration = Duration::from_micros(1);
const LONGEST_WAIT: Duration = Duration::from_micros(20);
/// How often it looks for the answer before it looks at the clock.
const LOOKS: u32 = if cfg!(corepool_loom) { 1 } else { 8 };

/// Its address is the answer that there was nothing to give.
static NOTHING: u8 = 0;

// ORDERING: release, partner of the acquire in `Wish::look`: the thief sees what was done on its
// behalf.
ordering!(ANSWER = Release, planted "wish_answer_relaxed": Relaxed);

/// A wish, in the frame of the thief, which holds the line's lock.
#[derive(Debug)]
pub(super) struct Wish {
    guarded: NonNull<Guarded>,
    part_of: Option<NonNull<Arc<Offer>>>,
    /// Null until there is an answer.
    answer: AtomicPtr<Offer>,
}

impl Wish {
    pub(super) fn new(guarded: &Guarded, part_of: Option<&Arc<Offer>>) -> Self {
        Self {
            guarded: NonNull::from(guarded),
            part_of: part_of.map(NonNull::from),
            answer: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// What the line's lock guards, and the work that the thief wants a part of.
    ///
    /// # Safety
    /// - The caller has cleared the thief's bit, and has not answered yet.
    pub(super) unsafe fn about(&self) -> (&Guarded, Option<&Arc<Offer>>) {
        // SAFETY: both exist, and the thief leaves them alone, until the answer comes.
        let guarded = unsafe { self.guarded.as_ref() };
        // SAFETY: the thief leaves it alone until the answer comes.
        (guarded, self.part_of.map(|part_of| unsafe { part_of.as_ref() }))
    }

    /// Answers. The wish may be gone as soon as the answer is there.
    ///
    /// # Safety
    /// - As for [`about`](Self::about), and the caller does not use the wish afterwards.
    pub(super) unsafe fn answer(wish: NonNull<Self>, given: Option<Arc<Offer>>) {
        let answer = given.map_or(nothing(), |offer| Arc::into_raw(offer).cast_mut());
        // SAFETY: the caller promises that there is no answer yet, so the wish still exists.
        let place = unsafe { &raw const (*wish.as_ptr()).answer };
        // SAFETY: the wish exists until this store.
        unsafe { (*place).store(answer, ANSWER) };
    }

    /// The answer, if there is one.
    fn look(&self) -> Option<Option<Arc<Offer>>> {
        // ORDERING: acquire, partner of `answer`.
        let answer = NonNull::new(self.answer.load(Ordering::Acquire))?;
        if answer.as_ptr() == nothing() {
            return Some(None);
        }
        // SAFETY: `answer` left it there for the thief, which looks again only if there is no
        // answer.
        Some(Some(unsafe { Arc::from_raw(answer.as_ptr()) }))
    }

    /// Waits for an answer for about as long as the thief's other way would take, or less if an
    /// answer is unlikely.
    pub(super) fn wait_a_moment(&self, is_brief: bool) -> Option<Option<Arc<Offer>>> {
        let end = clock::after(if is_brief { SHORTEST_WAIT } else { patience() });
        loop {
            for _ in 0..LOOKS {
                if let Some(answer) = self.look() {
                    return Some(answer);
                }
                spin_loop();
            }
            if cfg!(corepool_loom) || clock::now() >= end {
                return None;
            }
        }
    }

    /// Waits for an answer that the owner has begun.
    pub(super) fn wait(&self) -> Option<Arc<Offer>> {
        #[cfg(not(corepool_loom))]
        let mut gap = Gap::default();
        loop {
            for _ in 0..64 {
                if let Some(answer) = self.look() {
                    return answer;
                }
                spin_loop();
            }
            // The owner may have lost its core.
            #[cfg(not(corepool_loom))]
            gap.wait();
        }
    }
}

fn nothing() -> *mut Offer {
    ptr::from_ref(&NOTHING).cast_mut().cast()
}

/// How long heavy fences took recently, in nanoseconds.
static FENCE_NANOS: plain::AtomicU32 = plain::AtomicU32::new(0);

fn patience() -> Duration {
    // ORDERING: relaxed, a guess.
    let nanos = FENCE_NANOS.load(plain::Ordering::Relaxed);
    Duration::from_nanos(nanos.into()).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// Runs a heavy fence, and remembers how long it takes.
pub(super) fn timed_heavy_fence() {
    let start = clock::now();
    heavy_fence();
    let took = clock::now().saturating_duration_since(start).min(LONGEST_WAIT);
    let took = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
    // ORDERING: relaxed, a guess; a lost update does no harm.
    let before = FENCE_NANOS.load(plain::Ordering::Relaxed);
    // The value falls at once and rises slowly: a thread that loses its core meanwhile has measured
    // something else.
    let now = if took < before { took } else { before + (took - before) / 16 };
    FENCE_NANOS.store(now, plain::Ordering::Relaxed);
}
