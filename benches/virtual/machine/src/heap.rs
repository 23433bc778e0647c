//! An allocator with a heap for each core, as the usual ones have one for each thread: what two
//! cores allocate never lies on the same cache line, and what is freed goes back to the core that
//! it came from.
//!
//! Without it all virtual threads would share the one heap of the thread that they run on. What an
//! allocation takes is not charged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::line::MOST_CORES;

/// Chunks are as large as they are aligned, so that a block's chunk can be found.
const CHUNK: usize = 64 << 10;
/// In front of a chunk's blocks: whose it is.
const HEAD: usize = 64;
/// Blocks are multiples of this.
const STEP: usize = 16;
/// Larger ones are the system's.
const LARGEST: usize = 1024;
const SIZES: usize = LARGEST / STEP;

std::thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// Whoever allocates from now on runs on that core.
pub(crate) fn runs_on(core: usize) {
    CORE.set(core);
}

/// Set it as the `#[global_allocator]` of a program that runs a machine.
#[derive(Debug)]
pub struct Heaps;

struct Heap {
    /// Free blocks by size, each with the address of the next in it.
    free: [*mut u8; SIZES],
    /// The part of the last chunk that nobody has had yet.
    rest: *mut u8,
    left: usize,
}

struct All([Heap; MOST_CORES]);

// SAFETY: the blocks belong to the allocator, whichever thread asks; a lock lies around it.
unsafe impl Send for All {}

static HEAPS: Mutex<All> = Mutex::new(All([const { Heap::new() }; MOST_CORES]));

impl Heap {
    const fn new() -> Self {
        Self { free: [ptr::null_mut(); SIZES], rest: ptr::null_mut(), left: 0 }
    }

    fn take(&mut self, core: usize, size: usize) -> *mut u8 {
        let block = self.free[size];
        if block.is_null() {
            return self.cut(core, (size + 1) * STEP);
        }
        // SAFETY: a free block holds the address of the next one.
        self.free[size] = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    fn cut(&mut self, core: usize, bytes: usize) -> *mut u8 {
        if self.left < bytes {
            let layout = Layout::from_size_align(CHUNK, CHUNK).expect("a constant");
            // SAFETY: the layout is not empty.
            let chunk = unsafe { System.alloc(layout) };
            if chunk.is_null() {
                return chunk;
            }
            // SAFETY: the head lies inside of the chunk, which is aligned for anything.
            unsafe { chunk.cast::<usize>().write(core) };
            self.rest = chunk.wrapping_add(HEAD);
            self.left = CHUNK - HEAD;
        }
        let block = self.rest;
        self.rest = block.wrapping_add(bytes);
        self.left -= bytes;
        block
    }

    fn give(&mut self, size: usize, block: *mut u8) {
        // SAFETY: nobody uses the block any more, and it is large enough for an address.
        unsafe { block.cast::<*mut u8>().write(self.free[size]) };
        self.free[size] = block;
    }
}

fn size_of(layout: Layout) -> Option<usize> {
    let is_small = layout.size() > 0 && layout.size() <= LARGEST && layout.align() <= STEP;
    is_small.then(|| (layout.size() - 1) / STEP)
}

// SAFETY: blocks of one size never overlap, are aligned to `STEP`, and the same layout always goes
// the same way.
unsafe impl GlobalAlloc for Heaps {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = size_of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let core = CORE.try_with(Cell::get).unwrap_or(0);
        HEAPS.lock().unwrap_or_else(PoisonError::into_inner).0[core].take(core, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = size_of(layout) else {
            // SAFETY: the caller's promise; it came from there.
            return unsafe { System.dealloc(block, layout) };
        };
        let chunk = block.map_addr(|address| address & !(CHUNK - 1)).cast::<usize>();
        // SAFETY: small blocks lie in chunks, and a chunk begins with its core.
        let core = unsafe { chunk.read() };
        HEAPS.lock().unwrap_or_else(PoisonError::into_inner).0[core].give(size, block);
    }
}
