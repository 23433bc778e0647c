//! Running one task: on a worker's own turn, in place of waiting for it, or in its spawner.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use super::{Worker, current};
use crate::clock;
use crate::error::{TaskError, panic_message};
use crate::fork::{self, Kind, Stack};
use crate::hub::{self, Hub, Slot};
use crate::id::{PoolId, WorkerId};
use crate::offer::Taken;
use crate::sync::Ordering;
use crate::task::{Extra, HeldTask, Outcome, QueuedTask, Ran, TaskContext};
use crate::unwind;

impl Worker {
    /// Runs a task that this worker took from a queue. `None` if somebody else had claimed it.
    #[inline]
    pub(super) fn run(&self, task: QueuedTask) -> Option<Outcome> {
        let Some(claimed) = task.claim() else {
            self.hub.counters.claimed_in_queue.lower();
            return None;
        };
        let slot = self.slot();
        slot.running.set(&claimed);
        let started = claimed.extra().and_then(|extra| self.hub.note_start(extra));
        let ran = claimed.run(Some(slot.id));
        slot.running.clear(ran.claimed());
        let outcome = ran.outcome();
        count(slot, outcome);
        if let Some(extra) = ran.claimed().extra() {
            self.hub.note_end(started);
            // Before the handle knows: who joins and spawns again finds the room.
            extra.give_place_back();
        }
        if outcome == Outcome::Panicked {
            ran.with_panic(|task, message| self.hub.tell_panic(Some(slot.id), task, message));
        }
        ran.settle();
        Some(outcome)
    }

    /// Runs a part of a fork-join call. Its panic goes to whoever made that call.
    pub(super) fn run_part(&self, stack: &Stack<'_>, taken: Taken) {
        let helping = &self.slot().helping;
        // ORDERING: a hint for people.
        helping.store(true, Ordering::Relaxed);
        stack.run(taken);
        // ORDERING: as above.
        helping.store(false, Ordering::Relaxed);
    }
}

impl Hub {
    /// Records how long a task waited; gives the time if run times are recorded.
    fn note_start(&self, extra: &Extra) -> Option<Instant> {
        let times = self.times.as_ref()?;
        let now = clock::now();
        if let Some(accepted) = extra.accepted {
            times.wait.record(now.saturating_duration_since(accepted));
        }
        Some(now)
    }

    fn note_end(&self, started: Option<Instant>) {
        if let (Some(times), Some(started)) = (&self.times, started) {
            times.run.record(clock::now().saturating_duration_since(started));
        }
    }
}

/// A thread that [runs in place](super::runs_in_place) waits for this task, and nobody has started it: the thread
/// runs it where it stands.
///
/// # Errors
/// Gives the task back if somebody else has claimed it.
pub(crate) fn run_in_place<T>(task: HeldTask<T>) -> Result<Result<T, TaskError>, HeldTask<T>> {
    if let Some(index) = super::index_in(task.pool()) {
        // The task's own fork-join calls may be large, whatever those around it were.
        fork::look();
        current::with_hub(|hub| run_beside_queue(hub, Some(index), task))
    } else {
        // No worker of the task's pool. Its workers may all be waiting for this very thread, so it is run
        // here: else two pools that wait for one another would do so for ever.
        match hub::find(task.pool()) {
            Some(hub) => as_guest(&hub, || run_beside_queue(&hub, None, task)),
            None => Err(task),
        }
    }
}

/// As [`run_in_place`], for what is no task with a handle of its own: `run` is told the pool, and which of its
/// workers this is. `None` if the pool is gone.
pub(crate) fn beside<R>(
    pool: PoolId,
    run: impl FnOnce(&Arc<Hub>, Option<usize>) -> R,
) -> Option<R> {
    if let Some(index) = super::index_in(pool) {
        fork::look();
        Some(current::with_hub(|hub| run(hub, Some(index))))
    } else {
        let hub = hub::find(pool)?;
        Some(as_guest(&hub, || run(&hub, None)))
    }
}

/// Runs something on a thread that is none of the pool's workers.
fn as_guest<R>(hub: &Arc<Hub>, run: impl FnOnce() -> R) -> R {
    // As good as one of its workers: its shutdown waits for this run.
    hub.lives.begin_serving();
    let guest = fork::visit(hub.id);
    let result = fork::enter(hub, Kind::Guest, |_| run());
    drop(guest);
    hub.lives.end_serving(|| {
        hub.settle_waiting(Outcome::Rejected);
    });
    result
}

fn run_beside_queue<T>(
    hub: &Hub,
    index: Option<usize>,
    task: HeldTask<T>,
) -> Result<Result<T, TaskError>, HeldTask<T>> {
    // The oldest task of one's own inbox is the likeliest to be waited for; taken out, it leaves
    // nothing behind in the queue.
    let link = task.link();
    let queued = index.and_then(|index| hub.slots[index].inbox.pop_if(link));
    let mut started = None;
    let on_start = |extra: Option<&Extra>| {
        if let Some(extra) = extra {
            started = hub.note_start(extra);
            // This worker's own place is taken by the task that waits.
            extra.give_place_back();
        }
    };
    let worker = index.map(WorkerId::from);
    let on_panic = |task, message: &str| hub.tell_panic(worker, task, message);
    let ran = match queued {
        Some(queued) => task
            .run_whole(queued, worker, on_start, on_panic)
            .inspect_err(|_| hub.counters.claimed_in_queue.lower())?,
        None => {
            let ran = task.try_run_here(worker, on_start, on_panic)?;
            hub.note_claimed_in_queue();
            ran
        }
    };
    if started.is_some() {
        hub.note_end(started);
    }
    let Ran { outcome, result } = ran;
    match index {
        Some(index) => {
            let slot = &hub.slots[index];
            count(slot, outcome);
            if outcome == Outcome::Lost {
                // ORDERING: read by this very thread, when the task that waits has ended.
                slot.ending.store(true, Ordering::Relaxed);
            }
        }
        None => hub.count_run_elsewhere(outcome),
    }
    Ok(result)
}

/// Runs a closure at once in the thread that wanted to spawn it, because the queue is full.
pub(crate) fn run_in_caller<Named, F, T>(
    hub: &Hub,
    index: Option<usize>,
    name: Option<&str>,
    closure: F,
) -> HeldTask<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let worker = index.map(WorkerId::from);
    let started = hub.times.as_ref().map(|_| clock::now());
    fork::look();
    let result = unwind::catch(|| closure(&TaskContext::without_task(worker)));
    hub.note_end(started);
    let message = result.as_ref().err().map(|payload| panic_message(&**payload).to_owned());
    let (task, outcome) = HeldTask::finished(hub.id, result);
    hub.count_unqueued();
    hub.count_run_elsewhere(outcome);
    if let (Outcome::Panicked, Some(message)) = (outcome, message) {
        let name = name.unwrap_or_else(|| std::any::type_name::<Named>());
        hub.tell_panic(worker, name.to_owned(), &message);
    }
    task
}

/// Counts what a worker ran. An errand ends as `Cancelled`, and is no task.
#[inline]
pub(crate) fn count(slot: &Slot, outcome: Outcome) {
    match outcome {
        Outcome::Value => slot.counters.completed.raise(),
        Outcome::Panicked => slot.counters.panicked.raise(),
        Outcome::Lost => slot.counters.lost.raise(),
        Outcome::Cancelled | Outcome::Expired | Outcome::Rejected => {}
    }
}
