//! Prefetches memory that is about to be written, so that it is in the cache by then.
//!
//! Memory that other threads used last is in their caches. Each store to such a cache line waits in
//! the store buffer, and the next atomic exchange waits for all of these stores. In a spawn, that
//! is the exchange that puts the task into a queue.

/// The size of the cache lines, each of which is prefetched separately.
#[cfg(any(corepool_virtual, all(target_arch = "x86_64", not(miri))))]
const LINE: usize = 64;

/// Prefetches the cache lines of this memory for writing. It does not wait and changes nothing.
#[inline]
pub(crate) fn prefetch_to_write(start: *const u8, bytes: usize) {
    #[cfg(any(corepool_virtual, all(target_arch = "x86_64", not(miri))))]
    for offset in (0..bytes).step_by(LINE) {
        ask_for(start.wrapping_add(offset));
    }
    #[cfg(not(any(corepool_virtual, all(target_arch = "x86_64", not(miri)))))]
    let _elsewhere = (start, bytes);
}

#[cfg(corepool_virtual)]
fn ask_for(line: *const u8) {
    machine::prefetch(line.addr());
}

#[cfg(all(target_arch = "x86_64", not(any(corepool_virtual, miri))))]
#[inline]
fn ask_for(line: *const u8) {
    use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
    // SAFETY: a prefetch reads and writes nothing, and ignores an address that is not accessible. A
    // processor without the instruction for writing treats it as a no-op.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.cast()) };
}
