//! A piece of memory with a slot for each of many tasks, and the wakers that point to them.
//!
//! The watch and each waker own it together; the last of them frees it. A block that was added
//! later owns the first one too, where the list is.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};
use std::alloc::handle_alloc_error;

#[cfg(corepool_loom)]
use loom::alloc::{alloc, dealloc};
#[cfg(not(corepool_loom))]
use std::alloc::{alloc, dealloc};

use super::{END, List};
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, UnsafeCell, planted};

/// The beginning of the memory. Slots follow it.
struct Head {
    owners: AtomicUsize,
    slots: u32,
    /// The number of the first slot.
    start: u32,
    list: Place,
    /// Read by each owner that uses the memory, written by the last, which frees it: nothing but a
    /// sign for models.
    used: UnsafeCell<()>,
}

/// Where the list is.
enum Place {
    Here(List),
    There(Block),
}

pub(super) struct Slot {
    /// Its place in the block.
    index: u32,
    /// The slot that was put on the list before this one.
    pub(super) older: AtomicU32,
    /// On the list, or about to be.
    pub(super) listed: AtomicBool,
}

/// One of the owners of a block.
pub(super) struct Block {
    head: NonNull<Head>,
}

// SAFETY: all that is shared is atomic or under a lock; the memory goes with its last owner.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// Where the slots begin, and what all of it needs.
fn layout(slots: u32) -> (Layout, usize) {
    let slots = Layout::array::<Slot>(slots as usize);
    let slots = slots.expect("as many handles as there are fit into memory");
    Layout::new::<Head>().extend(slots).expect("as above, with some bytes before them")
}

impl Block {
    /// The first one, with the list.
    pub(super) fn first(slots: u32) -> Self {
        Self::new(0, slots, Place::Here(List::new()))
    }

    /// A further one, whose numbers start here.
    pub(super) fn after(first: &Self, start: u32, slots: u32) -> Self {
        Self::new(start, slots, Place::There(first.clone()))
    }

    fn new(start: u32, slots: u32, list: Place) -> Self {
        let (layout, offset) = layout(slots);
        // SAFETY: the head has a size.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let head =
            Head { owners: AtomicUsize::new(1), slots, start, list, used: UnsafeCell::new(()) };
        // SAFETY: fresh memory, and the head lies at its beginning.
        unsafe { memory.cast::<Head>().write(head) };
        for index in 0..slots {
            // SAFETY: the slots follow at this offset.
            let slots = unsafe { memory.add(offset) }.cast::<Slot>();
            // SAFETY: there are so many.
            let slot = unsafe { slots.add(index as usize) };
            let older = AtomicU32::new(END);
            // SAFETY: as above.
            unsafe { slot.write(Slot { index, older, listed: AtomicBool::new(false) }) };
        }
        Self { head: memory.cast() }
    }

    pub(super) fn start(&self) -> u32 {
        self.head().start
    }

    /// The number behind the last slot's.
    pub(super) fn end(&self) -> u32 {
        self.head().start + self.head().slots
    }

    pub(super) fn list(&self) -> &List {
        let head = self.head();
        head.used.with(|_| ());
        match &head.list {
            Place::Here(list) => list,
            Place::There(first) => first.list(),
        }
    }

    pub(super) fn slot(&self, index: u32) -> &Slot {
        // SAFETY: this is an owner, and lives as long as the reference.
        unsafe { self.pointer(index).as_ref() }
    }

    pub(super) fn waker(&self, index: u32) -> Waker {
        let slot = self.pointer(index);
        // The waker is one more owner.
        let _owner = ManuallyDrop::new(self.clone());
        // SAFETY: the table's functions take a slot and count owners as wakers come and go.
        unsafe { Waker::from_raw(RawWaker::new(slot.as_ptr().cast(), &TABLE)) }
    }

    fn pointer(&self, index: u32) -> NonNull<Slot> {
        assert!(index < self.head().slots, "the slot is one of the block's");
        // SAFETY: the slots begin there, however many they are.
        let slots = unsafe { self.head.byte_add(layout(0).1) }.cast::<Slot>();
        // SAFETY: there are more than this.
        unsafe { slots.add(index as usize) }
    }

    fn head(&self) -> &Head {
        // SAFETY: this is an owner.
        unsafe { self.head.as_ref() }
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        // ORDERING: a new owner comes from one that is there.
        self.head().owners.fetch_add(1, Ordering::Relaxed);
        Self { head: self.head }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // ORDERING: release what this owner did; acquire, for the last, what the others did.
        let order = planted(mutant!("watch_unreleased"), Ordering::AcqRel, Ordering::Relaxed);
        if self.head().owners.fetch_sub(1, order) > 1 {
            return;
        }
        let head = self.head();
        head.used.with_mut(|_| ());
        let (layout, _) = layout(head.slots);
        // SAFETY: nobody else is left. Slots need no drop.
        unsafe { self.head.drop_in_place() };
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.head.as_ptr().cast(), layout) };
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// The block of a slot, without counting an owner: the waker that has the slot is one.
///
/// # Safety
/// - `slot` comes from a `Waker` that counts as an owner of the block, and is used no longer than
///   that.
unsafe fn block_of(slot: NonNull<Slot>) -> ManuallyDrop<Block> {
    // SAFETY: the caller's promise.
    let index = unsafe { slot.as_ref() }.index;
    // SAFETY: the slots lie in a row, behind the head.
    let slots = unsafe { slot.sub(index as usize) };
    // SAFETY: as above.
    let head = unsafe { slots.byte_sub(layout(0).1) }.cast();
    ManuallyDrop::new(Block { head })
}

/// # Safety
/// - `slot` is the pointer of a waker.
unsafe fn pointer_of(slot: *const ()) -> NonNull<Slot> {
    // SAFETY: a waker's pointer is that of a slot.
    unsafe { NonNull::new_unchecked(slot.cast_mut()) }.cast()
}

/// # Safety
/// - The functions of the table are called by a `Waker` that counts as an owner.
unsafe fn clone(slot: *const ()) -> RawWaker {
    // SAFETY: the caller's promise.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: as above.
    let block = unsafe { block_of(pointer) };
    let _owner = ManuallyDrop::new(Block::clone(&block));
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
    // SAFETY: the caller's promise.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: as above.
    let block = unsafe { block_of(pointer) };
    // SAFETY: the waker is an owner.
    let slot = unsafe { pointer.as_ref() };
    block.list().wake(slot, block.start() + slot.index);
}

/// # Safety
/// - As for [`clone`]; the waker is used no more.
unsafe fn drop_waker(slot: *const ()) {
    // SAFETY: the caller's promise.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: as above, until here.
    let block = unsafe { block_of(pointer) };
    drop(ManuallyDrop::into_inner(block));
}
