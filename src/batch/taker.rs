//! The one who takes a batch's results: as they finish, and none is looked for twice.
#![forbid(unsafe_code)]

use core::ops::Range;
use std::task::Waker;

use super::block::NOWHERE;
use super::items::Items;

use crate::error::TaskError;
use crate::unwind;

/// How far the taker has come.
#[derive(Debug)]
pub(super) struct Taker {
    /// Results not taken yet.
    left: usize,
    /// The item whose result was taken last.
    last: u32,
    /// What it has not looked at of the block that it is in, and the blocks that follow; the next
    /// stands last.
    block: u32,
    items: Range<u32>,
    blocks: Vec<u32>,
    /// Results found in ranges that a runner still has in hand; the next stands last.
    early: Vec<u32>,
    /// Where the runners were at the last look in vain.
    seen: Vec<u32>,
    /// Whether one of the results was given up.
    has_lost: bool,
}

impl Taker {
    pub(super) fn of<F, T>(items: &Items<F, T>) -> Self {
        let left = items.len() as usize;
        let seen = vec![NOWHERE; items.lanes()];
        let (blocks, early) = (Vec::new(), Vec::new());
        Self { left, last: 0, block: 0, items: 0..0, blocks, early, seen, has_lost: false }
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
            // One that has not finished comes by again, and so does one that was taken early.
            if let Some(result) = items.slot_in(block, item).take() {
                self.left -= 1;
                self.last = item;
                return Some(result);
            }
        }
    }

    /// What comes after a block.
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

    /// Looks into the ranges of runners that have not moved on since the last time. The others are
    /// quick, and looking at what they write would only slow them down.
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

    /// Leaves a waker, to be woken when a result is there. Says whether one is there already, or
    /// none will ever be: then nobody may wake it.
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

    /// One of the results will never come.
    pub(super) fn lose_one(&mut self) {
        self.left -= 1;
        self.has_lost = true;
    }

    /// Nobody wants the results any more: drops those that are there.
    pub(super) fn detach<F, T>(&mut self, items: &Items<F, T>) {
        while let Some(result) = self.take(items) {
            unwind::quietly(|| drop(result));
        }
        if self.left > 0 {
            items.detach();
        } else {
            items.forget_waiter();
            if !self.has_lost {
                items.note_emptied();
            }
        }
    }
}
