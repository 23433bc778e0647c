//! A worker: finds a task, runs it, rests, until the pool is closed and nothing is left.
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

use crate::base::clock;
use crate::base::id::WorkerId;
use crate::base::sync::{Ordering, thread};
use crate::parts::idle::{Retract, Searching, Word};
use crate::parts::offer::Taken;
use crate::parts::spin::{Gap, Patience, Spin};
use crate::sched::fork_join::Stack;
use crate::sched::hub::{Hub, Layout, Slot};
use crate::task::QueuedTask;

pub(crate) use current::{begin_settling, index_in, is_inside, place, runs_in_place, with_hub};
use find::Seen;
pub(crate) use link::{ByPool, settle_waiting_links};
pub(crate) use ready::Readiness;
pub(crate) use run::{beside, count, may_run_in_caller, run_in_caller, run_in_place};
use shyness::Shyness;
pub(crate) use spare::{lend, start_spare};
pub(crate) use start::start;

/// How long a worker keeps looking while there are fork-join calls. It is longer than the time for
/// which a call counts as just begun.
const GROWING_UP: Duration = Duration::from_micros(30);
/// How many turns of a pause lie between two looks at the clock, and how many such looks there are.
const A_FEW_TURNS: u32 = 8;
const MOST_LOOKS: u32 = 32;
/// A part of a call that takes less than this was not worth waking a second worker.
const WORTH_A_HELPER: Duration = Duration::from_micros(10);
/// A worker that sleeps longer than this did not just miss something.
const LONG_SLEEP: Duration = Duration::from_micros(200);
/// While this many workers search, a worker that has not slept for long wakes none for what is left
/// in fork-join calls. Workers get in each other's way at one line (a thread's row of fork-join
/// jobs). So one searcher is not enough, and searchers on half of the cores are too many.
const FEW_SEARCHERS: u32 = 8;
/// At every `PARTS_TURN`th look a worker searches even if it sees tasks of others, so that parts of
/// fork-join calls have their turn.
const PARTS_TURN: u32 = 16;

/// One worker, on its thread.
#[derive(Debug)]
struct Worker {
    hub: Arc<Hub>,
    index: usize,
    /// The worker whose own tasks it takes. A spare worker, which stands in for one that waits,
    /// takes those of that worker.
    home: usize,
    /// The worker number that its tasks are told: that of `home`.
    home_id: WorkerId,
    is_spare: bool,
    /// Counts looks for normal tasks, for fairness among the queues that hold them.
    looks: u32,
    /// The worker whose inbox is next when this worker relieves another one.
    next_relieved: usize,
    /// Counts looks into lanes (the queues for urgent, low and placed tasks), for the turns of the
    /// less urgent.
    turns: u32,
    patience: Patience,
    /// How long it has been waiting for a thread that is pushing into the closed pool.
    gap: Gap,
    shyness: Shyness,
    /// What it last saw of each line.
    seen: Vec<Seen>,
    /// Where the next look at the lines begins.
    chance: u32,
    /// Whether it has slept for long since it last ran something.
    has_slept_long: bool,
    /// Whether the last part of a call that it ran was over at once.
    had_a_trifle: bool,
    /// Whether the last look at the lines left a call alone because it had just begun.
    sees_young_call: bool,
    /// Whether it is on the free list, as the lookout (the one that naps and checks the lines).
    is_listed: bool,
    /// Whether it ignores that guests may have its core. A guest is a thread that is no worker of
    /// the pool and takes part in its fork-join calls. Set while the lookout takes a part: the
    /// guests were seen not to use the cores, or the lookout has stood back for long enough.
    is_sure_of_its_core: bool,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Closed,
    ByTask,
    /// A spare worker is no longer needed.
    Relieved,
}

/// Something to run.
enum Found {
    Task(QueuedTask),
    /// A part of another thread's fork-join call.
    Part(Taken),
}

/// The result of a search or a rest.
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
            if self.run(task) || self.is_ending() {
                return Ended::ByTask;
            }
            if self.is_spare && self.is_relieved() {
                return Ended::Relieved;
            }
        }
    }

    /// Returns why the loop must end, if it must.
    #[cold]
    fn run_found(&mut self, stack: &Stack<'_>, found: Found) -> Option<Ended> {
        let is_end = match found {
            Found::Task(task) => self.run(task),
            Found::Part(taken) => {
                let start = clock::now();
                self.run_part(stack, taken);
                let took = clock::now().saturating_duration_since(start);
                self.had_a_trifle = took < WORTH_A_HELPER;
                false
            }
        };
        if is_end || self.is_ending() {
            return Some(Ended::ByTask);
        }
        self.is_relieved().then_some(Ended::Relieved)
    }

    /// Called when nothing was near: searches, and sleeps between searches. Returns `None` when it
    /// is time to leave.
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

    /// Takes another worker's task without a search. Starting and ending a search changes the word
    /// of the free list twice, and all workers share that word. And if enough workers search
    /// already, entering the list only to see the task in the last look costs two locks in
    /// addition.
    fn find_unsought(&mut self) -> Option<Found> {
        let is_worth_it = self.may_steal() && self.looks_promising();
        if is_worth_it { self.find_task_far() } else { None }
    }

    /// Looks everywhere, again and again for a short while.
    fn look_around(&mut self) -> Option<Found> {
        if let Some(found) = self.find_anywhere() {
            return Some(found);
        }
        // Next to a guest on its core it would only be in the way.
        if self.take_hurry() || self.is_one_too_many() {
            return None;
        }
        let found = self.look_for(self.patience.pause());
        self.patience.learn(found.is_some());
        if found.is_none() && self.hub.has_calls() { self.wait_for_part() } else { found }
    }

    /// While there are fork-join calls, there will soon be something to take, or nothing more for a
    /// long time. A call that has just begun is left alone at first, and each thread that works for
    /// a call shares what it has.
    fn wait_for_part(&mut self) -> Option<Found> {
        let end = clock::after(GROWING_UP);
        // A shuttle schedule knows no time, and each look is a step. Elsewhere the clock may stand
        // still.
        let looks = if cfg!(corepool_shuttle) { 1 } else { MOST_LOOKS };
        (0..looks).find_map(|_| {
            if clock::now() > end {
                return None;
            }
            // What this worker waits for may come from a worker that waits for the same core. Among
            // threads of others a yield would only give the core away.
            if self.hub.has_shared_cores() {
                thread::yield_now();
            }
            self.look_for(Spin::of_turns(A_FEW_TURNS))
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

    /// Parts of fork-join calls and other workers' tasks take turns at coming first, so neither
    /// waits forever.
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

    /// Waits a little if taking from others has not been worthwhile. Returns early with a task that
    /// turned up near.
    fn hold_back(&mut self) -> Option<QueuedTask> {
        let mut pause = Spin::of_turns(self.shyness.hold_back());
        while pause.turn() {
            // A task that is urgent, or meant for this worker, is in a lane.
            let has_near = !self.hub.shared.looks_empty() || self.sees_lanes();
            if has_near || self.hub.is_closed() {
                return self.find_near();
            }
        }
        None
    }

    /// A hint: whether there is a task in a lane that this worker takes from.
    fn sees_lanes(&self) -> bool {
        self.hub.has_lanes() && !(self.hub.lanes.look_empty() && self.home().own.look_empty())
    }

    /// A hint, without locks: whether it is worth looking properly.
    fn looks_promising(&self) -> bool {
        let hub = &self.hub;
        if self.sees_young_call || hub.has_calls() {
            return true;
        }
        if self.sees_lanes() {
            return true;
        }
        match hub.layout {
            Layout::OneQueue => !hub.shared.looks_empty(),
            Layout::Inboxes => {
                !hub.shared.looks_empty()
                    || hub.used_slots().iter().any(|slot| !slot.inbox.looks_empty())
            }
            Layout::Dealt => !self.home().dealt.looks_empty(),
        }
    }

    /// Ends a search that found something. If no worker is left searching and there is more work,
    /// wakes another worker.
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
                // So all workers are up after a few rounds of something new.
                self.hub.wake_helper();
            }
        }
    }

    fn wants_helpers(&self, has_slept_long: bool, word: Word) -> bool {
        let most = self.hub.most_searchers();
        let most = if has_slept_long { most } else { most.min(FEW_SEARCHERS) };
        word.searching() < most && self.hub.wants_helpers(word)
    }

    /// Enters the free list, takes a last look, and sleeps until there is work.
    fn rest(&mut self, searching: Searching) -> Next {
        self.slot().arrival.expect_wake();
        self.slot().rests.begin();
        let sees_work = self.enter_and_look(searching);
        let stay_up = self.is_relieved()
            || sees_work
            || self.hub.is_closed()
            || self.is_spare && self.hub.send_to_lender_in_need(self.index);
        let is_up = stay_up && self.hub.idle.retract(self.index) == Retract::Done;
        let found = if is_up { None } else { self.sleep_and_tell() };
        self.slot().rests.end();
        // This worker counts as searching now, whichever thread took it off the list.
        match found {
            None => Next::SearchOn(Searching::Yes),
            Some(found) => {
                self.stop_searching();
                Next::Run(found)
            }
        }
    }

    /// In this order, so that a spare worker that was relieved and hired again in between sees what
    /// was pushed before that.
    fn enter_and_look(&self, searching: Searching) -> bool {
        mutant!("look_before_enter" => {
            let early = self.sees_work();
            self.hub.idle.enter(self.index, searching);
            return early;
        });
        self.hub.idle.enter(self.index, searching);
        self.sees_work()
    }

    /// As [`sleep`](Self::sleep), and notes whether the sleep was long.
    fn sleep_and_tell(&mut self) -> Option<Found> {
        self.hub.call_drainers();
        let start = clock::now();
        self.pin_again_if_time(start);
        let found = self.sleep();
        self.has_slept_long = clock::now().saturating_duration_since(start) > LONG_SLEEP;
        found
    }

    /// The last look: at every queue that this worker may take from. The lookout covers what is
    /// left in fork-join calls.
    fn sees_work(&self) -> bool {
        if self.home().own.has_item() {
            return true;
        }
        match self.hub.layout {
            Layout::Inboxes | Layout::OneQueue => self.hub.has_tasks(),
            Layout::Dealt => self.home().dealt.has_item(),
        }
    }

    /// The pool is closed: runs what is left, together with the other workers, and then leaves.
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
        // A pusher is between its two steps. Look again when it has had a chance to continue.
        self.gap.wait();
        Next::SearchOn(searching)
    }

    fn may_steal(&self) -> bool {
        self.hub.layout == Layout::Inboxes
    }

    /// Returns whether another thread waits for this worker's core, and clears the note of it.
    fn take_hurry(&self) -> bool {
        // ORDERING: relaxed, a hint, see `Hub::wake_best`; only this worker clears it.
        let hurried = self.slot().hurried.load(Ordering::Relaxed);
        if hurried {
            self.slot().hurried.store(false, Ordering::Relaxed);
        }
        hurried
    }

    #[inline]
    fn is_ending(&self) -> bool {
        // ORDERING: relaxed, because only this worker's own thread writes and reads it.
        self.slot().ending.load(Ordering::Relaxed)
    }

    #[inline]
    fn slot(&self) -> &Slot {
        &self.hub.slots[self.index]
    }

    /// The slot of the worker whose own tasks it takes.
    #[inline]
    fn home(&self) -> &Slot {
        &self.hub.slots[self.home]
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use super::{Shyness, Worker, start_spare};
    use crate::os::affinity;
    use crate::parts::spin::Spin;
    use crate::sched::config::{Config, Priority};
    use crate::sched::hub::{Hub, Target};
    use crate::task::{TaskContext, make};

    /// It holds back only from other workers' tasks. This checks each place to which a task may
    /// come that it must run at once.
    #[test]
    fn a_worker_that_holds_back_takes_what_comes_to_a_lane_at_once() {
        if !Spin::of_turns(1).turn() {
            // With one core there are no pauses.
            return;
        }
        let hub = Hub::new(Config::of_workers(1), affinity::no_lease(), start_spare);
        let high = Target { priority: Priority::High, ..Target::default() };
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
