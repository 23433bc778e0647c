//! Whether a pool is quiet (has nothing to do), and the threads that wait until it is.
//!
//! A pool is quiet if at one moment all workers rested, no queue held a task, and no thread outside
//! the pool ran or settled one of its tasks. A look takes longer than a moment, so it has three
//! steps. All workers rest; nothing waits; all workers still rest, each in the same rest.
//!
//! # Why that is right
//!
//! A thread that may take a task from a queue is a worker, a spare worker, a guest (a thread
//! outside the pool that runs a task in place), or a thread that settles a task. Each kind has a
//! number that rises when such a thread begins to work, before it takes anything. The thread says
//! "at rest" only after it has left everything: by then all that its task has spawned is in a
//! queue, and the task is settled. Both times, the number and the state "at rest" are read
//! together, as one access ([`Rests`]) or under one lock (the others).
//!
//! Suppose that the look says "quiet". Take the first task that is not settled and was accepted
//! before, or was spawned by a task that was. Some thread pushed it.
//!
//! - That thread pushed it before the first look at that thread, and has rested since. The first
//!   look saw that rest, so the look at the queues sees the push. It found the queue empty, so
//!   another thread, the taker, has taken the task, and said before that it works. The look at the
//!   queue has read what the taker wrote there, so the second look at the taker sees at least that
//!   work. Either its number has risen since the first look, or it worked at the first look. In
//!   both cases the answer is "no".
//! - That thread pushed it after the first look at it. Then the thread worked after the first look,
//!   and either its number has changed by the second look, or it still works. If it began before
//!   the look at the queues, it holds a task that they have lost, and is seen as above. Otherwise
//!   it took its task after that look, and that task was in its queue at the look, so the case
//!   above applies to that task.
//!
//! A drain need not wait for tasks that are spawned from outside while it runs.
//!
//! The first version read the workers' states first and their counts of rests afterwards. If the
//! drainer lost its core between the two, a spare worker could be hired, take a task, and have its
//! new count read, so the second look found the same. A processor that reorders loads does not even
//! need such a pause. A worker whose thread had ended also rested without counting it.
//!
//! Nothing counts tasks for this, and a worker that goes to sleep pays one load. A missed call,
//! because the last thread to finish does not call, costs [`LOOK_AGAIN`].
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::Hub;
use crate::base::clock;
use crate::base::sync::lock::{Condvar, Mutex};
use crate::base::sync::{AtomicUsize, Ordering, handshake};
use crate::parts::queue::Queue;

/// How long a waiting drainer sleeps before it looks again without a call.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Counts how often a worker has begun to rest and to work again. The count is odd while it rests,
/// so one load tells whether it rests, and since when. Only the worker's thread writes it.
#[derive(Debug)]
pub(crate) struct Rests(CachePadded<AtomicUsize>);

impl Rests {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(AtomicUsize::new(0)))
    }

    /// Call this before the worker's last look at the queues.
    #[inline]
    pub(crate) fn begin(&self) {
        self.change();
    }

    /// Call this before the worker takes anything.
    #[inline]
    pub(crate) fn end(&self) {
        self.change();
    }

    #[inline]
    fn change(&self) {
        // ORDERING: only this thread writes, so nothing is lost between the load and the store.
        let after = following(self.0.load(Ordering::Relaxed));
        // Part of two handshakes: with a thread that deals tasks (see `parts/idle/README.md`), and
        // with a thread that drains. Also a release: a thread that sees a rest sees what was done
        // before it.
        self.0.store(after, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.present().is_some()
    }

    /// The number of the current rest, if the worker rests.
    fn present(&self) -> Option<usize> {
        let number = self.0.load(Ordering::SeqCst);
        (number % 2 == 1).then_some(number)
    }
}

/// The number of the state after this one.
#[inline]
fn following(number: usize) -> usize {
    mutant!("rest_unnumbered" => return 1 - number);
    number.wrapping_add(1)
}

/// Whether all threads rested throughout a look that found nothing. `resting` returns a number that
/// differs if any thread has worked meanwhile.
fn rested_throughout(
    resting: impl Fn() -> Option<u64>,
    finds_nothing: impl FnOnce() -> bool,
) -> bool {
    let Some(before) = resting() else { return false };
    mutant!("quiet_asked_once" => return finds_nothing());
    finds_nothing() && resting() == Some(before)
}

/// The current rests of these workers as one number. `None` unless all rest.
fn all_at_rest<'r>(workers: impl IntoIterator<Item = &'r Rests>) -> Option<u64> {
    let add = |sum: u64, rests: &Rests| Some(sum.wrapping_add(rests.present()? as u64));
    workers.into_iter().try_fold(0, add)
}

/// The threads that wait until the pool is quiet.
#[derive(Debug, Default)]
pub(crate) struct Drainers {
    waiting: AtomicUsize,
    /// How often they were called.
    calls: AtomicUsize,
    /// Held by a thread that is about to sleep, from its look at the calls on.
    sleep: Mutex<()>,
    called: Condvar,
}

/// One waiting thread. Dropping it ends the wait.
struct Standing<'a>(&'a Drainers);

impl Drainers {
    fn stand(&self) -> Standing<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        mutant!("drain_blind" => return Standing(self));
        handshake();
        Standing(self)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits until the next call after `calls` was read, or until `end`.
    fn wait(&self, calls: usize, end: Instant) {
        let mut sleep = self.sleep.lock();
        while self.calls() == calls {
            if self.called.wait_until(&mut sleep, end).timed_out() {
                return;
            }
        }
    }

    /// Wakes the drainers, if any, because the pool may have become quiet. Call this after storing
    /// what shows that.
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
    /// Wakes the drainers, if any, because the pool may have become quiet. Call this after storing
    /// what shows that.
    #[inline]
    pub(crate) fn call_drainers(&self) {
        self.drainers.call_if_any();
    }

    /// Blocks until no accepted task waits or runs, or the pool has ended.
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

    /// How often any thread has rested or arrived, as one number. `None` unless all workers rest
    /// and no other thread runs or settles a task of the pool.
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
