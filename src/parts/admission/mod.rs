//! Room in a bounded pool: a counter of places, and a line of submitters that wait for one.
//!
//! A task holds a place from the moment it is accepted until its worker is done with it. The room
//! is for `capacity + workers` tasks. So at most `capacity` of them wait while all workers are busy
//! with tasks that have a place. For each worker that is busy with a task without a place, one more
//! may wait. A freed place is handed directly to the first waiter in line, so a later submitter
//! cannot take it.
//!
//! The word holds the number of free places and, in its lowest bit, whether any submitter waits in
//! line. While the bit is set no place is free, so the fast path that takes a place fails by
//! itself. While the bit is clear, the fast path that gives one back needs no lock.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::base::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, handshake};

const LINE: usize = 1;
const ONE: usize = 2;

/// What the pool is told about its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// A submitter found no room.
    Full,
    /// At least half of the room is free again.
    Drained,
}

/// Told of each edge, under a lock. Returns wakers to wake without the lock.
type Observer = Box<dyn Fn(Edge) -> Vec<Waker> + Send + Sync>;

/// The room of one pool.
pub(crate) struct Admission {
    places: usize,
    word: AtomicUsize,
    line: Mutex<Line>,
    /// Whether `Full` was reported and `Drained` not yet.
    told_full: AtomicBool,
    /// Held while an edge is reported, so that the two kinds alternate.
    telling: Mutex<()>,
    observer: Observer,
    /// How many places were given back, where that is counted.
    given_back: Option<AtomicUsize>,
}

struct Line {
    /// By number, in order of arrival, so that a waiter that leaves is found without a search.
    waiting: BTreeMap<u64, Arc<Ticket>>,
    /// The number of the next waiter.
    next: u64,
    closed: bool,
}

/// One waiter.
struct Ticket {
    state: Mutex<TicketState>,
}

enum TicketState {
    Waiting(Waker),
    Granted,
    Closed,
}

/// A place. Dropping it gives it back.
pub(crate) struct Place {
    admission: Arc<Admission>,
}

/// A waiter's position in the line. Dropping it leaves the line.
pub(crate) struct InLine {
    admission: Arc<Admission>,
    ticket: Arc<Ticket>,
    /// The ticket's number in the line.
    number: u64,
}

/// The answer to a request for a place.
#[derive(Debug)]
pub(crate) enum Entry {
    Place(Place),
    Closed,
    Wait(InLine),
}

impl Admission {
    pub(crate) fn new(places: usize, observer: Observer) -> Arc<Self> {
        let places = places.min(usize::MAX / ONE);
        Arc::new(Self {
            places,
            word: AtomicUsize::new(places * ONE),
            line: Mutex::new(Line { waiting: BTreeMap::new(), next: 0, closed: false }),
            told_full: AtomicBool::new(false),
            telling: Mutex::new(()),
            observer,
            given_back: None,
        })
    }

    /// Like [`new`](Self::new), for a caller that uses [`given_back`](Self::given_back).
    pub(crate) fn that_counts(places: usize, observer: Observer) -> Arc<Self> {
        let mut admission = Self::new(places, observer);
        let inside = Arc::get_mut(&mut admission).expect("nobody else has it yet");
        inside.given_back = Some(AtomicUsize::new(0));
        admission
    }

    /// A number that changes whenever a place is given back.
    ///
    /// Suppose that a thread reads this number, then finds no place, and then sees what another
    /// thread did after it gave a place back. Then it also sees that the number has changed.
    pub(crate) fn given_back(&self) -> usize {
        self.given_back.as_ref().map_or(0, |given| given.load(Ordering::SeqCst))
    }

    /// Takes a place if one is free.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        if self.try_take_place() {
            return Some(Place { admission: Arc::clone(self) });
        }
        self.tell_full();
        None
    }

    /// Takes a place, or a position in the line.
    pub(crate) fn enter(self: &Arc<Self>, waker: &Waker) -> Entry {
        let waker = waker.clone();
        let mut line = self.line.lock();
        if line.closed {
            return Entry::Closed;
        }
        loop {
            if self.try_take_place() {
                return Entry::Place(Place { admission: Arc::clone(self) });
            }
            // ORDERING: the word is only a count. The effects of tasks are ordered by their own
            // states.
            let word = self.word.load(Ordering::Relaxed);
            if word >= ONE {
                continue;
            }
            // ORDERING: acquire and release, so that a thread that gives a place back sees the
            // line's state.
            mutant!("line_unmarked" => break);
            let marked =
                self.word.compare_exchange(word, word | LINE, Ordering::AcqRel, Ordering::Relaxed);
            if marked.is_ok() {
                break;
            }
        }
        let ticket = Arc::new(Ticket { state: Mutex::new(TicketState::Waiting(waker)) });
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, Arc::clone(&ticket));
        drop(line);
        self.tell_full();
        Entry::Wait(InLine { admission: Arc::clone(self), ticket, number })
    }

    /// Sends all waiters away, including later ones.
    pub(crate) fn close(&self) {
        let mut line = self.line.lock();
        line.closed = true;
        mutant!("close_unmarked" => line.closed = false);
        let waiting = std::mem::take(&mut line.waiting);
        self.clear_line_bit();
        drop(line);
        for ticket in waiting.into_values() {
            ticket.decide(TicketState::Closed);
        }
    }

    /// How many waiters are in line.
    pub(crate) fn waiting(&self) -> usize {
        self.line.lock().waiting.len()
    }

    fn try_take_place(&self) -> bool {
        // ORDERING: as in `enter`.
        let mut word = self.word.load(Ordering::Relaxed);
        while word >= ONE {
            match self.word.compare_exchange(word, word - ONE, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Gives a place to the first waiter in line, or back to the count.
    fn give_back(&self) {
        mutant!("given_counted_early" => {
            self.count_given_back();
            return self.let_go_of_place();
        });
        self.let_go_of_place();
        // Counted only now: a thread that reads the number before this and then finds no place must
        // see it change.
        self.count_given_back();
    }

    fn count_given_back(&self) {
        if let Some(given) = &self.given_back {
            given.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn let_go_of_place(&self) {
        loop {
            // ORDERING: as in `enter`.
            let word = self.word.load(Ordering::Relaxed);
            if word & LINE != 0 {
                let is_taken = self.hand_to_first();
                mutant!("place_given_twice" => continue);
                if is_taken {
                    return;
                }
                continue;
            }
            // SeqCst: one half of a handshake with `tell_full`, which reports and then looks at the
            // word.
            // ORDERING: relaxed on failure, because it is tried again.
            let given =
                self.word.compare_exchange(word, word + ONE, Ordering::SeqCst, Ordering::Relaxed);
            if given.is_ok() {
                handshake();
                self.tell_drained((word + ONE) / ONE);
                return;
            }
        }
    }

    /// Returns whether a waiter took the place.
    fn hand_to_first(&self) -> bool {
        let mut line = self.line.lock();
        let Some((_, first)) = line.waiting.pop_first() else {
            self.clear_line_bit();
            return false;
        };
        if line.is_to_be_unmarked() {
            self.clear_line_bit();
        }
        // Decided while the line is locked, so that a waiter that leaves finds itself either in the
        // line or with a decision. Woken after that, because a waker is user code.
        let waker = first.settle(TicketState::Granted);
        drop(line);
        wake(waker);
        true
    }

    fn clear_line_bit(&self) {
        // ORDERING: as in `enter`.
        self.word.fetch_sub(self.word.load(Ordering::Relaxed) & LINE, Ordering::AcqRel);
    }

    fn tell_full(&self) {
        self.tell(false, Edge::Full);
        handshake();
        // After the look that found no room, and before `Full` was reported, room may have become
        // free. No other thread reports that.
        mutant!("drained_untold" => return);
        self.tell_drained(self.word.load(Ordering::SeqCst) / ONE);
    }

    fn tell_drained(&self, free: usize) {
        if free >= self.places.div_ceil(2) {
            self.tell(true, Edge::Drained);
        }
    }

    /// Reports an edge if the other one was reported last.
    fn tell(&self, told_full_before: bool, edge: Edge) {
        // A look that saves the lock. It is repeated under the lock. SeqCst: see `let_go_of_place`.
        if self.told_full.load(Ordering::SeqCst) != told_full_before {
            return;
        }
        let mut listeners = Vec::new();
        let telling = self.telling.lock();
        // ORDERING: changed only under the lock.
        if self.told_full.load(Ordering::Relaxed) == told_full_before {
            self.told_full.store(!told_full_before, Ordering::SeqCst);
            listeners = (self.observer)(edge);
        }
        drop(telling);
        listeners.into_iter().for_each(|waker| wake(Some(waker)));
    }
}

impl Line {
    /// Whether the word must no longer say that there is a line.
    fn is_to_be_unmarked(&self) -> bool {
        mutant!("line_cleared_early" => return true);
        self.waiting.is_empty()
    }
}

impl Ticket {
    /// Decides what the waiter gets. Returns the waker to wake.
    fn settle(&self, decision: TicketState) -> Option<Waker> {
        match std::mem::replace(&mut *self.state.lock(), decision) {
            TicketState::Waiting(waker) => Some(waker),
            TicketState::Granted | TicketState::Closed => None,
        }
    }

    fn decide(&self, decision: TicketState) {
        wake(self.settle(decision));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        crate::base::unwind::quietly(|| waker.wake());
    }
}

impl InLine {
    /// Returns the decision if there is one. Otherwise `waker` replaces the previous one.
    pub(crate) fn check(self, waker: &Waker) -> Entry {
        let waker = waker.clone();
        let mut state = self.ticket.state.lock();
        match &mut *state {
            TicketState::Waiting(old) => {
                mutant!("place_first_waker" => { drop(state); return Entry::Wait(self); });
                let old = std::mem::replace(old, waker);
                drop(state);
                crate::base::unwind::quietly(|| drop(old));
                Entry::Wait(self)
            }
            TicketState::Closed => Entry::Closed,
            TicketState::Granted => {
                // The place is the caller's now, so dropping `self` must not give it back a
                // second time.
                *state = TicketState::Closed;
                mutant!("grant_taken_twice" => *state = TicketState::Granted);
                drop(state);
                Entry::Place(Place { admission: Arc::clone(&self.admission) })
            }
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut line = self.admission.line.lock();
        let stepped_out = line.waiting.remove(&self.number);
        if stepped_out.is_some() && line.waiting.is_empty() {
            self.admission.clear_line_bit();
        }
        drop(line);
        let state = std::mem::replace(&mut *self.ticket.state.lock(), TicketState::Closed);
        match state {
            // A place was granted while the waiter was leaving. It goes to the next waiter.
            TicketState::Granted => {
                mutant!("grant_lost" => return);
                self.admission.give_back();
            }
            TicketState::Waiting(waker) => {
                crate::base::unwind::quietly(|| drop(waker));
            }
            TicketState::Closed => {
                mutant!("closed_gives_back" => self.admission.give_back());
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.give_back();
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("places", &self.places).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl fmt::Debug for InLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InLine")
    }
}
