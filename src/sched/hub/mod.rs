//! Owns the state that a pool's workers and its owner share: push, wake, close, drain.
#![forbid(unsafe_code)]

mod counting;
mod duties;
mod end_waiters;
mod errand;
mod free_entry;
mod guests;
mod lanes;
mod late;
mod lend;
mod lives;
#[cfg(all(test, corepool_loom))]
mod models;
mod moves;
mod oldest;
mod quiet;
mod registry;
mod slot;
mod stop;
mod lines;
mod sweeper;
#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests;
mod wake;
mod watchdog;

use std::sync::Arc;

use crate::base::counter_start;
use crate::base::id::PoolId;
use crate::base::sync::{AtomicUsize, Ordering, handshake};
use crate::os::affinity::{self, Lease};
use crate::os::heritage::Heritage;
use crate::os::lineage;
use crate::parts::admission::Admission;
use crate::parts::event::{Audience, PoolEvent};
use crate::parts::habit::{self, Prefer};
use crate::parts::idle::IdleList;
use crate::parts::metrics::{Counters, LiveHistogram};
use crate::parts::queue::{Pop, Queue};
use crate::parts::spin::Gap;
use crate::sched::config::{Config, Dispatch, WhenFull};
use crate::task::{Outcome, QueuedTask};

pub(crate) use counting::ById;
pub(crate) use end_waiters::EndWaiter;
pub(crate) use errand::Backlog;
use errand::Backlogs;
use free_entry::FreeEntry;
use guests::Guests;
pub(crate) use lanes::Target;
use lanes::{Lanes, Used};
use late::Late;
pub(crate) use late::{FIRST_NAP, Looker, Looks, are_pins};
use lend::Spares;
pub(crate) use lend::{Order, StartSpare};
use lines::Lookout;
pub(crate) use lives::ThreadRoster;
use moves::Moves;
use quiet::Drainers;
pub(crate) use registry::find;
pub(crate) use slot::{Life, Slot, ThreadFacts};
use stop::PoolToken;
use sweeper::Sweeper;
use watchdog::Watchdog;

/// One pool's shared state. It knows tasks and queues. What a worker does is a layer above.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) id: PoolId,
    pub(crate) layout: Layout,
    /// The process that has the threads. A forked child has a copy of everything except them.
    process: u32,
    pub(crate) config: Config,
    /// What the pool's threads inherit from the thread that built it, whichever thread starts them.
    pub(crate) heritage: Heritage,
    /// Tasks that no worker has taken yet.
    pub(crate) shared: Queue<QueuedTask>,
    /// High- and low-priority tasks. Normal ones are in `shared`.
    pub(crate) lanes: Lanes,
    lanes_used: Used,
    /// The workers, followed by the spare workers.
    pub(crate) slots: Box<[Slot]>,
    spares: Spares,
    slots_used: AtomicUsize,
    pub(crate) idle: IdleList,
    /// The worker that watches the lines (a line is a thread's row of fork-join jobs).
    pub(crate) lookout: Lookout,
    pub(crate) admission: Option<Arc<Admission>>,
    /// Whether a task with no special options may be built without the optional part.
    pub(crate) has_plain_tasks: bool,
    pub(crate) events: Arc<Audience>,
    pub(crate) counters: Counters,
    pub(crate) times: Option<Times>,
    watchdog: Option<Watchdog>,
    /// Watches for workers that do not get their cores.
    late: Late,
    pub(crate) lives: Arc<ThreadRoster>,
    pub(crate) backlogs: Backlogs,
    sweeper: Sweeper,
    /// Threads that run tasks of this pool and are none of its workers.
    pub(crate) guests: Guests,
    /// Threads that wait until there is nothing to do.
    drainers: Drainers,
    /// Ended when all tasks are asked to stop.
    token: PoolToken,
    /// The worker that is dealt the next task (round robin).
    turn: AtomicUsize,
    /// How many tasks that carry their age were accepted.
    ages: AtomicUsize,
    /// Keeps the cores marked as taken in the process-wide table.
    _lease: Lease,
}

/// Where normal tasks wait until they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In the shared queue, and in the inboxes of workers that spawned them or took several at
    /// once.
    Inboxes,
    /// All in the shared queue, and each is taken from there when it starts. So a single worker
    /// starts tasks in the order in which they were spawned, and a full pool that drops the oldest
    /// finds it at the front.
    OneQueue,
    /// In one queue per worker, dealt in turn.
    Dealt,
}

impl Layout {
    fn of(config: &Config) -> Self {
        let drops_oldest =
            config.queue_capacity.is_some() && config.when_full == WhenFull::DropOldest;
        match config.dispatch {
            _ if config.workers == 1 => Self::OneQueue,
            Dispatch::FreeWorker if drops_oldest => Self::OneQueue,
            Dispatch::FreeWorker => Self::Inboxes,
            Dispatch::RoundRobin => Self::Dealt,
        }
    }
}

/// The histograms of a pool that records times.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) wait: LiveHistogram,
    pub(crate) run: LiveHistogram,
}

/// Whether the pool was open when a task was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Gate {
    Open,
    /// A worker may have taken the task anyway. If none has, none will.
    Closed,
}

impl Hub {
    pub(crate) fn new(config: Config, lease: Lease, start_spare: StartSpare) -> Arc<Self> {
        let events = Arc::new(Audience::new());
        let admission = config.queue_capacity.map(|capacity| {
            let events = Arc::clone(&events);
            let places = capacity.saturating_add(config.workers);
            let observer = Box::new(move |edge| events.send(counting::event_of(edge)));
            match config.when_full {
                WhenFull::DropOldest => Admission::that_counts(places, observer),
                _ => Admission::new(places, observer),
            }
        });
        let times = config
            .record_timing
            .then(|| Times { wait: LiveHistogram::new(), run: LiveHistogram::new() });
        let hub = Arc::new(Self {
            id: registry::free_id(),
            layout: Layout::of(&config),
            process: lineage::process(),
            heritage: Heritage::of_this_thread(),
            shared: Queue::new(),
            lanes: Lanes::new(),
            lanes_used: Used::default(),
            slots: (0..config.workers + config.spares).map(Slot::new).collect(),
            slots_used: AtomicUsize::new(config.workers),
            spares: Spares::new(config.workers, config.spares, start_spare),
            idle: IdleList::new(),
            lookout: Lookout::new(config.workers),
            has_plain_tasks: admission.is_none()
                && !config.record_timing
                && config.watchdog.is_none(),
            admission,
            events,
            counters: Counters::default(),
            times,
            watchdog: config.watchdog.map(|(bound, when)| Watchdog::new(bound, when)),
            late: Late::new(&config),
            lives: Arc::default(),
            backlogs: Backlogs::default(),
            sweeper: Sweeper::default(),
            guests: Guests::default(),
            drainers: Drainers::default(),
            token: PoolToken::new(),
            // In chaos builds other counters start near their overflow (`base/counter_start.rs`).
            // This one does not: at an overflow a worker may get two turns in a row, which is
            // harmless, but tests count turns.
            turn: AtomicUsize::new(0),
            ages: AtomicUsize::new(counter_start::WORD),
            config,
            _lease: lease,
        });
        registry::add(&hub);
        hub
    }

    /// Whether each task must carry the optional part, because something about it is measured.
    #[inline]
    pub(crate) fn measures_tasks(&self) -> bool {
        self.times.is_some() || self.watchdog.is_some()
    }

    /// Puts a task where a worker will find it, and wakes a worker if needed. `from` is the
    /// submitter's index if it is a worker of this pool.
    #[inline]
    pub(crate) fn push(&self, task: QueuedTask, from: Option<usize>) -> Gate {
        match (self.layout, from) {
            (Layout::Inboxes | Layout::OneQueue, None) => {
                let goes_on = habit::goes_on();
                self.shared.push(task);
                if goes_on {
                    self.wake_another();
                }
                self.wake_one()
            }
            (Layout::Inboxes, Some(index)) => {
                let slot = &self.slots[index];
                slot.counters.spawned.raise();
                slot.inbox.push_alone(task);
                self.wake_one()
            }
            (Layout::OneQueue, Some(_)) => {
                self.shared.push(task);
                self.wake_one()
            }
            (Layout::Dealt, _) => self.deal(task),
        }
    }

    /// Wakes a free worker if no worker searches. Call this after a push: see
    /// `parts/idle/README.md`.
    #[inline]
    pub(crate) fn wake_one(&self) -> Gate {
        let word = self.idle.look();
        if word.has_free() {
            if word.searching() == 0 {
                self.wake_best();
            } else {
                self.mind_searchers();
            }
        }
        if word.is_closed() { Gate::Closed } else { Gate::Open }
    }

    /// The queue that holds the tasks that the worker of this index has spawned.
    #[inline]
    pub(crate) fn queue_of(&self, index: usize) -> &Queue<QueuedTask> {
        if self.layout == Layout::OneQueue { &self.shared } else { &self.slots[index].inbox }
    }

    fn deal(&self, task: QueuedTask) -> Gate {
        let index = self.next_turn();
        self.slots[index].dealt.push(task);
        self.wake_for(index)
    }

    /// The index of the worker that is dealt the next task.
    fn next_turn(&self) -> usize {
        // ORDERING: only the number matters.
        self.turn.fetch_add(1, Ordering::Relaxed) % self.config.workers
    }

    /// Wakes the most recently freed worker that fits the caller's habit.
    #[cold]
    fn wake_best(&self) {
        let prefer = habit::wakes();
        let here = self.core_here();
        let fits = |index: usize| match (here, prefer) {
            // A lent core is the last resort.
            _ if matches!(self.free_entry(index), FreeEntry::LentCore(_)) => false,
            (None, _) => true,
            (Some(_), Prefer::Far) => self.config.cores.get(index) != here.as_ref(),
            (Some(_), Prefer::Near) => self.config.cores.get(index) == here.as_ref(),
        };
        if let Some(index) = self.idle.take_one(fits) {
            late::look_soon();
            if prefer == Prefer::Near && fits(index) {
                // ORDERING: a hint; the wake-up that follows orders it anyway.
                self.slots[index].hurried.store(true, Ordering::Relaxed);
            }
            self.unpark(index);
        }
    }

    /// Wakes a free worker even while another one searches: the searcher may be busy elsewhere.
    #[cold]
    pub(crate) fn wake_helper(&self) {
        // The caller goes on working, so its own core is not available.
        let here = self.core_here();
        let far = |index: usize| here.is_none() || self.config.cores.get(index) != here.as_ref();
        if let Some(index) = self.idle.take_some(far) {
            self.unpark(index);
        }
    }

    /// Whether the calling thread runs on this worker's core.
    pub(crate) fn is_here(&self, worker: usize) -> bool {
        self.core_here().is_some_and(|here| self.config.cores.get(worker) == Some(&here))
    }

    /// The calling thread's core, where it matters.
    fn core_here(&self) -> Option<usize> {
        if self.config.cores.len() > 1 { affinity::current_core() } else { None }
    }

    /// Wakes another worker after the caller has woken the worker of its own core and then gone on
    /// instead of sleeping. The first worker may have to wait for the core, although it counts as
    /// searching.
    #[cold]
    fn wake_another(&self) {
        if let Some(index) = self.idle.take_any() {
            self.unpark(index);
        }
    }

    /// Wakes a worker taken from the free list. If the entry was a lent core, finds a worker for
    /// it.
    fn unpark(&self, number: usize) {
        match self.free_entry(number) {
            FreeEntry::Worker(index) => self.unpark_worker(index),
            FreeEntry::LentCore(lender) => self.employ(lender),
        }
    }

    /// Unparks a worker that was taken off the free list.
    pub(crate) fn unpark_worker(&self, index: usize) {
        self.counters.wakes.raise();
        self.note_woken(index);
        self.slots[index].parker.unpark();
    }

    /// Stops accepting tasks and wakes all workers, so that they see it. Returns whether this call
    /// closed the pool.
    pub(crate) fn close(&self) -> bool {
        if self.is_copy() {
            // A thread that held a lock at the time of the fork holds it here forever, and there is
            // no thread to wake.
            return self.idle.close();
        }
        let first = self.lives.close();
        if first {
            // Before the workers know, so that their exits are reported after this event.
            self.events.tell(PoolEvent::Closed);
        }
        self.idle.close();
        if let Some(admission) = &self.admission {
            admission.close();
        }
        // Take all before waking one: a lent core returns to the list if the system refuses the
        // spare worker's thread.
        let taken: Vec<_> = std::iter::from_fn(|| self.idle.take_any()).collect();
        for index in taken {
            self.unpark(index);
        }
        self.wake_resting_spares();
        first
    }

    /// Whether this is a copy in a forked child. The workers stayed in the parent, so nothing that
    /// is waited for will ever arrive.
    pub(crate) fn is_copy(&self) -> bool {
        lineage::process() != self.process
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.idle.look().is_closed()
    }

    /// Whether a worker would find a task to run.
    pub(crate) fn has_tasks(&self) -> bool {
        self.shared.has_item()
            || self.lanes.has_item()
            || self.used_slots().iter().any(|slot| slot.inbox.has_item())
    }

    /// Whether every queue that this worker takes from is empty, with no pusher halfway through a
    /// push.
    pub(crate) fn is_drained(&self, index: usize) -> bool {
        // After the look that found the pool closed, before the looks at the queues: a submitter
        // that found the pool open has pushed before that.
        handshake();
        // Between two queues, tasks are in neither. A worker that moves tasks runs one of them, and
        // may wait in it for the others.
        let moves = || self.moves();
        Moves::none_missed(moves, || {
            let own = Self::own_queues(&self.slots[index]);
            self.common_queues().chain(own).all(Queue::is_empty)
        })
    }

    /// The batches that each worker moves from one queue to another.
    fn moves(&self) -> impl Iterator<Item = &Moves> {
        self.used_slots().iter().map(|slot| &slot.moves)
    }

    /// Settles every waiting task without running it. Returns how many tasks that were.
    pub(crate) fn settle_waiting(&self, outcome: Outcome) -> usize {
        let _settling = self.lives.unsettled.begin();
        let mut settled = 0;
        let mut gap = Gap::default();
        loop {
            let moves = Moves::all_over(self.moves());
            match self.settle_round(outcome) {
                // Settling a task may push its continuation to a queue that was emptied before.
                Some(count) => settled += count,
                None if moves.is_some() && Moves::all_over(self.moves()) == moves => {
                    return settled;
                }
                // Some tasks were between two queues.
                None => gap.wait(),
            }
        }
    }

    /// Empties each queue once. Returns `None` if all were empty.
    fn settle_round(&self, outcome: Outcome) -> Option<usize> {
        let mut settled = self.backlogs.settle_waiting(self, outcome);
        let mut found = settled > 0;
        for queue in self.queues() {
            while let Some(task) = pop_patiently(queue) {
                found = true;
                if task.is_errand() && !task.is_claimed() {
                    self.note_errand_taken();
                    drop(task);
                } else if let Some(outcome) = task.settle_unrun(outcome) {
                    self.count_settled(outcome);
                    settled += 1;
                } else {
                    self.counters.claimed_in_queue.lower();
                }
            }
        }
        found.then_some(settled)
    }

    /// The next number in the order of acceptance.
    pub(crate) fn next_age(&self) -> usize {
        // ORDERING: only the number matters.
        self.ages.fetch_add(1, Ordering::Relaxed)
    }

    fn queues(&self) -> impl Iterator<Item = &Queue<QueuedTask>> {
        self.common_queues().chain(self.used_slots().iter().flat_map(Self::own_queues))
    }

    /// The queues that any worker empties in the end.
    fn common_queues(&self) -> impl Iterator<Item = &Queue<QueuedTask>> {
        let of_workers = self.used_slots().iter().flat_map(|slot| [&slot.dealt, &slot.inbox]);
        std::iter::once(&self.shared).chain(self.lanes.all()).chain(of_workers)
    }
}

/// Pops, waiting for a pusher in the gap between the two steps of its push: the pool is closing,
/// and that pusher's task counts.
fn pop_patiently(queue: &Queue<QueuedTask>) -> Option<QueuedTask> {
    let mut gap = Gap::default();
    loop {
        match queue.pop() {
            Pop::Item(task) => return Some(task),
            Pop::Empty => return None,
            Pop::Gap => gap.wait(),
        }
    }
}
