//! The array is zeroed, aligned, shared by its clones, and of any length that fits in memory.

use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::thread;

use corepool::SharedArray;
use corepool::shared::Atomic;

const LINE: usize = 64;

/// Makes arrays of many lengths, several at a time, so that the checks cannot pass by a lucky
/// allocation.
fn check<A: Atomic>(zero: A::Value, other: A::Value) {
    let arrays: Vec<_> = (0..200).chain([4096, 100_000]).map(SharedArray::<A>::new).collect();
    for array in &arrays {
        assert_eq!(array.as_ptr().addr() % LINE, 0, "{} cells", array.len());
        assert!(array.iter().all(|cell| cell.load(Ordering::Relaxed) == zero));
        for cell in array {
            cell.store(other, Ordering::Relaxed);
        }
    }
    // No array wrote into the cells of another.
    for array in &arrays {
        assert!(array.iter().all(|cell| cell.load(Ordering::Relaxed) == other));
    }
}

#[test]
fn cells_of_each_type_are_zero_at_first_and_begin_with_a_cache_line() {
    check::<AtomicBool>(false, true);
    check::<AtomicU8>(0, u8::MAX);
    check::<AtomicI8>(0, i8::MIN);
    check::<AtomicU16>(0, u16::MAX);
    check::<AtomicI16>(0, i16::MIN);
    check::<AtomicU32>(0, u32::MAX);
    check::<AtomicI32>(0, i32::MIN);
    check::<AtomicU64>(0, u64::MAX);
    check::<AtomicI64>(0, i64::MIN);
    check::<AtomicUsize>(0, usize::MAX);
    check::<AtomicIsize>(0, isize::MIN);
}

#[test]
fn two_arrays_have_no_line_in_common() {
    let arrays: Vec<_> = (0..100).map(|_| SharedArray::<AtomicU8>::new(1)).collect();
    let mut lines: Vec<_> = arrays.iter().map(|array| array.as_ptr().addr() / LINE).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), arrays.len());
}

#[test]
fn memory_that_was_used_before_is_zeroed_again() {
    for len in [1, 10, 1000, 100_000] {
        for _ in 0..3 {
            let array = SharedArray::<AtomicU64>::new(len);
            assert!(array.iter().all(|cell| cell.swap(u64::MAX, Ordering::Relaxed) == 0));
        }
    }
}

#[test]
fn clones_share_the_cells_and_the_last_one_frees_them() {
    let array = SharedArray::<AtomicU32>::new(3);
    let clone = array.clone();
    assert_eq!(array.as_ptr(), clone.as_ptr());
    array[1].store(7, Ordering::Relaxed);
    drop(array);
    let elsewhere = thread::spawn(move || {
        assert_eq!(clone[1].load(Ordering::Relaxed), 7);
        clone.len()
    });
    assert_eq!(elsewhere.join().unwrap(), 3);
}

#[test]
fn an_array_of_no_cells_is_an_array() {
    let array = SharedArray::<AtomicU64>::new(0);
    assert!(array.is_empty());
    assert_eq!(array.len(), 0);
    assert_eq!(array.iter().count(), 0);
    assert!(array.get(..1).is_none());
    assert_eq!(array.as_ptr().addr() % LINE, 0);
    assert_eq!(format!("{:?}", array.clone()), "[]");
}

#[test]
fn a_length_beyond_all_memory_panics_and_says_why() {
    let message = |array: fn()| {
        let payload = panic::catch_unwind(array).expect_err("there is no such array");
        payload.downcast_ref::<String>().expect("a message with numbers").clone()
    };
    // The product does not fit in a `usize`; it is no valid size; rounding up to a cache line makes
    // it invalid.
    let product = message(|| drop(SharedArray::<AtomicU64>::new(usize::MAX)));
    let size = message(|| drop(SharedArray::<AtomicU16>::new(usize::MAX / 2)));
    let rounded = message(|| drop(SharedArray::<AtomicU8>::new(isize::MAX.unsigned_abs())));
    let whole = format!("no memory for a shared array of {} cells of 8 bytes", usize::MAX);
    assert_eq!(product, whole);
    assert!(size.contains("cells of 2 bytes"), "{size}");
    assert!(rounded.contains("cells of 1 bytes"), "{rounded}");
}

#[test]
fn an_index_beyond_the_end_panics() {
    let array = SharedArray::<AtomicU8>::new(64);
    let beyond = panic::catch_unwind(AssertUnwindSafe(|| array[64].load(Ordering::Relaxed)));
    assert!(beyond.is_err());
}

#[test]
fn it_is_a_slice_and_is_made_from_values() {
    let array: SharedArray<AtomicI32> = [1, -2, 3].into_iter().collect();
    assert_eq!(format!("{array:?}"), "[1, -2, 3]");
    let same = SharedArray::<AtomicI32>::from(&[1, -2, 3][..]);
    assert_eq!(format!("{same:?}"), "[1, -2, 3]");
    assert_ne!(array.as_ptr(), same.as_ptr());
    assert_eq!(array[1..].len(), 2);
    assert_eq!((&array).into_iter().map(|cell| cell.load(Ordering::Relaxed)).sum::<i32>(), 2);
    assert_eq!(array.last().map(|cell| cell.load(Ordering::Relaxed)), Some(3));
}

#[test]
fn it_may_go_anywhere() {
    fn anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Clone + 'static>() {}
    anywhere::<SharedArray<AtomicU8>>();
    anywhere::<SharedArray<AtomicI64>>();
    anywhere::<SharedArray<AtomicBool>>();
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_array_is_not_touched() {
    // TSan's own calloc records the zeros as writes, byte by byte.
    if cfg!(corepool_tsan) {
        return;
    }
    let array = SharedArray::<AtomicU64>::new((64 << 20) / 8);
    let resident = resident_pages(&array);
    let pages = resident.len();
    let count = resident.into_iter().filter(|&resident| resident).count();
    assert!(count <= pages / 16, "{count} of {pages} pages are in memory");
}

/// Whether each whole page of the cells is in memory.
#[cfg(target_os = "linux")]
fn resident_pages(cells: &[AtomicU64]) -> Vec<bool> {
    // SAFETY: `sysconf` takes no pointers and only reads a system constant.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
    let gap = cells.as_ptr().addr().wrapping_neg() % page;
    let pages = (size_of_val(cells) - gap) / page;
    let mut facts = vec![0_u8; pages];
    let start = cells.as_ptr().cast::<u8>().wrapping_add(gap).cast_mut().cast();
    // SAFETY: the pages lie within the cells, and `facts` has a byte for each page.
    let failed = unsafe { libc::mincore(start, pages * page, facts.as_mut_ptr()) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    facts.into_iter().map(|fact| fact & 1 == 1).collect()
}
