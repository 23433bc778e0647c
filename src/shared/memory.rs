//! Zeroed memory that starts on a cache line and shares none of its cache lines.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// The alignment. Some processors have wider cache lines; there the memory can share only its first
/// and last line with other data.
pub(super) const LINE: usize = 64;

/// The alignment that we request from the allocator. The standard allocator returns memory that the
/// system has already zeroed only up to the alignment of a plain `malloc`. Above that it writes the
/// zeros itself and so touches every page. So we request some spare bytes and align to a cache line
/// ourselves.
const ASKED: usize = align_of::<u64>();

/// The memory, which is freed on drop.
#[derive(Debug)]
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it only records what to free. It neither reads nor writes the memory, and the allocator
// takes memory back from any thread.
unsafe impl Send for Memory {}
// SAFETY: a shared reference cannot do anything with it.
unsafe impl Sync for Memory {}

impl Memory {
    /// Allocates this many zeroed bytes and returns where they start. Returns `None` if that is
    /// impossible.
    pub(super) fn zeroed(bytes: usize) -> Option<(Self, NonNull<u8>)> {
        // Whole cache lines, so that nothing else is placed in the last one. The size is never
        // zero, because `LINE - ASKED` is not.
        let size = bytes.checked_next_multiple_of(LINE)?.checked_add(LINE - ASKED)?;
        let layout = Layout::from_size_align(size, ASKED).ok()?;
        // SAFETY: the size is not zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let memory = Self { base: NonNull::new(base)?, layout };
        let gap = memory.base.addr().get().wrapping_neg() % LINE;
        // SAFETY: the base is aligned to `ASKED`, so the gap is at most `LINE - ASKED` and the
        // result lies inside the memory.
        let start = unsafe { memory.base.add(gap) };
        Some((memory, start))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the memory came from the same allocator with the same layout, and only this drop
        // frees it.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
