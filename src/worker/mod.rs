//! A worker: find, run, rest, until the pool is closed and nothing is left.
#![forbid(unsafe_code)]

mod current;
mod deep;
mod find;
mod lookout;
mod link;
mod pin;
mod ready;
mod run;
mod shyness;
mod spare;
mod start;

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::fork::Stack;
use crate::hub::{Hub, Slot, Way};
use crate::id::WorkerId;
use crate::idle::{Retract, Searching, Word};
use crate::offer::Taken;
use crate::spin::{Gap, Patience, Spin};
use crate::sync::Ordering;
use crate::task::{Outcome, QueuedTask};

pub(crate) use current::{begin_settling, index_in, is_inside, place, runs_in_place, with_hub};
use find::Seen;
pub(crate) use link::{ByPool, settle_waiting_links};
pub(crate) use ready::Readiness;
pub(crate) use run::{beside, count, may_run_in_caller, run_in_caller, run_in_place};
use shyness::Shyness;
pub(crate) use spare::{lend, start_spare};
pub(crate) use start::start;

/// How long a worker looks again and again while there are calls; longer than a call counts as one
/// that has just begun.
const GROWING_UP: Duration = Duration::from_micros(30);
/// So many turns of a pause lie between two looks at the clock, and so often it is looked at.
const A_FEW_TURNS: u32 = 8;
const MOST_LOOKS: u32 = 32;
/// A part that takes less has not been worth the way of a second worker.
const WORTH_A_HELPER: Duration = Duration::from_micros(10);
/// Who sleeps longer did not just miss something.
const LONG_SLEEP: Duration = Duration::from_micros(200);
/// While so many search, a worker that has not slept for long wakes nobody for what is left in
/// fork-join calls. They come in one another's way at one line, so one that searches is not enough,
/// and half of the cores are too many.
const FEW_SEARCHERS: u32 = 8;
/// Each so many times a worker searches though it sees tasks of others, so that parts of fork-join
/// calls have their turn.
const PARTS_TURN: u32 = 16;

/// One worker, on its thread.
#[derive(Debug)]
struct Worker {
    hub: Arc<Hub>,
    index: usize,
    /// Whose own tasks it takes: a spare worker's are those of the one it stands in for.
    home: usize,
    /// The number that its tasks are told of: that of the same worker.
    home_id: WorkerId,
    is_spare: bool,
    /// Counts looks for normal tasks, for fairness among the queues that hold them.
    looks: u32,
    /// Whose inbox has its turn when this worker relieves another one.
    next_relieved: usize,
    /// Counts looks into lanes, for the turns of the less urgent.
    turns: u32,
    patience: Patience,
    /// How long it waits already for one who pushes into the closed pool.
    gap: Gap,
    shyness: Shyness,
    /// What was seen of each line last.
    seen: Vec<Seen>,
    /// Where the next look at the lines begins.
    chance: u32,
    /// Whether it has slept for long since it ran something.
    has_slept_long: bool,
    /// Whether the last part of a call that it ran was over at once.
    had_a_trifle: bool,
    /// Whether the last look at the lines left a call alone because it had just begun.
    sees_young_call: bool,
    /// Whether it is on the free list, as the lookout.
    is_listed: bool,
    /// Whether guests that have the cores of workers were seen not to use them.
    is_sure_of_its_core: bool,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Closed,
    ByTask,
    /// A spare worker is not needed any more.
    Relieved,
}

/// Something to run.
enum Found {
    Task(QueuedTask),
    /// A part of somebody's fork-join call.
    Part(Taken),
}

/// What a search or a rest came to.
enum Next {
    Run(Found),
    SearchOn(Searching),
    Leave,
}

impl Worker {
    fn work(&mut self, stack: &Stack<'_>) -> Ended {
        loop {
            let task = match self.find_near() {
                Some(task) => task,
                None => match self.find_or_rest() {
                    Some(Found::Task(task)) => task,
                    Some(found) => match self.run_found(stack, found) {
                        Some(ended) => return ended,
                        None => continue,
                    },
                    None => return self.why_it_stops(),
                },
            };
            if self.run(task) == Some(Outcome::Lost) || self.is_ending() {
                return Ended::ByTask;
            }
            if self.is_spare && self.is_relieved() {
                return Ended::Relieved;
            }
        }
    }

    /// Says if that was the last.
    #[cold]
    fn run_found(&mut self, stack: &Stack<'_>, found: Found) -> Option<Ended> {
        let outcome = match found {
            Found::Task(task) => self.run(task),
            Found::Part(taken) => {
                let start = clock::now();
                self.run_part(stack, taken);
                let took = clock::now().saturating_duration_since(start);
                self.had_a_trifle = took < WORTH_A_HELPER;
                None
            }
        };
        if outcome == Some(Outcome::Lost) || self.is_ending() {
            return Some(Ended::ByTask);
        }
        self.is_relieved().then_some(Ended::Relieved)
    }

    /// Nothing was near: searches, and sleeps between searches. `None` when it is time to leave.
    fn find_or_rest(&mut self) -> Option<Found> {
        let is_turn_of_parts = self.looks % PARTS_TURN == 0;
        let unsought = if is_turn_of_parts { None } else { self.find_unsought() };
        if unsought.is_some() {
            return unsought;
        }
        let searching = self.hub.idle.start_search(self.hub.most_searchers());
        self.search_or_rest(searching)
    }

    fn search_or_rest(&mut self, mut searching: Searching) -> Option<Found> {
        loop {
            match self.search(searching) {
                Next::Run(found) => return Some(found),
                Next::Leave => return None,
                Next::SearchOn(again) => searching = again,
            }
        }
    }

    fn search(&mut self, searching: Searching) -> Next {
        if self.is_relieved() {
            if searching == Searching::Yes {
                self.stop_searching();
            }
            return Next::Leave;
        }
        if searching == Searching::Yes {
            if let Some(found) = self.look_around() {
                self.stop_searching();
                return Next::Run(found);
            }
        } else if let Some(found) = self.find_unsought() {
            return Next::Run(found);
        }
        if self.hub.is_closed() {
            return self.wind_up(searching);
        }
        self.rest(searching)
    }

    /// Takes another worker's task without a search. Beginning and ending one changes the word of
    /// the free list twice, which all workers share; and where enough workers search already, going
    /// on the list, only to see the task in the last look, costs two locks besides.
    fn find_unsought(&mut self) -> Option<Found> {
        let is_worth_it = self.may_steal() && self.looks_promising();
        if is_worth_it { self.find_task_far() } else { None }
    }

    /// Looks everywhere, again and again for a short while.
    fn look_around(&mut self) -> Option<Found> {
        if let Some(found) = self.find_anywhere() {
            return Some(found);
        }
        // Beside a guest on its core it would only be in the way.
        if self.is_hurried() || self.is_one_too_many() {
            return None;
        }
        let found = self.look_for(self.patience.pause());
        self.patience.learn(found.is_some());
        if found.is_none() && self.hub.has_calls() { self.wait_for_part() } else { found }
    }

    /// While there are fork-join calls there is soon something to be taken, or nothing more for
    /// long: a call that has just begun is left alone at first, and whoever works for one shares
    /// what it has.
    fn wait_for_part(&mut self) -> Option<Found> {
        let end = clock::after(GROWING_UP);
        // A schedule knows no time, and each look is a step. Elsewhere the clock may stand still.
        let looks = if cfg!(corepool_shuttle) { 1 } else { MOST_LOOKS };
        (0..looks).find_map(|_| {
            let is_over = clock::now() > end;
            if is_over { None } else { self.look_for(Spin::of_turns(A_FEW_TURNS)) }
        })
    }

    fn look_for(&mut self, mut pause: Spin) -> Option<Found> {
        while pause.turn() {
            if self.looks_promising() {
                let found = self.find_anywhere();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Parts of fork-join calls and other workers' tasks come first by turns: neither waits for
    /// ever.
    fn find_anywhere(&mut self) -> Option<Found> {
        if let Some(task) = self.find_near() {
            return Some(Found::Task(task));
        }
        if self.looks % 2 == 0 {
            self.find_part().or_else(|| self.find_task_far())
        } else {
            self.find_task_far().or_else(|| self.find_part())
        }
    }

    fn find_task_far(&mut self) -> Option<Found> {
        if !self.may_steal() {
            return None;
        }
        self.hold_back().or_else(|| self.find_far()).map(Found::Task)
    }

    /// Waits a little where taking from others has been in vain; comes back early with a task that
    /// turned up near.
    fn hold_back(&mut self) -> Option<QueuedTask> {
        let mut pause = Spin::of_turns(self.shyness.hold_back());
        while pause.turn() {
            // What is urgent, or this worker's own, stands in a lane.
            let has_near = !self.hub.shared.looks_empty() || self.sees_lanes();
            if has_near || self.hub.is_closed() {
                return self.find_near();
            }
        }
        None
    }

    /// A glance: whether some task stands in a lane that this worker takes from.
    fn sees_lanes(&self) -> bool {
        self.hub.has_lanes() && !(self.hub.lanes.look_empty() && self.home().own.look_empty())
    }

    /// A glance without locks: whether it is worth looking properly.
    fn looks_promising(&self) -> bool {
        let hub = &self.hub;
        if self.sees_young_call || hub.has_calls() {
            return true;
        }
        if self.sees_lanes() {
            return true;
        }
        match hub.way {
            Way::OneLine => !hub.shared.looks_empty(),
            Way::Inboxes => {
                !hub.shared.looks_empty()
                    || hub.used_slots().iter().any(|slot| !slot.inbox.looks_empty())
            }
            Way::Dealt => !self.home().dealt.looks_empty(),
        }
    }

    /// The search found something. Who leaves nobody searching wakes the next one if there is more.
    fn stop_searching(&mut self) {
        let has_slept_long = std::mem::take(&mut self.has_slept_long);
        let had_a_trifle = std::mem::take(&mut self.had_a_trifle);
        let word = self.hub.idle.end_search();
        if has_slept_long && self.hub.wake_two(word) {
            return;
        }
        if word.wants_a_searcher() && self.hub.has_tasks() {
            let _gate = self.hub.wake_one();
        } else if word.wants_a_searcher() && self.hub.needs_a_look()
            || !had_a_trifle && word.has_free() && self.wants_helpers(has_slept_long, word)
        {
            self.hub.wake_helper();
            if has_slept_long && word.free() as usize > self.hub.busy_guests() + 1 {
                // So all are up after a few rounds of something new.
                self.hub.wake_helper();
            }
        }
    }

    fn wants_helpers(&self, has_slept_long: bool, word: Word) -> bool {
        let most = self.hub.most_searchers();
        let most = if has_slept_long { most } else { most.min(FEW_SEARCHERS) };
        word.searching() < most && self.hub.wants_helpers(word)
    }

    /// Goes on the free list, takes a last look, and sleeps until somebody has work.
    fn rest(&mut self, searching: Searching) -> Next {
        self.slot().arrival.expect_wake();
        self.slot().rests.begin();
        let early = mutant!("look_before_enter") && self.sees_work();
        self.hub.idle.enter(self.index, searching);
        // In this order: a spare worker that was relieved and hired again in between sees what was
        // pushed before that.
        let sees_work = if mutant!("look_before_enter") { early } else { self.sees_work() };
        let stay_up = self.is_relieved()
            || sees_work
            || self.hub.is_closed()
            || self.is_spare && self.hub.is_needed_elsewhere(self.index);
        let is_up = stay_up && self.hub.idle.retract(self.index) == Retract::Done;
        let found = if is_up { None } else { self.sleep_and_tell() };
        self.slot().rests.end();
        // Whoever took this worker off the list, it counts as searching now.
        match found {
            None => Next::SearchOn(Searching::Yes),
            Some(found) => {
                self.stop_searching();
                Next::Run(found)
            }
        }
    }

    /// As [`sleep`](Self::sleep), and notes whether it was for long.
    fn sleep_and_tell(&mut self) -> Option<Found> {
        self.hub.call_drainers();
        let start = clock::now();
        self.pin_again_if_time(start);
        let found = self.sleep();
        self.has_slept_long = clock::now().saturating_duration_since(start) > LONG_SLEEP;
        found
    }

    /// The last look: every queue that this worker may take from. What is left in fork-join calls
    /// the lookout sees.
    fn sees_work(&self) -> bool {
        if self.home().own.has_item() {
            return true;
        }
        match self.hub.way {
            Way::Inboxes | Way::OneLine => self.hub.has_tasks(),
            Way::Dealt => self.home().dealt.has_item(),
        }
    }

    /// The pool is closed: what is left is run, by whoever comes first, and then it is over.
    fn wind_up(&mut self, searching: Searching) -> Next {
        let left = self.find_anywhere();
        let behind = || self.find_left_behind().map(Found::Task);
        if let Some(found) = left.or_else(behind) {
            if searching == Searching::Yes {
                self.stop_searching();
            }
            self.gap = Gap::default();
            return Next::Run(found);
        }
        if self.hub.is_drained(self.home) {
            if searching == Searching::Yes {
                self.stop_searching();
            }
            return Next::Leave;
        }
        // A pusher stands between its two steps: look again when it had a chance to go on.
        self.gap.wait();
        Next::SearchOn(searching)
    }

    fn may_steal(&self) -> bool {
        self.hub.way == Way::Inboxes
    }

    /// Whether somebody waits for this worker's core; told once.
    fn is_hurried(&self) -> bool {
        // ORDERING: a hint, see `Hub::wake_best`; only this worker clears it.
        let hurried = self.slot().hurried.load(Ordering::Relaxed);
        if hurried {
            self.slot().hurried.store(false, Ordering::Relaxed);
        }
        hurried
    }

    #[inline]
    fn is_ending(&self) -> bool {
        // ORDERING: written and read by this worker's own thread.
        self.slot().ending.load(Ordering::Relaxed)
    }

    #[inline]
    fn slot(&self) -> &Slot {
        &self.hub.slots[self.index]
    }

    /// The place of the worker whose own tasks it takes.
    #[inline]
    fn home(&self) -> &Slot {
        &self.hub.slots[self.home]
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use super::{Shyness, Worker, start_spare};
    use crate::affinity;
    use crate::config::{Config, Priority};
    use crate::hub::{Hub, Target};
    use crate::spin::Spin;
    use crate::task::{TaskContext, make};

    /// It holds back from other workers' tasks only. For each place where a task may come that it
    /// is to run at once.
    #[test]
    fn a_worker_that_holds_back_takes_what_comes_to_a_lane_at_once() {
        if !Spin::of_turns(1).turn() {
            // With one core there are no pauses.
            return;
        }
        let hub = Hub::new(Config::of_workers(1), affinity::no_lease(), start_spare);
        let high = Target { priority: Priority::High, worker: None };
        let own = Target { worker: Some(0), ..Target::default() };
        for target in [high, own] {
            let mut worker = Worker::new(&hub, 0);
            worker.shyness = Shyness::greatest();
            let (queued, held) = make::<(), _, ()>(hub.id, None, |_: &TaskContext| ());
            let _open = hub.push_to(target, queued, None);
            assert!(worker.hold_back().is_some(), "{target:?}");
            drop(held);
        }
    }
}
