//! The lines of waiters: a fixed table of queues, found by the address of the cell that is waited
//! on.
//!
//! Cells with different addresses may share a line, so each notify passes over waiters on other
//! cells. Everything in a line is protected by its lock, so there are no races to reason about. No
//! user code runs under the lock: neither a waker's `wake` nor its drop.
//!
//! Each waiter has a number, given in the order of arrival. Numbers rise along the line, so a
//! waiter is found by binary search, and no waiter needs memory of its own that both sides write.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

// Not from `crate::base::sync`: in chaos builds and in models its lock cannot be in a static.
#[cfg(not(corepool_loom))]
use crate::base::sync::real::Mutex;

#[cfg(corepool_loom)]
use crate::base::sync::Mutex;
use crate::base::unwind;
use crate::parts::parker::Parker;

/// How a waiter is called.
#[derive(Debug)]
pub(super) enum Caller {
    Thread(Arc<Parker>),
    Task(Waker),
}

/// The address of a cell, which is all that the lines know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(usize);

/// A waiter's number in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

#[derive(Debug)]
struct Line {
    /// The number of the next waiter.
    next: Number,
    waiting: VecDeque<Waiter>,
    /// The tasks that were called and have not seen it yet. Each has the number at which the
    /// waiters that came after the call begin.
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

    /// Joins the line if the wait is still wanted, which `still` checks under the lock. `still`
    /// must be quick and must not be user code.
    pub(super) fn stand(self, caller: Caller, still: impl FnOnce() -> bool) -> Option<Number> {
        let mut line = self.line().lock();
        mutant!("line_second_look" => return Some(line.join(self, caller)));
        if !still() {
            drop(line);
            caller.discard();
            return None;
        }
        Some(line.join(self, caller))
    }

    /// Calls at most `most` waiters, the longest waiting first, and returns how many it called.
    pub(super) fn call(self, most: usize) -> usize {
        let mut line = self.line().lock();
        let before = line.next;
        let called = line.take(self, most, before);
        drop(line);
        mutant!("line_call_for_one" => return tell(called.into_iter().take(1).collect()));
        tell(called)
    }

    /// Leaves the line, for a thread whose time is up. Returns whether the thread still stood
    /// there; if not, it was called.
    #[must_use]
    pub(super) fn step_out(self, number: Number) -> bool {
        let mut line = self.line().lock();
        let waiter = line.find(number).and_then(|at| line.waiting.remove(at));
        drop(line);
        mutant!("line_called_unheard" => return true);
        waiter.is_some()
    }

    /// Returns whether a task was called; this is reported once. If it was not called, the waker
    /// replaces the previous one.
    #[must_use]
    pub(super) fn was_called(self, number: Number, waker: Waker) -> bool {
        let mut line = self.line().lock();
        let (called, unneeded) = match line.find(number) {
            Some(at) => (false, line.waiting[at].replace(Caller::Task(waker))),
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

    /// Gives up a task's place. If the task was called and never saw it, the call passes to the
    /// next waiter that stood in line when the call was made. Later waiters were not meant and must
    /// not wake without a reason.
    pub(super) fn give_up(self, number: Number) {
        let mut line = self.line().lock();
        if let Some(at) = line.find(number) {
            let waiter = line.waiting.remove(at);
            drop(line);
            waiter.into_iter().for_each(|waiter| waiter.caller.discard());
        } else if let Some(before) = line.called.remove(&number) {
            let called = line.pass_on(self, before);
            drop(line);
            tell(called);
        }
    }
}

impl Waiter {
    fn is_at(&self, address: Address) -> bool {
        mutant!("line_strangers" => return true);
        self.address == address
    }

    /// Returns the caller that is no longer needed.
    fn replace(&mut self, caller: Caller) -> Caller {
        mutant!("line_first_waker" => return caller);
        std::mem::replace(&mut self.caller, caller)
    }
}

impl Line {
    const fn new() -> Self {
        Self { next: Number(0), waiting: VecDeque::new(), called: BTreeMap::new() }
    }

    fn join(&mut self, address: Address, caller: Caller) -> Number {
        let number = self.next;
        self.next = Number(number.0 + 1);
        self.waiting.push_back(Waiter { number, address, caller });
        number
    }

    /// Passes a call that was made when `before` was the next number to one other waiter.
    fn pass_on(&mut self, address: Address, before: Number) -> Vec<Caller> {
        mutant!("line_call_kept" => return Vec::new());
        mutant!("line_later_meant" => return self.take(address, 1, self.next));
        self.take(address, 1, before)
    }

    /// Takes up to `most` waiters out of the line that wait at this address and have numbers below
    /// `before`.
    fn take(&mut self, address: Address, most: usize, before: Number) -> Vec<Caller> {
        let mut taken = Vec::new();
        let mut at = 0;
        while taken.len() < most {
            let mut rest = self.waiting.range(at..);
            let Some(steps) = rest.position(|waiter| waiter.is_at(address)) else { break };
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
    /// Drops a waker and catches its panic.
    fn discard(self) {
        let _quiet = unwind::quietly(|| drop(self));
    }
}

/// Wakes the callers in order, even if one of their wakers panics. Must not be called under the
/// lock.
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

    /// The number of lines. More would help only if many cells were waited on at the same time.
    const LINES: usize = 1 << LINES_BITS;
    const LINES_BITS: u32 = 6;

    static TABLE: [CachePadded<Mutex<Line>>; LINES] =
        [const { CachePadded::new(Mutex::new(Line::new())) }; LINES];

    pub(super) fn line(address: usize) -> &'static Mutex<Line> {
        // Multiplying by the golden ratio spreads neighbouring addresses. The highest bits of the
        // product depend on all bits of the address.
        let spread = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &TABLE[(spread >> (u64::BITS - LINES_BITS)) as usize]
    }
}

/// A model has a single line, which starts afresh in each schedule.
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
