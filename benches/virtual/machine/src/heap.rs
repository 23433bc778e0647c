//! An allocator with one heap per core, as usual allocators have one per thread. Allocations of two
//! cores never share a cache line, and a freed block goes back to the core that it came from.
//!
//! Without it all virtual threads would share the heap of the one system thread that they run on.
//! Allocations are not charged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::line::MOST_CORES;

/// The size and alignment of a chunk. They are equal, so that a block's chunk can be found from its
/// address.
const CHUNK: usize = 64 << 10;
/// The space before a chunk's blocks. It says which core owns the chunk.
const HEAD: usize = 64;
/// Block sizes are multiples of this.
const STEP: usize = 16;
/// Larger blocks come from the system.
const LARGEST: usize = 1024;
const SIZES: usize = LARGEST / STEP;

std::thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// From now on, allocations belong to that core.
pub(crate) fn runs_on(core: usize) {
    CORE.set(core);
}

/// Set it as the `#[global_allocator]` of a program that runs a machine.
#[derive(Debug)]
pub struct Heaps;

struct Heap {
    /// Free blocks by size. Each holds the address of the next one.
    free: [*mut u8; SIZES],
    /// The unused part of the last chunk.
    rest: *mut u8,
    left: usize,
}

struct All([Heap; MOST_CORES]);

// SAFETY: the blocks belong to the allocator, whichever thread asks, and a lock protects it.
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
            // SAFETY: the head lies inside the chunk, which is aligned for any type.
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
        // SAFETY: the block is no longer in use, and it is large enough for an address.
        unsafe { block.cast::<*mut u8>().write(self.free[size]) };
        self.free[size] = block;
    }
}

fn size_of(layout: Layout) -> Option<usize> {
    let is_small = layout.size() > 0 && layout.size() <= LARGEST && layout.align() <= STEP;
    is_small.then(|| (layout.size() - 1) / STEP)
}

// SAFETY: blocks of one size never overlap and are aligned to `STEP`. The same layout always takes
// the same path.
unsafe impl GlobalAlloc for Heaps {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = size_of(layout) else {
            // SAFETY: the caller promises that `layout` has a non-zero size.
            return unsafe { System.alloc(layout) };
        };
        let core = CORE.try_with(Cell::get).unwrap_or(0);
        HEAPS.lock().unwrap_or_else(PoisonError::into_inner).0[core].take(core, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = size_of(layout) else {
            // SAFETY: the caller promises that `block` came from `alloc` with `layout`, so it came
            // from `System`.
            return unsafe { System.dealloc(block, layout) };
        };
        let chunk = block.map_addr(|address| address & !(CHUNK - 1)).cast::<usize>();
        // SAFETY: small blocks lie in chunks, and a chunk begins with its core.
        let core = unsafe { chunk.read() };
        HEAPS.lock().unwrap_or_else(PoisonError::into_inner).0[core].give(size, block);
    }
}
