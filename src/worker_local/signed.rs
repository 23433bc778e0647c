//! What a worker's thread knows of locals: its own number, and which of them to tell of its end.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Weak;

// Not by `crate::sync`: a lock of loom's can't stand in a static, and there are no atomics here to
// be modelled.
use crate::sync::real::Mutex;

use crate::worker;

/// A local, whatever the type of its values.
pub(super) trait Ends: Send + Sync {
    /// The thread of this number ends: drops its values, here.
    fn end(&self, number: usize);
}

crate::sync::thread_local! {
    /// A worker's number, from its first use of any local until its thread ends.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    static SIGNED: RefCell<Signed> = const { RefCell::new(Signed { locals: Vec::new() }) };
}

/// Numbers that were in use and are free again, and how many there were ever in use at a time.
/// Numbers come again, so that the tables of locals do not grow with each thread that is replaced.
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { free: Vec::new(), next: 0 });

struct Numbers {
    free: Vec<usize>,
    next: usize,
}

/// The locals that have a shelf for the calling thread. Gone at the thread's end, and so are the
/// values on those shelves.
struct Signed {
    locals: Vec<Weak<dyn Ends>>,
}

/// The calling thread's number, if it is a worker: no other thread has it meanwhile.
#[inline]
pub(super) fn number() -> Option<usize> {
    NUMBER.get().or_else(first_number)
}

#[cold]
fn first_number() -> Option<usize> {
    // A thread that ends is no worker any more, and gets no number a second time.
    let _place = worker::place()?;
    let number = NUMBERS.lock().give();
    NUMBER.set(Some(number));
    Some(number)
}

/// Has the local told when the calling thread, which has a number, ends.
pub(super) fn sign_up(local: Weak<dyn Ends>) {
    SIGNED.with(|signed| signed.borrow_mut().add(local));
}

impl Signed {
    fn add(&mut self, local: Weak<dyn Ends>) {
        if self.locals.len() == self.locals.capacity() {
            // Those that are no more go. Then half of the room is free at least, so this comes
            // seldom.
            self.locals.retain(|local| local.strong_count() > 0);
            self.locals.reserve(self.locals.len().max(4));
        }
        self.locals.push(local);
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        // First, so that drops which use a local find the common stock.
        let Some(number) = NUMBER.take() else { return };
        // A local that is gone has dropped its values itself.
        for local in self.locals.drain(..).filter_map(|local| local.upgrade()) {
            local.end(number);
        }
        NUMBERS.lock().free.push(number);
    }
}

impl Numbers {
    fn give(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let number = self.next;
            self.next += 1;
            number
        })
    }
}
