//! Asks for memory that is about to be written, so that it is at hand by then.
//!
//! Memory that other threads used last lies in their caches. Each store to such a line waits in the
//! store buffer, and the next exchange waits for all of them: in a spawn, that is the exchange
//! which puts the task into a queue.

/// Lines of this size are asked for one by one.
#[cfg(any(corepool_virtual, all(target_arch = "x86_64", not(miri))))]
const LINE: usize = 64;

/// Asks for the lines of this memory, to write to them. Does not wait, and changes nothing.
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
    // SAFETY: a prefetch reads and writes nothing, and ignores an address that it cannot get. A
    // processor without the instruction for writing takes it for one that does nothing.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.cast()) };
}
