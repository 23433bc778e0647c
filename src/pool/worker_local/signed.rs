//! What a worker thread knows about locals: its own number, and which locals to tell when it ends.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Weak;

// Not from `crate::base::sync`: a lock of loom's cannot be in a static, and there are no atomics
// here to model.
use crate::base::sync::real::Mutex;

use crate::sched::worker;

/// A local, whatever the type of its values.
pub(super) trait Ends: Send + Sync {
    /// Called on the thread with this number when it ends. Drops the thread's values.
    fn end(&self, number: usize);
}

crate::base::sync::thread_local! {
    /// A worker's number, from its first use of any local until its thread ends.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    static SIGNED: RefCell<Signed> = const { RefCell::new(Signed { locals: Vec::new() }) };
}

/// Numbers that were in use and are free again, and the largest number of them that was ever in use
/// at once. Numbers are reused so that the tables of locals do not grow with each thread that is
/// replaced.
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { free: Vec::new(), next: 0 });

struct Numbers {
    free: Vec<usize>,
    next: usize,
}

/// The locals that have a shelf for the calling thread. It is dropped when the thread ends, and
/// drops the values on those shelves.
struct Signed {
    locals: Vec<Weak<dyn Ends>>,
}

/// The calling thread's number, if it is a worker. No other thread has the same number while this
/// thread lives.
#[inline]
pub(super) fn number() -> Option<usize> {
    NUMBER.get().or_else(first_number)
}

#[cold]
fn first_number() -> Option<usize> {
    // A thread that is ending is no longer a worker, so it does not get a second number.
    let _place = worker::place()?;
    let number = NUMBERS.lock().give();
    NUMBER.set(Some(number));
    Some(number)
}

/// Registers the local to be told when the calling thread, which has a number, ends.
pub(super) fn sign_up(local: Weak<dyn Ends>) {
    SIGNED.with(|signed| signed.borrow_mut().add(local));
}

impl Signed {
    fn add(&mut self, local: Weak<dyn Ends>) {
        if self.locals.len() == self.locals.capacity() {
            // Remove locals that no longer exist. Afterwards at least half of the capacity is free,
            // so this happens seldom.
            self.locals.retain(|local| local.strong_count() > 0);
            self.locals.reserve(self.locals.len().max(4));
        }
        self.locals.push(local);
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        // The number is taken first, so that a drop that uses a local finds the common stock.
        let Some(number) = NUMBER.take() else { return };
        // A local that no longer exists has already dropped its values.
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
