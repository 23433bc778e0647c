//! The items of a batch between those who run them and the one who takes the results.
//!
//! `README.md` beside this file has the protocol as steps. This module knows nothing of pools and
//! workers.
#![forbid(unsafe_code)]

use core::mem;
use core::ops::Range;
use std::task::Waker;

use crossbeam_utils::CachePadded;

use super::block::{self, Block, NOWHERE};
use super::slot::{Claimed, Place, Slot, State};
use crate::spin::{Gap, Retry};
use crate::sync::{AtomicBool, AtomicU32, Mutex, Ordering, handshake};
use crate::task::Outcome;
use crate::unwind;

/// The taker sleeps, or is about to.
const WAITS: u32 = 1;
/// There is no taker any more.
const DETACHED: u32 = 2;

/// In a lane: its runner is about to take a range.
const TAKES: u32 = NOWHERE - 1;
/// So that the cursor can run over: by a range for each runner.
const MOST_ITEMS: usize = 1 << 31;

/// Runners who finish at the same time would wait for one another at one list.
const LISTS: usize = 8;
/// Each runner is to find its way to the cursor so many times at least. A model has few items, and
/// ranges of several all the same.
const RANGES_EACH: u32 = if cfg!(corepool_loom) { 1 } else { 4 };

pub(super) struct Items<F, T> {
    /// Closures and results.
    places: Vec<Place<F, T>>,
    /// The states, a block for each range.
    blocks: Box<[Block]>,
    /// How long a range is: two to the power of this.
    range_bits: u32,
    /// Where the ranges that nobody has in hand begin.
    cursor: CachePadded<AtomicU32>,
    /// For each runner, where the range begins that it has in hand.
    lanes: Box<[CachePadded<AtomicU32>]>,
    /// Blocks with results: the one that was put on the list last.
    newest: Box<[CachePadded<AtomicU32>]>,
    /// What runners have to look out for, in a line that seldom changes.
    attention: CachePadded<AtomicU32>,
    waiter: Mutex<Option<Waker>>,
    /// All results were taken: the places hold nothing.
    is_emptied: AtomicBool,
}

/// The closures of a batch that has not begun. Dropped, they are.
pub(super) struct Closures<F, T>(Vec<Place<F, T>>);

impl<F, T> FromIterator<F> for Closures<F, T> {
    fn from_iter<I: IntoIterator<Item = F>>(closures: I) -> Self {
        // The closures that came before an iterator's panic are dropped.
        let mut all = Self(Vec::new());
        all.0.extend(closures.into_iter().map(Place::new));
        all
    }
}

impl<F, T> Closures<F, T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<F, T> Drop for Closures<F, T> {
    fn drop(&mut self) {
        for place in &self.0 {
            Slot::new(&State::new(), place).clear();
        }
    }
}

impl<F, T> Items<F, T> {
    /// # Panics
    /// If there are two thousand million items.
    pub(super) fn new(mut closures: Closures<F, T>, lanes: usize) -> Self {
        assert!(closures.len() < MOST_ITEMS, "a batch has less than 2,147,483,648 closures");
        let range_bits = range_bits(closures.len(), lanes);
        let blocks = closures.len().div_ceil(1 << range_bits);
        Self {
            places: mem::take(&mut closures.0),
            blocks: (0..blocks).map(|_| Block::new()).collect(),
            range_bits,
            cursor: CachePadded::new(AtomicU32::new(0)),
            lanes: (0..lanes).map(|_| CachePadded::new(AtomicU32::new(NOWHERE))).collect(),
            newest: (0..lanes.clamp(1, LISTS))
                .map(|_| CachePadded::new(AtomicU32::new(NOWHERE)))
                .collect(),
            attention: CachePadded::new(AtomicU32::new(0)),
            waiter: Mutex::new(None),
            is_emptied: AtomicBool::new(false),
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.places.len() as u32
    }

    #[inline]
    pub(super) fn slot(&self, item: u32) -> Slot<'_, F, T> {
        self.slot_in(self.block_of(item), item)
    }

    /// As [`slot`](Self::slot), where the item's block is known.
    #[inline]
    pub(super) fn slot_in(&self, block: u32, item: u32) -> Slot<'_, F, T> {
        Slot::new(self.blocks[block as usize].state(item), &self.places[item as usize])
    }

    #[inline]
    pub(super) fn block_of(&self, item: u32) -> u32 {
        item >> self.range_bits
    }

    pub(super) fn items_of(&self, block: u32) -> Range<u32> {
        self.range_at(block << self.range_bits)
    }

    fn range_at(&self, start: u32) -> Range<u32> {
        if start < self.len() { start..self.len().min(start + self.range()) } else { 0..0 }
    }

    fn range(&self) -> u32 {
        1 << self.range_bits
    }

    /// The next range for a runner, who has been through the one before.
    pub(super) fn next_range(&self, lane: usize) -> Option<Range<u32>> {
        // ORDERING: only so that those who come late do not move it on and on.
        if self.cursor.load(Ordering::Relaxed) < self.len() {
            // Said before it is so: whoever finds nothing at the cursor waits until it is said here
            // what was taken from it.
            if !mutant!("batch_lane_late") {
                self.lanes[lane].store(TAKES, Ordering::SeqCst);
            }
            let start = self.cursor.fetch_add(self.range(), Ordering::SeqCst);
            if start < self.len() {
                self.lanes[lane].store(start, Ordering::SeqCst);
                return Some(self.range_at(start));
            }
        }
        self.lanes[lane].store(NOWHERE, Ordering::SeqCst);
        None
    }

    /// The range that this runner has in hand, or has been through. None while it takes one.
    fn in_hand(&self, lane: &AtomicU32) -> Option<Range<u32>> {
        let start = lane.load(Ordering::SeqCst);
        (start != TAKES).then(|| self.range_at(start))
    }

    /// The same, for who must not miss it.
    fn surely_in_hand(&self, lane: &AtomicU32) -> Range<u32> {
        let mut gap = Gap::default();
        loop {
            match self.in_hand(lane) {
                Some(range) => return range,
                None => gap.wait(),
            }
        }
    }

    /// An item that nobody has started, from a range that somebody has in hand: a long item keeps
    /// nobody behind it waiting. From the end, because its owner comes from the beginning.
    pub(super) fn claim_in_hand(&self) -> Option<(u32, Claimed<'_, F, T>)> {
        // Acquires what was said of the ranges that were taken.
        let _exhausted = self.cursor.load(Ordering::SeqCst);
        let items = self.lanes.iter().flat_map(|lane| self.surely_in_hand(lane).rev());
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

    /// Settles all that nobody has started. Says how many those were; each is noted before it is
    /// seen.
    pub(super) fn settle_unclaimed(&self, outcome: Outcome, mut note: impl FnMut()) -> usize {
        let from = self.cursor.swap(self.len(), Ordering::SeqCst).min(self.len());
        let in_hand = self.lanes.iter().flat_map(|lane| self.surely_in_hand(lane));
        let mut finished = Finished::default();
        let mut settled = 0;
        for item in (from..self.len()).chain(in_hand) {
            let slot = self.slot(item);
            if !slot.looks_waiting() {
                continue;
            }
            if let Some(claimed) = slot.claim() {
                claimed.settle_unrun(outcome, &mut note);
                settled += 1;
                finished.add(self, item);
            }
        }
        finished.publish(self);
        settled
    }

    /// Whether there seems to be an item that nobody has started.
    pub(super) fn has_unclaimed(&self) -> bool {
        self.cursor.load(Ordering::SeqCst) < self.len() || self.unclaimed() > 0
    }

    /// How many items nobody has started. Exact when nobody starts one at the moment.
    pub(super) fn unclaimed(&self) -> usize {
        let start = self.cursor.load(Ordering::SeqCst).min(self.len());
        let in_hand = self.lanes.iter().filter_map(|lane| self.in_hand(lane)).flatten();
        let held = in_hand.filter(|item| *item < start && self.slot(*item).looks_waiting());
        (self.len() - start) as usize + held.count()
    }

    /// Puts a block with results on a list, unless it is there, and calls who waits for them.
    ///
    /// If it is there, it will be looked through after this, and who put it there sees whether
    /// somebody waits.
    pub(super) fn publish(&self, number: u32) {
        let block = &self.blocks[number as usize];
        if !block.list() {
            return;
        }
        // ORDERING: tried again if it is old.
        let list = &self.newest[number as usize % self.newest.len()];
        let mut newest = list.load(Ordering::Relaxed);
        let mut retry = Retry::default();
        loop {
            block.set_older(newest);
            // SeqCst against `wait`, which says that it waits and then looks at the list. It
            // releases the link.
            // ORDERING: relaxed on failure, because it is tried again.
            let push = list.compare_exchange(newest, number, Ordering::SeqCst, Ordering::Relaxed);
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

    /// Takes the lists: blocks to be looked through. Of each list the newest comes first.
    pub(super) fn take_finished(&self, blocks: &mut Vec<u32>) {
        // ORDERING: acquire, partner of the push; SeqCst, because it may be the look of one that
        // waits.
        for list in &self.newest {
            let mut next = list.load(Ordering::SeqCst);
            if next != NOWHERE {
                next = list.swap(NOWHERE, Ordering::SeqCst);
            }
            while next != NOWHERE {
                blocks.push(next);
                next = self.blocks[next as usize].unlist();
            }
        }
    }

    pub(super) fn has_finished(&self) -> bool {
        self.newest.iter().any(|list| list.load(Ordering::SeqCst) != NOWHERE)
    }

    /// Nobody takes results any more: drops those on the list.
    fn drop_finished(&self) {
        let mut blocks = Vec::new();
        self.take_finished(&mut blocks);
        for item in blocks.into_iter().flat_map(|block| self.items_of(block)) {
            if let Some(result) = self.slot(item).take_beside_others() {
                unwind::quietly(|| drop(result));
            }
        }
    }

    /// All results were taken, so nothing is left to be dropped with the memory.
    pub(super) fn note_emptied(&self) {
        // ORDERING: read when the memory goes; whatever counts its owners lies between.
        self.is_emptied.store(true, Ordering::Relaxed);
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

    /// Finds results of ranges in hand that are not on the list yet, because an item behind them is
    /// long.
    ///
    /// From the end of each range: an item that its owner has claimed was claimed after the ones
    /// before it were finished. So either this look sees those, or their owner sees that somebody
    /// waits.
    pub(super) fn harvest(&self, lane: usize, found: &mut Vec<u32>) {
        // One that takes a range has published the one before.
        let items = self.in_hand(&self.lanes[lane]).into_iter().flat_map(Range::rev);
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

/// What was neither run nor taken goes with the memory.
impl<F, T> Drop for Items<F, T> {
    fn drop(&mut self) {
        // ORDERING: see `note_emptied`.
        if !self.is_emptied.load(Ordering::Relaxed) {
            (0..self.len()).for_each(|item| self.slot(item).clear());
        }
    }
}

/// All ranges are as long, so an addition is enough to take one, and a power of two, so a shift
/// tells the range of an item. What is uneven at the end is evened out by those who find nothing at
/// the cursor any more.
fn range_bits(items: usize, lanes: usize) -> u32 {
    let share = items / (RANGES_EACH as usize * lanes.max(1));
    let share = share.clamp(1, block::MOST as usize);
    // A model has few items, and wants them in one range.
    let range = if cfg!(corepool_loom) { share.next_power_of_two() } else { share };
    range.ilog2()
}

/// The block with finished items that are not on the list yet.
#[derive(Debug, Default)]
struct Finished(Option<u32>);

impl Finished {
    /// Adds one, and publishes those before it if they are of another block.
    fn add<F, T>(&mut self, items: &Items<F, T>, item: u32) {
        let block = items.block_of(item);
        if self.0 != Some(block) {
            self.publish(items);
            self.0 = Some(block);
        }
    }

    fn publish<F, T>(&mut self, items: &Items<F, T>) {
        if let Some(block) = self.0.take() {
            items.publish(block);
        }
    }
}
