//! Where a worker looks for its next task, and in which order.
//!
//! Own queues come first, because what lies there is warm and other workers are unlikely to come
//! for it. Now and then the shared queue comes first anyway; otherwise two tasks that spawn each
//! other forever would starve a third. The bound: a worker takes a task at the head of the shared
//! queue after at most [`FAIRNESS`] tasks that it finds in its own inbox. At every [`CHARITY`]th
//! task a worker takes from the inbox of another worker, of each in turn. So for each other worker
//! it starts that many tasks at most before it gets to a certain inbox. [`NORMAL_TURN`] and
//! [`LOW_TURN`] serve the priorities; the type [`Priority`] says what they promise.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::{Found, Worker};
use crate::base::clock;
use crate::parts::offer::{Line, Look, Plenty, Taken};
use crate::parts::queue::{Pop, Queue};
use crate::sched::config::Priority;
use crate::sched::hub::Layout;
use crate::task::QueuedTask;

/// How many tasks of its own a worker runs before it looks at the shared queue first.
const FAIRNESS: u32 = 61;
/// How many tasks it runs before it looks at another worker's inbox, though it has work of its own.
/// The owner of that inbox may be stuck in a task, and all other workers as busy as this one.
const CHARITY: u32 = 251;
/// At every `NORMAL_TURN`th look the normal tasks come first, and at every `LOW_TURN`th the low
/// ones, even if urgent tasks wait.
const NORMAL_TURN: u32 = 16;
const LOW_TURN: u32 = 64;
/// The low ones' turn falls between two turns of the normal ones.
const LOW_PLACE: u32 = 8;
/// How many tasks a worker takes at once from the shared queue or from another worker.
const BATCH: usize = 32;
/// If a batch from another worker's inbox has this many tasks, it is not a branch of a tree, but a
/// row that the spawner joins one by one.
const LONG: usize = 16;
/// A call that ends sooner than this is left to its thread.
const YOUTH: Duration = Duration::from_micros(3);

/// Threads that have less left are left alone while others have more.
const ENOUGH: [Plenty; 3] = [Plenty::Much, Plenty::Some, Plenty::Little];

/// How often a thread that has not much left is visited at most, because it must get its own work
/// done too.
const BETWEEN_VISITS: Duration = Duration::from_micros(10);
/// A thief that finds nothing disturbs the line's owner. So it stays away for a while, and longer
/// each time.
const FIRST_LEAVE: Duration = Duration::from_micros(2);
const LONGEST_LEAVE: Duration = Duration::from_micros(40);

/// What a worker has seen of a line, a thread's row of fork-join jobs.
#[derive(Debug)]
pub(super) struct Seen {
    /// `None` if the line's owner works for another thread's call.
    call: Option<usize>,
    /// When that call was first seen.
    since: Instant,
    leave: Duration,
    leave_until: Option<Instant>,
}

impl Seen {
    fn new(call: Option<usize>) -> Self {
        Self { call, since: clock::now(), leave: FIRST_LEAVE, leave_until: None }
    }

    fn learn(&mut self, has_taken: bool, now: Instant) {
        if has_taken {
            (self.leave, self.leave_until) = (FIRST_LEAVE, None);
        } else {
            self.leave_until = Some(now + self.leave);
            self.leave = (self.leave * 2).min(LONGEST_LEAVE);
        }
    }
}

/// A worker that looks at the lines.
struct Thief<'w> {
    /// The number of its own line.
    own: usize,
    is_lookout: bool,
    now: Instant,
    seen: &'w mut Vec<Seen>,
    sees_young_call: &'w mut bool,
}

impl Thief<'_> {
    /// Takes something from a line that has enough left, as far as that is known.
    fn take_part(&mut self, number: usize, line: &Line, enough: Plenty) -> Option<Taken> {
        if number == self.own {
            return None;
        }
        let is_helping = line.is_helping();
        let call = if is_helping { None } else { Some(line.call()?) };
        // The lookout ignores these hints.
        let now = self.now;
        if !self.is_lookout && (line.plenty() < enough || line.looks_poor(now)) {
            return None;
        }
        let seen = self.seen_of(number, call);
        // An owner that did not answer may be in the same thing again, and wait for what it has
        // left.
        let is_stuck = line.was_stuck();
        let is_young = !is_stuck && now.saturating_duration_since(seen.since) < YOUTH;
        // A shuttle schedule knows no time.
        if !is_helping && is_young && !cfg!(corepool_shuttle) {
            *self.sees_young_call = true;
            return None;
        }
        if seen.leave_until.is_some_and(|until| now < until) {
            return None;
        }
        // A visit does not disturb an owner that is stuck in something long.
        let is_sparing = !is_stuck && line.plenty() < Plenty::Much;
        if is_sparing && line.was_visited(now, BETWEEN_VISITS) {
            return None;
        }
        match line.try_take() {
            Look::Taken(taken) => {
                seen.learn(true, now);
                Some(taken)
            }
            Look::Nothing => {
                // Read the clock again, because the visit took time.
                seen.learn(false, clock::now());
                None
            }
            Look::Busy | Look::Bare => None,
        }
    }

    fn seen_of(&mut self, number: usize, call: Option<usize>) -> &mut Seen {
        if self.seen.len() <= number {
            let nothing = || Seen::new(None);
            self.seen.resize_with(number + 1, nothing);
        }
        let seen = &mut self.seen[number];
        if seen.call != call {
            *seen = Seen::new(call);
        }
        seen
    }
}

impl Worker {
    /// A task from where the worker disturbs no other thread: its own queues and the shared one.
    #[inline]
    pub(super) fn find_near(&mut self) -> Option<QueuedTask> {
        if self.hub.has_lanes() {
            return self.find_in_lanes();
        }
        self.find_normal()
    }

    #[inline]
    fn find_normal(&mut self) -> Option<QueuedTask> {
        self.looks = self.looks.wrapping_add(1);
        if self.hub.layout != Layout::Inboxes {
            return self.find_in_order();
        }
        if self.looks % FAIRNESS == 0 {
            self.find_shared().or_else(|| self.find_own())
        } else if self.looks % CHARITY == 0 {
            self.relieve_another().or_else(|| self.find_own()).or_else(|| self.find_shared())
        } else {
            self.find_own().or_else(|| self.find_shared())
        }
    }

    /// By priority, with a turn for the lesser ones now and then.
    #[cold]
    fn find_in_lanes(&mut self) -> Option<QueuedTask> {
        self.turns = self.turns.wrapping_add(1);
        use Priority::{High, Low, Normal};
        let order = if self.turns % LOW_TURN == LOW_PLACE {
            [Low, High, Normal]
        } else if self.turns % NORMAL_TURN == 0 {
            [Normal, High, Low]
        } else {
            [High, Normal, Low]
        };
        order.into_iter().find_map(|priority| self.find_of(priority))
    }

    fn find_of(&mut self, priority: Priority) -> Option<QueuedTask> {
        // By turns. Otherwise this worker's own tasks that spawn each other would starve the other
        // tasks of their priority.
        if self.turns / LOW_TURN % 2 == 0 {
            pop(self.home().own.of(priority)).or_else(|| self.find_common(priority))
        } else {
            self.find_common(priority).or_else(|| pop(self.home().own.of(priority)))
        }
    }

    fn find_common(&mut self, priority: Priority) -> Option<QueuedTask> {
        match priority {
            Priority::Normal => self.find_normal(),
            Priority::High | Priority::Low => pop(self.hub.lanes.of(priority)),
        }
    }

    /// A task from another worker's inbox. More of its tasks move to this worker's inbox.
    ///
    /// Of many tasks the youngest runs first. The thread that spawned them tends to join them from
    /// the oldest on, and may run only the task that it waits for. A thief that also starts with
    /// the oldest is always at the very task that the joiner wants next, so the joiner waits for
    /// each of them. From both ends they meet once per batch. Of few tasks the oldest runs first:
    /// in a tree of tasks that is the largest part.
    pub(super) fn find_far(&mut self) -> Option<QueuedTask> {
        let steal = |other: &Queue<_>, own: &_| other.steal_batch(BATCH, LONG, own);
        self.find_in_inboxes(self.index + 1, steal).map(|(task, _)| task)
    }

    /// A task from another worker's inbox. All others there except the last move to this worker's
    /// inbox, because the inbox's owner may be stuck in a task, and all other workers as busy as
    /// this one. The inboxes take turns. Otherwise a worker that is not stuck, and always has
    /// tasks, would hide those behind it.
    fn relieve_another(&mut self) -> Option<QueuedTask> {
        let clear = |other: &Queue<_>, own: &_| other.clear_batch(BATCH, own);
        let (task, at) = self.find_in_inboxes(self.next_relieved, clear)?;
        self.next_relieved = at + 1;
        Some(task)
    }

    /// Takes what `steal` takes from the first inbox that has tasks, beginning with that of worker
    /// `start`. Also returns the index of the inbox's worker.
    #[inline]
    fn find_in_inboxes(
        &mut self,
        start: usize,
        steal: impl Fn(&Queue<QueuedTask>, &Queue<QueuedTask>) -> (Pop<QueuedTask>, usize),
    ) -> Option<(QueuedTask, usize)> {
        let slots = self.hub.used_slots();
        let own = &slots[self.index];
        for at in (start..start + slots.len()).map(|at| at % slots.len()) {
            let other = &slots[at];
            if at == self.index || other.inbox.looks_empty() {
                continue;
            }
            let (found, moved) = own.moves.during(|| steal(&other.inbox, &own.inbox));
            if let Pop::Item(task) = found {
                self.shyness.caught(moved + 1);
                own.counters.stolen.raise_by(moved + 1);
                self.tell_of_moved(moved);
                return Some((task, at));
            }
        }
        None
    }

    /// A part that a thread has left in a fork-join call.
    ///
    /// Not from a call that has just begun: it may be over before a thief arrives, and the visit
    /// costs both threads time.
    pub(super) fn find_part(&mut self) -> Option<Found> {
        self.sees_young_call = false;
        if self.is_one_too_many() {
            return None;
        }
        // Begin at a random line; otherwise all searching workers would meet at the same lines.
        let first = self.random() as usize;
        let Self { hub, seen, sees_young_call, index, is_listed, .. } = self;
        let (is_lookout, now) = (*is_listed, clock::now());
        let mut thief = Thief { own: *index, is_lookout, now, seen, sees_young_call };
        // The lookout does not ask how much is left, so one round is enough.
        let rounds = if is_lookout { &ENOUGH[2..] } else { &ENOUGH[..] };
        let taken = rounds.iter().find_map(|&enough| {
            hub.find_on_lines(first, |number, line| thief.take_part(number, line, enough))
        })?;
        hub.note_taken();
        Some(Found::Part(taken))
    }

    /// A pseudo-random number.
    fn random(&mut self) -> u32 {
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.chance >> 16
    }

    /// Whether guests have the cores of all workers that have nothing to do. Then a guest has this
    /// worker's core too. A guest is a thread that is no worker of the pool and takes part in its
    /// fork-join calls.
    pub(super) fn is_one_too_many(&self) -> bool {
        if self.is_sure_of_its_core {
            return false;
        }
        // Checked first, because each worker that goes to sleep or wakes up writes to the word, and
        // most pools have no guests.
        let guests = self.hub.busy_guests();
        guests > 0 && {
            let word = self.hub.idle.look();
            // This worker is counted as one or the other.
            let others = (word.free() + word.searching()).saturating_sub(1);
            (others as usize) < guests
        }
    }

    /// Once the pool is closed, any worker may take tasks dealt to others, because their worker may
    /// be gone.
    pub(super) fn find_left_behind(&self) -> Option<QueuedTask> {
        self.hub.used_slots().iter().find_map(|slot| pop(&slot.dealt))
    }

    fn find_own(&self) -> Option<QueuedTask> {
        pop(&self.slot().inbox)
    }

    /// One task at a time, where an order is promised: tasks moved to an inbox would be overtaken
    /// by tasks that are found elsewhere first.
    fn find_in_order(&self) -> Option<QueuedTask> {
        let queue = match self.hub.layout {
            Layout::Dealt => &self.home().dealt,
            Layout::OneQueue | Layout::Inboxes => &self.hub.shared,
        };
        // Several workers would take turns at locking the front of an empty queue.
        let is_shared = self.hub.layout == Layout::OneQueue && self.hub.worker_count() > 1;
        if is_shared && queue.looks_empty() {
            return None;
        }
        // A single worker does not look first. There usually is more, and for each task the look
        // would fetch the cache line that pushers write to.
        match queue.pop() {
            Pop::Item(task) => Some(task),
            Pop::Empty | Pop::Gap => None,
        }
    }

    fn find_shared(&self) -> Option<QueuedTask> {
        let shared = &self.hub.shared;
        if shared.looks_empty() {
            return None;
        }
        let own = self.slot();
        match own.moves.during(|| shared.pop_batch(BATCH, &own.inbox)) {
            (Pop::Item(task), moved) => {
                self.tell_of_moved(moved);
                Some(task)
            }
            (Pop::Empty | Pop::Gap, _) => None,
        }
    }

    /// Between the two queues the tasks were in neither, and a worker may have gone to sleep
    /// because it saw nothing. So a move is a push, and ends with a push's look.
    fn tell_of_moved(&self, moved: usize) {
        if moved > 0 {
            let _gate = self.hub.wake_one();
        }
    }
}

#[inline]
fn pop(queue: &Queue<QueuedTask>) -> Option<QueuedTask> {
    if queue.looks_empty() {
        return None;
    }
    match queue.pop() {
        Pop::Item(task) => Some(task),
        Pop::Empty | Pop::Gap => None,
    }
}
