//! The items of a batch between those who run them and the one who takes the results.
//!
//! `README.md` beside this file has the protocol as steps. This module knows nothing of pools and workers.
#![forbid(unsafe_code)]

use core::ops::Range;
use std::task::Waker;

use crossbeam_utils::CachePadded;

use super::slot::{Claimed, NOWHERE, Slot};
use crate::spin::Retry;
use crate::sync::{AtomicU32, Mutex, Ordering, handshake, planted};
use crate::task::Outcome;
use crate::unwind;

/// The taker sleeps, or is about to.
const WAITS: u32 = 1;
/// There is no taker any more.
const DETACHED: u32 = 2;

/// Runners who finish at the same time would wait for one another at one list.
const LISTS: usize = 8;
/// No range is longer.
const LONGEST_RANGE: u32 = 32;
/// Each runner is to find its way to the cursor so many times at least. A model has few items, and ranges of
/// several all the same.
const RANGES_EACH: u32 = if cfg!(corepool_loom) { 1 } else { 4 };

pub(super) struct Items<F, T> {
    slots: Vec<Slot<F, T>>,
    /// Where the ranges that nobody has in hand begin.
    cursor: CachePadded<AtomicU32>,
    /// For each runner, where the range begins that it has in hand.
    lanes: Box<[CachePadded<AtomicU32>]>,
    /// Runs of finished items: the one that was put on the list last.
    newest: Box<[CachePadded<AtomicU32>]>,
    /// What runners have to look out for, in a line that seldom changes.
    attention: CachePadded<AtomicU32>,
    waiter: Mutex<Option<Waker>>,
}

impl<F, T> Items<F, T> {
    /// # Panics
    /// If there are four thousand million items.
    pub(super) fn new(slots: Vec<Slot<F, T>>, lanes: usize) -> Self {
        assert!(slots.len() < NOWHERE as usize, "a batch has less than 4,294,967,295 closures");
        Self {
            slots,
            cursor: CachePadded::new(AtomicU32::new(0)),
            lanes: (0..lanes).map(|_| CachePadded::new(AtomicU32::new(NOWHERE))).collect(),
            newest: (0..lanes.clamp(1, LISTS))
                .map(|_| CachePadded::new(AtomicU32::new(NOWHERE)))
                .collect(),
            attention: CachePadded::new(AtomicU32::new(0)),
            waiter: Mutex::new(None),
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn slot(&self, item: u32) -> &Slot<F, T> {
        &self.slots[item as usize]
    }

    /// How long the range is that begins here: short ones towards the end, so that all end at about the
    /// same time.
    fn length_at(&self, start: u32) -> u32 {
        let left = self.len() - start;
        let lanes = self.lanes.len().max(1) as u32;
        let share = left / (RANGES_EACH * lanes);
        // Many runners would spend their time at the cursor.
        let least = (lanes / 4).min(self.len() / (RANGES_EACH * lanes)).clamp(1, LONGEST_RANGE);
        share.clamp(least, LONGEST_RANGE).min(left)
    }

    /// The next range for a runner, who has been through the one before.
    pub(super) fn next_range(&self, lane: usize) -> Option<Range<u32>> {
        // ORDERING: a guess, which the exchange checks.
        let mut start = self.cursor.load(Ordering::Relaxed);
        let mut retry = Retry::default();
        while start < self.len() {
            let end = start + self.length_at(start);
            // Said before it is so: whoever finds nothing at the cursor finds here what was taken from it.
            if !mutant!("batch_lane_late") {
                self.lanes[lane].store(start, Ordering::SeqCst);
            }
            // ORDERING: relaxed on failure, because that is a guess again.
            let taken =
                self.cursor.compare_exchange(start, end, Ordering::SeqCst, Ordering::Relaxed);
            match taken {
                Ok(_) => {
                    if mutant!("batch_lane_late") {
                        self.lanes[lane].store(start, Ordering::SeqCst);
                    }
                    return Some(start..end);
                }
                Err(_) => {
                    retry.pause();
                    // ORDERING: as above.
                    start = self.cursor.load(Ordering::Relaxed);
                }
            }
        }
        self.lanes[lane].store(NOWHERE, Ordering::SeqCst);
        None
    }

    /// The range that this runner has in hand, or is about to take, or has been through.
    fn in_hand(&self, lane: &AtomicU32) -> Range<u32> {
        let start = lane.load(Ordering::SeqCst);
        if start < self.len() { start..start + self.length_at(start) } else { 0..0 }
    }

    /// An item that nobody has started, from a range that somebody has in hand: a long item keeps nobody
    /// behind it waiting. From the end, because its owner comes from the beginning.
    pub(super) fn claim_in_hand(&self) -> Option<(u32, Claimed<'_, F, T>)> {
        // Acquires what was said of the ranges that were taken.
        let _exhausted = self.cursor.load(Ordering::SeqCst);
        let items = self.lanes.iter().flat_map(|lane| self.in_hand(lane).rev());
        let mut waiting = items.filter(|item| self.slot(*item).looks_waiting());
        waiting.find_map(|item| Some((item, self.slot(item).claim()?)))
    }

    /// Any item that nobody has started.
    pub(super) fn claim_one(&self) -> Option<(u32, Claimed<'_, F, T>)> {
        // ORDERING: a guess, which the exchange checks.
        let mut start = self.cursor.load(Ordering::Relaxed);
        while start < self.len() {
            // ORDERING: relaxed on failure, because that is a guess again.
            let taken =
                self.cursor.compare_exchange(start, start + 1, Ordering::SeqCst, Ordering::Relaxed);
            match taken {
                Ok(_) => match self.slot(start).claim() {
                    Some(claimed) => return Some((start, claimed)),
                    None => start += 1,
                },
                Err(now) => start = now,
            }
        }
        self.claim_in_hand()
    }

    /// Settles all that nobody has started. Says how many those were; each is noted before it is seen.
    pub(super) fn settle_unclaimed(&self, outcome: Outcome, mut note: impl FnMut()) -> usize {
        let from = self.cursor.swap(self.len(), Ordering::SeqCst).min(self.len());
        let in_hand = self.lanes.iter().flat_map(|lane| self.in_hand(lane));
        let mut run = Run::default();
        let mut settled = 0;
        for item in (from..self.len()).chain(in_hand) {
            let slot = self.slot(item);
            if !slot.looks_waiting() {
                continue;
            }
            if let Some(claimed) = slot.claim() {
                claimed.settle_unrun(outcome, &mut note);
                settled += 1;
                run.add(self, item);
            }
        }
        run.publish(self);
        settled
    }

    /// Whether there seems to be an item that nobody has started.
    pub(super) fn has_unclaimed(&self) -> bool {
        self.cursor.load(Ordering::SeqCst) < self.len() || self.unclaimed() > 0
    }

    /// How many items nobody has started. Exact when nobody starts one at the moment.
    pub(super) fn unclaimed(&self) -> usize {
        let start = self.cursor.load(Ordering::SeqCst).min(self.len());
        let in_hand = self.lanes.iter().flat_map(|lane| self.in_hand(lane));
        let held = in_hand.filter(|item| *item < start && self.slot(*item).looks_waiting());
        (self.len() - start) as usize + held.count()
    }

    /// Puts a run of finished items on the list, and calls who waits for them.
    fn publish(&self, first: u32, length: u32) {
        let slot = self.slot(first);
        slot.begin_run(length);
        // ORDERING: tried again if it is old.
        let list = &self.newest[first as usize % self.newest.len()];
        let mut newest = list.load(Ordering::Relaxed);
        let mut retry = Retry::default();
        loop {
            slot.set_older(newest);
            // ORDERING: SeqCst against `wait`, which says that it waits and then looks at the list.
            let order =
                planted(mutant!("batch_publish_unreleased"), Ordering::SeqCst, Ordering::Acquire);
            // ORDERING: relaxed on failure, because it is tried again.
            let push = list.compare_exchange(newest, first, order, Ordering::Relaxed);
            match push {
                Ok(_) => break,
                Err(_) => {
                    retry.pause();
                    // ORDERING: as above.
                    newest = list.load(Ordering::Relaxed);
                }
            }
        }
        if self.is_watched() {
            self.attend();
        }
    }

    /// Whether there is something to look out for. Comes after a change that the taker looks for.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        handshake();
        self.attention.load(Ordering::SeqCst) != 0
    }

    #[cold]
    fn attend(&self) {
        let before = self.attention.fetch_and(!WAITS, Ordering::SeqCst);
        if before & DETACHED != 0 {
            self.drop_finished();
        } else if before & WAITS != 0 {
            // Once: until it waits again nobody needs to.
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                unwind::quietly(|| waiter.wake());
            }
        }
    }

    /// Takes the lists: the first run, and from each one follows the next. In the order of finishing within a list.
    pub(super) fn take_finished(&self) -> u32 {
        // ORDERING: acquire, partner of the push; SeqCst, because it may be the look of one that waits.
        let mut first = NOWHERE;
        for list in &self.newest {
            if list.load(Ordering::SeqCst) != NOWHERE {
                first = self.turn_around(list.swap(NOWHERE, Ordering::SeqCst), first);
            }
        }
        first
    }

    /// Puts the runs from this one on before `first`, the last of them first.
    fn turn_around(&self, mut next: u32, mut first: u32) -> u32 {
        while next != NOWHERE {
            let slot = self.slot(next);
            let (older, _) = slot.run();
            slot.set_older(first);
            first = next;
            next = older;
        }
        first
    }

    pub(super) fn has_finished(&self) -> bool {
        self.newest.iter().any(|list| list.load(Ordering::SeqCst) != NOWHERE)
    }

    /// Nobody takes results any more: drops those on the list.
    fn drop_finished(&self) {
        let mut first = self.take_finished();
        while first != NOWHERE {
            let (next, length) = self.slot(first).run();
            for item in first..first + length {
                if let Some(result) = self.slot(item).take() {
                    unwind::quietly(|| drop(result));
                }
            }
            first = next;
        }
    }

    /// The taker is gone: from here on runners drop what they make.
    pub(super) fn detach(&self) {
        self.forget_waiter();
        self.attention.fetch_or(DETACHED, Ordering::SeqCst);
        if !mutant!("batch_detach_handshake") {
            handshake();
        }
        self.drop_finished();
    }

    /// Nobody waits any more. A waker left behind would be dropped with the memory, by a worker.
    pub(super) fn forget_waiter(&self) {
        let waiter = self.waiter.lock().take();
        unwind::quietly(|| drop(waiter));
    }

    /// Finds results of ranges in hand that are not on the list yet, because an item behind them is long.
    ///
    /// From the end of each range: an item that its owner has claimed was claimed after the ones before it
    /// were finished. So either this look sees those, or their owner sees that somebody waits.
    pub(super) fn harvest(&self, lane: usize, found: &mut Vec<u32>) {
        let items = self.in_hand(&self.lanes[lane]).rev();
        found.extend(items.filter(|item| self.slot(*item).has_result()));
    }

    /// How many runners there are.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Where a runner is; `NOWHERE` if it has no range.
    pub(super) fn lane_at(&self, lane: usize) -> u32 {
        self.lanes[lane].load(Ordering::SeqCst)
    }

    /// Leaves the waker of who waits, who then takes its last look.
    pub(super) fn begin_wait(&self, waker: &Waker) {
        // Cloned before, and dropped after: user code, without the lock.
        let waker = waker.clone();
        let old = self.waiter.lock().replace(waker);
        unwind::quietly(|| drop(old));
        if !mutant!("batch_waits_unsaid") {
            self.attention.fetch_or(WAITS, Ordering::SeqCst);
        }
        handshake();
    }

    /// The last look found something.
    pub(super) fn end_wait(&self) {
        self.attention.fetch_and(!WAITS, Ordering::SeqCst);
    }
}

/// Finished items that stand in a row and are not on the list yet.
#[derive(Debug, Default)]
pub(super) struct Run {
    first: u32,
    length: u32,
}

impl Run {
    /// Adds one, and publishes those before it if it does not stand behind them.
    #[inline]
    pub(super) fn add<F, T>(&mut self, items: &Items<F, T>, item: u32) {
        if self.length > 0 && self.first + self.length == item {
            self.length += 1;
        } else {
            self.publish(items);
            *self = Self { first: item, length: 1 };
        }
    }

    #[inline]
    pub(super) fn publish<F, T>(&mut self, items: &Items<F, T>) {
        if self.length > 0 {
            items.publish(self.first, self.length);
            self.length = 0;
        }
    }
}
