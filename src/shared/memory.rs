//! A piece of zeroed memory that begins with a cache line and shares none of its lines.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// The alignment. Wider lines than this exist; what lies in one piece there shares at most its
/// first and last line.
pub(super) const LINE: usize = 64;

/// What is asked of the allocator. The standard one gets memory that the system has already zeroed
/// only up to the alignment of a plain `malloc`; above that it writes the zeros itself, and so
/// touches every page. So the alignment to a line is made here, with some bytes to spare.
const ASKED: usize = align_of::<u64>();

/// The memory; freed on drop.
#[derive(Debug)]
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it only says what to free. It reads and writes nothing there, and the allocator takes
// memory back from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above; a shared one can do nothing at all.
unsafe impl Sync for Memory {}

impl Memory {
    /// So many bytes of zeros, and where they start; nothing if there can't be so many.
    pub(super) fn zeroed(bytes: usize) -> Option<(Self, NonNull<u8>)> {
        // Whole lines, so that nothing else comes to lie in the last one. No size is zero: `LINE -
        // ASKED` is not.
        let size = bytes.checked_next_multiple_of(LINE)?.checked_add(LINE - ASKED)?;
        let layout = Layout::from_size_align(size, ASKED).ok()?;
        // SAFETY: the size is not zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let memory = Self { base: NonNull::new(base)?, layout };
        let gap = memory.base.addr().get().wrapping_neg() % LINE;
        // SAFETY: the base is aligned to `ASKED`, so the gap is at most `LINE - ASKED`: inside of
        // the memory.
        let start = unsafe { memory.base.add(gap) };
        Some((memory, start))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it came from the same allocator with the same layout, and nobody else frees it.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
