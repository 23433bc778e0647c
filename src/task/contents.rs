//! The contents of a task: its closure, its value or a panic payload, all in the same place.

use core::ptr::NonNull;

use super::raw::Header;

/// Moves the closure, the value or the payload out of a task.
///
/// # Safety
/// - The contents are now an `X` that belongs to the caller.
#[inline]
pub(super) unsafe fn take_contents<X>(task: NonNull<Header>) -> X {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller owns the contents and moves them out once.
    header.contents.with_mut(|_| unsafe { place.read() })
}

/// # Safety
/// - The contents are empty, belong to the caller, and may be an `X`.
#[inline]
pub(super) unsafe fn put_contents<X>(task: NonNull<Header>, contents: X) {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller owns the place, which has room for this type.
    header.contents.with_mut(|_| unsafe { place.write(contents) });
}

/// # Safety
/// - The contents are now an `X`, and stay where they are during the call.
pub(super) unsafe fn with_contents<X, R>(task: NonNull<Header>, look: impl FnOnce(&X) -> R) -> R {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller promises that the contents are an `X` and stay where they are.
    header.contents.with(|_| look(unsafe { place.as_ref() }))
}

/// # Safety
/// - The contents are now an `X` that belongs to the caller.
pub(super) unsafe fn drop_contents<X>(task: NonNull<Header>) {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller owns the contents. They are dropped in place because they may be large.
    header.contents.with_mut(|_| unsafe { place.drop_in_place() });
}
