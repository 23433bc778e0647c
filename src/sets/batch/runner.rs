//! A batch in its pool: its runners, which run and count the items, and settle those that never
//! run.
#![forbid(unsafe_code)]

use std::any::type_name;
use std::sync::{Arc, OnceLock, Weak};

use super::items::Items;
use super::walk::{Books, Turn, Walk};
use crate::base::error::PanicPayload;
use crate::base::id::PoolId;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::sched::hub::{Backlog, Hub};
use crate::sched::worker;
use crate::task::{self, HeldTask, Outcome, QueuedTask, TaskContext};

/// The items and their pool. Shared by the runners and the taker of the results.
pub(super) struct Batch<F, T> {
    pub(super) items: Items<F, T>,
    pub(super) pool: PoolId,
    /// Weak, as in a handle: results that were not taken do not keep a pool alive.
    hub: Weak<Hub>,
    /// The number of runners that have not ended, including queued ones.
    runners: AtomicUsize,
    /// Its number among the pool's backlogs.
    number: OnceLock<u64>,
}

impl<F, T> Batch<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Makes a batch with this number of runners. The caller makes the runners.
    pub(super) fn new(hub: &Arc<Hub>, items: Items<F, T>, runners: usize) -> Arc<Self> {
        let batch = Arc::new(Self {
            items,
            pool: hub.id,
            hub: Arc::downgrade(hub),
            runners: AtomicUsize::new(runners),
            number: OnceLock::new(),
        });
        if runners > 0 {
            let backlog: Weak<dyn Backlog> = Arc::<Self>::downgrade(&batch);
            let _first = batch.number.set(hub.backlogs.add(backlog));
        }
        batch
    }

    /// Makes an errand (a queued job that is not counted as a task) of the runner with this number,
    /// and a handle to take the errand back.
    pub(super) fn runner(self: &Arc<Self>, lane: usize) -> (QueuedTask, HeldTask<()>) {
        Runner { batch: Arc::clone(self), walk: Walk::new(lane) }.into_errand()
    }

    /// Refuses all items, because the pool is closed.
    pub(super) fn reject(&self) {
        self.settle_unclaimed(self.hub.upgrade().as_deref(), Outcome::Closed);
    }

    /// Settles all items that have not started as cancelled.
    pub(super) fn cancel(&self) {
        let hub = self.hub.upgrade();
        let settling = hub.as_deref().and_then(worker::begin_settling);
        self.settle_unclaimed(hub.as_deref(), Outcome::Cancelled);
        drop(settling);
    }

    fn settle_unclaimed(&self, hub: Option<&Hub>, outcome: Outcome) -> usize {
        self.items.settle_unclaimed(outcome, || {
            if let Some(hub) = hub {
                hub.count_unrun(outcome);
            }
        })
    }
}

impl<F, T> Backlog for Batch<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn waiting(&self) -> usize {
        self.items.unclaimed()
    }

    fn settle_waiting(&self, hub: &Hub, outcome: Outcome) -> usize {
        self.settle_unclaimed(Some(hub), outcome)
    }

    fn helper(self: Arc<Self>, most: usize) -> Option<QueuedTask> {
        // ORDERING: relaxed, because only the number matters. It falls only when nothing is left
        // for this helper either.
        if !self.items.has_unclaimed() || self.runners.load(Ordering::Relaxed) > most {
            return None;
        }
        // ORDERING: as in the runner's drop. If the last runner has ended, nothing is left for this
        // helper either.
        self.runners.fetch_add(1, Ordering::AcqRel);
        let (errand, _detached) = Runner { batch: self, walk: Walk::helper() }.into_errand();
        Some(errand)
    }
}

/// Goes through the items on a worker. Between its turns it is in a queue.
///
/// Dropping it lowers the number of runners. The last one settles the items that have not started.
struct Runner<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    batch: Arc<Batch<F, T>>,
    walk: Walk,
}

impl<F, T> Runner<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn into_errand(self) -> (QueuedTask, HeldTask<()>) {
        let pool = self.batch.pool;
        task::make_errand::<F, _>(pool, move |_: &TaskContext| self.turn())
    }

    fn turn(mut self) {
        let Some(hub) = self.batch.hub.upgrade() else { return };
        hub.note_errand_taken();
        let index = worker::index_in(hub.id);
        let books = PoolBooks::of::<F>(&hub, index);
        let turn = self.walk.turn(&self.batch.items, &books);
        if turn == Turn::Done {
            return;
        }
        if turn == Turn::EndWorker {
            books.end_worker();
        }
        let (errand, _detached) = self.into_errand();
        hub.push_errand_back(errand);
    }
}

impl<F, T> Drop for Runner<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn drop(&mut self) {
        let batch = &self.batch;
        // ORDERING: release and acquire among the runners, so that the last one sees where the
        // others have been.
        if batch.runners.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let hub = batch.hub.upgrade();
        batch.settle_unclaimed(hub.as_deref(), Outcome::Closed);
        if let (Some(hub), Some(&number)) = (&hub, batch.number.get()) {
            hub.backlogs.remove(number);
        }
    }
}

/// The pool's counters, as seen from the thread that runs items.
pub(super) struct PoolBooks<'a> {
    hub: &'a Hub,
    /// The index of the worker that runs on this thread, if any.
    index: Option<usize>,
    name: fn() -> &'static str,
}

impl<'a> PoolBooks<'a> {
    pub(super) fn of<F>(hub: &'a Hub, index: Option<usize>) -> Self {
        Self { hub, index, name: type_name::<F> }
    }

    /// Ends the worker's thread after its current task or errand, because an item asked for it.
    pub(super) fn end_worker(&self) {
        if let Some(index) = self.index {
            // ORDERING: relaxed, because this same thread reads it when its current task or errand
            // has ended.
            self.hub.slots[index].ending.store(true, Ordering::Relaxed);
        }
    }
}

impl Books for PoolBooks<'_> {
    #[inline]
    fn note(&self, outcome: Outcome, panic: Option<&PanicPayload>) {
        match self.index {
            Some(index) => worker::count(self.hub, &self.hub.slots[index], outcome, true),
            None => self.hub.count_settled(outcome),
        }
        if let Some(panic) = panic {
            let worker = self.index.map(|index| self.hub.worker_at(index));
            self.hub.tell_panic(worker, (self.name)().to_owned(), panic.message());
        }
    }

    fn is_wanted(&self) -> bool {
        self.hub.looks_busy(self.index)
    }
}
