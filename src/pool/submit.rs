//! The way of a task into the pool: admission, allocation, push.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::admission::{Admission, Entry, InLine, Permit};
use crate::clock;
use crate::config::WhenFull;
use crate::error::SpawnError;
use crate::handle::TaskHandle;
use crate::hub::{Gate, Hub};
use crate::parker;
use crate::task::{self, Extra, HeldTask, Outcome, TaskContext};
use crate::unwind;
use crate::worker;

/// What a task was asked to be beyond its closure.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Arc<str>>,
}

/// How a full pool answered.
enum Admitted {
    /// The task may be queued; a bounded pool gave it a place.
    Queue(Option<Permit>),
    RunHere,
    Refused,
}

/// Spawns as the pool's policy says; a refusal is a settled handle.
#[inline]
pub(crate) fn spawn_on<Named, F, T>(hub: &Arc<Hub>, options: Options, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let from = worker::index_in(hub.id);
    if hub.is_closed() {
        return refuse(hub, closure);
    }
    let permit = match &hub.admission {
        None => None,
        Some(admission) => match admit(hub, admission) {
            Admitted::Queue(permit) => permit,
            Admitted::RunHere => {
                let name = options.name.as_deref();
                return TaskHandle::new(worker::run_in_caller::<Named, F, T>(
                    hub, from, name, closure,
                ));
            }
            Admitted::Refused => return refuse(hub, closure),
        },
    };
    enqueue::<Named, F, T>(hub, from, permit, options, closure)
}

/// Spawns without a place, and so without waiting for one: for those who bound their tasks themselves.
pub(crate) fn spawn_without_place<Named, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.is_closed() {
        return refuse(hub, closure);
    }
    enqueue::<Named, F, T>(hub, worker::index_in(hub.id), None, Options::default(), closure)
}

/// Spawns if there is room now.
pub(super) fn try_spawn_on<F, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
) -> Result<TaskHandle<T>, SpawnError<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.is_closed() {
        return Err(closed(hub, closure));
    }
    let permit = match &hub.admission {
        None => None,
        Some(admission) => match admission.try_enter() {
            Some(permit) => Some(permit),
            None => {
                count_refusal(hub);
                return Err(SpawnError::Full(closure));
            }
        },
    };
    Ok(enqueue::<F, _, T>(
        hub,
        worker::index_in(hub.id),
        permit,
        options,
        move |_: &TaskContext| closure(),
    ))
}

/// Waits for room without blocking.
pub(super) async fn spawn_async_on<F, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
) -> Result<TaskHandle<T>, SpawnError<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.is_closed() {
        return Err(closed(hub, closure));
    }
    let from = worker::index_in(hub.id);
    let permit = match &hub.admission {
        None => None,
        Some(admission) => match (admission.try_enter(), worker::is_inside(hub.id)) {
            (Some(permit), _) => Some(permit),
            // A worker that waited for its own pool might wait for itself.
            (None, true) => {
                let name = options.name.as_deref();
                let ran =
                    worker::run_in_caller::<F, _, T>(hub, from, name, move |_: &TaskContext| {
                        closure()
                    });
                return Ok(TaskHandle::new(ran));
            }
            (None, false) => match wait_for_room(admission).await {
                Some(permit) => Some(permit),
                None => return Err(closed(hub, closure)),
            },
        },
    };
    let from = worker::index_in(hub.id);
    Ok(enqueue::<F, _, T>(hub, from, permit, options, move |_: &TaskContext| closure()))
}

/// Makes the task and pushes it.
#[inline]
fn enqueue<Named, F, T>(
    hub: &Arc<Hub>,
    from: Option<usize>,
    permit: Option<Permit>,
    options: Options,
    closure: F,
) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let (queued, held) =
        task::make::<Named, F, T>(hub.id, extra_for(hub, permit, options), closure);
    if hub.push(queued, from) == Gate::Closed {
        take_back(hub, &held);
    }
    TaskHandle::new(held)
}

/// The pool was closed while the task was pushed. If no worker took it, nobody may be left to do so.
#[cold]
fn take_back<T>(hub: &Hub, held: &HeldTask<T>) {
    if held.settle_unrun(Outcome::Rejected) {
        hub.note_settled_in_queue(Outcome::Rejected);
    }
}

#[inline]
fn extra_for(hub: &Hub, permit: Option<Permit>, options: Options) -> Option<Extra> {
    // In a bounded pool a task without a place has an age all the same: it stands among those that have one.
    if hub.admission.is_none() && hub.times.is_none() && options.name.is_none() {
        return None;
    }
    let accepted = hub.times.as_ref().map(|_| clock::now());
    Some(Extra::new(accepted, hub.next_age(), options.name, permit))
}

/// The closure's drop is user code, and a refusal is not to be seen as a panic.
#[cold]
fn refuse<F, T>(hub: &Hub, closure: F) -> TaskHandle<T> {
    unwind::quietly(|| drop(closure));
    count_refusal(hub);
    TaskHandle::new(HeldTask::refused(hub.id))
}

/// A refusal that gives the closure back.
#[cold]
fn closed<F>(hub: &Hub, closure: F) -> SpawnError<F> {
    count_refusal(hub);
    SpawnError::Closed(closure)
}

fn count_refusal(hub: &Hub) {
    hub.count_unqueued();
    hub.count_unrun(Outcome::Rejected);
}

/// A bounded pool's answer, by its policy.
fn admit(hub: &Hub, admission: &Arc<Admission>) -> Admitted {
    loop {
        if let Some(permit) = admission.try_enter() {
            return Admitted::Queue(Some(permit));
        }
        return match hub.config.when_full {
            WhenFull::Reject => Admitted::Refused,
            WhenFull::CallerRuns => Admitted::RunHere,
            WhenFull::Block if worker::is_inside(hub.id) => Admitted::RunHere,
            WhenFull::Block if hub.is_copy() => Admitted::Refused,
            WhenFull::Block => match block_for_room(admission) {
                Some(permit) => Admitted::Queue(Some(permit)),
                None => Admitted::Refused,
            },
            WhenFull::DropOldest if hub.drop_oldest() => continue,
            WhenFull::DropOldest => Admitted::Refused,
        };
    }
}

/// Blocks until there is room; `None` if the pool is closed first.
fn block_for_room(admission: &Arc<Admission>) -> Option<Permit> {
    parker::with_current(|parker, waker| {
        let mut entry = admission.enter(waker);
        loop {
            match entry {
                Entry::Permit(permit) => return Some(permit),
                Entry::Closed => return None,
                Entry::Wait(in_line) => {
                    parker.park();
                    entry = in_line.check(waker);
                }
            }
        }
    })
}

async fn wait_for_room(admission: &Arc<Admission>) -> Option<Permit> {
    let mut standing: Option<InLine> = None;
    poll_fn(move |cx| {
        let waker: &Waker = cx.waker();
        let entry = match standing.take() {
            None => admission.enter(waker),
            Some(in_line) => in_line.check(waker),
        };
        match entry {
            Entry::Permit(permit) => Poll::Ready(Some(permit)),
            Entry::Closed => Poll::Ready(None),
            Entry::Wait(in_line) => {
                standing = Some(in_line);
                Poll::Pending
            }
        }
    })
    .await
}
