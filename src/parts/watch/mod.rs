//! Watches which of many tasks have settled: a waker for each task, in one block of memory or a few
//! as the number grows.
//!
//! Each task's waker points to a slot of its own. When it is woken, it puts the slot on a list and
//! wakes the thread or future that waits for the whole set. So the waiter takes what has settled,
//! in the order of settling, and never looks at the other tasks.
//!
//! Many threads push to the list, and one thread takes it as a whole, so there is no ABA problem. A
//! push is one exchange; then the pusher writes the link to the slot that it found. The taker waits
//! for a link that is not there yet. A push that comes after the taker's last check finds the
//! waiter's waker, because the taker stores its waker before it checks (`Watch::wait`).
//!
//! **A slot may be reused** for another task while a waker of the previous task still exists. That
//! waker may be woken late. The slot is then on the list without cause, so the taker must be
//! prepared to find its task unsettled. The slot may also be on the list already when the new task
//! settles. Then the new waker does not put it there again, and does not need to: both wakers
//! exchange the slot's `listed`, and so does the taker before it looks at the task. If a waker
//! comes before the taker's exchange, the taker sees it and everything that its task did. If it
//! comes after, it finds the slot off the list.

mod block;
#[cfg(all(test, corepool_loom))]
mod models;

use core::task::Waker;

use crate::base::sync::{AtomicBool, AtomicU32, Mutex, Ordering, handshake};
use crate::base::unwind;
use crate::parts::spin::{Gap, Spin};
use block::{Block, Slot};

/// Marks the end of the list.
const END: u32 = u32::MAX;
/// The link of a slot whose pusher has not written it yet.
const PENDING: u32 = u32::MAX - 1;

// ORDERING: release what the task did, for the taker whose exchange comes next, even if another
// waker pushes the slot; acquire, partner of `TAKE_OFF`: the link may be written again.
ordering!(PUT_ON = AcqRel, planted "watch_listed_relaxed": Relaxed);
// ORDERING: acquire what the tasks did whose wakers found the slot listed; release the link, which
// the next waker writes.
ordering!(TAKE_OFF = AcqRel, planted "watch_taken_unacquired": Release);

/// Watches a number of tasks.
pub(crate) struct Watch {
    first: Block,
    /// The blocks that were added later. Each is at least as large as all before it together.
    more: Vec<Block>,
}

impl Watch {
    /// # Panics
    /// If `slots` is `u32::MAX - 1` or more.
    pub(crate) fn new(slots: usize) -> Self {
        Self { first: Block::first(number(slots)), more: Vec::new() }
    }

    /// How many tasks it can watch now.
    pub(crate) fn slots(&self) -> usize {
        self.last().end() as usize
    }

    /// Makes room for `slots` tasks in all. If there is too little room, it at least doubles.
    ///
    /// # Panics
    /// If `slots` is `u32::MAX - 1` or more.
    pub(crate) fn grow(&mut self, slots: usize) {
        let now = self.slots();
        if slots > now {
            let wanted = number(slots.max(now.saturating_mul(2).min(PENDING as usize - 1)));
            self.more.push(Block::after(&self.first, number(now), wanted - number(now)));
        }
    }

    /// Returns the waker for one task.
    pub(crate) fn waker(&self, number: usize) -> Waker {
        assert!(number < self.slots(), "there is a slot for each handle");
        let (block, index) = self.place(number as u32);
        block.waker(index)
    }

    /// Takes everything that has settled since the last call, in the order of settling.
    pub(crate) fn take(&self, mut each: impl FnMut(usize)) {
        // Acquire, partner of the push: what a task did before it settled is visible here.
        let mut next = self.list().newest.swap(END, Ordering::SeqCst);
        // The newest slot comes first. Reversing the list gives the order of settling.
        let mut oldest = END;
        while next != END {
            let slot = self.slot(next);
            let older = slot.older();
            // ORDERING: the list now belongs to this thread.
            slot.older.store(oldest, Ordering::Relaxed);
            oldest = next;
            next = older;
        }
        while oldest != END {
            let slot = self.slot(oldest);
            // ORDERING: as above.
            let newer = slot.older.load(Ordering::Relaxed);
            slot.take_off();
            each(oldest as usize);
            oldest = newer;
        }
    }

    /// Returns whether nothing seems to have settled since the last call of `take`. It is a hint,
    /// for a short pause before a sleep.
    pub(crate) fn is_quiet(&self) -> bool {
        // ORDERING: a hint; `take` acquires.
        self.list().newest.load(Ordering::Relaxed) == END
    }

    /// Stores the waiter's waker. Returns whether something has settled already; in that case the
    /// waker may never be woken.
    pub(crate) fn wait(&self, waker: &Waker) -> bool {
        let list = self.list();
        // User code, so it runs without the lock: the clone, and the drop of the previous waker.
        let waker = waker.clone();
        let old = list.waiter.lock().replace(waker);
        drop(old);
        list.say_waits();
        handshake();
        list.newest.load(Ordering::SeqCst) != END
    }

    fn list(&self) -> &List {
        self.first.list()
    }

    fn last(&self) -> &Block {
        self.more.last().unwrap_or(&self.first)
    }

    fn slot(&self, number: u32) -> &Slot {
        let (block, index) = self.place(number);
        block.slot(index)
    }

    /// The block that contains this number, and the index in it. The last block holds at least half
    /// of all slots.
    fn place(&self, number: u32) -> (&Block, u32) {
        let later = self.more.iter().rev().find(|block| block.start() <= number);
        let block = later.unwrap_or(&self.first);
        (block, number - block.start())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waiter = self.list().waiter.lock().take();
        // User code, so it runs without the lock. Its panic is caught, because a result may be on
        // its way to the caller.
        unwind::quietly(|| drop(waiter));
    }
}

fn number(slots: usize) -> u32 {
    let slots = u32::try_from(slots).ok().filter(|slots| *slots < PENDING);
    slots.expect("less than 4,294,967,294 handles are watched")
}

/// What was woken, and the waiter for it. The list is in the first block; the other blocks point to
/// that block.
struct List {
    /// The slot that was put on the list last.
    newest: AtomicU32,
    waits: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl List {
    fn new() -> Self {
        Self {
            newest: AtomicU32::new(END),
            waits: AtomicBool::new(false),
            waiter: Mutex::new(None),
        }
    }

    /// Says that the waiter waits, before its last look.
    fn say_waits(&self) {
        mutant!("watch_waits_unsaid" => return);
        self.waits.store(true, Ordering::SeqCst);
    }

    /// Called when the task of this slot has settled.
    fn wake(&self, slot: &Slot, number: u32) {
        if !slot.put_on() {
            return;
        }
        self.push(slot, number);
        handshake();
        if self.waits.load(Ordering::SeqCst) {
            self.wake_waiter();
        }
    }

    /// One exchange, without a retry: when 64 tasks settle at the same time, most of them would
    /// have to retry many times.
    fn push(&self, slot: &Slot, number: u32) {
        slot.mark_pending();
        // SeqCst, to pair with `wait`, which stores that it waits and then checks the list.
        let older = self.newest.swap(number, Ordering::SeqCst);
        // ORDERING: only the number matters. What the older tasks did was released by their
        // exchanges, and the taker's exchange acquires it from the newest one: all of them are one
        // release sequence.
        slot.older.store(older, Ordering::Relaxed);
    }

    #[cold]
    fn wake_waiter(&self) {
        // Only once: no further wake-up is needed until the waiter waits again.
        if self.waits.swap(false, Ordering::SeqCst) {
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}

impl Slot {
    /// The slot that was put on the list before this one. Waits for the pusher to write it, which
    /// is the next thing that it does.
    fn older(&self) -> u32 {
        let mut pause = Spin::short();
        let mut gap = Gap::default();
        loop {
            // ORDERING: as in `List::push`.
            let older = self.older.load(Ordering::Relaxed);
            if older != PENDING {
                return older;
            }
            if !pause.turn() {
                gap.wait();
            }
        }
    }

    /// Called before the push, so that a taker waits for the link.
    fn mark_pending(&self) {
        mutant!("watch_link_not_pending" => return);
        // ORDERING: published by the exchange in `List::push`.
        self.older.store(PENDING, Ordering::Relaxed);
    }

    /// Marks the slot as listed. Returns whether it was not on the list before.
    fn put_on(&self) -> bool {
        let was_listed = self.listed.swap(true, PUT_ON);
        mutant!("watch_listed_twice" => return true);
        !was_listed
    }

    fn take_off(&self) {
        self.listed.swap(false, TAKE_OFF);
    }
}
