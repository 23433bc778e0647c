//! Memory for a thread's jobs: cut from chunks one after another, and given back a chunk at a time.
//!
//! A scope makes many small jobs in a row and frees them in a row, which is hard work for an allocator and
//! easy for a pointer. While a job stays at home its chunk counts it by a plain number. A job that goes away is
//! counted by an atomic one from then on; that one begins at 1, for the chunk's thread, and who brings it to 0
//! frees the chunk. Measured against a box for each job, over 10,000 of them: 20 ns each instead of 90.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::alloc::handle_alloc_error;

#[cfg(corepool_loom)]
use loom::alloc::{alloc, dealloc};
#[cfg(not(corepool_loom))]
use std::alloc::{alloc, dealloc};

use crate::sync::{AtomicUsize, Ordering, UnsafeCell, planted};

/// A chunk's size, and its alignment: so a job's address tells its chunk.
const CHUNK: usize = 32 << 10;
/// What is larger or stricter gets a piece of memory of its own.
const LARGEST: usize = 1 << 10;
const ALIGN: usize = 16;
/// So many empty chunks a thread keeps.
const SPARE: usize = 16;

const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// What a chunk begins with.
#[repr(C, align(16))]
pub(super) struct Chunk {
    /// Jobs that only the chunk's thread reaches.
    home: Cell<usize>,
    /// Jobs that went away, and 1 for the chunk's thread while it uses the chunk.
    away: AtomicUsize,
    /// Where the next job begins.
    next: Cell<usize>,
    /// Entered by whoever has used a piece of the chunk, or frees it, so that a model sees two who do so at
    /// once. Of no size in a real build.
    memory: UnsafeCell<()>,
}

/// A thread's chunks.
pub(super) struct Arena {
    /// The one that jobs are cut from.
    current: Cell<Option<NonNull<Chunk>>>,
    spare: RefCell<Vec<NonNull<Chunk>>>,
}

crate::sync::thread_local! {
    static ARENA: Arena = const { Arena::new() };
}

/// Whether jobs of this layout are cut from chunks. Not where a tool is to see every job by itself.
pub(super) const fn suits(layout: Layout) -> bool {
    layout.size() <= LARGEST
        && layout.align() <= ALIGN
        && !cfg!(any(corepool_loom, corepool_chaos, corepool_shuttle, corepool_tsan, miri))
}

/// Room for a job that [`suits`]. `None` where thread-locals are gone.
#[inline]
pub(super) fn cut(layout: Layout) -> Option<NonNull<()>> {
    ARENA.try_with(|arena| arena.cut(layout.size().next_multiple_of(ALIGN))).ok()
}

/// Jobs that go where other threads reach them. Neighbours in a chunk are counted by one exchange.
pub(super) struct Tally {
    chunk: Option<NonNull<Chunk>>,
    jobs: usize,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { chunk: None, jobs: 0 }
    }

    /// # Safety
    /// - `cut` gave the job, on this thread, and it goes away once.
    /// - No other thread reaches it before this tally is dropped.
    pub(super) unsafe fn add(&mut self, job: NonNull<()>) {
        let chunk = Chunk::of(job);
        if self.chunk != Some(chunk) {
            self.settle();
            self.chunk = Some(chunk);
        }
        self.jobs += 1;
    }

    fn settle(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            // SAFETY: the chunk is there while one of its jobs is.
            if unsafe { chunk.as_ref() }.send_away(std::mem::take(&mut self.jobs)) {
                let _gone = ARENA.try_with(|arena| arena.empty_at_home(chunk));
            }
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Gives back the room of a job that stayed at home.
///
/// # Safety
/// - `cut` gave it, on this thread; it was not sent away, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free_at_home(job: NonNull<()>) {
    let chunk = Chunk::of(job);
    // SAFETY: the chunk is there while one of its jobs is.
    if unsafe { chunk.as_ref() }.leave_home(1) {
        let _gone = ARENA.try_with(|arena| arena.empty_at_home(chunk));
    }
}

/// Gives back the room of a job that was sent away.
///
/// # Safety
/// - As for [`free_at_home`], on any thread.
pub(super) unsafe fn free_away(job: NonNull<()>) {
    // SAFETY: the chunk is there while one of its jobs is.
    unsafe { Chunk::release(Chunk::of(job)) };
}

impl Chunk {
    pub(super) fn of(job: NonNull<()>) -> NonNull<Self> {
        job.map_addr(|addr| {
            // A chunk is aligned to its size, and a job does not lie at its very beginning.
            core::num::NonZero::new(addr.get() & !(CHUNK - 1)).unwrap_or(addr)
        })
        .cast()
    }

    fn new() -> NonNull<Self> {
        // SAFETY: the layout has a size.
        let Some(chunk) = NonNull::new(unsafe { alloc(LAYOUT) }.cast::<Self>()) else {
            handle_alloc_error(LAYOUT)
        };
        let head = Self {
            home: Cell::new(0),
            away: AtomicUsize::new(1),
            next: Cell::new(0),
            memory: UnsafeCell::new(()),
        };
        // SAFETY: fresh memory, large enough.
        unsafe { chunk.write(head) };
        chunk
    }

    /// So many jobs are at home no longer. Says whether they were the last.
    #[inline]
    pub(super) fn leave_home(&self, jobs: usize) -> bool {
        let left = self.home.get() - jobs;
        self.home.set(left);
        left == 0
    }

    /// So many jobs go away; no other thread reaches them yet. Says whether none stays at home.
    pub(super) fn send_away(&self, jobs: usize) -> bool {
        // ORDERING: the jobs reach other threads by way of a lock, which orders this before they are
        // counted down.
        self.away.fetch_add(jobs, Ordering::Relaxed);
        self.leave_home(jobs)
    }

    /// One of those whom `away` counts lets go.
    ///
    /// # Safety
    /// - It was counted, and does not use the chunk again.
    unsafe fn release(chunk: NonNull<Self>) {
        // SAFETY: the chunk is there while it counts us.
        let head = unsafe { chunk.as_ref() };
        head.memory.with(|_| ());
        // ORDERING: release what was done to the jobs; acquire, for the last, what the others did.
        let order = planted(mutant!("chunk_unreleased"), Ordering::AcqRel, Ordering::Acquire);
        let order = planted(mutant!("chunk_unacquired"), order, Ordering::Release);
        if head.away.fetch_sub(1, order) == 1 {
            head.memory.with_mut(|_| ());
            // SAFETY: nobody reaches it any more, and it came from `new`.
            unsafe { dealloc(chunk.as_ptr().cast(), LAYOUT) };
        }
    }

    /// Whether nothing of it is in use, at home or away.
    fn is_empty(&self) -> bool {
        // ORDERING: acquire, partner of `release`: what others did to its jobs is over.
        let order = planted(mutant!("chunk_empty_relaxed"), Ordering::Acquire, Ordering::Relaxed);
        let none_is_away = self.away.load(order) == 1 || mutant!("chunk_away_unasked");
        let is_empty = self.home.get() == 0 && none_is_away;
        if is_empty {
            self.memory.with_mut(|_| ());
        }
        is_empty
    }
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self { current: Cell::new(None), spare: RefCell::new(Vec::new()) }
    }

    #[inline]
    pub(super) fn cut(&self, size: usize) -> NonNull<()> {
        let chunk = match self.current.get() {
            // SAFETY: the current chunk is there.
            Some(chunk) if unsafe { chunk.as_ref() }.next.get() + size <= CHUNK => chunk,
            _ => self.turn_over(),
        };
        // SAFETY: as above.
        let head = unsafe { chunk.as_ref() };
        let at = head.next.get();
        head.next.set(at + size);
        head.home.set(head.home.get() + 1);
        // SAFETY: `at + size` is no more than the chunk's size.
        unsafe { chunk.cast::<u8>().add(at) }.cast()
    }

    /// Takes a new chunk for the current one, which is full.
    #[cold]
    fn turn_over(&self) -> NonNull<Chunk> {
        let fresh = self.spare.borrow_mut().pop().unwrap_or_else(Chunk::new);
        // SAFETY: a spare chunk and a new one are there, and nobody else reaches them.
        unsafe { fresh.as_ref() }.next.set(size_of::<Chunk>());
        if let Some(full) = self.current.replace(Some(fresh)) {
            // SAFETY: it was the current one.
            if unsafe { full.as_ref() }.home.get() == 0 {
                self.put_aside(full);
            }
        }
        fresh
    }

    /// The last job at home is gone.
    #[cold]
    pub(super) fn empty_at_home(&self, chunk: NonNull<Chunk>) {
        // SAFETY: this thread has not let go of it.
        let head = unsafe { chunk.as_ref() };
        if self.current.get() != Some(chunk) {
            self.put_aside(chunk);
        } else if head.is_empty() {
            // From the beginning again: that part of the memory is warm.
            head.next.set(size_of::<Chunk>());
        }
    }

    /// Keeps an empty chunk, or lets go of it.
    fn put_aside(&self, chunk: NonNull<Chunk>) {
        let mut spare = self.spare.borrow_mut();
        // SAFETY: this thread has not let go of it.
        if spare.len() < SPARE && unsafe { chunk.as_ref() }.is_empty() {
            spare.push(chunk);
        } else {
            // SAFETY: this thread has no job in it, and forgets it.
            unsafe { Chunk::release(chunk) };
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // A chunk whose home count is not 0 holds jobs of forgotten handles; it is forgotten with them.
        for chunk in self.spare.take().into_iter().chain(self.current.take()) {
            // SAFETY: this thread has not let go of it.
            if unsafe { chunk.as_ref() }.home.get() == 0 {
                // SAFETY: this thread has no job in it, and ends.
                unsafe { Chunk::release(chunk) };
            }
        }
    }
}
