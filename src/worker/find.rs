//! Where a worker looks for its next task, and in which order.
//!
//! Own queues come first, because what lies there is warm and nobody else is likely to come for it.
//! Now and then the shared queue comes first all the same: else two tasks that spawn one another
//! for ever would starve a third. The bound: a task at the head of the shared queue is taken by a
//! worker after at most [`FAIRNESS`] tasks that this worker finds in its own inbox. At every
//! [`CHARITY`]th task a worker takes from the inbox of another one, of each in turn. So for each
//! other worker it starts that many tasks at most before it comes to a certain inbox. Priorities
//! are served by [`NORMAL_TURN`] and [`LOW_TURN`]; the type [`Priority`] says what that promises.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::{Found, Worker};
use crate::clock;
use crate::config::Priority;
use crate::hub::Way;
use crate::offer::{Line, Look, Plenty, Taken};
use crate::queue::{Pop, Queue};
use crate::task::QueuedTask;

/// How many tasks of its own a worker runs before it looks at the shared queue first.
const FAIRNESS: u32 = 61;
/// And before it looks at another's inbox, though it has work of its own: their owners may be
/// stuck in a task, and all other workers as busy as this one.
const CHARITY: u32 = 251;
/// Each so many looks begin with the normal tasks, and each so many with the low ones, though
/// urgent ones may wait.
const NORMAL_TURN: u32 = 16;
const LOW_TURN: u32 = 64;
/// The low ones' turn stands between two of the normal ones.
const LOW_PLACE: u32 = 8;
/// How many tasks a worker takes at once from the shared queue or from another worker.
const BATCH: usize = 32;
/// So many tasks moved from another worker's inbox are no branch of a tree, but a row that its
/// spawner joins one by one.
const LONG: usize = 16;
/// A call that is over sooner is left to its thread.
const YOUTH: Duration = Duration::from_micros(3);

/// Threads with less are left alone as long as others have more.
const ENOUGH: [Plenty; 3] = [Plenty::Much, Plenty::Some, Plenty::Little];

/// A thread that has not much left is visited no more often: it has to come to something, too.
const BETWEEN_VISITS: Duration = Duration::from_micros(10);
/// A thief that comes in vain disturbs the line's owner: so it stays away for a while, and longer
/// each time.
const FIRST_LEAVE: Duration = Duration::from_micros(2);
const LONGEST_LEAVE: Duration = Duration::from_micros(40);

/// What a worker has seen of a line.
#[derive(Debug)]
pub(super) struct Seen {
    /// None where the line's owner works for another one.
    call: Option<usize>,
    /// When that call was seen first.
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
    /// Takes something from a line that has enough left, so far as that is known.
    fn take_part(&mut self, number: usize, line: &Line, enough: Plenty) -> Option<Taken> {
        if number == self.own {
            return None;
        }
        let is_helping = line.is_helping();
        let call = if is_helping { None } else { Some(line.call()?) };
        // The lookout believes no hint.
        let now = self.now;
        if !self.is_lookout && (line.plenty() < enough || line.looks_poor(now)) {
            return None;
        }
        let seen = self.seen_of(number, call);
        // Whoever was in something long may be in the same thing again, and wait for what it has
        // left.
        let is_stuck = line.was_stuck();
        let is_young = !is_stuck && now.saturating_duration_since(seen.since) < YOUTH;
        // A schedule knows no time.
        if !is_helping && is_young && !cfg!(corepool_shuttle) {
            *self.sees_young_call = true;
            return None;
        }
        if seen.leave_until.is_some_and(|until| now < until) {
            return None;
        }
        // An owner in something long is not disturbed.
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
                // The visit took its time.
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
    /// A task from where nobody has to be disturbed: its own queues and the shared one.
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
        if self.hub.way != Way::Inboxes {
            return self.find_in_its_line();
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
        // By turns, or tasks of this worker's own that spawn one another would starve the others of
        // their priority.
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

    /// A task from another worker's inbox; more of them move to this one's.
    ///
    /// Of many the youngest is run first. Whoever spawned them tends to join them from the oldest
    /// on, and may run only the task that it waits for. A thief that starts with the oldest too is
    /// always at the very task that the joiner wants next, so the joiner waits for each of them;
    /// from both ends they meet once a batch. Of few the oldest is run first: in a tree of tasks
    /// that is the largest part.
    pub(super) fn find_far(&mut self) -> Option<QueuedTask> {
        let steal = |other: &Queue<_>, own: &_| other.steal_batch(BATCH, LONG, own);
        self.find_in_inboxes(self.index + 1, steal).map(|(task, _)| task)
    }

    /// All tasks but one of another worker's inbox: that worker may be stuck in a task, and all
    /// others as busy as this one. The others have their turns one after another; otherwise one
    /// that goes on, and always has tasks, would hide those behind it.
    fn relieve_another(&mut self) -> Option<QueuedTask> {
        let clear = |other: &Queue<_>, own: &_| other.clear_batch(BATCH, own);
        let (task, at) = self.find_in_inboxes(self.next_relieved, clear)?;
        self.next_relieved = at + 1;
        Some(task)
    }

    /// Takes what `steal` does from the first inbox with tasks, beginning with that of worker
    /// `start`. Says whose it was.
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

    /// Something that a thread has left in a fork-join call.
    ///
    /// Not from a call that has just begun: it may be over before a thief is there, which costs
    /// both.
    pub(super) fn find_part(&mut self) -> Option<Found> {
        self.sees_young_call = false;
        if self.is_one_too_many() {
            return None;
        }
        // From anywhere, or all who search would meet at the same lines.
        let first = self.random() as usize;
        let Self { hub, seen, sees_young_call, index, is_listed, .. } = self;
        let (is_lookout, now) = (*is_listed, clock::now());
        let mut thief = Thief { own: *index, is_lookout, now, seen, sees_young_call };
        // The lookout does not ask how much is left, so once is enough.
        let rounds = if is_lookout { &ENOUGH[2..] } else { &ENOUGH[..] };
        let taken = rounds.iter().find_map(|&enough| {
            hub.find_on_lines(first, |number, line| thief.take_part(number, line, enough))
        })?;
        hub.note_taken();
        Some(Found::Part(taken))
    }

    /// A number that says nothing about the next one.
    fn random(&mut self) -> u32 {
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.chance >> 16
    }

    /// Whether the cores of all workers that have nothing to do are those of guests: then this
    /// one's is, too.
    pub(super) fn is_one_too_many(&self) -> bool {
        if self.is_sure_of_its_core {
            return false;
        }
        // Asked first: the word is written by whoever goes to sleep or wakes up, and most pools
        // have no guests.
        let guests = self.hub.busy_guests();
        guests > 0 && {
            let word = self.hub.idle.look();
            // This one is counted as either.
            let others = (word.free() + word.searching()).saturating_sub(1);
            (others as usize) < guests
        }
    }

    /// After the pool was closed tasks dealt to others count as anybody's: their worker may be
    /// gone.
    pub(super) fn find_left_behind(&self) -> Option<QueuedTask> {
        self.hub.used_slots().iter().find_map(|slot| pop(&slot.dealt))
    }

    fn find_own(&self) -> Option<QueuedTask> {
        pop(&self.slot().inbox)
    }

    /// One by one, where order is promised: what was moved to an inbox would be overtaken by what
    /// is found first elsewhere.
    fn find_in_its_line(&self) -> Option<QueuedTask> {
        let line = match self.hub.way {
            Way::Dealt => &self.home().dealt,
            Way::OneLine | Way::Inboxes => &self.hub.shared,
        };
        // Several workers would take the front's lock of an empty line by turns.
        let is_shared = self.hub.way == Way::OneLine && self.hub.worker_count() > 1;
        if is_shared && line.looks_empty() {
            return None;
        }
        // One worker does not look first: there is more, as a rule, and the look would fetch the
        // line that pushers write to, for each task.
        match line.pop() {
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

    /// Between the one queue and the other the tasks stood in none, and a worker may have gone to
    /// sleep because it saw nothing: moving is a push, and ends with a push's look.
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
