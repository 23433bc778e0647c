//! Backlogs: the items of batches, which wait without being queued one by one. Errands, which are
//! queued, run them.
#![forbid(unsafe_code)]

#[cfg(any(corepool_shuttle, corepool_virtual))]
use std::collections::BTreeMap as Map;
#[cfg(not(any(corepool_shuttle, corepool_virtual)))]
use std::collections::HashMap as Map;
use std::fmt;
use std::sync::{Arc, Weak};

use super::{Gate, Hub, Layout};
use crate::base::sync::Ordering;
use crate::base::sync::plain::Mutex;
use crate::parts::habit;
use crate::task::{Outcome, QueuedTask};

/// Many items that were spawned at once, of which some have not started.
pub(crate) trait Backlog: Send + Sync {
    /// How many items have not started.
    fn waiting(&self) -> usize;

    /// Settles those items without running them, and counts them. Returns how many there were.
    fn settle_waiting(&self, hub: &Hub, outcome: Outcome) -> usize;

    /// Returns an errand that runs some of the items, if any are left, because the threads that run
    /// them may all be waiting. `most` is how many threads can run them at once. If there are more
    /// errands than that, one is queued already.
    fn helper(self: Arc<Self>, most: usize) -> Option<QueuedTask>;
}

/// A pool's backlogs, from the spawn until none of their items waits.
#[derive(Default)]
pub(crate) struct Backlogs {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: u64,
    /// Weak: a backlog is kept alive by its errands and by the threads that wait for it. The map is
    /// iterated, so under shuttle it has an order that a replay reproduces.
    all: Map<u64, Weak<dyn Backlog>>,
}

impl Backlogs {
    /// Adds a backlog. Returns the number to remove it by.
    pub(crate) fn add(&self, backlog: Weak<dyn Backlog>) -> u64 {
        let mut known = self.known.lock();
        let number = known.next;
        known.next += 1;
        known.all.insert(number, backlog);
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        let gone = self.known.lock().all.remove(&number);
        // It may own the backlog's memory, so it is freed without the lock.
        drop(gone);
    }

    fn all(&self) -> Vec<Arc<dyn Backlog>> {
        self.known.lock().all.values().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.lock().all.is_empty()
    }

    /// How many items wait.
    pub(super) fn waiting(&self) -> usize {
        self.all().iter().map(|backlog| backlog.waiting()).sum()
    }

    /// Settles every waiting item. Returns how many there were.
    pub(super) fn settle_waiting(&self, hub: &Hub, outcome: Outcome) -> usize {
        self.all().iter().map(|backlog| backlog.settle_waiting(hub, outcome)).sum()
    }
}

impl fmt::Debug for Backlogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlogs").finish_non_exhaustive()
    }
}

impl Hub {
    /// Pushes errands for other workers to go on with the batches, because a worker is about to
    /// wait and may be in the middle of one.
    pub(super) fn send_helpers(&self) {
        if !self.backlogs.is_empty() {
            let backlogs = self.backlogs.all().into_iter();
            let helpers: Vec<_> =
                backlogs.filter_map(|backlog| backlog.helper(self.slots.len())).collect();
            if !helpers.is_empty() {
                // The errands themselves settle what no worker runs.
                let _gate = self.push_errands(helpers, None);
            }
        }
    }

    /// Puts errands where workers will find them, and wakes one worker for all of them. A worker
    /// that finds one wakes the next. `from` is as for [`push`](Self::push). Not for a pool that
    /// deals its tasks.
    pub(crate) fn push_errands(
        &self,
        errands: impl IntoIterator<Item = QueuedTask>,
        from: Option<usize>,
    ) -> Gate {
        let goes_on = from.is_none() && habit::goes_on();
        for errand in errands {
            match from {
                Some(index) if self.layout == Layout::Inboxes => {
                    self.counters.errands_queued.raise();
                    self.slots[index].inbox.push_alone(errand);
                }
                _ => self.share_errand(errand),
            }
        }
        if goes_on {
            self.wake_another();
        }
        self.wake_one()
    }

    /// Puts an errand of a worker of this pool at the end of the shared queue. This works even when
    /// the pool is closed, because that worker will look there.
    pub(crate) fn push_errand_back(&self, errand: QueuedTask) {
        self.share_errand(errand);
        let _gate = self.wake_one();
    }

    fn share_errand(&self, errand: QueuedTask) {
        // All pushes to this queue count as spawned tasks, except these. Counted before the push,
        // so that a reading in between shows one task too few rather than one that was never
        // spawned.
        self.counters.errands_shared.raise();
        self.counters.errands_queued.raise();
        self.shared.push(errand);
    }

    /// Counts an errand that has left its queue.
    pub(crate) fn note_errand_taken(&self) {
        self.counters.errands_queued.lower();
    }

    /// Whether a task seems to be in a queue that the worker of this index may take from, or the
    /// worker itself must rest.
    pub(crate) fn looks_busy(&self, index: Option<usize>) -> bool {
        let is_relieved = |index: usize| self.slots[index].relieved.load(Ordering::SeqCst);
        if index.is_some_and(is_relieved) {
            return true;
        }
        let has_own = |index| !self.slots[self.home_of(index)].own.look_empty();
        if self.has_lanes() && (!self.lanes.look_empty() || index.is_some_and(has_own)) {
            return true;
        }
        self.looks_stocked()
    }

    /// A glance without locks: whether a task seems to be in a queue that all workers take from.
    pub(super) fn looks_stocked(&self) -> bool {
        !self.shared.looks_empty() || self.used_slots().iter().any(|slot| !slot.inbox.looks_empty())
    }
}
