//! The memory of a task: how it is allocated and freed. Nothing here knows the types of closure and
//! result, so it is compiled once.

use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

use super::extra::Extra;
use super::raw::{Header, Table};
use super::state::State;
use super::strip::{self, KINDS, Kind, StripPlace};
use crate::base::id::PoolId;

/// Allocates a task of this table, with its header and its optional part, and without contents.
/// Plain tasks are cut from a strip (a chunk for several tasks) where their table has a kind.
// Inlined into callers that know the table, so that its kind of strip is a constant there.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn begin(
    table: &'static Table,
    pool: PoolId,
    state: State,
    extra: Option<Extra>,
) -> NonNull<Header> {
    if let Some(extra) = extra {
        return begin_extended(table, pool, state, extra);
    }
    let Some((task, place)) = table.kind.and_then(strip::cut) else {
        return begin_allocated(table, table.plain, pool, state);
    };
    let task = task.cast();
    // SAFETY: fresh, and laid out for a task of this table, which begins with a header.
    unsafe { task.write(Header::new(table, state, pool, place)) };
    task
}

fn begin_extended(
    table: &'static Table,
    pool: PoolId,
    state: State,
    extra: Extra,
) -> NonNull<Header> {
    let task = begin_allocated(table, table.extended, pool, state);
    // SAFETY: it is laid out for the optional part, which lies at this offset.
    let place = unsafe { task.byte_add(table.extra_offset) }.cast();
    // SAFETY: the place is inside the fresh allocation, and nothing is there yet.
    unsafe { place.write(extra) };
    task
}

fn begin_allocated(
    table: &'static Table,
    layout: Layout,
    pool: PoolId,
    state: State,
) -> NonNull<Header> {
    let task = from_allocator(layout).cast();
    // SAFETY: fresh, and laid out for a task of this table, which begins with a header.
    unsafe { task.write(Header::new(table, state, pool, StripPlace::NONE)) };
    task
}

fn from_allocator(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout of a task is never zero-sized, because it has a header.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// The function that frees tasks whose type has this kind of strip. There is one function for each
/// kind, so the sizes are constants in it.
pub(super) const fn free_of(kind: Option<Kind>) -> unsafe fn(NonNull<Header>) {
    const { assert!(KINDS == 5, "there is a line for each kind below") };
    match kind {
        Some(Kind(0)) => free_piece::<0>,
        Some(Kind(1)) => free_piece::<1>,
        Some(Kind(2)) => free_piece::<2>,
        Some(Kind(3)) => free_piece::<3>,
        Some(_) => free_piece::<4>,
        None => free_allocated,
    }
}

/// Frees the memory of a task whose type is cut from strips of this kind.
///
/// # Safety
/// - Both references are gone, the contents are empty, and no thread uses the task any more.
unsafe fn free_piece<const KIND: u8>(task: NonNull<Header>) {
    // SAFETY: no other thread can reach the task any more.
    let place = StripPlace::from_bits(PoolId::unpack(unsafe { task.as_ref() }.tag).1);
    if place == StripPlace::NONE {
        // SAFETY: the caller promises that no thread uses the task any more.
        return unsafe { free_allocated(task) };
    }
    // SAFETY: the header says that it was cut from a strip of its type's kind. Nothing in it needs
    // a drop: the contents are gone, and the rest is plain data.
    unsafe { strip::give_back(task.cast(), Kind(KIND), place) };
}

/// Like [`free_piece`], for a task that was not cut from a strip.
///
/// # Safety
/// - As for [`free_piece`].
unsafe fn free_allocated(task: NonNull<Header>) {
    // SAFETY: no other thread can reach the task any more.
    let header = unsafe { task.as_ref() };
    let table = header.table;
    let mut layout = table.plain;
    if header.state.is_extended() {
        layout = table.extended;
        // SAFETY: an extended task has the optional part at this offset.
        let extra = unsafe { task.byte_add(table.extra_offset) }.cast::<Extra>();
        // Untie before anything else is dropped, because a token may look at the state until then.
        // SAFETY: no other thread can reach the task any more, except for such tokens.
        unsafe { extra.as_ref() }.untie();
        // SAFETY: no thread can reach the task any more, not even a token.
        unsafe { extra.drop_in_place() };
    }
    // SAFETY: no thread uses the task any more.
    unsafe { task.drop_in_place() };
    // SAFETY: it came from `from_allocator` with this layout.
    unsafe { dealloc(task.as_ptr().cast(), layout) };
}
