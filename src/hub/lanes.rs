//! Tasks that are not like the rest: more or less urgent ones, and those meant for one worker.
//!
//! A pool that has none of them pays for this with one load a look: see [`Hub::has_lanes`].
#![forbid(unsafe_code)]

use super::{Gate, Hub, Slot, Way};
use crate::config::Priority;
use crate::queue::Queue;
use crate::sync::{AtomicBool, Ordering, handshake};
use crate::task::QueuedTask;

/// A queue for each priority. That of normal tasks is used for those of one worker only.
#[derive(Debug)]
pub(crate) struct Lanes {
    high: Queue<QueuedTask>,
    normal: Queue<QueuedTask>,
    low: Queue<QueuedTask>,
}

/// Where a task is to go, other than where it goes by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) priority: Priority,
    /// The index of the only worker that may run it.
    pub(crate) worker: Option<usize>,
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

    /// Whether a pop would find something in any of them.
    pub(crate) fn has_item(&self) -> bool {
        self.all().iter().any(|queue| queue.has_item())
    }

    /// How many tasks ever stood in them.
    pub(super) fn pushed(&self) -> usize {
        self.all().iter().map(|queue| queue.pushed()).sum()
    }

    pub(crate) fn look_empty(&self) -> bool {
        self.all().iter().all(|queue| queue.looks_empty())
    }
}

/// Whether lanes were ever used. Set before the first task stands in one, and never cleared.
#[derive(Debug, Default)]
pub(super) struct Used {
    any: AtomicBool,
    /// Those of workers.
    of_workers: AtomicBool,
}

impl Hub {
    /// Whether some task may stand in a lane. A worker that misses the first one sees it at its
    /// last look before it sleeps, which asks the queues themselves.
    #[inline]
    pub(crate) fn has_lanes(&self) -> bool {
        // ORDERING: a hint, as said above; who sees a task in a lane sees this too.
        self.lanes_used.any.load(Ordering::Relaxed)
    }

    /// Whether a task may stand in a queue of one worker.
    pub(super) fn uses_workers_queues(&self) -> bool {
        self.way != Way::OneLine || self.lanes_used.of_workers.load(Ordering::SeqCst)
    }

    /// Puts a task into its lane, and wakes somebody who may run it. `from` is as for
    /// [`Hub::push`].
    pub(crate) fn push_to(&self, target: Target, task: QueuedTask, from: Option<usize>) -> Gate {
        // Where there is one worker all are meant for it, and stand in line with the others.
        let worker = target.worker.filter(|_| self.config.workers > 1);
        let target = Target { worker, ..target };
        if target.is_plain() {
            return self.push(task, from);
        }
        self.lanes_used.any.store(true, Ordering::SeqCst);
        match (target.worker, self.way) {
            (None, Way::OneLine | Way::Inboxes) => {
                self.lanes.of(target.priority).push(task);
                self.wake_one()
            }
            (None, Way::Dealt) => {
                let index = self.next_turn();
                self.push_for(index, target.priority, task)
            }
            (Some(index), _) => self.push_for(index, target.priority, task),
        }
    }

    fn push_for(&self, index: usize, priority: Priority, task: QueuedTask) -> Gate {
        self.lanes_used.of_workers.store(true, Ordering::SeqCst);
        self.slots[index].own.of(priority).push(task);
        self.wake_for(index)
    }

    /// Wakes a worker that has got a task of its own. Comes after the push.
    pub(super) fn wake_for(&self, index: usize) -> Gate {
        handshake();
        let slot = &self.slots[index];
        if slot.rests.is_at_rest() && self.idle.take(index) {
            self.unpark_worker(index);
        } else if slot.lends.load(Ordering::SeqCst) {
            self.wake_deputy(index);
        }
        if self.idle.look().is_closed() { Gate::Closed } else { Gate::Open }
    }

    /// The queues from which only this worker takes.
    pub(super) fn own_queues(slot: &Slot) -> impl Iterator<Item = &Queue<QueuedTask>> {
        slot.own.all().into_iter()
    }
}
