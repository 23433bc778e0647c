//! Lanes: queues for high- and low-priority tasks, and for tasks meant for one worker.
//!
//! A pool without such tasks pays one load per look for this: see [`Hub::has_lanes`].
#![forbid(unsafe_code)]

use super::{Gate, Hub, Layout, Slot};
use crate::base::sync::{AtomicBool, Ordering, handshake};
use crate::parts::queue::Queue;
use crate::sched::config::Priority;
use crate::task::QueuedTask;

/// One queue per priority. The normal one is used only for tasks meant for one worker.
#[derive(Debug)]
pub(crate) struct Lanes {
    high: Queue<QueuedTask>,
    normal: Queue<QueuedTask>,
    low: Queue<QueuedTask>,
}

/// Where a task must go, if not to its default place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) priority: Priority,
    /// The index of the only worker that may run it.
    pub(crate) worker: Option<usize>,
    /// Whether the submitter wakes that worker after more pushes, by
    /// [`Hub::take_all_for_own_tasks`].
    pub(crate) is_quiet: bool,
}

impl Target {
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.priority == Priority::Normal && self.worker.is_none()
    }
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { high: Queue::new(), normal: Queue::new(), low: Queue::new() }
    }

    pub(crate) fn of(&self, priority: Priority) -> &Queue<QueuedTask> {
        match priority {
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        }
    }

    pub(super) fn all(&self) -> [&Queue<QueuedTask>; 3] {
        [&self.high, &self.normal, &self.low]
    }

    /// Whether a pop would find something in any of the lanes.
    pub(crate) fn has_item(&self) -> bool {
        self.all().iter().any(|queue| queue.has_item())
    }

    /// How many tasks were ever pushed to the lanes.
    pub(super) fn pushed(&self) -> usize {
        self.all().iter().map(|queue| queue.pushed()).sum()
    }

    pub(crate) fn look_empty(&self) -> bool {
        self.all().iter().all(|queue| queue.looks_empty())
    }
}

/// Whether lanes were ever used. Set before the first task enters a lane, and never cleared.
#[derive(Debug, Default)]
pub(super) struct Used {
    any: AtomicBool,
    /// The lanes of single workers.
    of_workers: AtomicBool,
}

impl Hub {
    /// Whether a task may be in a lane. A worker that misses the first one sees it in its last look
    /// before it sleeps, which checks the queues themselves.
    #[inline]
    pub(crate) fn has_lanes(&self) -> bool {
        // ORDERING: a hint, as said above; a thread that sees a task in a lane sees this too.
        self.lanes_used.any.load(Ordering::Relaxed)
    }

    /// Whether a task may be in a queue of one worker.
    pub(super) fn uses_workers_queues(&self) -> bool {
        self.layout != Layout::OneQueue || self.lanes_used.of_workers.load(Ordering::SeqCst)
    }

    /// Puts a task into its lane, and wakes a worker that may run it. `from` is as for
    /// [`Hub::push`].
    pub(crate) fn push_to(&self, target: Target, task: QueuedTask, from: Option<usize>) -> Gate {
        // A single worker gets all tasks anyway, so a task meant for it queues like the others.
        let worker = target.worker.filter(|_| self.config.workers > 1);
        let target = Target { worker, ..target };
        if target.is_plain() {
            return self.push(task, from);
        }
        self.lanes_used.any.store(true, Ordering::SeqCst);
        match (target.worker, self.layout) {
            (None, Layout::OneQueue | Layout::Inboxes) => {
                self.lanes.of(target.priority).push(task);
                self.wake_one()
            }
            (None, Layout::Dealt) => {
                let index = self.next_turn();
                self.push_for(index, target.priority, task);
                self.wake_for(index)
            }
            (Some(index), _) => {
                self.push_for(index, target.priority, task);
                if target.is_quiet { self.gate() } else { self.wake_for(index) }
            }
        }
    }

    fn push_for(&self, index: usize, priority: Priority, task: QueuedTask) {
        self.lanes_used.of_workers.store(true, Ordering::SeqCst);
        self.slots[index].own.of(priority).push(task);
    }

    /// Wakes a worker that has got a task of its own. Call this after the push.
    pub(super) fn wake_for(&self, index: usize) -> Gate {
        handshake();
        let slot = &self.slots[index];
        if slot.rests.is_at_rest() && self.idle.take(index) {
            self.unpark_worker(index);
        } else if slot.lends.load(Ordering::SeqCst) {
            self.wake_deputy(index);
        }
        self.gate()
    }

    /// Takes all workers that sleep off the free list, because each has got a task of its own. Call
    /// this after the pushes, and then [`unpark_worker`](Self::unpark_worker) for each.
    pub(crate) fn take_all_for_own_tasks(&self) -> Vec<usize> {
        handshake();
        let taken = self.idle.take_first(self.worker_count());
        for (index, slot) in self.slots[..self.worker_count()].iter().enumerate() {
            if slot.lends.load(Ordering::SeqCst) {
                self.wake_deputy(index);
            }
        }
        taken
    }

    fn gate(&self) -> Gate {
        if self.is_closed() { Gate::Closed } else { Gate::Open }
    }

    /// The queues that only this worker takes from.
    pub(super) fn own_queues(slot: &Slot) -> impl Iterator<Item = &Queue<QueuedTask>> {
        slot.own.all().into_iter()
    }
}
