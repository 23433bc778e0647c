//! The pool's bookkeeping: when each count changes, and how a reading is assembled.
#![forbid(unsafe_code)]

use super::Hub;
use crate::base::error::panic_message;
use crate::base::id::{PoolId, WorkerId};
use crate::parts::admission::Edge;
use crate::parts::event::PoolEvent;
use crate::parts::metrics::{LiveHistogram, Metrics, WorkerInfo};
use crate::sched::config::Priority;
use crate::task::{Ledger, Outcome};

impl Hub {
    /// Counts a task that was settled without a run.
    pub(crate) fn count_unrun(&self, outcome: Outcome) {
        match outcome {
            Outcome::Cancelled => self.counters.cancelled.raise(),
            Outcome::Expired => self.counters.expired.raise(),
            _ => self.counters.rejected.raise(),
        }
    }

    /// Counts a task that was settled while it is still in its queue.
    pub(crate) fn note_settled_in_queue(&self, outcome: Outcome) {
        self.count_unrun(outcome);
        self.note_claimed_in_queue();
    }

    /// Counts a task that was settled where no worker of this pool counts it.
    pub(crate) fn count_settled(&self, outcome: Outcome) {
        match outcome {
            Outcome::Value => self.counters.completed.raise(),
            Outcome::Panicked => self.counters.panicked.raise(),
            Outcome::Lost => self.counters.lost.raise(),
            other => self.count_unrun(other),
        }
    }

    /// Counts a task that never enters a queue.
    pub(crate) fn count_unqueued(&self) {
        self.counters.unqueued.raise();
    }

    /// Counts the items of a batch, which never enter a queue either.
    pub(crate) fn count_batch(&self, items: usize) {
        self.counters.unqueued.raise_by(items);
    }

    /// Reports a panic as an event, because the handle may never be looked at.
    #[cold]
    pub(crate) fn tell_panic(&self, worker: Option<WorkerId>, task: String, message: &str) {
        let message = message.to_owned();
        self.events.tell(PoolEvent::TaskPanicked { worker, task, message });
    }

    /// Reports a hook's panic as an event.
    pub(crate) fn tell_hook_panic(&self, worker: WorkerId, payload: &(dyn std::any::Any + Send)) {
        let message = panic_message(payload).into_owned();
        self.events.tell(PoolEvent::HookPanicked { worker, message });
    }

    pub(crate) fn workers(&self) -> Vec<WorkerInfo> {
        self.slots[..self.config.workers].iter().map(super::Slot::info).collect()
    }

    /// Spare workers are visible only while they have a thread.
    pub(crate) fn spare_workers(&self) -> Vec<WorkerInfo> {
        self.online_spares().map(super::Slot::info).collect()
    }

    fn online_spares(&self) -> impl Iterator<Item = &super::Slot> {
        self.slots[self.config.workers..].iter().filter(|slot| slot.is_online())
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let workers = self.slots[..self.config.workers].iter().map(super::Slot::metrics).collect();
        let spare_workers = self.online_spares().map(super::Slot::metrics).collect();
        let own = |count: fn(&super::Slot) -> u64| self.slots.iter().map(count).sum::<u64>();
        let rejected = self.counters.rejected.get();
        Metrics {
            spawned: self.spawned(),
            completed: self.counters.completed.get() + own(|slot| slot.counters.completed.get()),
            panicked: self.counters.panicked.get() + own(|slot| slot.counters.panicked.get()),
            cancelled: self.counters.cancelled.get(),
            expired: self.counters.expired.get(),
            rejected,
            lost: self.counters.lost.get() + own(|slot| slot.counters.lost.get()),
            stolen: own(|slot| slot.counters.stolen.get()),
            parks: own(|slot| slot.counters.parks.get()),
            wakes: self.counters.wakes.get(),
            let_loose: self.counters.let_loose.get(),
            jobs_offered: self.counters.jobs_offered.get(),
            jobs_taken: self.counters.jobs_taken.get(),
            queue_depth: self.depth(),
            queue_depth_high: self.queued_as(Priority::High),
            queue_depth_low: self.queued_as(Priority::Low),
            waiting_for_room: self.admission.as_ref().map_or(0, |admission| admission.waiting()),
            events_dropped: self.events.dropped(),
            workers,
            spare_workers,
            wait_time: self.times.as_ref().map(|times| LiveHistogram::read(&times.wait)),
            run_time: self.times.as_ref().map(|times| LiveHistogram::read(&times.run)),
        }
    }

    /// How many tasks were ever spawned. Pushes to the shared queue and the dealt queues came from
    /// outside. An inbox also receives tasks that were moved, so a worker counts what it spawns.
    fn spawned(&self) -> u64 {
        let own = |slot: &super::Slot| {
            slot.dealt.pushed() as u64 + slot.own.pushed() as u64 + slot.counters.spawned.get()
        };
        (self.shared.pushed() as u64
            + self.lanes.pushed() as u64
            + self.slots.iter().map(own).sum::<u64>()
            + self.counters.unqueued.get())
        // An errand is no task. It is counted before it is pushed.
        .saturating_sub(self.counters.errands_shared.get())
    }

    /// How many tasks wait: those in queues, and the items of batches.
    fn depth(&self) -> usize {
        let claimed = self.counters.claimed_in_queue.get();
        let others = claimed.wrapping_add(self.counters.errands_queued.get());
        // Below zero for a moment when a thread lowers a count before another one raises it.
        let others = (others as i64).max(0) as usize;
        self.queued().saturating_sub(others) + self.backlogs.waiting()
    }

    /// How many tasks are in all queues, including dead ones.
    pub(super) fn queued(&self) -> usize {
        self.queues().map(crate::parts::queue::Queue::len).sum()
    }

    /// How many tasks of this priority are queued, including dead ones.
    fn queued_as(&self, priority: Priority) -> usize {
        let own = self.slots.iter().map(|slot| slot.own.of(priority).len());
        self.lanes.of(priority).len() + own.sum::<usize>()
    }
}

/// Counts for the pool with that id, if it still exists.
#[derive(Debug)]
pub(crate) struct ById;

impl Ledger for ById {
    fn note_settled_in_queue(pool: PoolId, outcome: Outcome) {
        if let Some(hub) = super::find(pool) {
            hub.note_settled_in_queue(outcome);
        }
    }
}

/// The event for a change in the room of a bounded pool.
pub(super) fn event_of(edge: Edge) -> PoolEvent {
    match edge {
        Edge::Full => PoolEvent::QueueFull,
        Edge::Drained => PoolEvent::QueueDrained,
    }
}
