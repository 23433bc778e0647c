//! Batches: many closures spawned at once, with shared memory and one round of wake-ups.
//!
//! The items (closures, later results) lie in a row. As many *runners* as there are workers go
//! through the row, range by range, and put finished items on lists. The *taker* takes the results
//! from these lists. `README.md` beside this file describes the protocol.

mod block;
mod items;
#[cfg(all(test, corepool_loom))]
mod models;
mod runner;
mod slot;
mod taker;
#[cfg(all(test, not(corepool_loom)))]
mod tests;
mod walk;

use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::base::error::TaskError;
use crate::os::lineage;
use crate::sched::config::Dispatch;
use crate::sched::hub::{self, Gate, Hub};
use crate::sched::worker;
use crate::task::Outcome;
use items::{Closures, Items};
use runner::{Batch, PoolBooks};
use taker::Taker;

/// Whether a pool can run batches. A pool cannot if its tasks need a place in a bounded queue, the
/// time of their spawn, or a chosen worker.
pub(crate) fn suits(hub: &Hub) -> bool {
    hub.admission.is_none() && !hub.measures_tasks() && hub.config.dispatch == Dispatch::FreeWorker
}

/// Spawns all closures at once, on a pool that [suits]. Never blocks.
///
/// # Panics
/// If the iterator panics: then nothing was spawned, and the closures that came before are dropped.
/// Also if there are 2^31 closures or more.
pub(crate) fn submit<F, T>(hub: &Arc<Hub>, closures: impl IntoIterator<Item = F>) -> BatchSource<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    debug_assert!(suits(hub), "batches are not for this pool");
    let closures: Closures<_, _> = closures.into_iter().collect();
    let runners = if hub.is_closed() { 0 } else { closures.len().min(hub.worker_count()) };
    hub.count_batch(closures.len());
    let batch = Batch::new(hub, Items::new(closures, runners), runners);
    if runners == 0 {
        batch.reject();
    } else {
        push_runners(hub, &batch, runners);
    }
    let taker = Taker::of(&batch.items);
    BatchSource { left: taker.left(), inner: Box::new(Taking { batch, taker }) }
}

fn push_runners<F, T>(hub: &Hub, batch: &Arc<Batch<F, T>>, runners: usize)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (errands, held): (Vec<_>, Vec<_>) = (0..runners).map(|lane| batch.runner(lane)).unzip();
    if hub.push_errands(errands, worker::index_in(hub.id)) == Gate::Open {
        return;
    }
    // The pool was closed meanwhile, so no worker may be left to run the errands that none has
    // taken.
    for errand in held {
        if errand.settle_unrun(Outcome::Closed).is_some() {
            hub.note_errand_taken();
            hub.note_claimed_in_queue();
        }
    }
}

/// The results of a batch. Dropping it detaches the batch: the remaining items still run, and their
/// values are dropped on the threads that made them.
pub(crate) struct BatchSource<T> {
    inner: Box<dyn Source<T>>,
    /// As many as the taker has left; here it can be read without a call.
    left: usize,
}

impl<T> BatchSource<T> {
    /// Takes a result, if one is there. The order is approximately the order of finishing.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        let result = self.inner.try_take();
        self.left -= usize::from(result.is_some());
        result
    }

    /// Leaves a waker that is woken when there may be a result; it replaces an earlier one. Returns
    /// `true` if there may be a result already, or if none is left; then the waker may never be
    /// woken.
    pub(crate) fn set_waker(&mut self, waker: &Waker) -> bool {
        self.inner.set_waker(waker)
    }

    /// How many results have not been taken yet.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// The item whose result was taken last.
    pub(crate) fn last_taken(&self) -> u32 {
        self.inner.last_taken()
    }

    /// Cancels the items that have not started: their closures are dropped here, and their results
    /// are `Cancelled`.
    pub(crate) fn cancel(&self) {
        self.inner.cancel();
    }

    /// Takes a result that no thread will ever produce, because the batch belongs to a parent
    /// process.
    pub(crate) fn take_lost(&mut self) -> Option<TaskError> {
        let is_lost = self.inner.take_lost();
        self.left -= usize::from(is_lost);
        is_lost.then_some(TaskError::Lost)
    }

    /// Runs an item that has not started on the calling thread. Returns `false` if there is none.
    /// Only for threads that [run in place](worker::runs_in_place).
    pub(crate) fn run_one_here(&mut self) -> bool {
        self.inner.run_one_here()
    }
}

impl<T> fmt::Debug for BatchSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSource").field("left", &self.left()).finish_non_exhaustive()
    }
}

/// A [`BatchSource`] with the closure type erased.
trait Source<T>: Send + Sync {
    fn try_take(&mut self) -> Option<Result<T, TaskError>>;
    fn set_waker(&mut self, waker: &Waker) -> bool;
    fn last_taken(&self) -> u32;
    fn cancel(&self);
    fn take_lost(&mut self) -> bool;
    fn run_one_here(&mut self) -> bool;
}

struct Taking<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    batch: Arc<Batch<F, T>>,
    taker: Taker,
}

impl<F, T> Source<T> for Taking<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        self.taker.take(&self.batch.items)
    }

    fn set_waker(&mut self, waker: &Waker) -> bool {
        self.taker.wait(&self.batch.items, waker)
    }

    fn last_taken(&self) -> u32 {
        self.taker.last()
    }

    fn cancel(&self) {
        self.batch.cancel();
    }

    fn take_lost(&mut self) -> bool {
        let is_lost = lineage::is_child()
            && self.taker.left() > 0
            && hub::find(self.batch.pool).is_some_and(|hub| hub.is_copy());
        if is_lost {
            self.taker.lose_one(&self.batch.items);
        }
        is_lost
    }

    fn run_one_here(&mut self) -> bool {
        let items = &self.batch.items;
        if !items.has_unclaimed() {
            return false;
        }
        let ran = worker::beside(self.batch.pool, type_name::<F>, |hub, index| {
            let Some((item, claimed)) = items.claim_one() else { return false };
            let books = PoolBooks::of::<F>(hub, index);
            if walk::run_one(items, item, claimed, &books) == Outcome::Lost {
                books.end_worker();
            }
            true
        });
        ran.unwrap_or(false)
    }
}

impl<F, T> Drop for Taking<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn drop(&mut self) {
        self.taker.detach(&self.batch.items);
    }
}
