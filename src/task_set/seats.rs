//! A seat for each source of results, and whose turn it is to be looked at.
//!
//! A handle gets its waker with its seat, so results come out in the order of settling, whether or
//! not somebody looks meanwhile. It is looked at only after its waker was woken. A batch is looked
//! at when it is new as well: its items would cost more if somebody waited for them from the
//! beginning. A seat's number names its slot in the watch as well. A seat is given to the next
//! source when its own is empty; should the waker of the one before be woken late, the next one is
//! looked at once in vain.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use super::source::Source;
use crate::error::TaskError;
use crate::handle;
use crate::id::TaskId;
use crate::lineage;
use crate::watch::Watch;
use crate::worker;

/// A set that becomes empty keeps this many seats, so that a few tasks at a time allocate nothing.
const KEPT: usize = 1_024;
/// So many results a batch gives before others are looked at.
const ROW: u32 = 64;
/// The first watch has room for so many.
const FIRST_WATCH: usize = 8;

pub(super) struct Seats<T> {
    seats: Vec<Seat<T>>,
    /// Seats without a source.
    free: Vec<u32>,
    /// Seats whose sources were woken. They come first, or a set that is always given more might
    /// never get to them.
    woken: VecDeque<u32>,
    /// Seats whose batches were not looked at yet, or may have more at hand.
    new: VecDeque<u32>,
    /// Seats whose sources may have a task that nobody has started, each once.
    unstarted: VecDeque<u32>,
    /// The batch that gave the last result, and how many it gave in a row: it may have more at
    /// hand.
    at_hand: Option<(u32, u32)>,
    /// Results that have not been taken.
    left: usize,
    /// The number of the next task.
    next: u64,
    /// The seat of the last result, and its task's number if its source has no more.
    last: (u32, u64),
    /// A seat that had a source when it was asked last.
    witness: usize,
    /// From the first handle on, or the first time that a batch had to be waited for.
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

    /// Makes room for so many more sources, which are about to come.
    pub(super) fn expect(&mut self, many: usize) {
        if many > FIRST_WATCH {
            // As many as are sure to need a seat of their own, and a hint that is wrong costs no
            // more than as many again.
            let many = many.saturating_sub(self.free.len()).min(KEPT);
            self.seats.reserve(many);
            let _watch = watch_for(&mut self.watch, self.seats.len() + many);
        }
    }

    /// Gives the number of its first task.
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

    /// Has a source watched that has just got its seat, or looked at soon.
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

    /// Whose result was taken last.
    pub(super) fn last_taken(&self) -> TaskId {
        let (number, gone) = self.last;
        let seat = self.seats.get(number as usize);
        TaskId::new(seat.and_then(Seat::last_taken).unwrap_or(gone))
    }

    /// Takes a result that is there. If there is none, every source has a waker afterwards.
    #[inline]
    pub(super) fn take_finished(&mut self) -> Option<Result<T, TaskError>> {
        let result = self.take_at_hand();
        if result.is_some() {
            return result;
        }
        if let Some((number, _)) = self.at_hand.take() {
            // Others have their turn, and then it again.
            self.new.push_back(number);
        }
        self.take_from_next()
    }

    /// Takes another result of the batch that gave the last one, if it may and has one at hand.
    ///
    /// The result goes from there to the caller as it is: taken apart and put together again, it
    /// would cost more than all the rest here.
    #[inline]
    pub(super) fn take_at_hand(&mut self) -> Option<Result<T, TaskError>> {
        let (number, row) = self.at_hand?;
        let source = self.seats[number as usize].source.as_mut();
        let batch = source.filter(|_| row < ROW).and_then(Source::as_batch)?;
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
        }
        result
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

    /// Runs a task that nobody has started, if this thread is one that runs in place what it waits
    /// for.
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

    /// Before a sleep: one of the sources that are left is asked whether its tasks are a parent
    /// process's. If so, a result is given up.
    pub(super) fn take_lost(&mut self) -> Option<Result<T, TaskError>> {
        if !lineage::is_child() {
            return None;
        }
        let seats = self.seats.len();
        let from = self.witness;
        let is_taken = |number: &usize| self.seats[*number].source.is_some();
        // The same one as last time, for as long as it is there.
        let number = (from..seats).chain(0..from.min(seats)).find(is_taken)?;
        self.witness = number;
        let result = self.seats[number].source.as_mut()?.take_lost()?;
        self.note_taken(number as u32);
        Some(result)
    }

    /// Whether nothing was woken since the last look, as far as can be seen.
    pub(super) fn is_quiet(&self) -> bool {
        self.watch.as_ref().is_none_or(Watch::is_quiet)
    }

    /// Leaves the waker of who waits. Says whether something was woken already: then nobody may
    /// wake it.
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
        // None if a late waker was woken.
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

    /// A result of this source was taken.
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
    /// The number of the task whose result was taken last from the source that is here.
    fn last_taken(&self) -> Option<u64> {
        self.source.as_ref().map(|source| self.first + source.last_taken())
    }
}

/// The watch, with room for so many.
fn watch_for(watch: &mut Option<Watch>, seats: usize) -> &Watch {
    let watch = watch.get_or_insert_with(|| Watch::new(seats.max(FIRST_WATCH)));
    watch.grow(seats);
    watch
}
