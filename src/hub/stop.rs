//! Stopping all of a pool's tasks at once: what waits is cancelled, and what runs is asked to stop.
#![forbid(unsafe_code)]

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::Hub;
use super::moves::Moves;
use crate::affinity;
use crate::cancel::{CancelReason, CancelToken};
use crate::clock;
use crate::sync::lock::Mutex;
use crate::sync::thread;
use crate::task::{ClaimedTask, Outcome, QueuedTask, era};

/// Workers may move tasks between queues all the time. So often all queues are gone through; what
/// is missed sees that it is to stop.
const ROUNDS: u32 = 64;
/// What settles cancelled tasks gets so much time at least, from its beginning on: mostly their
/// closures are dropped in no time.
const LEAST_TIME: Duration = Duration::from_millis(20);

/// The token of a pool. A new one takes its place each time that it has ended.
#[derive(Debug)]
pub(crate) struct PoolToken(Mutex<CancelToken>);

/// Waiting tasks that were cancelled, and whose closures are being dropped on a thread of their
/// own.
#[derive(Debug)]
pub(crate) struct Settler {
    /// How many tasks were claimed.
    claimed: u64,
    /// How many more there were in batches, as far as could be seen.
    seen: u64,
    /// Told at the beginning, and how many more it were at the end.
    told: mpsc::Receiver<Option<u64>>,
}

/// What waited.
#[derive(Default)]
struct Taken {
    tasks: Vec<ClaimedTask>,
    errands: Vec<QueuedTask>,
    /// They run in place of being cancelled, and are counted as they end.
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

    /// Asks everything that was spawned by now to stop, and ends the token. Wakers of that token
    /// are called here.
    pub(crate) fn stop_all(&self, reason: &CancelReason) {
        self.stop_before(era::end(self.id), reason);
    }

    fn stop_before(&self, era: u64, reason: &CancelReason) {
        era::stop(self.id, era, reason.clone());
        let mut token = self.token.0.lock();
        // A closed pool gets no new tasks, and so its token stays ended.
        let next = if self.is_closed() { token.clone() } else { CancelToken::new() };
        let ended = std::mem::replace(&mut *token, next);
        drop(token);
        ended.end(reason);
    }

    /// Cancels what was spawned by now and waits, though others go on spawning, and asks what runs
    /// to stop. Says how many tasks waited. Closures are dropped here.
    pub(crate) fn cancel_all(&self, reason: &CancelReason) -> usize {
        let _settling = self.lives.unsettled.begin();
        let era = era::end(self.id);
        // First what waits: a worker whose task has stopped takes the next one.
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

    /// Claims and counts what was spawned before this era and stands in the queues. Runs no user
    /// code.
    fn claim_before(&self, era: u64, waiting: &mut Vec<ClaimedTask>) {
        let is_older = |task: &QueuedTask| {
            let stays = task.is_errand() || task.is_claimed() || task.runs_anyway();
            !stays && task.is_before(era)
        };
        for queue in self.queues() {
            let mut older = queue.sweep(None, usize::MAX, is_older).dead;
            // A sweep leaves the last one.
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

    /// Cancels all that waits in a closed pool. Their closures are dropped on a thread of its own,
    /// for they may take any time.
    pub(crate) fn cancel_waiting(self: &Arc<Self>) -> Settler {
        // From before the first is claimed until the last is settled.
        self.lives.unsettled.raise();
        let taken = self.take_waiting();
        let claimed = taken.tasks.len() as u64;
        let seen = self.backlogs.waiting() as u64;
        let (telling, told) = mpsc::channel();
        let hub = Arc::clone(self);
        let job = Arc::new(Mutex::new(Some(move || hub.settle_taken(taken, &telling))));
        let here = Arc::clone(&job);
        let is_needed = claimed + seen > 0 || !self.queues().all(crate::queue::Queue::is_empty);
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
        // Nobody may listen any more.
        let _told = telling.send(None);
        // As long as there are errands: the last one to go would refuse what waits.
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

    /// Claims and counts what stands in the queues. Runs no user code.
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
    /// Waits until all are settled, or the time is over. Says how many tasks were cancelled.
    pub(crate) fn wait(self, end: Instant) -> u64 {
        let _begun = self.told.recv();
        let left = end.saturating_duration_since(clock::now());
        let more = self.told.recv_timeout(left.max(LEAST_TIME));
        self.claimed + more.ok().flatten().unwrap_or(self.seen)
    }
}

/// Unless that was done.
fn do_once(job: &Mutex<Option<impl FnOnce()>>) {
    let job = job.lock().take();
    if let Some(job) = job {
        job();
    }
}
