//! What a task holds just now: its closure, its value or a panic's payload, in one place.

use core::ptr::NonNull;

use super::raw::Header;

/// Moves the closure, the value or the payload out of a task.
///
/// # Safety
/// - The contents are an `X` now, and the caller's.
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
/// - The contents are empty, the caller's, and may be an `X`.
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
/// - The contents are an `X` now, and stay where they are meanwhile.
pub(super) unsafe fn with_contents<X, R>(task: NonNull<Header>, look: impl FnOnce(&X) -> R) -> R {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller's promise.
    header.contents.with(|_| look(unsafe { place.as_ref() }))
}

/// # Safety
/// - The contents are an `X` now, and the caller's.
pub(super) unsafe fn drop_contents<X>(task: NonNull<Header>) {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<X>();
    // SAFETY: the caller owns the contents; they are dropped in place because they may be large.
    header.contents.with_mut(|_| unsafe { place.drop_in_place() });
}
