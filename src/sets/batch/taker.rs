//! The taker of a batch's results: takes them as they finish, and looks for none twice.
#![forbid(unsafe_code)]

use core::ops::Range;
use std::task::Waker;

use super::block::NOWHERE;
use super::items::Items;

use crate::base::error::TaskError;
use crate::base::unwind;

/// How far the taker has come.
#[derive(Debug)]
pub(super) struct Taker {
    /// The number of results not taken yet.
    left: usize,
    /// The item whose result was taken last.
    last: u32,
    /// The current block (the states of consecutive items).
    block: u32,
    /// Its items that were not looked at yet.
    items: Range<u32>,
    /// The blocks that follow. The next one is the last element.
    blocks: Vec<u32>,
    /// Results found in ranges that a runner still has in hand. The next one is the last element.
    early: Vec<u32>,
    /// Where each runner was when the taker last looked for early results.
    seen: Vec<u32>,
    /// If a result was given up: one more than the last item whose result was.
    lost: u32,
}

impl Taker {
    pub(super) fn of<F, T>(items: &Items<F, T>) -> Self {
        let left = items.len() as usize;
        let seen = vec![NOWHERE; items.lanes()];
        let (blocks, early) = (Vec::new(), Vec::new());
        Self { left, last: 0, block: 0, items: 0..0, blocks, early, seen, lost: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// Takes a result, if one is there.
    #[inline]
    pub(super) fn take<F, T>(&mut self, items: &Items<F, T>) -> Option<Result<T, TaskError>> {
        loop {
            let (block, item) = match self.items.next() {
                Some(item) => (self.block, item),
                None => self.next_block(items)?,
            };
            // If there is no result, the item was taken early, or it has not finished and its block
            // comes again.
            if let Some(result) = items.slot_in(block, item).take() {
                self.left -= 1;
                self.last = item;
                return Some(result);
            }
        }
    }

    /// Finds the next item to look at, after the end of a block.
    #[cold]
    fn next_block<F, T>(&mut self, items: &Items<F, T>) -> Option<(u32, u32)> {
        loop {
            if let Some(item) = self.early.pop() {
                return Some((items.block_of(item), item));
            }
            if self.blocks.is_empty() {
                items.take_finished(&mut self.blocks);
            }
            if let Some(block) = self.blocks.pop() {
                (self.block, self.items) = (block, items.items_of(block));
                return Some((block, self.items.next()?));
            }
            self.look_for_early(items);
            if self.early.is_empty() {
                return None;
            }
        }
    }

    /// Looks into the ranges of runners that have not moved since the last look. The other runners
    /// are quick, and reading what they write would only slow them down.
    fn look_for_early<F, T>(&mut self, items: &Items<F, T>) {
        if self.left == 0 {
            return;
        }
        for (lane, seen) in self.seen.iter_mut().enumerate() {
            let now = items.lane_at(lane);
            if std::mem::replace(seen, now) == now {
                items.harvest(lane, &mut self.early);
            }
        }
    }

    /// Leaves a waker that is woken when there is a result. Returns `true` if there is one already,
    /// or if there will never be one; then the waker may never be woken.
    pub(super) fn wait<F, T>(&mut self, items: &Items<F, T>, waker: &Waker) -> bool {
        let has_more = !(self.items.is_empty() && self.blocks.is_empty() && self.early.is_empty());
        if self.left == 0 || has_more {
            return true;
        }
        items.begin_wait(waker);
        if items.has_finished() {
            items.end_wait();
            return true;
        }
        for lane in 0..items.lanes() {
            items.harvest(lane, &mut self.early);
        }
        if !self.early.is_empty() {
            items.end_wait();
        }
        !self.early.is_empty()
    }

    /// Gives up a result that will never come: that of the first item that was neither taken nor
    /// given up before.
    pub(super) fn lose_one<F, T>(&mut self, items: &Items<F, T>) {
        let mut untaken = (self.lost..items.len()).filter(|item| !items.slot(*item).was_taken());
        self.last = untaken.next().unwrap_or(self.last);
        self.lost = self.last + 1;
        self.left -= 1;
    }

    /// Drops the results that are there, because no thread wants results any more.
    pub(super) fn detach<F, T>(&mut self, items: &Items<F, T>) {
        while let Some(result) = self.take(items) {
            unwind::quietly(|| drop(result));
        }
        if self.left > 0 {
            items.detach();
        } else {
            items.forget_waiter();
            if self.lost == 0 {
                items.note_emptied();
            }
        }
    }
}
