//! The seats of a set: one for each source of results, and the order in which they are looked at.
//!
//! A source is a handle or a batch. A handle gets its waker together with its seat, so results come
//! out in the order of settling, even if no thread looks meanwhile. A handle is looked at only
//! after its waker was woken. A batch is also looked at when it is new, because its items would
//! cost more if a thread waited for them from the beginning.
//!
//! A seat's number is also its slot in the watch. When a seat's source is empty, the seat goes to
//! the next source. If the waker of the earlier source is woken late, the next source is looked at
//! once in vain.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use super::source::Source;
use crate::base::error::TaskError;
use crate::base::id::TaskId;
use crate::os::lineage;
use crate::parts::watch::Watch;
use crate::pool::handle;
use crate::sched::worker;

/// A set that becomes empty keeps this many seats, so that a few tasks at a time do not allocate.
const KEPT: usize = 1_024;
/// How many results a batch may return in a row before other sources are looked at.
const ROW: u32 = 64;
/// The smallest number of slots in the first watch.
const FIRST_WATCH: usize = 8;

pub(super) struct Seats<T> {
    seats: Vec<Seat<T>>,
    /// Seats without a source.
    free: Vec<u32>,
    /// Seats whose sources were woken. They come first; otherwise a set that keeps getting more
    /// sources might never look at them.
    woken: VecDeque<u32>,
    /// Seats whose batches were not looked at yet, or may have more results ready.
    new: VecDeque<u32>,
    /// Seats whose sources may have a task that has not started, each once.
    unstarted: VecDeque<u32>,
    /// The batch that returned the last result, and how many it returned in a row. It may have more
    /// results ready.
    at_hand: Option<(u32, u32)>,
    /// How many results have not been taken.
    left: usize,
    /// The number of the next task.
    next: u64,
    /// The seat of the last result, and the number of its task if the source has no more.
    last: (u32, u64),
    /// A seat that had a source at the last check for lost tasks.
    witness: usize,
    /// `None` until the first handle comes, or until a batch must be waited for.
    watch: Option<Watch>,
}

struct Seat<T> {
    source: Option<Source<T>>,
    is_in_unstarted: bool,
    /// The number of the source's first task.
    first: u64,
}

impl<T> Seats<T> {
    pub(super) const fn new() -> Self {
        Self {
            seats: Vec::new(),
            free: Vec::new(),
            woken: VecDeque::new(),
            new: VecDeque::new(),
            unstarted: VecDeque::new(),
            at_hand: None,
            left: 0,
            next: 0,
            last: (0, 0),
            witness: 0,
            watch: None,
        }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Makes room for `many` more sources, which are about to come.
    pub(super) fn expect(&mut self, many: usize) {
        if many > FIRST_WATCH {
            // Only as many as surely need a new seat. The limit bounds the cost of a wrong hint.
            let many = many.saturating_sub(self.free.len()).min(KEPT);
            self.seats.reserve(many);
            let _watch = watch_for(&mut self.watch, self.seats.len() + many);
        }
    }

    /// Adds a source. Returns the number of its first task.
    pub(super) fn add(&mut self, source: Source<T>) -> TaskId {
        let left = source.left();
        let first = self.next;
        self.next += left as u64;
        let number = match self.free.pop() {
            Some(number) => {
                let seat = &mut self.seats[number as usize];
                (seat.source, seat.first) = (Some(source), first);
                number
            }
            None => {
                let number = u32::try_from(self.seats.len());
                let number = number.expect("a set has less than 4,294,967,296 seats");
                self.seats.push(Seat { source: Some(source), is_in_unstarted: false, first });
                number
            }
        };
        self.left += left;
        self.watch_new(number);
        TaskId::new(first)
    }

    /// Watches a source that has just got its seat, or marks it to be looked at soon.
    fn watch_new(&mut self, number: u32) {
        let seats = self.seats.len();
        let seat = &mut self.seats[number as usize];
        let Some(Source::One(handle)) = &mut seat.source else {
            return self.new.push_back(number);
        };
        let is_unstarted = !handle.is_finished();
        handle.watch(watch_for(&mut self.watch, seats).waker(number as usize));
        if is_unstarted && !std::mem::replace(&mut seat.is_in_unstarted, true) {
            self.unstarted.push_back(number);
        }
    }

    /// The task whose result was taken last.
    pub(super) fn last_taken(&self) -> TaskId {
        let (number, gone) = self.last;
        let seat = self.seats.get(number as usize);
        TaskId::new(seat.and_then(Seat::last_taken).unwrap_or(gone))
    }

    /// Takes a result if there is one. If there is none, every source has a waker afterwards.
    #[inline]
    pub(super) fn take_finished(&mut self) -> Option<Result<T, TaskError>> {
        let result = self.take_at_hand();
        if result.is_some() { result } else { self.take_from_next() }
    }

    /// Takes another result of the batch that returned the last one, if its row is not over and a
    /// result is ready. If not, other sources get a turn first, then this batch again.
    ///
    /// The result is passed on unchanged: to take it apart and put it together again would cost
    /// more than everything else here.
    #[inline]
    pub(super) fn take_at_hand(&mut self) -> Option<Result<T, TaskError>> {
        let (number, row) = self.at_hand?;
        let source = self.seats[number as usize].source.as_mut();
        if let Some(batch) = source.filter(|_| row < ROW).and_then(Source::as_batch) {
            let result = batch.try_take();
            if result.is_some() {
                if batch.left() > 0 {
                    self.left -= 1;
                    self.last.0 = number;
                    self.at_hand = Some((number, row + 1));
                } else {
                    self.at_hand = None;
                    self.note_taken(number);
                }
                return result;
            }
        }
        self.at_hand = None;
        self.new.push_back(number);
        None
    }

    fn take_from_next(&mut self) -> Option<Result<T, TaskError>> {
        while let Some(number) = self.next_to_look_at() {
            let result = self.look(number);
            if result.is_some() {
                return result;
            }
        }
        None
    }

    /// Runs a task that has not started, if this thread runs the tasks that it waits for in place.
    pub(super) fn run_one_here(&mut self) -> Option<Result<T, TaskError>> {
        if !worker::runs_in_place() {
            return None;
        }
        while let Some(number) = self.unstarted.pop_front() {
            let seat = &mut self.seats[number as usize];
            seat.is_in_unstarted = false;
            let result = seat.source.as_mut().and_then(Source::run_one_here);
            if result.is_some() {
                self.note_taken(number);
                return result;
            }
        }
        None
    }

    /// Called before a sleep: checks for one of the remaining sources whether its tasks belong to a
    /// parent process. If so, gives up one result.
    pub(super) fn take_lost(&mut self) -> Option<Result<T, TaskError>> {
        if !lineage::is_child() {
            return None;
        }
        let seats = self.seats.len();
        let from = self.witness;
        // The same source as last time, as long as it is there. Others may belong to this process.
        for number in (from..seats).chain(0..from.min(seats)) {
            let lost = self.seats[number].source.as_mut().and_then(Source::take_lost);
            if let Some(result) = lost {
                self.witness = number;
                self.note_taken(number as u32);
                return Some(result);
            }
        }
        None
    }

    /// Whether nothing seems to have been woken since the last look.
    pub(super) fn is_quiet(&self) -> bool {
        self.watch.as_ref().is_none_or(Watch::is_quiet)
    }

    /// Leaves the waiter's waker. Returns `true` if something was already woken; then the waker may
    /// never be woken.
    pub(super) fn wait(&self, waker: &Waker) -> bool {
        handle::do_what_waits();
        self.watch.as_ref().is_some_and(|watch| watch.wait(waker))
    }

    pub(super) fn cancel_all(&self) {
        self.seats.iter().filter_map(|seat| seat.source.as_ref()).for_each(Source::cancel);
    }

    fn next_to_look_at(&mut self) -> Option<u32> {
        let Self { watch, woken, new, .. } = self;
        if let (true, Some(watch)) = (woken.is_empty(), watch) {
            if !watch.is_quiet() {
                watch.take(|number| woken.push_back(number as u32));
            }
        }
        woken.pop_front().or_else(|| new.pop_front())
    }

    fn look(&mut self, number: u32) -> Option<Result<T, TaskError>> {
        let seats = self.seats.len();
        let seat = &mut self.seats[number as usize];
        // `None` if the waker of an earlier source was woken late.
        let source = seat.source.as_mut()?;
        let watch = &mut self.watch;
        let waker = || watch_for(watch, seats).waker(number as usize);
        match source.poll(waker) {
            Poll::Ready(result) => {
                self.note_taken(number);
                Some(result)
            }
            Poll::Pending => {
                if !std::mem::replace(&mut seat.is_in_unstarted, true) {
                    self.unstarted.push_back(number);
                }
                None
            }
        }
    }

    /// Notes that a result of this source was taken.
    fn note_taken(&mut self, number: u32) {
        self.left -= 1;
        let seats = self.seats.len();
        let seat = &mut self.seats[number as usize];
        self.last.0 = number;
        if seat.source.as_ref().is_some_and(|source| source.left() == 0) {
            self.last.1 = seat.last_taken().unwrap_or(0);
        }
        if self.left == 0 && seats > KEPT {
            *self = Self { next: self.next, last: self.last, ..Self::new() };
            return;
        }
        if seat.source.as_ref().is_some_and(|source| source.left() > 0) {
            if self.at_hand.is_none() {
                self.at_hand = Some((number, 0));
            } else {
                self.new.push_back(number);
            }
        } else {
            seat.source = None;
            self.free.push(number);
        }
    }
}

impl<T> Seat<T> {
    /// The number of the task whose result was taken last from the current source.
    fn last_taken(&self) -> Option<u64> {
        self.source.as_ref().map(|source| self.first + source.last_taken())
    }
}

/// The watch, with room for this many seats.
fn watch_for(watch: &mut Option<Watch>, seats: usize) -> &Watch {
    let watch = watch.get_or_insert_with(|| Watch::new(seats.max(FIRST_WATCH)));
    watch.grow(seats);
    watch
}
