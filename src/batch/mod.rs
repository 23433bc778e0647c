//! Many closures spawned at once: one piece of memory for all of them, and one round of wake-ups.
//!
//! The items lie in a row. As many *runners* as there are workers go through it, range by range,
//! and put what they have finished on a list, from which the one *taker* takes the results.
//! `README.md` beside this file has the protocol.

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

use crate::config::Dispatch;
use crate::error::TaskError;
use crate::hub::{self, Gate, Hub};
use crate::lineage;
use crate::task::Outcome;
use crate::worker;
use items::{Closures, Items};
use runner::{Batch, PoolBooks};
use taker::Taker;

/// Whether a pool can run batches. Others need what single tasks have: a place in a bounded queue,
/// the time of their spawn, a worker that was chosen.
pub(crate) fn suits(hub: &Hub) -> bool {
    hub.admission.is_none() && !hub.measures_tasks() && hub.config.dispatch == Dispatch::FreeWorker
}

/// Spawns all closures at once, on a pool that [suits]. Never blocks.
///
/// # Panics
/// As the iterator does; then nothing was spawned, and what it gave before is dropped. And for four
/// thousand million closures.
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
    // Closed meanwhile: what no worker took may have nobody left to run it.
    for errand in held {
        if errand.settle_unrun(Outcome::Closed).is_some() {
            hub.note_errand_taken();
            hub.note_claimed_in_queue();
        }
    }
}

/// The results of a batch. Dropped, it lets go: what is left still runs, and its values are dropped
/// where they were made.
pub(crate) struct BatchSource<T> {
    inner: Box<dyn Source<T>>,
    left: usize,
}

impl<T> BatchSource<T> {
    /// Takes a result, if one is there; the order is about that in which they finish.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        let result = self.inner.try_take();
        self.left -= usize::from(result.is_some());
        result
    }

    /// Leaves a waker, in place of one from before, to be woken when there may be a result. `true`:
    /// there may be one already, or none is left; then nobody may wake it.
    pub(crate) fn set_waker(&mut self, waker: &Waker) -> bool {
        self.inner.set_waker(waker)
    }

    /// How many results were not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// The item whose result was taken last.
    pub(crate) fn last_taken(&self) -> u32 {
        self.inner.last_taken()
    }

    /// Items that nobody has started never run: their closures are dropped here, and they come out
    /// as `Cancelled`.
    pub(crate) fn cancel(&self) {
        self.inner.cancel();
    }

    /// Takes a result that nobody will give any more: the batch is a parent process's.
    pub(crate) fn take_lost(&mut self) -> Option<TaskError> {
        let is_lost = self.inner.take_lost();
        self.left -= usize::from(is_lost);
        is_lost.then_some(TaskError::Lost)
    }

    /// Runs an item that nobody has started on the calling thread. `false` if there is none. For
    /// threads that [run in place](worker::runs_in_place).
    pub(crate) fn run_one_here(&mut self) -> bool {
        self.inner.run_one_here()
    }
}

impl<T> fmt::Debug for BatchSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSource").field("left", &self.left()).finish_non_exhaustive()
    }
}

/// A [`BatchSource`] whose type of closure is forgotten.
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
            self.taker.lose_one();
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
