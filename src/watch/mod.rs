//! Who of many has settled: a waker for each of them, in one piece of memory.
//!
//! Each task's waker points to a slot of its own. Woken, it puts the slot on a list and wakes whoever waits
//! for the whole. So the waiter takes what has settled, in the order of settling, and never looks at the rest.
//!
//! The list is pushed by many and taken as a whole by one, so there is no ABA. A push that comes after the
//! taker's last look finds the waiter's waker: the taker leaves that before it looks (`Watch::wait`).

#[cfg(all(test, corepool_loom))]
mod models;

use core::alloc::Layout;
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};
use std::alloc::handle_alloc_error;

#[cfg(corepool_loom)]
use loom::alloc::{alloc, dealloc};
#[cfg(not(corepool_loom))]
use std::alloc::{alloc, dealloc};

use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Mutex, Ordering, handshake, planted};

/// The end of the list.
const END: u32 = u32::MAX;
/// Not on the list.
const OFF: u32 = u32::MAX - 1;

/// The piece of memory. Slots follow it.
struct Head {
    /// The watch, and the wakers that still exist.
    owners: AtomicUsize,
    slots: u32,
    /// The slot that was put on the list last.
    newest: AtomicU32,
    waits: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

struct Slot {
    number: u32,
    older: AtomicU32,
}

/// Watches so many tasks.
pub(crate) struct Watch {
    head: NonNull<Head>,
}

// SAFETY: all that is shared is atomic or under a lock; the memory goes with its last owner.
unsafe impl Send for Watch {}
// SAFETY: as above.
unsafe impl Sync for Watch {}

/// Where the slots begin, and what all of it needs.
fn layout(slots: usize) -> (Layout, usize) {
    let slots = Layout::array::<Slot>(slots).expect("as many handles as there are fit into memory");
    Layout::new::<Head>().extend(slots).expect("as above, with some bytes before them")
}

impl Watch {
    /// # Panics
    /// For four thousand million handles.
    pub(crate) fn new(slots: usize) -> Self {
        let count = u32::try_from(slots).ok().filter(|count| *count < OFF);
        let count = count.expect("less than 4,294,967,294 handles are watched");
        let (layout, offset) = layout(slots);
        // SAFETY: the head has a size.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let head = Head {
            owners: AtomicUsize::new(1),
            slots: count,
            newest: AtomicU32::new(END),
            waits: AtomicBool::new(false),
            waiter: Mutex::new(None),
        };
        // SAFETY: fresh memory, and the head lies at its beginning.
        unsafe { memory.cast::<Head>().write(head) };
        for number in 0..count {
            // SAFETY: the slots follow at this offset.
            let slots = unsafe { memory.add(offset) }.cast::<Slot>();
            // SAFETY: there are so many.
            let slot = unsafe { slots.add(number as usize) };
            // SAFETY: as above.
            unsafe { slot.write(Slot { number, older: AtomicU32::new(OFF) }) };
        }
        Self { head: memory.cast() }
    }

    fn head(&self) -> &Head {
        // SAFETY: the watch is one of the owners.
        unsafe { self.head.as_ref() }
    }

    /// The waker of one task.
    pub(crate) fn waker(&self, number: usize) -> Waker {
        assert!(number < self.head().slots as usize, "there is a slot for each handle");
        // SAFETY: this is an owner, and one more owner is counted for the waker.
        unsafe { count_owner(self.head) };
        // SAFETY: the number is one of a slot.
        let slot = unsafe { slot_of(self.head, number as u32) };
        // SAFETY: the table's functions take a slot and count owners as wakers come and go.
        unsafe { Waker::from_raw(RawWaker::new(slot.as_ptr().cast(), &TABLE)) }
    }

    /// Takes all that has settled since the last time, in that order.
    pub(crate) fn take(&self, mut each: impl FnMut(usize)) {
        // Acquire, partner of the push: whoever settled did it before.
        let mut next = self.head().newest.swap(END, Ordering::SeqCst);
        // The newest comes first; turned round it is the order of settling.
        let mut oldest = END;
        while next != END {
            // SAFETY: only numbers of slots are on the list.
            let slot = unsafe { slot_of(self.head, next) };
            // SAFETY: it is there as long as this owner is.
            let slot = unsafe { slot.as_ref() };
            // ORDERING: the list is this thread's now.
            let older = slot.older.load(Ordering::Relaxed);
            slot.older.store(oldest, Ordering::Relaxed);
            oldest = next;
            next = older;
        }
        while oldest != END {
            // SAFETY: as above.
            let slot = unsafe { slot_of(self.head, oldest) };
            // SAFETY: as above.
            let slot = unsafe { slot.as_ref() };
            // ORDERING: as above; from here on the slot may be put on the list again.
            let newer = slot.older.swap(OFF, Ordering::Release);
            each(oldest as usize);
            oldest = newer;
        }
    }

    /// Leaves the waker of who waits. Says whether something has settled already: then nobody may wake it.
    pub(crate) fn wait(&self, waker: &Waker) -> bool {
        let head = self.head();
        let old = head.waiter.lock().replace(waker.clone());
        drop(old);
        if cfg!(not(corepool_mutant = "watch_waits_unsaid")) {
            head.waits.store(true, Ordering::SeqCst);
        }
        handshake();
        head.newest.load(Ordering::SeqCst) != END
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waiter = self.head().waiter.lock().take();
        // User code, without the lock.
        drop(waiter);
        // SAFETY: the watch is used no more.
        unsafe { let_go(self.head) };
    }
}

/// # Safety
/// - `head` has an owner, and so many slots.
unsafe fn slot_of(head: NonNull<Head>, number: u32) -> NonNull<Slot> {
    let (_, offset) = layout(number as usize + 1);
    // SAFETY: the slots begin there, however many they are.
    let slots = unsafe { head.byte_add(offset) }.cast::<Slot>();
    // SAFETY: the caller's promise.
    unsafe { slots.add(number as usize) }
}

/// # Safety
/// - `slot` is one of a piece of memory that has an owner.
unsafe fn head_of(slot: NonNull<Slot>) -> NonNull<Head> {
    // SAFETY: the caller's promise.
    let number = unsafe { slot.as_ref() }.number;
    let (_, offset) = layout(number as usize + 1);
    // SAFETY: the slots lie in a row, behind the head.
    let slots = unsafe { slot.sub(number as usize) };
    // SAFETY: as above.
    unsafe { slots.byte_sub(offset) }.cast()
}

/// # Safety
/// - `head` has an owner.
unsafe fn count_owner(head: NonNull<Head>) {
    // SAFETY: the caller's promise.
    let owners = unsafe { &head.as_ref().owners };
    // ORDERING: a new owner comes from one that is there.
    owners.fetch_add(1, Ordering::Relaxed);
}

/// # Safety
/// - The caller is an owner, and is none any more after this.
unsafe fn let_go(head: NonNull<Head>) {
    // ORDERING: release what this owner did; acquire, for the last, what the others did.
    let order =
        planted(cfg!(corepool_mutant = "watch_unreleased"), Ordering::AcqRel, Ordering::Relaxed);
    // SAFETY: the caller's promise.
    let before = unsafe { &head.as_ref().owners }.fetch_sub(1, order);
    if before > 1 {
        return;
    }
    // SAFETY: nobody else is left.
    let (layout, _) = layout(unsafe { head.as_ref() }.slots as usize);
    // SAFETY: as above. Slots need no drop.
    unsafe { head.drop_in_place() };
    // SAFETY: it was allocated with this layout.
    unsafe { dealloc(head.as_ptr().cast(), layout) };
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// # Safety
/// - The functions of the table are called by a `Waker` that counts as an owner.
unsafe fn clone(slot: *const ()) -> RawWaker {
    // SAFETY: a waker's pointer is that of a slot.
    let pointer = unsafe { NonNull::new_unchecked(slot.cast_mut()) }.cast();
    // SAFETY: the waker is an owner.
    let head = unsafe { head_of(pointer) };
    // SAFETY: as above.
    unsafe { count_owner(head) };
    RawWaker::new(slot, &TABLE)
}

/// # Safety
/// - As for [`clone`].
unsafe fn wake(slot: *const ()) {
    // SAFETY: the waker that was handed over, to be dropped whatever the waiter's waker does.
    let this = unsafe { Waker::from_raw(RawWaker::new(slot, &TABLE)) };
    // SAFETY: it is still an owner.
    unsafe { wake_by_ref(slot) };
    drop(this);
}

/// # Safety
/// - As for [`clone`].
unsafe fn wake_by_ref(slot: *const ()) {
    // SAFETY: a waker's pointer is that of a slot.
    let slot = unsafe { NonNull::new_unchecked(slot.cast_mut()) }.cast::<Slot>();
    // SAFETY: the waker is an owner.
    let head = unsafe { head_of(slot) };
    // SAFETY: as above.
    let head = unsafe { head.as_ref() };
    // SAFETY: as above.
    let slot = unsafe { slot.as_ref() };
    if head.put_on_list(slot) {
        handshake();
        if head.waits.load(Ordering::SeqCst) {
            head.wake_waiter();
        }
    }
}

/// # Safety
/// - As for [`clone`]; the waker is used no more.
unsafe fn drop_waker(slot: *const ()) {
    // SAFETY: a waker's pointer is that of a slot.
    let slot = unsafe { NonNull::new_unchecked(slot.cast_mut()) }.cast();
    // SAFETY: the waker is an owner.
    let head = unsafe { head_of(slot) };
    // SAFETY: as above, until here.
    unsafe { let_go(head) };
}

impl Head {
    /// Says whether the slot was not on the list before.
    fn put_on_list(&self, slot: &Slot) -> bool {
        // ORDERING: acquire, partner of the swap in `take`, after which the slot may be used again.
        let is_off =
            slot.older.compare_exchange(OFF, END, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !is_off {
            return false;
        }
        // ORDERING: tried again if it is old.
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // ORDERING: published by the exchange.
            slot.older.store(newest, Ordering::Relaxed);
            // SeqCst: against `wait`, which stores that it waits and then looks at the list.
            let push = self.newest.compare_exchange(
                newest,
                slot.number,
                Ordering::SeqCst,
                Ordering::Relaxed,
            );
            match push {
                Ok(_) => return true,
                Err(now) => newest = now,
            }
        }
    }

    #[cold]
    fn wake_waiter(&self) {
        // Once: until it waits again nobody needs to.
        if self.waits.swap(false, Ordering::SeqCst) {
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}
