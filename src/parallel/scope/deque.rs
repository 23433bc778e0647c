//! The deque of a branch's jobs: the owner adds and takes at one end, thieves take from the other.
//!
//! The owner uses plain stores and a look at the line, as in `parts/offer/README.md`. Thieves come
//! while the line is held (see `give_oldest` in `parts/offer/stretch.rs`).

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering, light_fence};
use crate::parts::offer::Line;

/// This many items need no separate allocation. A power of two, like all capacities.
const FEW: usize = 8;
/// The maximum number of items that a thief takes at once.
const MOST: usize = 64;

/// A deque of addresses.
pub(super) struct Deque<T> {
    /// Items put in, minus those that the owner took. The owner writes it.
    bottom: AtomicUsize,
    /// Items that thieves took. They write it while the line is held.
    top: AtomicUsize,
    few: [AtomicPtr<T>; FEW],
    /// Where the items lie once `few` has become too small. Written with the line's lock held.
    many: UnsafeCell<Option<Box<[AtomicPtr<T>]>>>,
    items: PhantomData<NonNull<T>>,
}

impl<T> Deque<T> {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            bottom: AtomicUsize::new(0),
            top: AtomicUsize::new(0),
            few: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            many: UnsafeCell::new(None),
            items: PhantomData,
        }
    }

    /// Creates a deque with these items, the newest last.
    pub(super) fn with_items(items: &[NonNull<T>]) -> Self {
        let deque = Self::new();
        let len = items.len().next_power_of_two();
        if len > FEW {
            // SAFETY: no other thread reaches it yet.
            unsafe { *deque.many.get() = Some(slots(len)) };
        }
        for (number, item) in items.iter().enumerate() {
            deque.put(number, *item);
        }
        // ORDERING: no other thread reaches it yet.
        deque.bottom.store(items.len(), Ordering::Relaxed);
        deque
    }

    fn slots(&self) -> &[AtomicPtr<T>] {
        // SAFETY: only the owner's thread writes it, with the line's lock held. So neither the
        // owner nor a thief, which holds that lock, comes here meanwhile.
        let many = unsafe { &*self.many.get() };
        many.as_deref().unwrap_or(&self.few)
    }

    #[inline]
    fn slot(&self, number: usize) -> &AtomicPtr<T> {
        let slots = self.slots();
        &slots[number & (slots.len() - 1)]
    }

    #[inline]
    fn put(&self, number: usize, item: NonNull<T>) {
        // ORDERING: `bottom` is stored after it, with release.
        self.slot(number).store(item.as_ptr(), Ordering::Relaxed);
    }

    fn get(&self, number: usize) -> NonNull<T> {
        // ORDERING: the owner wrote it; or `bottom` was read before, with acquire.
        let item = self.slot(number).load(Ordering::Relaxed);
        NonNull::new(item).expect("an item was put there")
    }

    /// Adds an item, for the owner. The caller must look at the line afterwards. If the items need
    /// more room, those for which `is_spent` returns `true` are dropped first, and never come out
    /// again.
    #[inline]
    pub(super) fn push(
        &self,
        line: &Line,
        item: NonNull<T>,
        is_spent: impl Fn(NonNull<T>) -> bool,
    ) {
        // ORDERING: only the owner writes it.
        let mut bottom = self.bottom.load(Ordering::Relaxed);
        // ORDERING: what thieves have taken since makes more room, never less.
        let top = self.top.load(Ordering::Relaxed);
        if bottom - top == self.slots().len() {
            bottom = self.make_room(line, bottom, is_spent);
        }
        self.put(bottom, item);
        // ORDERING: release, partner of the acquire in `take_older`.
        self.bottom.store(bottom + 1, Ordering::Release);
        line.note_left(bottom + 1 - top);
        light_fence();
    }

    /// Makes room and returns the new bottom. Half of the room is free afterwards.
    #[cold]
    fn make_room(
        &self,
        line: &Line,
        bottom: usize,
        is_spent: impl Fn(NonNull<T>) -> bool,
    ) -> usize {
        line.alone(|| {
            // ORDERING: no thief is here.
            let top = self.top.load(Ordering::Relaxed);
            let items = (top..bottom).map(|number| self.get(number));
            let left: Vec<_> = items.filter(|&item| !is_spent(item)).collect();
            if left.len() > self.slots().len() / 2 {
                let larger = slots(self.slots().len() * 2);
                // SAFETY: this is the owner's thread, and no thief is here.
                unsafe { *self.many.get() = Some(larger) };
            }
            let bottom = top + left.len();
            (top..bottom).zip(left).for_each(|(number, item)| self.put(number, item));
            // ORDERING: thieves come by way of the lock.
            self.bottom.store(bottom, Ordering::Relaxed);
            bottom
        })
    }

    /// Takes the newest item, for the owner.
    #[inline]
    pub(super) fn pop(&self, line: &Line) -> Option<NonNull<T>> {
        // ORDERING: only the owner writes it.
        let bottom = self.bottom.load(Ordering::Relaxed);
        // ORDERING: acquire, so that an owner that finds no items left also sees what the thief
        // that took the last one did.
        if bottom == self.top.load(Ordering::Acquire) {
            return None;
        }
        let newest = bottom - 1;
        // ORDERING: release, as in `Line::pop`.
        self.bottom.store(newest, Ordering::Release);
        // ORDERING: only for a hint; a thief may have taken that item, too.
        line.note_left(newest.saturating_sub(self.top.load(Ordering::Relaxed)));
        light_fence();
        if line.is_asked() {
            let _asked = line.attend();
        }
        // ORDERING: no thief is here, or only one that sees the new bottom.
        let is_taken = self.top.load(Ordering::Relaxed) > newest;
        mutant!("deque_end_unseen" => return Some(self.get(newest)));
        if is_taken {
            // ORDERING: as in `push`.
            self.bottom.store(bottom, Ordering::Release);
            return None;
        }
        Some(self.get(newest))
    }

    /// Returns `true` if nothing seems to be left, for a thief.
    pub(super) fn looks_empty(&self) -> bool {
        // ORDERING: a hint; `take_older` checks again.
        let top = self.top.load(Ordering::Relaxed);
        // ORDERING: as above.
        self.bottom.load(Ordering::Relaxed) <= top
    }

    /// Takes the older half, for a thief, up to the first item for which `is_free` returns `false`:
    /// that item may not be taken now.
    ///
    /// # Safety
    /// - The line is held: see `give_oldest` in `parts/offer/stretch.rs`.
    pub(super) unsafe fn take_older(
        &self,
        is_free: impl Fn(NonNull<T>) -> bool,
    ) -> Vec<NonNull<T>> {
        // ORDERING: only thieves write it, under the lock.
        let top = self.top.load(Ordering::Relaxed);
        // ORDERING: acquire, partner of `push`.
        let bottom = self.bottom.load(Ordering::Acquire);
        let wanted = bottom.saturating_sub(top).div_ceil(2).min(MOST);
        let taken: Vec<_> = (top..top + wanted)
            .map(|number| self.get(number))
            .take_while(|&item| is_free(item))
            .collect();
        // ORDERING: release, partner of the acquire in `pop`.
        self.top.store(top + taken.len(), Ordering::Release);
        taken
    }
}

fn slots<T>(len: usize) -> Box<[AtomicPtr<T>]> {
    (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect()
}
