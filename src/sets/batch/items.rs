//! The items of a batch, as shared by the runners that run them and the taker of the results.
//!
//! `README.md` beside this file describes the protocol step by step. This module does not know
//! about pools and workers.
#![forbid(unsafe_code)]

use core::mem;
use core::ops::Range;
use std::task::Waker;

use crossbeam_utils::CachePadded;

use super::block::{self, Block, NOWHERE};
use super::slot::{Claimed, ItemPlace, ItemState, Slot};
use crate::base::sync::{AtomicBool, AtomicU32, Mutex, Ordering, handshake};
use crate::base::unwind;
use crate::parts::spin::{Gap, Retry};
use crate::task::Outcome;

/// The taker sleeps, or is about to.
const WAITS: u32 = 1;
/// There is no taker any more.
const DETACHED: u32 = 2;

/// In a lane (a runner's word for its range): the runner is about to take a range.
const TAKES: u32 = NOWHERE - 1;
/// Leaves room for the cursor to run past the end, by one range for each runner.
const MOST_ITEMS: usize = 1 << 31;

/// With a single list, runners that finish at the same time would wait for one another.
const LISTS: usize = 8;
/// The least number of ranges in each runner's share. A model has few items, but still needs ranges
/// of several.
const RANGES_EACH: u32 = if cfg!(corepool_loom) { 1 } else { 4 };

pub(super) struct Items<F, T> {
    /// Closures and results.
    places: Vec<ItemPlace<F, T>>,
    /// The states. A block has as many items as a range.
    blocks: Box<[Block]>,
    /// The base-2 logarithm of a range's length.
    range_bits: u32,
    /// The start of the ranges that no runner has in hand.
    cursor: CachePadded<AtomicU32>,
    /// For each runner, the start of the range that it has in hand.
    lanes: Box<[CachePadded<AtomicU32>]>,
    /// The lists of blocks with results. Each holds the block that was pushed last.
    newest: Box<[CachePadded<AtomicU32>]>,
    /// The flags that runners have to check, in a cache line that seldom changes.
    attention: CachePadded<AtomicU32>,
    waiter: Mutex<Option<Waker>>,
    /// All results were taken: the places hold nothing.
    is_emptied: AtomicBool,
}

/// The closures of a batch that has not begun. Dropping it drops them.
pub(super) struct Closures<F, T>(Vec<ItemPlace<F, T>>);

impl<F, T> FromIterator<F> for Closures<F, T> {
    fn from_iter<I: IntoIterator<Item = F>>(closures: I) -> Self {
        // If the iterator panics, the closures that came before are dropped.
        let mut all = Self(Vec::new());
        all.0.extend(closures.into_iter().map(ItemPlace::new));
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
            Slot::new(&ItemState::new(), place).clear();
        }
    }
}

impl<F, T> Items<F, T> {
    /// # Panics
    /// If there are 2^31 items or more.
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

    /// Like [`slot`](Self::slot), when the item's block is known.
    #[inline]
    pub(super) fn slot_in(&self, block: u32, item: u32) -> Slot<'_, F, T> {
        debug_assert_eq!(block, self.block_of(item), "an item has one state, in its own block");
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

    fn announce_taking(&self, lane: usize) {
        mutant!("batch_lane_late" => return);
        self.lanes[lane].store(TAKES, Ordering::SeqCst);
    }

    /// Takes the next range for a runner that has been through its last one.
    pub(super) fn next_range(&self, lane: usize) -> Option<Range<u32>> {
        // ORDERING: relaxed; the check only keeps latecomers from moving the cursor on and on.
        if self.cursor.load(Ordering::Relaxed) < self.len() {
            // Announced before the cursor moves: a thread that finds nothing at the cursor waits
            // until the lane says which range was taken.
            self.announce_taking(lane);
            let start = self.cursor.fetch_add(self.range(), Ordering::SeqCst);
            if start < self.len() {
                self.lanes[lane].store(start, Ordering::SeqCst);
                return Some(self.range_at(start));
            }
        }
        self.lanes[lane].store(NOWHERE, Ordering::SeqCst);
        None
    }

    /// The range that this runner has in hand or has been through. `None` while it takes one.
    fn in_hand(&self, lane: &AtomicU32) -> Option<Range<u32>> {
        let start = lane.load(Ordering::SeqCst);
        (start != TAKES).then(|| self.range_at(start))
    }

    /// Like [`in_hand`](Self::in_hand), for a caller that must not miss the range.
    fn surely_in_hand(&self, lane: &AtomicU32) -> Range<u32> {
        let mut gap = Gap::default();
        loop {
            match self.in_hand(lane) {
                Some(range) => return range,
                None => gap.wait(),
            }
        }
    }

    /// Claims an item that has not started, from a range that a runner has in hand, so that a long
    /// item does not hold up the items behind it. Starts at the end of the range, because the owner
    /// starts at the beginning.
    pub(super) fn claim_in_hand(&self) -> Option<(u32, Claimed<'_, F, T>)> {
        // Acquires what the lanes announced before their ranges were taken.
        let _exhausted = self.cursor.load(Ordering::SeqCst);
        let items = self.lanes.iter().flat_map(|lane| self.surely_in_hand(lane).rev());
        let mut waiting = items.filter(|item| self.slot(*item).looks_waiting());
        waiting.find_map(|item| Some((item, self.slot(item).claim()?)))
    }

    /// Claims any item that has not started.
    pub(super) fn claim_one(&self) -> Option<(u32, Claimed<'_, F, T>)> {
        // ORDERING: relaxed, because it is a guess that the exchange checks.
        let mut start = self.cursor.load(Ordering::Relaxed);
        while start < self.len() {
            // ORDERING: relaxed on failure, because the value is a guess again.
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

    /// Settles all items that have not started and returns how many there were. Each is noted
    /// before its result can be seen.
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

    /// Whether there seems to be an item that has not started.
    pub(super) fn has_unclaimed(&self) -> bool {
        self.cursor.load(Ordering::SeqCst) < self.len() || self.unclaimed() > 0
    }

    /// How many items have not started. Exact if no thread starts one at the moment.
    pub(super) fn unclaimed(&self) -> usize {
        let start = self.cursor.load(Ordering::SeqCst).min(self.len());
        let in_hand = self.lanes.iter().filter_map(|lane| self.in_hand(lane)).flatten();
        let held = in_hand.filter(|item| *item < start && self.slot(*item).looks_waiting());
        (self.len() - start) as usize + held.count()
    }

    /// Puts a block with results on a list, unless it is on one, and wakes the taker if it waits.
    ///
    /// If the block is already on a list, the taker will look through it after this call, and the
    /// thread that put it there sees whether the taker waits.
    pub(super) fn publish(&self, number: u32) {
        let block = &self.blocks[number as usize];
        if !block.list() {
            return;
        }
        // ORDERING: relaxed, because a stale value only causes a retry.
        let list = &self.newest[number as usize % self.newest.len()];
        let mut newest = list.load(Ordering::Relaxed);
        let mut retry = Retry::default();
        loop {
            block.set_older(newest);
            // SeqCst, against the taker, which sets `WAITS` and then looks at the list. The push
            // also releases the link.
            // ORDERING: relaxed on failure, because the push is retried.
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

    /// Whether there is something to attend to. Called after a change that the taker looks for.
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
            // Only once: no thread needs a wake-up until the taker waits again.
            let waiter = self.waiter.lock().take();
            if let Some(waiter) = waiter {
                unwind::quietly(|| waiter.wake());
            }
        }
    }

    /// Takes the lists, whose blocks must be looked through. The newest block of each list comes
    /// first.
    pub(super) fn take_finished(&self, blocks: &mut Vec<u32>) {
        // ORDERING: acquire, partner of the push. SeqCst, because this may be the last look before
        // the taker sleeps.
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

    /// Drops the results on the lists, because there is no taker any more.
    fn drop_finished(&self) {
        let mut blocks = Vec::new();
        self.take_finished(&mut blocks);
        for item in blocks.into_iter().flat_map(|block| self.items_of(block)) {
            if let Some(result) = self.slot(item).take_beside_others() {
                unwind::quietly(|| drop(result));
            }
        }
    }

    /// Notes that all results were taken, so that nothing is left to drop with the memory.
    pub(super) fn note_emptied(&self) {
        // ORDERING: relaxed; it is read when the memory is freed, and the counting of its owners
        // lies between.
        self.is_emptied.store(true, Ordering::Relaxed);
    }

    /// The taker is gone: from now on runners drop the results that they produce.
    pub(super) fn detach(&self) {
        self.forget_waiter();
        self.attention.fetch_or(DETACHED, Ordering::SeqCst);
        mutant!("batch_detach_handshake" => return self.drop_finished());
        handshake();
        self.drop_finished();
    }

    /// Drops the waker, because no thread waits any more. Otherwise a worker would drop it with the
    /// memory.
    pub(super) fn forget_waiter(&self) {
        let waiter = self.waiter.lock().take();
        unwind::quietly(|| drop(waiter));
    }

    /// Finds results in a range in hand that are not on the list yet, because an item behind them
    /// is long.
    ///
    /// Goes from the end of the range to its beginning. The owner claims an item after it has
    /// finished the items before it. So either this look sees those results, or the owner sees that
    /// the taker waits.
    pub(super) fn harvest(&self, lane: usize, found: &mut Vec<u32>) {
        // A runner that is taking a range has published its last one.
        let items = self.in_hand(&self.lanes[lane]).into_iter().flat_map(Range::rev);
        found.extend(items.filter(|item| self.slot(*item).has_result()));
    }

    /// The number of runners.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The start of a runner's range; `NOWHERE` if it has none.
    pub(super) fn lane_at(&self, lane: usize) -> u32 {
        self.lanes[lane].load(Ordering::SeqCst)
    }

    /// Leaves the taker's waker. The taker looks once more after this.
    pub(super) fn begin_wait(&self, waker: &Waker) {
        // The clone before the lock and the drop after it are user code, so they run without the
        // lock.
        let waker = waker.clone();
        let old = self.waiter.lock().replace(waker);
        unwind::quietly(|| drop(old));
        mutant!("batch_waits_unsaid" => return handshake());
        self.attention.fetch_or(WAITS, Ordering::SeqCst);
        handshake();
    }

    /// The last look found something, so the taker does not sleep.
    pub(super) fn end_wait(&self) {
        self.attention.fetch_and(!WAITS, Ordering::SeqCst);
    }
}

/// Drops the closures that did not run and the results that were not taken.
impl<F, T> Drop for Items<F, T> {
    fn drop(&mut self) {
        // ORDERING: relaxed; see `note_emptied`.
        if !self.is_emptied.load(Ordering::Relaxed) {
            (0..self.len()).for_each(|item| self.slot(item).clear());
        }
    }
}

/// All ranges have the same length, so an addition takes one. The length is a power of two, so a
/// shift finds the block of an item. Runners that find nothing at the cursor even out the load at
/// the end.
fn range_bits(items: usize, lanes: usize) -> u32 {
    let share = items / (RANGES_EACH as usize * lanes.max(1));
    let share = share.clamp(1, block::MOST as usize);
    // A model has few items, and needs them in one range.
    let range = if cfg!(corepool_loom) { share.next_power_of_two() } else { share };
    range.ilog2()
}

/// The block with finished items that is not on a list yet.
#[derive(Debug, Default)]
struct Finished(Option<u32>);

impl Finished {
    /// Adds an item. Publishes the earlier items first if they are in another block.
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
