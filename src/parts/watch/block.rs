//! A block of memory with a slot for each of many tasks, and the wakers that point to the slots.
//!
//! The watch and each waker own the block together; the last owner frees it. A block that was added
//! later also owns the first block, where the list is.

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
use crate::base::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, UnsafeCell};

// ORDERING: release what this owner did; acquire, for the last owner, what the others did.
ordering!(LEAVE = AcqRel, planted "watch_unreleased": Relaxed);

/// The start of the memory. The slots follow it.
struct Head {
    owners: AtomicUsize,
    slots: u32,
    /// The number of the first slot.
    start: u32,
    list: ListAt,
    /// Every owner that uses the memory reads this, and the last owner writes it before it frees
    /// the memory. It exists only so that models detect a use after free.
    used: UnsafeCell<()>,
}

/// Where the list is.
enum ListAt {
    Here(List),
    There(Block),
}

pub(super) struct Slot {
    /// Its index in the block.
    index: u32,
    /// The slot that was put on the list before this one.
    pub(super) older: AtomicU32,
    /// The slot is on the list or about to be.
    pub(super) listed: AtomicBool,
}

/// One owner of a block.
pub(super) struct Block {
    head: NonNull<Head>,
}

// SAFETY: all shared parts are atomic or under a lock, and the memory lives until its last owner is
// dropped.
unsafe impl Send for Block {}
// SAFETY: all shared parts are atomic or under a lock.
unsafe impl Sync for Block {}

/// The layout of the whole block, and the offset of the slots.
fn layout(slots: u32) -> (Layout, usize) {
    let slots = Layout::array::<Slot>(slots as usize);
    let slots = slots.expect("as many handles as there are fit into memory");
    Layout::new::<Head>().extend(slots).expect("as above, with some bytes before them")
}

impl Block {
    /// The first block, which contains the list.
    pub(super) fn first(slots: u32) -> Self {
        Self::new(0, slots, ListAt::Here(List::new()))
    }

    /// A further block, whose numbers begin at `start`.
    pub(super) fn after(first: &Self, start: u32, slots: u32) -> Self {
        Self::new(start, slots, ListAt::There(first.clone()))
    }

    fn new(start: u32, slots: u32, list: ListAt) -> Self {
        let (layout, offset) = layout(slots);
        // SAFETY: the layout has a size greater than zero, because the head does.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let head =
            Head { owners: AtomicUsize::new(1), slots, start, list, used: UnsafeCell::new(()) };
        // SAFETY: the memory is fresh, and the head is at its start.
        unsafe { memory.cast::<Head>().write(head) };
        for index in 0..slots {
            // SAFETY: the slots begin at this offset in the memory.
            let slots = unsafe { memory.add(offset) }.cast::<Slot>();
            // SAFETY: there are `slots` slots, and the index is less than that.
            let slot = unsafe { slots.add(index as usize) };
            let older = AtomicU32::new(END);
            // SAFETY: the slot lies inside the fresh memory.
            unsafe { slot.write(Slot { index, older, listed: AtomicBool::new(false) }) };
        }
        Self { head: memory.cast() }
    }

    pub(super) fn start(&self) -> u32 {
        self.head().start
    }

    /// The number after the last slot's number.
    pub(super) fn end(&self) -> u32 {
        self.head().start + self.head().slots
    }

    pub(super) fn list(&self) -> &List {
        let head = self.head();
        head.used.with(|_| ());
        match &head.list {
            ListAt::Here(list) => list,
            ListAt::There(first) => first.list(),
        }
    }

    pub(super) fn slot(&self, index: u32) -> &Slot {
        // SAFETY: `self` is an owner of the block, and it lives as long as the reference.
        unsafe { self.pointer(index).as_ref() }
    }

    pub(super) fn waker(&self, index: u32) -> Waker {
        let slot = self.pointer(index);
        // The waker is an additional owner.
        let _owner = ManuallyDrop::new(self.clone());
        // SAFETY: the functions in the table take a slot pointer, and they count owners as wakers
        // are cloned and dropped.
        unsafe { Waker::from_raw(RawWaker::new(slot.as_ptr().cast(), &TABLE)) }
    }

    fn pointer(&self, index: u32) -> NonNull<Slot> {
        assert!(index < self.head().slots, "the slot is one of the block's");
        // SAFETY: the slots begin at this offset, whatever their number.
        let slots = unsafe { self.head.byte_add(layout(0).1) }.cast::<Slot>();
        // SAFETY: the block has more slots than `index`, as checked above.
        unsafe { slots.add(index as usize) }
    }

    fn head(&self) -> &Head {
        // SAFETY: `self` is an owner, so the head is still allocated.
        unsafe { self.head.as_ref() }
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        // ORDERING: a new owner is created from an existing one.
        self.head().owners.fetch_add(1, Ordering::Relaxed);
        Self { head: self.head }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.head().owners.fetch_sub(1, LEAVE) > 1 {
            return;
        }
        let head = self.head();
        head.used.with_mut(|_| ());
        let (layout, _) = layout(head.slots);
        // SAFETY: this was the last owner. Slots need no drop.
        unsafe { self.head.drop_in_place() };
        // SAFETY: the memory was allocated with this layout.
        unsafe { dealloc(self.head.as_ptr().cast(), layout) };
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Returns the block of a slot without counting an owner, because the waker that has the slot is
/// already one.
///
/// # Safety
/// - `slot` comes from a `Waker` that counts as an owner of the block, and the result is used no
///   longer than that waker lives.
unsafe fn block_of(slot: NonNull<Slot>) -> ManuallyDrop<Block> {
    // SAFETY: the caller promises that the slot's waker owns the block, so the slot is allocated.
    let index = unsafe { slot.as_ref() }.index;
    // SAFETY: the slots are contiguous, and this one has `index` slots before it.
    let slots = unsafe { slot.sub(index as usize) };
    // SAFETY: the head lies in the same memory, at this offset before the slots.
    let head = unsafe { slots.byte_sub(layout(0).1) }.cast();
    ManuallyDrop::new(Block { head })
}

/// # Safety
/// - `slot` is the data pointer of a waker of this table.
unsafe fn pointer_of(slot: *const ()) -> NonNull<Slot> {
    // SAFETY: the data pointer of such a waker points to a slot, so it is not null.
    unsafe { NonNull::new_unchecked(slot.cast_mut()) }.cast()
}

/// # Safety
/// - The functions of the table are called by a `Waker` that counts as an owner.
unsafe fn clone(slot: *const ()) -> RawWaker {
    // SAFETY: the caller promises that a `Waker` with this table calls, so the pointer is that of a
    // slot.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: the caller promises that the waker counts as an owner, and it outlives this call.
    let block = unsafe { block_of(pointer) };
    let _owner = ManuallyDrop::new(Block::clone(&block));
    RawWaker::new(slot, &TABLE)
}

/// # Safety
/// - As for [`clone`].
unsafe fn wake(slot: *const ()) {
    // SAFETY: this is the waker that was passed in. It is dropped even if the waiter's waker
    // panics.
    let this = unsafe { Waker::from_raw(RawWaker::new(slot, &TABLE)) };
    // SAFETY: the waker is still an owner.
    unsafe { wake_by_ref(slot) };
    drop(this);
}

/// # Safety
/// - As for [`clone`].
unsafe fn wake_by_ref(slot: *const ()) {
    // SAFETY: the caller promises that a `Waker` with this table calls, so the pointer is that of a
    // slot.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: the caller promises that the waker counts as an owner, and it outlives this call.
    let block = unsafe { block_of(pointer) };
    // SAFETY: the waker is an owner, so the slot is allocated.
    let slot = unsafe { pointer.as_ref() };
    block.list().wake(slot, block.start() + slot.index);
}

/// # Safety
/// - As for [`clone`], and the waker is not used again.
unsafe fn drop_waker(slot: *const ()) {
    // SAFETY: the caller promises that a `Waker` with this table calls, so the pointer is that of a
    // slot.
    let pointer = unsafe { pointer_of(slot) };
    // SAFETY: the caller promises that the waker counts as an owner; it is one until this drop.
    let block = unsafe { block_of(pointer) };
    drop(ManuallyDrop::into_inner(block));
}
