//! The model: how each task of a program may end, recorded step by step without threads or queues.
//!
//! While all workers are held back everything is certain, and the book says exactly where each task
//! is. At other times it says what is possible. In the end each task must have ended in one of its
//! possible ways.

use super::body::{Life, panic_text};
use super::ends::{End, Ends, How};

/// The kind of a task, and the task that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    Then(usize),
    Recover(usize),
    Finally(usize),
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// In a queue, and certain to stay there. The number is its turn.
    Queued(usize),
    /// Behind a closed gate.
    Running,
    /// Behind a task that has not settled.
    Linked,
    Settled,
    /// Any of these.
    Loose,
}

/// What may happen to a task itself. The result of the task before it matters only if its own turn
/// comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fates {
    pub(crate) comes: bool,
    pub(crate) cancelled: bool,
    pub(crate) expired: bool,
    pub(crate) rejected: bool,
}

impl Fates {
    pub(crate) const COMES: Self =
        Self { comes: true, cancelled: false, expired: false, rejected: false };

    pub(crate) fn only(how: How) -> Self {
        let none = Self::default();
        match how {
            How::Cancelled => Self { cancelled: true, ..none },
            How::Expired => Self { expired: true, ..none },
            How::Rejected => Self { rejected: true, ..none },
            How::Value | How::Panicked => Self::COMES,
        }
    }
}

/// One task.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) panics: bool,
    pub(crate) at: At,
    pub(crate) fates: Fates,
    /// Whether it holds a place in a bounded pool.
    pub(crate) has_place: bool,
    pub(crate) cancels_on_drop: bool,
    pub(crate) token: Option<usize>,
    /// Whether other tasks share what it holds, so that this is not freed when it settles.
    pub(crate) shares: bool,
    /// Whether it was asked to stop while it was certain to run.
    pub(crate) was_asked: bool,
    pub(crate) life: Life,
    seen: Option<How>,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    turns: usize,
}

impl Book {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn ids(&self) -> std::ops::Range<usize> {
        0..self.entries.len()
    }

    pub(crate) fn of(&self, id: usize) -> &Entry {
        &self.entries[id]
    }

    pub(crate) fn of_mut(&mut self, id: usize) -> &mut Entry {
        &mut self.entries[id]
    }

    /// Records a new task. Its place is set afterwards.
    pub(crate) fn add(&mut self, kind: Kind, panics: bool) -> usize {
        self.entries.push(Entry {
            kind,
            panics,
            at: At::Loose,
            fates: Fates::COMES,
            has_place: false,
            cancels_on_drop: false,
            token: None,
            shares: false,
            was_asked: false,
            life: Life::default(),
            seen: None,
        });
        self.entries.len() - 1
    }

    /// Removes the last task, which was never handed in.
    pub(crate) fn forget_last(&mut self) {
        let entry = self.entries.pop();
        assert!(entry.is_some_and(|entry| entry.life.dropped() == 1));
    }

    pub(crate) fn queue(&mut self, id: usize) {
        self.turns += 1;
        self.entries[id].at = At::Queued(self.turns);
    }

    pub(crate) fn queued(&self) -> usize {
        self.count(|entry| matches!(entry.at, At::Queued(_)))
    }

    pub(crate) fn places_taken(&self) -> usize {
        self.count(|entry| matches!(entry.at, At::Queued(_)) && entry.has_place)
    }

    pub(crate) fn any(&self, holds: impl Fn(&Entry) -> bool) -> bool {
        self.entries.iter().any(holds)
    }

    fn count(&self, holds: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| holds(entry)).count()
    }

    /// The task that has waited longest.
    pub(crate) fn oldest(&self) -> Option<usize> {
        let queued = self.ids().filter_map(|id| match self.entries[id].at {
            At::Queued(turn) => Some((turn, id)),
            _ => None,
        });
        queued.min().map(|(_, id)| id)
    }

    /// Records that a task ended in a certain way without running; what it held must be free by
    /// now.
    pub(crate) fn settle(&mut self, id: usize, how: How) {
        let entry = &mut self.entries[id];
        entry.fates = Fates::only(how);
        entry.at = At::Settled;
        if !entry.fates.comes {
            assert_eq!(entry.life.ran(), 0, "task {id} is {how:?}, and ran");
            let dropped = entry.life.dropped();
            assert!(entry.shares || dropped == 1, "task {id} is {how:?}, and not free");
        }
        self.turns_come(id);
    }

    /// Moves the task behind a settled task, while all workers are held back.
    fn turns_come(&mut self, before: usize) {
        let behind = self
            .ids()
            .find(|id| self.entries[*id].at == At::Linked && self.before(*id) == Some(before));
        if let Some(id) = behind {
            self.turn_comes(id, before);
        }
    }

    fn turn_comes(&mut self, id: usize, before: usize) {
        match (self.entries[id].kind, self.ends(before).only_how()) {
            (_, None) => self.entries[id].at = At::Loose,
            (Kind::Then(_), Some(How::Value)) => self.queue(id),
            (Kind::Recover(_), Some(how)) if how != How::Value => self.queue(id),
            (Kind::Finally(_), Some(_)) => self.queue(id),
            _ => {
                let dropped = self.entries[id].life.dropped();
                assert_eq!(dropped, 1, "task {id} passes a result on, and is not free");
                self.settle(id, How::Value);
            }
        }
    }

    /// Records a continuation that was made while all workers are held back.
    pub(crate) fn link_held(&mut self, id: usize, before: usize) {
        match self.entries[before].at {
            At::Settled => self.turn_comes(id, before),
            At::Loose => self.entries[id].at = At::Loose,
            _ => self.entries[id].at = At::Linked,
        }
    }

    /// The task before this one.
    pub(crate) fn before(&self, id: usize) -> Option<usize> {
        match self.entries[id].kind {
            Kind::Root => None,
            Kind::Then(before) | Kind::Recover(before) | Kind::Finally(before) => Some(before),
        }
    }

    /// What `cancel` must return; `None` if both are possible.
    pub(crate) fn answer_to_cancel(&self, id: usize) -> Option<bool> {
        if let Kind::Finally(before) = self.entries[id].kind {
            // The task runs anyway, and the cancel is passed on to the task before it.
            return match self.entries[id].at {
                At::Linked => self.answer_to_cancel(before),
                At::Loose => None,
                At::Queued(_) | At::Running | At::Settled => Some(false),
            };
        }
        match self.entries[id].at {
            At::Queued(_) | At::Linked => Some(true),
            At::Running | At::Settled => Some(false),
            At::Loose => None,
        }
    }

    /// Records that a task was cancelled. `kept` says whether this kept it from running; `None` if
    /// that is unknown.
    pub(crate) fn cancel(&mut self, id: usize, kept: Option<bool>) {
        if let Kind::Finally(before) = self.entries[id].kind {
            return match self.entries[id].at {
                At::Linked => self.cancel(before, kept),
                // The task that the cancel is passed on to may have been cancelled now or before.
                At::Loose => self.cancel(before, kept.filter(|kept| *kept)),
                At::Queued(_) | At::Running | At::Settled => {}
            };
        }
        let before = self.before(id);
        match (self.entries[id].at, kept) {
            (At::Settled, Some(true)) => panic!("task {id} was settled, and then cancelled"),
            (At::Settled, _) | (At::Loose, Some(false)) => {}
            (At::Running, _) => self.entries[id].was_asked = true,
            (At::Queued(_), _) => {
                self.settle(id, How::Cancelled);
            }
            (At::Linked, _) => {
                // It also cancels the task before it, whose answer is not reported.
                self.settle(id, How::Cancelled);
                before.into_iter().for_each(|before| self.cancel(before, None));
            }
            (At::Loose, Some(true)) => {
                self.settle(id, How::Cancelled);
                before.into_iter().for_each(|before| self.cancel(before, None));
            }
            (At::Loose, None) => {
                self.entries[id].fates.cancelled = true;
                before.into_iter().for_each(|before| self.cancel(before, None));
            }
        }
    }

    /// Records that a handle was dropped, and cancels the task if that was requested.
    pub(crate) fn drop_handle(&mut self, id: usize) {
        if self.entries[id].cancels_on_drop {
            self.cancel(id, None);
        }
    }

    /// Lets all workers go on: from now on, everything that has not settled is uncertain.
    pub(crate) fn release(&mut self) {
        for entry in &mut self.entries {
            if entry.at != At::Settled {
                entry.at = At::Loose;
            }
        }
    }

    /// Records that every task has settled.
    pub(crate) fn rest(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.at = At::Settled);
    }

    /// Adds possible fates to tasks whose state is uncertain.
    pub(crate) fn widen(&mut self, fits: impl Fn(&Entry) -> bool, change: impl Fn(&mut Fates)) {
        let loose = self.entries.iter_mut().filter(|entry| entry.at == At::Loose && fits(entry));
        loose.for_each(|entry| change(&mut entry.fates));
    }

    /// The ways in which the task may end, given all that is known.
    pub(crate) fn ends(&self, id: usize) -> Ends {
        let entry = &self.entries[id];
        let mut ends = Ends::default();
        let unrun = [
            (entry.fates.cancelled, How::Cancelled),
            (entry.fates.expired, How::Expired),
            (entry.fates.rejected, How::Rejected),
        ];
        unrun.iter().filter(|(may, _)| *may).for_each(|(_, how)| {
            ends.add(End { how: *how, ran: false });
        });
        if entry.fates.comes {
            let own = if entry.panics { How::Panicked } else { How::Value };
            let own = End { how: own, ran: true };
            match self.before(id) {
                None => ends.add(own),
                Some(before) => self.ends(before).iter().for_each(|before| {
                    ends.add(step(entry.kind, before.how, own));
                }),
            }
        }
        let ran = entry.life.ran();
        assert!(ran <= 1, "task {id} ran {ran} times");
        ends.filter(|end| {
            let fits_run = entry.at != At::Settled || end.ran == (ran == 1);
            fits_run && entry.seen.is_none_or(|seen| seen == end.how)
        })
    }

    /// Records the result of a handle. `from` says which task's value or panic it was.
    pub(crate) fn saw(&mut self, id: usize, how: How, from: Option<&str>) {
        let entry = &mut self.entries[id];
        assert!(entry.seen.is_none(), "task {id} gave two results");
        entry.at = At::Settled;
        let before = self.ends(id);
        self.entries[id].seen = Some(how);
        assert!(!self.ends(id).is_empty(), "task {id} gave {how:?}, possible was {before:?}");
        if let Some(from) = from {
            assert!(self.is_from(id, how, from), "task {id} gave {how:?} of {from}");
        }
    }

    /// Whether a value or a panic that comes out of this task may come from the task named by
    /// `from`.
    pub(crate) fn is_from(&self, id: usize, how: How, from: &str) -> bool {
        let mut at = id;
        while let Some(before) = self.before(at) {
            let entry = &self.entries[at];
            let own = match entry.kind {
                Kind::Finally(_) => how == How::Panicked && entry.panics,
                _ => entry.life.ran() == 1,
            };
            if own {
                break;
            }
            at = before;
        }
        match how {
            How::Panicked => from == panic_text(at),
            _ => from == value_text(at),
        }
    }

    /// Checks the book after the program is over and everything that it made was dropped.
    pub(crate) fn expect_ended(&self) {
        for id in self.ids() {
            let (entry, ends) = (&self.entries[id], self.ends(id));
            assert!(entry.at == At::Settled, "task {id} never settled: {entry:?}");
            assert!(!ends.is_empty(), "task {id} ended like nothing that is possible: {entry:?}");
            assert_eq!(entry.life.dropped(), 1, "what task {id} held is dropped once");
            if entry.was_asked {
                assert!(entry.life.was_asked(), "task {id} was not told to stop");
            }
        }
    }

    /// The least and the greatest possible number of tasks that ended this way.
    pub(crate) fn bounds(&self, how: How) -> std::ops::RangeInclusive<u64> {
        let all = || self.ids().map(|id| self.ends(id));
        let least = all().filter(|ends| ends.only_how() == Some(how)).count();
        let most = all().filter(|ends| ends.has_how(how)).count();
        least as u64..=most as u64
    }
}

/// How a continuation ends when its turn comes.
fn step(kind: Kind, before: How, own: End) -> End {
    let passed_on = End { how: before, ran: false };
    match (kind, before) {
        (Kind::Root, _) | (Kind::Then(_), How::Value) => own,
        (Kind::Then(_), _) | (Kind::Recover(_), How::Value) => passed_on,
        (Kind::Recover(_), _) => own,
        (Kind::Finally(_), _) if own.how == How::Panicked => own,
        (Kind::Finally(_), how) => End { how, ran: true },
    }
}

/// The text by which a value names the task that made it.
pub(crate) fn value_text(id: usize) -> String {
    format!("value of task {id}")
}
