//! A runner's way through the items: range by range (a range is a row of items taken at once), then
//! items that other runners have in hand.
#![forbid(unsafe_code)]

use core::ops::Range;

use super::items::Items;
use super::slot::Claimed;
use crate::base::error::PanicPayload;
use crate::task::Outcome;

/// How many items a runner goes through before it gives other work a turn.
pub(super) const TURN: u32 = 1_024;

/// Counts the outcomes of items, and knows whether other work waits.
pub(super) trait Books {
    /// Notes an item's outcome. No thread can see the result yet.
    fn note(&self, outcome: Outcome, panic: Option<&PanicPayload>);

    /// Whether other work waits for this thread.
    fn is_wanted(&self) -> bool;
}

/// The position of one runner.
#[derive(Debug)]
pub(super) struct Walk {
    /// `None` for a helper, which claims its items one by one.
    lane: Option<usize>,
    /// The rest of a range that was interrupted.
    rest: Range<u32>,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Turn {
    /// Every item has started.
    Done,
    /// Other work should have a turn.
    Yield,
    /// An item wants this worker's thread to end.
    EndWorker,
}

impl Walk {
    pub(super) fn new(lane: usize) -> Self {
        Self { lane: Some(lane), rest: 0..0 }
    }

    /// For an additional runner that comes because another runner waits inside an item.
    pub(super) fn helper() -> Self {
        Self { lane: None, rest: 0..0 }
    }

    /// Runs items until none is left or other work should have a turn. By then, every item that
    /// finished is on a list.
    pub(super) fn turn<F, T>(&mut self, items: &Items<F, T>, books: &impl Books) -> Turn
    where
        F: FnOnce() -> T,
    {
        let Some(lane) = self.lane else { return help(items, books) };
        let mut left = TURN;
        while let Some(range) = self.next_range(items, lane) {
            left = left.saturating_sub(range.end - range.start);
            self.rest = range;
            if self.run_range(items, books) == Outcome::Lost {
                return Turn::EndWorker;
            }
            if left == 0 {
                if books.is_wanted() {
                    return Turn::Yield;
                }
                left = TURN;
            }
        }
        while let Some((item, claimed)) = items.claim_in_hand() {
            if run_one(items, item, claimed, books) == Outcome::Lost {
                return Turn::EndWorker;
            }
        }
        Turn::Done
    }

    fn next_range<F, T>(&mut self, items: &Items<F, T>, lane: usize) -> Option<Range<u32>> {
        if self.rest.is_empty() { items.next_range(lane) } else { Some(self.rest.clone()) }
    }

    /// Runs the items of the range, except those that other threads have claimed. Returns `Lost` if
    /// an item ended the worker.
    fn run_range<F, T>(&mut self, items: &Items<F, T>, books: &impl Books) -> Outcome
    where
        F: FnOnce() -> T,
    {
        while !self.rest.is_empty() {
            if self.run_block(items, books) == Outcome::Lost {
                return Outcome::Lost;
            }
        }
        Outcome::Value
    }

    /// The item behind the last one of this block.
    fn end_of<F, T>(items: &Items<F, T>, block: u32) -> u32 {
        mutant!("batch_blocks_missed" => return u32::MAX);
        items.items_of(block).end
    }

    /// As [`run_range`](Self::run_range), up to the end of the first block. A range lies in two
    /// blocks if [`claim_one`](Items::claim_one) has moved the cursor before.
    fn run_block<F, T>(&mut self, items: &Items<F, T>, books: &impl Books) -> Outcome
    where
        F: FnOnce() -> T,
    {
        let block = items.block_of(self.rest.start);
        let end = Self::end_of(items, block);
        let mut has_news = false;
        while self.rest.start < self.rest.end.min(end) {
            let item = self.rest.start;
            self.rest.start += 1;
            let Some(claimed) = items.slot_in(block, item).claim() else { continue };
            // After the claim. A taker that sees the claim knows that the items before it are
            // finished.
            if has_news && items.is_watched() {
                items.publish(block);
            }
            let outcome = claimed.run(|outcome, panic| books.note(outcome, panic));
            has_news = true;
            if outcome == Outcome::Lost {
                items.publish(block);
                return outcome;
            }
        }
        if has_news {
            items.publish(block);
        }
        Outcome::Value
    }
}

/// Runs items that have not started, one by one.
fn help<F, T>(items: &Items<F, T>, books: &impl Books) -> Turn
where
    F: FnOnce() -> T,
{
    let mut left = TURN;
    while let Some((item, claimed)) = items.claim_one() {
        if run_one(items, item, claimed, books) == Outcome::Lost {
            return Turn::EndWorker;
        }
        left -= 1;
        if left == 0 {
            if books.is_wanted() {
                return Turn::Yield;
            }
            left = TURN;
        }
    }
    Turn::Done
}

/// Runs a single item and publishes its result.
pub(super) fn run_one<F, T>(
    items: &Items<F, T>,
    item: u32,
    claimed: Claimed<'_, F, T>,
    books: &impl Books,
) -> Outcome
where
    F: FnOnce() -> T,
{
    let outcome = claimed.run(|outcome, panic| books.note(outcome, panic));
    items.publish(items.block_of(item));
    outcome
}
