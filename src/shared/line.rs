//! The lines of those who wait: a fixed table of them, found by the address of the cell that is
//! waited on.
//!
//! Cells with different addresses may share a line; each notify passes over the strangers.
//! Everything about a line stands under its lock, so there is no race to be reasoned about. No user
//! code runs under it: neither a waker's wake nor its drop.
//!
//! Who waits has a number, given in the order of coming. Numbers rise along the line, so a waiter
//! is found in it by bisection, and no waiter needs a place of its own that both sides write.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

// Not by `crate::sync`: chaos and models may put a lock there that can't stand in a static.
#[cfg(not(corepool_loom))]
use crate::sync::real::Mutex;

use crate::parker::Parker;
#[cfg(corepool_loom)]
use crate::sync::Mutex;
use crate::unwind;

/// How a waiter is told.
#[derive(Debug)]
pub(super) enum Caller {
    Thread(Arc<Parker>),
    Task(Waker),
}

/// A cell's address: what the lines know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(usize);

/// A waiter's number in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

#[derive(Debug)]
struct Line {
    /// The number of who comes next.
    next: Number,
    waiting: VecDeque<Waiter>,
    /// The tasks that were called and have not seen it yet, each with the number from which on
    /// waiters came after the call.
    called: BTreeMap<Number, Number>,
}

#[derive(Debug)]
struct Waiter {
    number: Number,
    address: Address,
    caller: Caller,
}

impl Address {
    pub(super) fn of<T>(cell: &T) -> Self {
        Self(std::ptr::from_ref(cell).addr())
    }

    fn line(self) -> &'static Mutex<Line> {
        table::line(self.0)
    }

    /// Stands in line if that is still wanted, which is asked under the lock. `still` must be quick
    /// and ours.
    pub(super) fn stand(self, caller: Caller, still: impl FnOnce() -> bool) -> Option<Number> {
        let mut line = self.line().lock();
        if !mutant!("line_second_look") && !still() {
            drop(line);
            caller.discard();
            return None;
        }
        let number = line.next;
        line.next = Number(number.0 + 1);
        line.waiting.push_back(Waiter { number, address: self, caller });
        Some(number)
    }

    /// Calls at most so many, the longest waiting first, and says how many.
    pub(super) fn call(self, most: usize) -> usize {
        let mut line = self.line().lock();
        let before = line.next;
        let called = line.take(self, most, before);
        drop(line);
        if mutant!("line_call_for_one") {
            return tell(called.into_iter().take(1).collect());
        }
        tell(called)
    }

    /// Steps out of the line, for a thread whose time is up. Says whether it still stood there; if
    /// not, it was called.
    #[must_use]
    pub(super) fn step_out(self, number: Number) -> bool {
        let mut line = self.line().lock();
        let waiter = line.find(number).and_then(|at| line.waiting.remove(at));
        drop(line);
        waiter.is_some() || mutant!("line_called_unheard")
    }

    /// Asks for a task whether it was called, which is told once; if not, the waker replaces the
    /// one from before.
    #[must_use]
    pub(super) fn was_called(self, number: Number, waker: Waker) -> bool {
        let mut line = self.line().lock();
        let (called, unneeded) = match line.find(number) {
            Some(_) if mutant!("line_first_waker") => (false, Caller::Task(waker)),
            Some(at) => {
                let caller = &mut line.waiting[at].caller;
                (false, std::mem::replace(caller, Caller::Task(waker)))
            }
            None => {
                let known = line.called.remove(&number);
                debug_assert!(known.is_some(), "a task that left the line was called");
                (true, Caller::Task(waker))
            }
        };
        drop(line);
        unneeded.discard();
        called
    }

    /// Gives a task's place up. If the task was called and never saw it, the call goes to the next
    /// one in line who stood there at the time of the call: later ones were not meant, and must not
    /// wake without a reason.
    pub(super) fn give_up(self, number: Number) {
        let mut line = self.line().lock();
        if let Some(at) = line.find(number) {
            let waiter = line.waiting.remove(at);
            drop(line);
            waiter.into_iter().for_each(|waiter| waiter.caller.discard());
        } else if let Some(before) = line.called.remove(&number) {
            let before = if mutant!("line_later_meant") { line.next } else { before };
            let most = usize::from(!mutant!("line_call_kept"));
            let called = line.take(self, most, before);
            drop(line);
            tell(called);
        }
    }
}

impl Line {
    const fn new() -> Self {
        Self { next: Number(0), waiting: VecDeque::new(), called: BTreeMap::new() }
    }

    /// Takes at most so many out of the line who wait at the address and have numbers below
    /// `before`.
    fn take(&mut self, address: Address, most: usize, before: Number) -> Vec<Caller> {
        let mut taken = Vec::new();
        let mut at = 0;
        while taken.len() < most {
            let mut rest = self.waiting.range(at..);
            let is_meant = |waiter: &Waiter| waiter.address == address || mutant!("line_strangers");
            let Some(steps) = rest.position(is_meant) else { break };
            at += steps;
            if self.waiting[at].number >= before {
                break;
            }
            let Some(Waiter { number, caller, .. }) = self.waiting.remove(at) else { break };
            if let Caller::Task(_) = caller {
                self.called.insert(number, before);
            }
            taken.push(caller);
        }
        taken
    }

    fn find(&self, number: Number) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }
}

impl Caller {
    /// Drops a waker where its panic does no harm.
    fn discard(self) {
        let _quiet = unwind::quietly(|| drop(self));
    }
}

/// Wakes them in order, each though another one's waker panics. Not under the lock.
fn tell(called: Vec<Caller>) -> usize {
    let count = called.len();
    for caller in called {
        match caller {
            Caller::Thread(parker) => parker.unpark(),
            Caller::Task(waker) => {
                let _quiet = unwind::quietly(|| waker.wake());
            }
        }
    }
    count
}

#[cfg(not(corepool_loom))]
mod table {
    use crossbeam_utils::CachePadded;

    use super::{Line, Mutex};

    /// So many lines. More would only help if many cells were waited on at once.
    const LINES: usize = 1 << LINES_BITS;
    const LINES_BITS: u32 = 6;

    static TABLE: [CachePadded<Mutex<Line>>; LINES] =
        [const { CachePadded::new(Mutex::new(Line::new())) }; LINES];

    pub(super) fn line(address: usize) -> &'static Mutex<Line> {
        // The golden ratio spreads neighbours; the highest bits of the product depend on all bits
        // of the address.
        let spread = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &TABLE[(spread >> (u64::BITS - LINES_BITS)) as usize]
    }
}

/// A model has one line, which begins anew in each schedule.
#[cfg(corepool_loom)]
mod table {
    use super::{Line, Mutex};

    loom::lazy_static! {
        static ref LINE: Mutex<Line> = Mutex::new(Line::new());
    }

    pub(super) fn line(_address: usize) -> &'static Mutex<Line> {
        &LINE
    }
}
