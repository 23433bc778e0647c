//! Stops all of a pool's tasks at once: cancels waiting tasks and asks running ones to stop.
#![forbid(unsafe_code)]

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::Hub;
use super::moves::Moves;
use crate::base::clock;
use crate::base::sync::lock::Mutex;
use crate::base::sync::thread;
use crate::cancel::{CancelReason, CancelToken};
use crate::os::affinity;
use crate::task::{ClaimedTask, Outcome, QueuedTask, era};

/// How many passes over all queues are made, at most, because workers may keep moving tasks between
/// them. A task that all passes miss still sees that it should stop.
const ROUNDS: u32 = 64;
/// How long settling cancelled tasks may take at least, counted from its start. Dropping their
/// closures usually takes almost no time.
const LEAST_TIME: Duration = Duration::from_millis(20);

/// The current token of a pool. Each time it ends, a new one replaces it.
#[derive(Debug)]
pub(crate) struct PoolToken(Mutex<CancelToken>);

/// Waiting tasks that were cancelled, and whose closures are being dropped on a separate thread.
#[derive(Debug)]
pub(crate) struct Settler {
    /// How many tasks were claimed.
    claimed: u64,
    /// How many more there were in batches, as far as could be seen.
    seen: u64,
    /// Receives `None` at the start, and at the end how many more tasks there were.
    told: mpsc::Receiver<Option<u64>>,
}

/// The tasks and errands that waited. An errand is a queued item that runs items of a batch.
#[derive(Default)]
struct Taken {
    tasks: Vec<ClaimedTask>,
    errands: Vec<QueuedTask>,
    /// Tasks that run anyway instead of being cancelled. They are counted as they end.
    anyway: Vec<QueuedTask>,
}

impl PoolToken {
    pub(super) fn new() -> Self {
        Self(Mutex::new(CancelToken::new()))
    }
}

impl Hub {
    pub(crate) fn token(&self) -> CancelToken {
        self.token.0.lock().clone()
    }

    /// Asks every task spawned so far to stop, and ends the token. Calls the wakers of that token.
    pub(crate) fn stop_all(&self, reason: &CancelReason) {
        self.stop_before(era::end(self.id), reason);
    }

    fn stop_before(&self, era: u64, reason: &CancelReason) {
        era::stop(self.id, era, reason.clone());
        let mut token = self.token.0.lock();
        // A closed pool gets no new tasks, so its token stays ended.
        let next = if self.is_closed() { token.clone() } else { CancelToken::new() };
        let ended = std::mem::replace(&mut *token, next);
        drop(token);
        ended.end(reason);
    }

    /// Cancels the waiting tasks that were spawned so far, even while others keep spawning, and
    /// asks the running ones to stop. Returns how many tasks waited. Drops their closures on this
    /// thread.
    pub(crate) fn cancel_all(&self, reason: &CancelReason) -> usize {
        let _settling = self.lives.unsettled.begin();
        let era = era::end(self.id);
        // Waiting tasks first: a worker whose task has stopped takes the next one.
        let mut waiting = Vec::new();
        for _ in 0..ROUNDS {
            let moves = Moves::all_over(self.moves());
            let found = waiting.len();
            self.claim_before(era, &mut waiting);
            if waiting.len() == found && moves.is_some() && Moves::all_over(self.moves()) == moves {
                break;
            }
            thread::yield_now();
        }
        let of_batches = self.backlogs.settle_waiting(self, Outcome::Cancelled);
        self.stop_before(era, reason);
        let cancelled = waiting.len() + of_batches;
        for task in waiting {
            let _counted = task.settle_unrun(Outcome::Cancelled);
        }
        cancelled
    }

    /// Claims and counts the queued tasks that were spawned before this era (a number that rises
    /// when a pool stops all its tasks; each task carries one). Runs no user code.
    fn claim_before(&self, era: u64, waiting: &mut Vec<ClaimedTask>) {
        let is_older = |task: &QueuedTask| {
            let stays = task.is_errand() || task.is_claimed() || task.runs_anyway();
            !stays && task.is_before(era)
        };
        for queue in self.queues() {
            let mut older = queue.sweep(None, usize::MAX, is_older).dead;
            // A sweep leaves the last task of a queue.
            older.extend(std::iter::from_fn(|| queue.pop_when(is_older)));
            for task in older {
                if let Some(claimed) = task.claim() {
                    self.count_unrun(Outcome::Cancelled);
                    waiting.push(claimed);
                } else {
                    self.counters.claimed_in_queue.lower();
                }
            }
        }
    }

    /// Cancels every waiting task of a closed pool. Their closures are dropped on a separate thread
    /// because that may take any amount of time.
    pub(crate) fn cancel_waiting(self: &Arc<Self>) -> Settler {
        // From before the first task is claimed until the last is settled.
        self.lives.unsettled.raise();
        let taken = self.take_waiting();
        let claimed = taken.tasks.len() as u64;
        let seen = self.backlogs.waiting() as u64;
        let (telling, told) = mpsc::channel();
        let hub = Arc::clone(self);
        let job = Arc::new(Mutex::new(Some(move || hub.settle_taken(taken, &telling))));
        let here = Arc::clone(&job);
        let is_needed =
            claimed + seen > 0 || !self.queues().all(crate::parts::queue::Queue::is_empty);
        let builder = thread::Builder::new().name("corepool-settle".to_owned());
        let handed_on = affinity::handed_on();
        let beside = move || {
            handed_on.undo();
            do_once(&job);
        };
        if !is_needed || builder.spawn(beside).is_err() {
            do_once(&here);
        }
        Settler { claimed, seen, told }
    }

    fn settle_taken(&self, taken: Taken, telling: &mpsc::Sender<Option<u64>>) {
        let settling = Arc::clone(&self.lives.unsettled).settle_here();
        // The receiver may be gone.
        let _told = telling.send(None);
        // While the errands still exist: dropping the last one would refuse what waits.
        let of_batches = self.backlogs.settle_waiting(self, Outcome::Cancelled);
        drop(taken.errands);
        for task in taken.tasks {
            let _counted = task.settle_unrun(Outcome::Cancelled);
        }
        for task in taken.anyway {
            match task.settle_unrun(Outcome::Cancelled) {
                Some(outcome) => self.count_settled(outcome),
                None => self.counters.claimed_in_queue.lower(),
            }
        }
        let more = of_batches + self.settle_waiting(Outcome::Cancelled);
        drop(settling);
        let _told = telling.send(Some(more as u64));
    }

    /// Takes everything out of the queues, and claims and counts the tasks. Runs no user code.
    fn take_waiting(&self) -> Taken {
        let mut taken = Taken::default();
        for queue in self.queues() {
            while let Some(task) = super::pop_patiently(queue) {
                if task.is_errand() && !task.is_claimed() {
                    self.note_errand_taken();
                    taken.errands.push(task);
                } else if task.runs_anyway() {
                    taken.anyway.push(task);
                } else if let Some(claimed) = task.claim() {
                    self.count_unrun(Outcome::Cancelled);
                    taken.tasks.push(claimed);
                } else {
                    self.counters.claimed_in_queue.lower();
                }
            }
        }
        taken
    }
}

impl Settler {
    /// Waits until all are settled or the time is up. Returns how many tasks were cancelled.
    pub(crate) fn wait(self, end: Instant) -> u64 {
        let _begun = self.told.recv();
        let left = end.saturating_duration_since(clock::now());
        let more = self.told.recv_timeout(left.max(LEAST_TIME));
        self.claimed + more.ok().flatten().unwrap_or(self.seen)
    }
}

/// Runs the job unless it was run before.
fn do_once(job: &Mutex<Option<impl FnOnce()>>) {
    let job = job.lock().take();
    if let Some(job) = job {
        job();
    }
}
