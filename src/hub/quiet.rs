//! Whether a pool has nothing to do, and those who wait until it has not.
//!
//! A pool is quiet if at one moment all workers rested, nothing stood in any queue, and no thread
//! that is none of its workers ran or settled a task of it. The look takes longer than a moment, so
//! it goes like this: all rest; nothing waits; and all rest still, each in the same rest.
//!
//! # Why that is right
//!
//! A thread that may take a task from a queue is a worker, a spare worker, a guest that runs a task
//! in place, or one that settles a task. Each kind has a number that rises when such a thread
//! begins to work, before it takes anything, and says "at rest" only after it has left everything:
//! what its task has spawned stands in a queue by then, and the task is settled. The number and the
//! word "at rest" are read together, as one access ([`Rests`]) or under one lock (the others), both
//! times.
//!
//! Suppose that the look says "quiet", and take the first task that was accepted before, or was
//! spawned by one that was, and is not settled. Some thread pushed it.
//!
//! - That thread pushed it before the first look at that thread, and has rested since. The first
//!   look saw that rest, so the look at the queues sees the push. It found the queue empty, so
//!   somebody has taken the task, and said before that it works. The look at the queue has read
//!   what the taker wrote there, so the second look at the taker sees at least that work. Its
//!   number has risen since the first look, or it worked at the first look: both times the answer
//!   is "no".
//! - That thread pushed it after the first look at it. Then it worked after the first look, and its
//!   number has changed by the second one, or it works still. Either it began before the look at
//!   the queues, as it holds a task that they have lost, and is seen as above; or it took its task
//!   after that look, and the task stood in its queue at the look, which is the case above for that
//!   task.
//!
//! What is spawned from outside while somebody drains is not promised to be waited for.
//!
//! The first version read the workers' words first, and their counts of rests afterwards. Where the
//! drainer lost its core between the two, a spare worker could be hired, take a task, and have its
//! new count read, so the second look found the same; and a processor that reads later things
//! earlier needs no such pause. A worker whose thread had ended also rested without counting that.
//!
//! Nothing counts tasks for this, and a worker that goes to sleep pays one load. A call that is
//! missed all the same, because what was last to end does not call, costs [`LOOK_AGAIN`].
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::Hub;
use crate::clock;
use crate::queue::Queue;
use crate::sync::lock::{Condvar, Mutex};
use crate::sync::{AtomicUsize, Ordering, handshake};

/// Who waits looks again after so long, though nobody has called it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often a worker has begun to rest and to work again: odd while it rests, so that one access
/// tells whether it does, and since when. Only the worker's thread writes.
#[derive(Debug)]
pub(crate) struct Rests(CachePadded<AtomicUsize>);

impl Rests {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(AtomicUsize::new(0)))
    }

    /// Before the worker's last look at the queues.
    #[inline]
    pub(crate) fn begin(&self) {
        self.change();
    }

    /// Before the worker takes anything.
    #[inline]
    pub(crate) fn end(&self) {
        self.change();
    }

    #[inline]
    fn change(&self) {
        // ORDERING: only this thread writes, so nothing is lost between the load and the store.
        let before = self.0.load(Ordering::Relaxed);
        let after = if mutant!("rest_unnumbered") { 1 - before } else { before.wrapping_add(1) };
        // A part of two handshakes: with a dealer, see `idle/README.md`, and with who drains. And a
        // release: who sees a rest sees what was done before it.
        self.0.store(after, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.present().is_some()
    }

    /// The number of the rest that the worker is in.
    fn present(&self) -> Option<usize> {
        let number = self.0.load(Ordering::SeqCst);
        (number % 2 == 1).then_some(number)
    }
}

/// Whether all rested throughout a look that has found nothing. `resting` gives a number that is
/// another one if anybody has worked meanwhile.
fn rested_throughout(
    resting: impl Fn() -> Option<u64>,
    finds_nothing: impl FnOnce() -> bool,
) -> bool {
    let Some(before) = resting() else { return false };
    finds_nothing() && (mutant!("quiet_asked_once") || resting() == Some(before))
}

/// The rests that these workers are in, as one number; none unless all rest.
fn all_at_rest<'r>(workers: impl IntoIterator<Item = &'r Rests>) -> Option<u64> {
    let add = |sum: u64, rests: &Rests| Some(sum.wrapping_add(rests.present()? as u64));
    workers.into_iter().try_fold(0, add)
}

/// Those who wait until the pool is quiet.
#[derive(Debug, Default)]
pub(crate) struct Drainers {
    waiting: AtomicUsize,
    /// How often they were called.
    calls: AtomicUsize,
    /// Held by whoever is about to sleep, from its look at the calls on.
    sleep: Mutex<()>,
    called: Condvar,
}

/// One who waits.
struct Standing<'a>(&'a Drainers);

impl Drainers {
    fn stand(&self) -> Standing<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if !mutant!("drain_blind") {
            handshake();
        }
        Standing(self)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits until somebody calls who has not called by then, or until the end.
    fn wait(&self, calls: usize, end: Instant) {
        let mut sleep = self.sleep.lock();
        while self.calls() == calls {
            if self.called.wait_until(&mut sleep, end).timed_out() {
                return;
            }
        }
    }

    /// The pool may have become quiet: to be called after what says so was stored.
    fn call_if_any(&self) {
        handshake();
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.call();
        }
    }

    #[cold]
    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let sleep = self.sleep.lock();
        self.called.notify_all();
        drop(sleep);
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hub {
    /// The pool may have become quiet: to be called after what says so was stored.
    #[inline]
    pub(crate) fn call_drainers(&self) {
        self.drainers.call_if_any();
    }

    /// Blocks until nothing that was accepted waits or runs, or the pool has ended.
    pub(crate) fn wait_until_quiet(&self) {
        let standing = self.drainers.stand();
        loop {
            let calls = self.drainers.calls();
            if self.is_closed() {
                // Its workers leave instead of sleeping.
                let _all = self.lives.wait_for_all(None);
                let _settled = self.lives.unsettled.wait(None);
                break;
            }
            if self.is_quiet() {
                break;
            }
            self.drainers.wait(calls, clock::after(LOOK_AGAIN));
        }
        drop(standing);
    }

    fn is_quiet(&self) -> bool {
        let nothing_waits = || self.queues().all(Queue::is_empty) && self.backlogs.waiting() == 0;
        rested_throughout(|| self.resting(), nothing_waits)
    }

    /// How often anybody has rested or come, as one number; none unless all workers rest, and
    /// nobody else runs or settles a task of the pool.
    fn resting(&self) -> Option<u64> {
        let workers = self.slots[..self.config.workers].iter().map(|slot| &slot.rests);
        let parts = [
            all_at_rest(workers)?,
            self.hires_if_all_rest()?,
            self.guests.visits_if_empty()?,
            self.lives.unsettled.begun_if_none()?,
        ];
        Some(parts.into_iter().fold(0, u64::wrapping_add))
    }
}
