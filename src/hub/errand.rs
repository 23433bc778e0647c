//! What waits without standing in a queue by itself: the items of batches. Errands, which do stand
//! there, run them.
#![forbid(unsafe_code)]

#[cfg(any(corepool_shuttle, corepool_virtual))]
use std::collections::BTreeMap as Map;
#[cfg(not(any(corepool_shuttle, corepool_virtual)))]
use std::collections::HashMap as Map;
use std::fmt;
use std::sync::{Arc, Weak};

use super::{Gate, Hub, Way};
use crate::habit;
use crate::sync::Ordering;
use crate::sync::plain::Mutex;
use crate::task::{Outcome, QueuedTask};

/// Many items that were spawned at once, some of which nobody has started.
pub(crate) trait Backlog: Send + Sync {
    /// How many items nobody has started.
    fn waiting(&self) -> usize;

    /// Settles those without a run, and counts them. Says how many they were.
    fn settle_waiting(&self, hub: &Hub, outcome: Outcome) -> usize;

    /// An errand that runs some of them, if there are any: those who are at it may all be waiting.
    /// `most` is how many can be at it at once; where there are more errands than that, one stands
    /// in a queue already.
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
    /// Weak: what keeps a backlog is its errands, and whoever waits for it.
    /// All are gone through, so under shuttle they stand in an order that a replay finds again.
    all: Map<u64, Weak<dyn Backlog>>,
}

impl Backlogs {
    /// Adds one, to be removed by this number.
    pub(crate) fn add(&self, backlog: Weak<dyn Backlog>) -> u64 {
        let mut known = self.known.lock();
        let number = known.next;
        known.next += 1;
        known.all.insert(number, backlog);
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        let gone = self.known.lock().all.remove(&number);
        // It may hold the backlog's memory: freed without the lock.
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

    /// Settles all that waits. Says how many items that were.
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
    /// A worker is about to wait, perhaps in the midst of a batch: somebody else goes on with what
    /// waits there.
    pub(super) fn send_helpers(&self) {
        if !self.backlogs.is_empty() {
            let backlogs = self.backlogs.all().into_iter();
            let helpers: Vec<_> =
                backlogs.filter_map(|backlog| backlog.helper(self.slots.len())).collect();
            if !helpers.is_empty() {
                // They settle by themselves what nobody runs.
                let _gate = self.push_errands(helpers, None);
            }
        }
    }

    /// Puts errands where workers will find them, and wakes one worker for all of them: who finds
    /// one wakes the next. `from` is as for [`push`](Self::push). Not for a pool that deals its
    /// tasks.
    pub(crate) fn push_errands(
        &self,
        errands: impl IntoIterator<Item = QueuedTask>,
        from: Option<usize>,
    ) -> Gate {
        let goes_on = from.is_none() && habit::goes_on();
        for errand in errands {
            match from {
                Some(index) if self.way == Way::Inboxes => {
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

    /// Puts an errand of a worker of this pool behind all that waits in the shared queue. Also when
    /// the pool is closed: that worker will look there.
    pub(crate) fn push_errand_back(&self, errand: QueuedTask) {
        self.share_errand(errand);
        let _gate = self.wake_one();
    }

    fn share_errand(&self, errand: QueuedTask) {
        // What this queue sees counts as spawned, but for these. Counted before the push: a reading
        // in between shows one task less rather than one that nobody has spawned.
        self.counters.errands_shared.raise();
        self.counters.errands_queued.raise();
        self.shared.push(errand);
    }

    /// An errand left its queue.
    pub(crate) fn note_errand_taken(&self) {
        self.counters.errands_queued.lower();
    }

    /// Whether a task seems to stand in a queue that the worker of this index may take from, or it
    /// is to rest itself.
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

    /// A glance without locks: whether a task seems to stand in a queue that all workers take from.
    pub(super) fn looks_stocked(&self) -> bool {
        !self.shared.looks_empty() || self.used_slots().iter().any(|slot| !slot.inbox.looks_empty())
    }
}
