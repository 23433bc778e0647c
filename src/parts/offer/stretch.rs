//! A stretch of a line, that is, the entries that belong to one thing that the thread runs, and
//! what a thief does there.

use core::cell::Cell;
use core::ptr::NonNull;
use std::sync::Arc;

use super::Offer;
use super::job::{Given, Job, Maker, ROOT, give_of};
use super::line::Guarded;
use crate::base::sync::Ordering;
use crate::parts::parker::Parker;

/// A stretch of a line: what the thread has added while it ran one thing.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Stretch {
    /// Lies below the first entry.
    root: Job,
    /// Nothing is left to take at this entry or below.
    pub(super) base: Cell<NonNull<Job>>,
    /// What the thread runs. What the thread adds is part of that.
    offer: Option<Arc<Offer>>,
    /// The next outer stretch, and its newest entry.
    pub(super) outer: Cell<Option<(NonNull<Stretch>, NonNull<Job>)>>,
    /// Whether nothing is left on the outer stretches. Once true, this stays true, because nothing
    /// is added there while this stretch lies on them.
    is_alone: Cell<bool>,
}

impl Stretch {
    pub(super) fn new(offer: Option<Arc<Offer>>) -> Self {
        Self {
            root: Job::new(&ROOT),
            base: Cell::new(NonNull::dangling()),
            offer,
            outer: Cell::new(None),
            is_alone: Cell::new(false),
        }
    }

    /// Whether nothing is left on the outer stretches.
    ///
    /// # Safety
    /// - The line names the stretch, and its lock is held.
    pub(super) unsafe fn is_alone(&self) -> bool {
        // SAFETY: a stretch exists while the line names it, and the lock is held.
        let stretch_at = |at: NonNull<Self>| unsafe { at.as_ref() };
        let outer_of = |at: NonNull<Self>| {
            let stretch = stretch_at(at);
            stretch.outer.get().filter(|_| !stretch.is_alone.get())
        };
        let mut last = NonNull::from(self);
        while let Some((outer, top)) = outer_of(last) {
            if stretch_at(outer).base.get() != top {
                return false;
            }
            last = outer;
        }
        // Record the result in each stretch, so that the walk happens once however deep they lie.
        let mut at = NonNull::from(self);
        while let Some((outer, _)) = outer_of(at) {
            stretch_at(at).is_alone.set(true);
            at = outer;
        }
        true
    }

    pub(super) fn root(&self) -> NonNull<Job> {
        NonNull::from(&self.root)
    }

    fn is_part_of(&self, whole: &Arc<Offer>) -> bool {
        self.offer
            .as_ref()
            .is_some_and(|offer| Arc::ptr_eq(offer, whole) || offer.is_part_of(whole))
    }
}

/// # Safety
/// - The line's lock is held, by the caller or by a thief that waits for the caller; so the line
///   names the stretch.
pub(super) unsafe fn is_wanted(stretch: NonNull<Stretch>, part_of: Option<&Arc<Offer>>) -> bool {
    // SAFETY: a stretch exists while the line names it.
    part_of.is_none_or(|whole| unsafe { stretch.as_ref() }.is_part_of(whole))
}

/// Takes the oldest piece of a line.
///
/// The line must be **held**: a thief has locked and frozen it and is the caller, or the caller is
/// the owner, on behalf of a thief that has locked it and waits for an answer. In both cases the
/// owner pops nothing meanwhile, and no other thread takes anything.
///
/// # Safety
/// - The line is held. `top` is the line's newest entry.
pub(super) unsafe fn give_oldest(
    guarded: &Guarded,
    top: Option<NonNull<Job>>,
    part_of: Option<&Arc<Offer>>,
) -> Option<Arc<Offer>> {
    let innermost = guarded.innermost?;
    let owner = guarded.owner.as_ref()?;
    let top = top.expect("the line is attached");
    // What runs on a stretch is part of what runs on the outer ones. So the wanted stretches are
    // the inner ones.
    let mut outer = Vec::new();
    // SAFETY: a stretch exists while the line names it.
    let outer_of = |stretch: NonNull<Stretch>| unsafe { stretch.as_ref() }.outer.get();
    let mut next = outer_of(innermost);
    while let Some((stretch, top)) = next {
        // SAFETY: the caller promises that the line's lock is held.
        if !unsafe { is_wanted(stretch, part_of) } {
            break;
        }
        outer.push((stretch, top));
        next = outer_of(stretch);
    }
    let mut oldest_first = outer.into_iter().rev().chain([(innermost, top)]);
    oldest_first.find_map(|(stretch, top)| {
        // SAFETY: a stretch exists while the line names it.
        let stretch = unsafe { stretch.as_ref() };
        // SAFETY: the caller promises that the line is frozen or its own, and that the lock is
        // held.
        unsafe { give(stretch, top, owner) }
    })
}

/// Whether a thief keeps away from a base that the owner has popped.
#[inline]
fn is_heeded(is_popped: bool) -> bool {
    mutant!("base_popped" => return false);
    is_popped
}

/// Takes the oldest piece of a stretch.
///
/// # Safety
/// - As for `give_oldest`. `top` was the stretch's newest entry when it was frozen, or later.
unsafe fn give(stretch: &Stretch, top: NonNull<Job>, owner: &Arc<Parker>) -> Option<Arc<Offer>> {
    let maker = Maker::new(stretch.offer.as_ref(), owner);
    let mut at = stretch.base.get();
    // SAFETY: the root exists as long as the stretch. Otherwise the base is a job that was taken,
    // and that exists until `retreat`.
    let base = unsafe { at.as_ref() };
    // SAFETY: a base that is not the root was taken.
    let is_popped = at != stretch.root() && unsafe { base.below() } == top;
    if is_heeded(is_popped) {
        // The owner has popped the base, but has not called `retreat` yet. Everything below is
        // gone.
        return None;
    }
    let mut nothing_left = true;
    while at != top {
        // ORDERING: acquire, partner of `Line::push`.
        // SAFETY: the entry lies below the top, and the owner pops nothing while the line is
        // held.
        let entry = unsafe { at.as_ref() };
        // SAFETY: there is an entry above.
        let newer = NonNull::new(unsafe { entry.newer() }.load(Ordering::Acquire));
        let next = newer.expect("an entry below the top has one above");
        // SAFETY: the entry lies below the top or is the top, and the owner pops nothing while the
        // line is held.
        let given = unsafe { give_of(next, &maker) };
        match given {
            Given::Offer(offer) => return Some(offer),
            Given::Taken(offer) => {
                // SAFETY: it was on the line, so it exists until the owner has seen that it was
                // taken.
                let entry = unsafe { next.as_ref() };
                // SAFETY: it was taken just now, and the caller promises that the lock is held.
                unsafe { entry.lies_on(at) };
                if nothing_left {
                    stretch.base.set(next);
                }
                return Some(offer);
            }
            Given::Nothing => nothing_left = false,
            Given::Gone if nothing_left => stretch.base.set(next),
            Given::Gone => {}
        }
        at = next;
    }
    None
}
