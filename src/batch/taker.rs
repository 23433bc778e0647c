//! The one who takes a batch's results: as they finish, and none is looked for twice.
#![forbid(unsafe_code)]

use core::ops::Range;
use std::task::Waker;

use super::items::Items;
use super::slot::NOWHERE;
use crate::error::TaskError;
use crate::unwind;

/// How far the taker has come.
#[derive(Debug)]
pub(super) struct Taker {
    /// Results not taken yet.
    left: usize,
    /// The run of finished items that it is in, and the first of those that follow.
    run: Range<u32>,
    runs: u32,
    /// Results found in ranges that a runner still has in hand; the next stands last.
    early: Vec<u32>,
    /// Where the runners were at the last look in vain.
    seen: Vec<u32>,
}

impl Taker {
    pub(super) fn of<F, T>(items: &Items<F, T>) -> Self {
        let left = items.len() as usize;
        let seen = vec![NOWHERE; items.lanes()];
        Self { left, run: 0..0, runs: NOWHERE, early: Vec::new(), seen }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes a result, if one is there.
    #[inline]
    pub(super) fn take<F, T>(&mut self, items: &Items<F, T>) -> Option<Result<T, TaskError>> {
        loop {
            let item = match self.run.next() {
                Some(item) => item,
                None => self.next_run(items)?,
            };
            // An early one comes by a second time.
            if let Some(result) = items.slot(item).take() {
                self.left -= 1;
                return Some(result);
            }
        }
    }

    /// What comes after a run.
    fn next_run<F, T>(&mut self, items: &Items<F, T>) -> Option<u32> {
        loop {
            if let Some(item) = self.early.pop() {
                return Some(item);
            }
            if self.runs == NOWHERE {
                self.runs = items.take_finished();
            }
            if self.runs != NOWHERE {
                let first = self.runs;
                let (next, length) = items.slot(first).run();
                self.runs = next;
                self.run = first + 1..first + length;
                return Some(first);
            }
            self.look_for_early(items);
            if self.early.is_empty() {
                return None;
            }
        }
    }

    /// Looks into the ranges of runners that have not moved on since the last time. The others are quick,
    /// and looking at what they write would only slow them down.
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

    /// Leaves a waker, to be woken when a result is there. Says whether one is there already, or none will
    /// ever be: then nobody may wake it.
    pub(super) fn wait<F, T>(&mut self, items: &Items<F, T>, waker: &Waker) -> bool {
        if self.left == 0 || !self.run.is_empty() || self.runs != NOWHERE || !self.early.is_empty()
        {
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
        }
    }
}
