//! Who of many has settled: a waker for each of them, in one piece of memory, or a few as the
//! number grows.
//!
//! Each task's waker points to a slot of its own. Woken, it puts the slot on a list and wakes
//! whoever waits for the whole. So the waiter takes what has settled, in the order of settling, and
//! never looks at the rest.
//!
//! The list is pushed by many and taken as a whole by one, so there is no ABA. A push that comes
//! after the taker's last look finds the waiter's waker: the taker leaves that before it looks
//! (`Watch::wait`).
//!
//! **A slot may be used again** for another task, while a waker of the one before still exists.
//! That waker may be woken late. Then the slot is on the list for nothing: whoever takes it must be
//! ready to find its task unsettled. It may also be on the list already when the new task settles.
//! Then nobody puts it there again, and nobody has to: both wakers exchange the slot's `listed`,
//! and so does the taker, before it looks at the task. Whichever waker comes before the taker's
//! exchange is seen by the taker, with all that its task did; one that comes after finds the slot
//! off the list.

mod block;
#[cfg(all(test, corepool_loom))]
mod models;

use core::task::Waker;

use crate::sync::{AtomicBool, AtomicU32, Mutex, Ordering, handshake, planted};
use crate::unwind;
use block::{Block, Slot};

/// The end of the list.
const END: u32 = u32::MAX;

/// Watches so many tasks.
pub(crate) struct Watch {
    first: Block,
    /// What was added, each at least as large as all before it.
    more: Vec<Block>,
}

impl Watch {
    /// # Panics
    /// For four thousand million handles.
    pub(crate) fn new(slots: usize) -> Self {
        Self { first: Block::first(number(slots)), more: Vec::new() }
    }

    /// How many tasks it can watch now.
    pub(crate) fn slots(&self) -> usize {
        self.last().end() as usize
    }

    /// Makes room for so many in all; at least twice as many as before, if it is too small.
    ///
    /// # Panics
    /// For four thousand million handles.
    pub(crate) fn grow(&mut self, slots: usize) {
        let now = self.slots();
        if slots > now {
            let wanted = number(slots.max(now.saturating_mul(2).min(END as usize - 1)));
            self.more.push(Block::after(&self.first, number(now), wanted - number(now)));
        }
    }

    /// The waker of one task.
    pub(crate) fn waker(&self, number: usize) -> Waker {
        assert!(number < self.slots(), "there is a slot for each handle");
        let (block, index) = self.place(number as u32);
        block.waker(index)
    }

    /// Takes all that has settled since the last time, in that order.
    pub(crate) fn take(&self, mut each: impl FnMut(usize)) {
        // Acquire, partner of the push: whoever settled did it before.
        let mut next = self.list().newest.swap(END, Ordering::SeqCst);
        // The newest comes first; turned round it is the order of settling.
        let mut oldest = END;
        while next != END {
            let slot = self.slot(next);
            // ORDERING: the list is this thread's now.
            let older = slot.older.load(Ordering::Relaxed);
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

    /// Tells whether nothing has settled since the last time, as far as can be seen: to pause a
    /// while before a sleep.
    pub(crate) fn is_quiet(&self) -> bool {
        // ORDERING: a hint; `take` acquires.
        self.list().newest.load(Ordering::Relaxed) == END
    }

    /// Leaves the waker of who waits. Says whether something has settled already: then nobody may
    /// wake it.
    pub(crate) fn wait(&self, waker: &Waker) -> bool {
        let list = self.list();
        // User code, without the lock: the clone, and the drop of the one before.
        let waker = waker.clone();
        let old = list.waiter.lock().replace(waker);
        drop(old);
        if !mutant!("watch_waits_unsaid") {
            list.waits.store(true, Ordering::SeqCst);
        }
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

    /// The block that has this number, and the index there. The last block has at least half of
    /// all.
    fn place(&self, number: u32) -> (&Block, u32) {
        let later = self.more.iter().rev().find(|block| block.start() <= number);
        let block = later.unwrap_or(&self.first);
        (block, number - block.start())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waiter = self.list().waiter.lock().take();
        // User code, without the lock, and nobody is to see it panic: a result may be under way.
        unwind::quietly(|| drop(waiter));
    }
}

fn number(slots: usize) -> u32 {
    let slots = u32::try_from(slots).ok().filter(|slots| *slots < END);
    slots.expect("less than 4,294,967,295 handles are watched")
}

/// What was woken, and who waits for that. It lies in the first block; the others know the way.
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

    /// The task of this slot has settled.
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

    fn push(&self, slot: &Slot, number: u32) {
        // ORDERING: tried again if it is old.
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // ORDERING: published by the exchange.
            slot.older.store(newest, Ordering::Relaxed);
            // SeqCst: against `wait`, which stores that it waits and then looks at the list.
            let push =
                self.newest.compare_exchange(newest, number, Ordering::SeqCst, Ordering::Relaxed);
            match push {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    #[cold]
    fn wake_waiter(&self) {
        // Once: until it waits again nobody needs to.
        if self.waits.swap(false, Ordering::SeqCst) {
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}

impl Slot {
    /// Says whether it was not on the list before.
    fn put_on(&self) -> bool {
        // ORDERING: release what the task did, for the taker whose exchange comes next, though it
        // may be another waker that pushes the slot; acquire, partner of `take_off`: the link may
        // be written again.
        let order = planted(mutant!("watch_listed_relaxed"), Ordering::AcqRel, Ordering::Relaxed);
        !self.listed.swap(true, order) || mutant!("watch_listed_twice")
    }

    fn take_off(&self) {
        // ORDERING: acquire what every waker's task did that found the slot listed; release the
        // link, which the next one writes.
        let order = planted(mutant!("watch_taken_unacquired"), Ordering::AcqRel, Ordering::Release);
        self.listed.swap(false, order);
    }
}
