//! Memory for tasks in strips: one call of the allocator for a chunk of about eight to eighteen
//! tasks.
//!
//! With one allocation per task, half of the instructions of an empty task were `malloc` and
//! `free`. Now a thread cuts its tasks from a strip of 1 KiB, one after another. A strip goes back
//! to the allocator when its last task is freed, on the thread that frees it. Little memory is kept
//! back: for each size, a thread holds at most one strip that it cuts from, and one whose tasks it
//! freed last.
//!
//! A thread that frees several tasks of one strip in a row counts them locally and subtracts them
//! from the strip's count in one step. Threads whose thread-locals are gone, and large tasks, use
//! the allocator directly.

use core::cell::Cell;
use core::ptr::{self, NonNull};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

use crate::base::sync::plain::{AtomicU32, Ordering};
use crate::base::sync::prefetch_to_write;

const STRIP: Layout = match Layout::from_size_align(1024, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("the layout of a strip is a constant"),
};
const HEAD: usize = size_of::<Head>();
const SMALLEST: usize = 56;
const STEP: usize = 16;
pub(super) const KINDS: usize = 5;

/// One size of task that strips are cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(pub(super) u8);

/// The start of every strip.
#[repr(C, align(16))]
struct Head {
    /// Tasks that are not freed yet, including those that are not cut yet.
    left: AtomicU32,
}

/// The place of a piece in its strip, which is used to find the head again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StripPlace(u8);

impl Kind {
    /// The kind for a type. `None` if the type is too large or has a greater alignment than the
    /// pieces.
    pub(super) const fn of<X>() -> Option<Self> {
        let largest = SMALLEST + STEP * (KINDS - 1);
        if size_of::<X>() > largest || align_of::<X>() > 8 {
            return None;
        }
        let beyond = size_of::<X>().saturating_sub(SMALLEST);
        Some(Self(beyond.div_ceil(STEP) as u8))
    }

    const fn stride(self) -> usize {
        SMALLEST + STEP * self.0 as usize
    }

    const fn count(self) -> u32 {
        ((STRIP.size() - HEAD) / self.stride()) as u32
    }
}

impl StripPlace {
    /// For memory that came from the allocator directly.
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

/// A thread's current strip of one kind.
#[derive(Clone, Copy)]
struct Row {
    strip: *mut Head,
    /// How many pieces were cut from it.
    cut: u32,
}

/// Tasks of one strip that this thread has freed but not yet counted off.
#[derive(Clone, Copy)]
struct Freed {
    strip: *mut Head,
    count: u32,
}

struct Mine {
    rows: [Cell<Row>; KINDS],
    freed: [Cell<Freed>; KINDS],
}

crate::base::sync::thread_local! {
    static MINE: Mine = const {
        Mine {
            rows: [const { Cell::new(Row { strip: ptr::null_mut(), cut: 0 }) }; KINDS],
            freed: [const { Cell::new(Freed { strip: ptr::null_mut(), count: 0 }) }; KINDS],
        }
    };
}

/// Cuts a piece. `None` on a thread whose thread-locals are gone.
#[inline]
pub(super) fn cut(kind: Kind) -> Option<(NonNull<u8>, StripPlace)> {
    MINE.try_with(|mine| {
        let row = &mine.rows[kind.0 as usize];
        let Row { mut strip, mut cut } = row.get();
        if strip.is_null() {
            strip = new_strip(kind);
            cut = 0;
        }
        let offset = HEAD + cut as usize * kind.stride();
        // SAFETY: fewer than `count` pieces were cut, so this one lies within the strip.
        let piece = unsafe { strip.byte_add(offset) }.cast::<u8>();
        cut += 1;
        // After its last piece is cut, the strip belongs to its tasks alone.
        row.set(if cut == kind.count() {
            Row { strip: ptr::null_mut(), cut: 0 }
        } else {
            Row { strip, cut }
        });
        // SAFETY: a pointer into an allocation is not null.
        (unsafe { NonNull::new_unchecked(piece) }, StripPlace(cut as u8))
    })
    .ok()
}

/// Gives a piece back.
///
/// # Safety
/// - `piece` came from [`cut`] with this kind and place, and is not used any more.
#[inline]
pub(super) unsafe fn give_back(piece: NonNull<u8>, kind: Kind, place: StripPlace) {
    let offset = HEAD + (place.0 as usize - 1) * kind.stride();
    // SAFETY: `cut` added this offset to the strip's start.
    let strip = unsafe { piece.as_ptr().byte_sub(offset) }.cast::<Head>();
    let counted = MINE.try_with(|mine| {
        let freed = &mine.freed[kind.0 as usize];
        let before = freed.get();
        if before.strip != strip {
            freed.set(Freed { strip, count: 1 });
            // SAFETY: the pieces counted there are not yet taken off their strip's count.
            unsafe { count_off(before) };
        } else if before.count + 1 == kind.count() {
            freed.set(Freed { strip: ptr::null_mut(), count: 0 });
            // SAFETY: this thread freed every piece, so no other thread uses the strip.
            unsafe { dealloc(strip.cast(), STRIP) };
        } else {
            freed.set(Freed { strip, count: before.count + 1 });
        }
    });
    if counted.is_err() {
        // SAFETY: the piece is not counted yet.
        unsafe { count_off(Freed { strip, count: 1 }) };
    }
}

#[cold]
fn new_strip(kind: Kind) -> *mut Head {
    // SAFETY: the layout is not of size zero.
    let strip = unsafe { alloc(STRIP) }.cast::<Head>();
    if strip.is_null() {
        handle_alloc_error(STRIP);
    }
    // The memory may lie in the cache of another core that freed the last tasks of a strip there.
    prefetch_to_write(strip.cast(), STRIP.size());
    // SAFETY: fresh memory, large enough and aligned for the head.
    unsafe { strip.write(Head { left: AtomicU32::new(kind.count()) }) };
    strip
}

/// Takes freed pieces off their strip's count, and frees the strip if they were the last.
///
/// # Safety
/// - The pieces came from this strip and were not taken off before. A null strip has none.
unsafe fn count_off(freed: Freed) {
    // SAFETY: pieces that are not taken off keep the strip alive; null is allowed here.
    let Some(head) = (unsafe { freed.strip.as_ref() }) else { return };
    // ORDERING: release, partner of the acquire in the thread that counts off the last piece: all
    // use of the pieces is over before the strip is freed.
    if head.left.fetch_sub(freed.count, Ordering::AcqRel) == freed.count {
        // SAFETY: no piece is left, and none is left to cut.
        unsafe { dealloc(freed.strip.cast(), STRIP) };
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        for (kind, (row, freed)) in self.rows.iter().zip(&self.freed).enumerate() {
            let Row { strip, cut } = row.get();
            let uncut = Kind(kind as u8).count() - cut;
            for rest in [freed.get(), Freed { strip, count: uncut }] {
                // SAFETY: pieces that were freed here, and pieces that will never be cut; neither
                // was taken off before.
                unsafe { count_off(rest) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD, KINDS, Kind, NonNull, STRIP, StripPlace, cut, give_back};

    #[test]
    fn pieces_of_every_kind_fit_and_do_not_overlap() {
        for kind in (0..KINDS as u8).map(Kind) {
            assert!(HEAD + kind.count() as usize * kind.stride() <= STRIP.size());
            let pieces: Vec<_> = (0..100).filter_map(|_| cut(kind)).collect();
            for (&(piece, _), fill) in pieces.iter().zip(0_u8..) {
                // SAFETY: a piece is this long.
                unsafe { piece.write_bytes(fill, kind.stride()) };
            }
            for (&(piece, place), fill) in pieces.iter().zip(0_u8..) {
                assert_eq!(piece.addr().get() % 8, 0);
                let bytes = NonNull::slice_from_raw_parts(piece, kind.stride());
                // SAFETY: it was just filled, and is this long.
                let bytes = unsafe { bytes.as_ref() };
                assert!(bytes.iter().all(|&byte| byte == fill));
                // SAFETY: it came from `cut`, and is not used afterwards.
                unsafe { give_back(piece, kind, place) };
            }
        }
    }

    #[test]
    fn types_get_the_smallest_kind_that_holds_them() {
        assert_eq!(Kind::of::<[u64; 7]>(), Some(Kind(0)));
        assert_eq!(Kind::of::<[u64; 8]>(), Some(Kind(1)));
        assert_eq!(Kind::of::<[u64; 15]>(), Some(Kind(4)));
        assert_eq!(Kind::of::<[u64; 16]>(), None);
        assert_eq!(Kind::of::<Aligned>(), None);
    }

    /// Not `u128`, which some architectures align like `u64`.
    #[repr(align(16))]
    struct Aligned;

    /// A piece on its way to another thread.
    struct Sent(NonNull<u8>, StripPlace);

    // SAFETY: no other code knows of the piece.
    unsafe impl Send for Sent {}

    #[test]
    fn pieces_may_be_freed_by_another_thread_after_their_own_has_ended() {
        let kind = Kind(0);
        let pieces = std::thread::spawn(move || {
            let pieces = (0..1_000).filter_map(|_| cut(kind));
            pieces.map(|(at, place)| Sent(at, place)).collect::<Vec<_>>()
        });
        for Sent(piece, place) in pieces.join().unwrap() {
            // SAFETY: it came from `cut` on a thread that has ended.
            unsafe { give_back(piece, kind, place) };
        }
    }
}
