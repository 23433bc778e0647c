//! Running one task: on a worker's own turn, in place of waiting for it, or in its spawner.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::{Worker, current, deep, link};
use crate::base::clock;
use crate::base::error::TaskError;
use crate::base::id::{PoolId, WorkerId};
use crate::base::sync::Ordering;
use crate::base::unwind;
use crate::parts::offer::Taken;
use crate::sched::fork_join::{self, Kind, Stack};
use crate::sched::hub::{self, Hub, Slot};
use crate::task::{
    ClaimedTask, Ended, Extra, HeldTask, Outcome, Pinned, QueuedTask, Ran, RanTask, Released,
};

/// How many tasks may run in a full pool's caller, one inside the other. A longer chain of tasks
/// that spawn each other would overflow the caller's stack, and overtake all waiting tasks.
const MOST_INSIDE: u32 = 8;

crate::base::sync::thread_local! {
    /// How many tasks the calling thread runs that way.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// How many continuations run one after another before other waiting tasks have their turn.
const ROW: u32 = 16;

impl Worker {
    /// Runs a task that this worker took from a queue, unless another thread had claimed it.
    /// Returns whether it ended this worker's thread.
    #[inline]
    pub(super) fn run(&self, task: QueuedTask) -> bool {
        let Some(claimed) = task.claim() else {
            self.hub.counters.claimed_in_queue.lower();
            return false;
        };
        match self.run_claimed(claimed) {
            (is_end, None) => is_end,
            (is_end, Some(waker)) => self.wake_and_follow(is_end, waker),
        }
    }

    /// Returns whether the task ended this worker's thread, and the waker of the thread or
    /// continuation that waits for it.
    #[inline]
    fn run_claimed(&self, claimed: ClaimedTask) -> (bool, Option<Waker>) {
        if claimed.is_extended() {
            return self.run_extended(claimed);
        }
        let slot = self.slot();
        slot.running.set_type(&claimed);
        let ran = claimed.run_plain(Some(self.home_id));
        slot.running.clear_type();
        let outcome = ran.outcome();
        count(&self.hub, slot, outcome, ran.is_passed_on());
        if outcome == Outcome::Panicked {
            self.tell_panic(&ran);
        }
        (ran.ended().ends_worker(), ran.settle_but_wake())
    }

    /// Runs a task that has the optional part: it may have a name, a place in a bounded queue to
    /// give back, a time to be measured or kept.
    #[cold]
    fn run_extended(&self, claimed: ClaimedTask) -> (bool, Option<Waker>) {
        let slot = self.slot();
        slot.running.set(&claimed);
        self.hub.begin_timed_run(self.index);
        let started = claimed.extra().and_then(|extra| self.hub.note_start(extra));
        let ran = claimed.run(Some(self.home_id));
        slot.running.clear(ran.claimed());
        let outcome = ran.outcome();
        count(&self.hub, slot, outcome, ran.is_passed_on());
        self.hub.end_timed_run(self.index);
        self.hub.note_end(started);
        if let Some(extra) = ran.claimed().extra() {
            // Before the handle knows, so that a thread that joins and spawns again finds room.
            extra.give_place_back();
        }
        if outcome == Outcome::Panicked {
            self.tell_panic(&ran);
        }
        (ran.ended().ends_worker(), ran.settle_but_wake())
    }

    /// Wakes the waiter. If that is a continuation, it runs next, here, where its value is warm; so
    /// does the one behind it, up to `ROW` in a row.
    #[cold]
    fn wake_and_follow(&self, mut is_end: bool, waker: Waker) -> bool {
        let mut waker = Some(waker);
        for _ in 0..ROW {
            if is_end || self.is_ending() {
                break;
            }
            let Some(woken) = waker.take() else { return is_end };
            let Some(link) = link::catch(&self.hub, || woken.wake()) else { return is_end };
            let Some(claimed) = link.claim() else {
                link::note_cancelled(&self.hub);
                return is_end;
            };
            self.slot().counters.spawned.raise();
            (is_end, waker) = self.run_claimed(claimed);
        }
        if let Some(waker) = waker {
            unwind::quietly(|| waker.wake());
        }
        is_end
    }

    #[cold]
    fn tell_panic(&self, ran: &RanTask) {
        ran.with_panic(|task, message| self.hub.tell_panic(Some(self.home_id), task, message));
    }

    /// Runs a part of a fork-join call. Its panic goes to the thread that made the call.
    pub(super) fn run_part(&self, stack: &Stack<'_>, taken: Taken) {
        let helping = &self.slot().helping;
        // ORDERING: relaxed, because the flag is only information for people.
        helping.store(true, Ordering::Relaxed);
        stack.run(taken);
        // ORDERING: as above.
        helping.store(false, Ordering::Relaxed);
    }
}

impl Hub {
    /// Records how long a task waited. Returns the time if run times are recorded.
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

/// Runs a task that has not started on the calling thread, which waits for it and
/// [runs in place](super::runs_in_place).
///
/// # Errors
/// Returns the task if another thread has claimed it.
pub(crate) fn run_in_place<T>(task: HeldTask<T>) -> Result<Result<T, TaskError>, HeldTask<T>> {
    if deep::is_short() && task.only_on().is_none() {
        return run_on_a_new_stack(task);
    }
    if let Some(index) = super::index_in(task.pool()) {
        current::with_hub(|hub| run_where_it_stands(hub, Some(index), task))
    } else {
        // The thread is no worker of the task's pool. That pool's workers may all be waiting for
        // this very thread, so the task runs here. Otherwise two pools that wait for each other
        // would do so forever.
        match hub::find(task.pool()) {
            Some(hub) => {
                let name = task.name();
                as_guest(&hub, name, || run_where_it_stands(&hub, None, task))
            }
            None => Err(task),
        }
    }
}

#[cold]
fn run_on_a_new_stack<T>(task: HeldTask<T>) -> Result<Result<T, TaskError>, HeldTask<T>> {
    match hub::find(task.pool()) {
        Some(hub) => {
            let name = task.name();
            task.run_across_threads(
                |task| as_guest(&hub, name, || run_where_it_stands(&hub, None, task)),
                |run| deep::on_a_new_stack(&hub.config, run),
            )
        }
        None => Err(task),
    }
}

fn run_where_it_stands<T>(
    hub: &Hub,
    index: Option<usize>,
    task: HeldTask<T>,
) -> Result<Result<T, TaskError>, HeldTask<T>> {
    if task.only_on().is_some_and(|only| index.map(|index| hub.home_of(index)) != Some(only)) {
        return Err(task);
    }
    match task.pin_chain() {
        None => run_beside_queue(hub, index, task),
        Some(chain) => {
            run_chain(hub, index, chain);
            task.try_take()
        }
    }
}

/// Runs the task at the bottom of a chain, and then each link whose turn comes, up to the end that
/// a thread waits for. Nothing else waits for any of them, so none of them is unrelated work.
#[cold]
fn run_chain(hub: &Hub, index: Option<usize>, mut chain: Pinned) {
    let worker = index.map(|index| hub.worker_at(index));
    let mut started = None;
    let (on_start, on_panic) = (note_start(hub, &mut started), tell_panic(hub, worker));
    let home = index.map(|index| hub.home_of(index));
    if let Some(ended) = chain.run_bottom(worker, home, on_start, on_panic) {
        hub.note_claimed_in_queue();
        hub.note_end(started);
        note_run(hub, index, ended);
    }
    while let Some(released) = chain.release_next() {
        let Released::Ready(link) = released else { continue };
        let Some(claimed) = link.claim() else { continue };
        let ran = claimed.run(worker);
        hub.count_unqueued();
        note_run(hub, index, ran.ended());
        ran.with_panic(|task, message| hub.tell_panic(worker, task, message));
        ran.settle();
    }
}

/// As [`run_in_place`], for work that is not a task with a handle of its own. `run` receives the
/// pool's hub, and the index of the worker that this thread is, if it is one. Returns `None` if the
/// pool is gone.
pub(crate) fn beside<R: Send>(
    pool: PoolId,
    name: fn() -> &'static str,
    run: impl FnOnce(&Arc<Hub>, Option<usize>) -> R + Send,
) -> Option<R> {
    if deep::is_short() {
        return beside_on_a_new_stack(pool, name, run);
    }
    if let Some(index) = super::index_in(pool) {
        Some(current::with_hub(|hub| run(hub, Some(index))))
    } else {
        let hub = hub::find(pool)?;
        Some(as_guest(&hub, name().to_owned(), || run(&hub, None)))
    }
}

#[cold]
fn beside_on_a_new_stack<R: Send>(
    pool: PoolId,
    name: fn() -> &'static str,
    run: impl FnOnce(&Arc<Hub>, Option<usize>) -> R + Send,
) -> Option<R> {
    let hub = hub::find(pool)?;
    let (mut run, mut result) = (Some(run), None);
    deep::on_a_new_stack(&hub.config, &mut || {
        let run = run.take();
        result = run.map(|run| as_guest(&hub, name().to_owned(), || run(&hub, None)));
    });
    result
}

/// Runs something as a guest, that is, on a thread that is not one of the pool's workers.
fn as_guest<R>(hub: &Arc<Hub>, name: String, run: impl FnOnce() -> R) -> R {
    // The thread counts as one of the pool's workers: the shutdown waits for this run.
    hub.lives.begin_serving();
    let visit = hub.guests.come(name);
    let guest = fork_join::visit(hub.id);
    let result = fork_join::enter(hub, Kind::Guest, |_| run());
    drop(guest);
    hub.guests.go(visit);
    hub.call_drainers();
    hub.lives.end_serving(|| {
        hub.settle_waiting(Outcome::Closed);
    });
    result
}

fn run_beside_queue<T>(
    hub: &Hub,
    index: Option<usize>,
    task: HeldTask<T>,
) -> Result<Result<T, TaskError>, HeldTask<T>> {
    // The oldest task of the thread's own inbox is the most likely one to be waited for. Taking it
    // out leaves nothing behind in the queue.
    let link = task.link();
    let queued = index.and_then(|index| hub.queue_of(index).pop_if(link));
    let worker = index.map(|index| hub.worker_at(index));
    let mut started = None;
    let (on_start, on_panic) = (note_start(hub, &mut started), tell_panic(hub, worker));
    let ran = match queued {
        // A token can reach the task as well, so it must be claimed.
        Some(queued) if task.may_be_tied() => {
            let ran = task.try_run_here(worker, on_start, on_panic);
            drop(queued);
            ran.inspect_err(|_| hub.counters.claimed_in_queue.lower())?
        }
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
    let Ran { ended, result } = ran;
    note_run(hub, index, ended);
    Ok(result)
}

/// What a task that starts in place tells the pool.
fn note_start<'a>(
    hub: &'a Hub,
    started: &'a mut Option<Instant>,
) -> impl FnOnce(Option<&Extra>) + 'a {
    move |extra| {
        if let Some(extra) = extra {
            *started = hub.note_start(extra);
            // The task that waits holds this worker's own place.
            extra.give_place_back();
        }
    }
}

/// What a task that panics in place tells the pool.
fn tell_panic(hub: &Hub, worker: Option<WorkerId>) -> impl FnOnce(String, &str) {
    move |task, message| hub.tell_panic(worker, task, message)
}

/// Counts a task that ran in place, on the worker of this index or on another thread.
fn note_run(hub: &Hub, index: Option<usize>, ended: Ended) {
    match index {
        Some(index) => {
            let slot = &hub.slots[index];
            count(hub, slot, ended.outcome, true);
            if ended.ends_worker() {
                // ORDERING: relaxed, because this very thread reads it, when the waiting task has
                // ended.
                slot.ending.store(true, Ordering::Relaxed);
            }
        }
        None => hub.count_settled(ended.outcome),
    }
}

/// Whether the calling thread may run one more task that a full pool has no room for. It must not
/// where thread-locals are gone.
pub(crate) fn may_run_in_caller() -> bool {
    INSIDE.try_with(Cell::get).is_ok_and(|inside| inside < MOST_INSIDE)
}

/// While this lives, a task runs in its caller.
struct RunsInside(());

impl RunsInside {
    fn new() -> Self {
        let _counted = INSIDE.try_with(|inside| inside.set(inside.get() + 1));
        Self(())
    }
}

impl Drop for RunsInside {
    fn drop(&mut self) {
        let _counted = INSIDE.try_with(|inside| inside.set(inside.get() - 1));
    }
}

/// Runs a task at once in the thread that wanted to spawn it, because the queue is full and the
/// thread [may](may_run_in_caller).
pub(crate) fn run_in_caller(hub: &Hub, claimed: ClaimedTask) {
    let worker = super::index_in(hub.id).map(|index| hub.worker_at(index));
    let started = hub.times.as_ref().map(|_| clock::now());
    let inside = RunsInside::new();
    let ran = claimed.run(worker);
    drop(inside);
    hub.note_end(started);
    hub.count_unqueued();
    hub.count_settled(ran.outcome());
    ran.with_panic(|task, message| hub.tell_panic(worker, task, message));
    ran.settle();
}

/// Counts what a worker ran. An errand, a queue entry that runs like a task but is none, ends as
/// `Cancelled` and is not counted.
#[inline]
pub(crate) fn count(hub: &Hub, slot: &Slot, outcome: Outcome, passed_on: bool) {
    match outcome {
        Outcome::Value => slot.counters.completed.raise(),
        Outcome::Panicked => slot.counters.panicked.raise(),
        Outcome::Lost => slot.counters.lost.raise(),
        // What a continuation passed on, or a task that was late.
        other if passed_on => hub.count_unrun(other),
        _ => {}
    }
}
