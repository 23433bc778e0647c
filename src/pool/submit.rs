//! The way of a task into the pool: admission, allocation, push.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::admission::{Admission, Entry, InLine, Permit};
use crate::cancel::{CancelToken, UntilCancelled};
use crate::clock;
use crate::config::WhenFull;
use crate::error::SpawnError;
use crate::handle::TaskHandle;
use crate::hub::{ById, Gate, Hub, Target};
use crate::parker;
use crate::spans::Caller;
use crate::task::{self, Extra, HeldTask, Meaning, Outcome, Plan, TaskContext};
use crate::unwind;
use crate::worker;

/// What a task was asked to be beyond its closure.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) target: Target,
    pub(crate) start_by: Option<Instant>,
    pub(crate) run_for: Option<Duration>,
    pub(crate) token: Option<CancelToken>,
}

impl Options {
    #[inline]
    fn are_plain(&self) -> bool {
        self.target.worker.is_none()
            && self.start_by.is_none()
            && self.run_for.is_none()
            && self.token.is_none()
    }

    /// What ends the wait for room, if anything does.
    fn patience(&self) -> Option<CancelToken> {
        match (&self.token, self.start_by) {
            (None, None) => None,
            (Some(token), None) => Some(token.clone()),
            (Some(token), Some(start_by)) => Some(token.child_with_deadline(start_by)),
            (None, Some(start_by)) => Some(CancelToken::with_deadline(start_by)),
        }
    }

    /// What becomes of a task that will not start.
    fn too_late(&self) -> Option<Outcome> {
        if self.token.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Some(Outcome::Cancelled);
        }
        let is_late = self.start_by.is_some_and(|start_by| clock::now() >= start_by);
        is_late.then_some(Outcome::Expired)
    }
}

/// How a full pool answered.
enum Admitted {
    /// The task may be queued; a bounded pool gave it a place.
    Queue(Option<Permit>),
    RunHere,
    Refused,
    /// It waited for room, and is not to start any more.
    TooLate(Outcome),
}

/// How a wait for room ended.
enum Room {
    Place(Permit),
    Closed,
    TooLate,
}

/// As [`spawn_on`], for a task of which nothing special is asked: by far the most.
#[inline]
pub(crate) fn spawn_plain<Named, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if !hub.has_plain_tasks {
        return spawn_on::<Named, F, T>(hub, Options::default(), closure);
    }
    if hub.is_closed() {
        return settle_unqueued(hub, Outcome::Rejected, closure);
    }
    enqueue_plain::<Named, F, T>(hub, closure)
}

/// Makes and pushes a task without the optional part.
#[inline]
fn enqueue_plain<Named, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let caller = Caller::here();
    let closure = move |context: &TaskContext| caller.run(|| closure(context));
    let (queued, held) = task::make::<Named, _, T>(hub.id, None, closure);
    if hub.push(queued, worker::index_in(hub.id)) == Gate::Closed {
        take_back(hub, &held);
    }
    TaskHandle::new(held)
}

/// Spawns as the pool's policy says; a refusal is a settled handle.
pub(crate) fn spawn_on<Named, F, T>(hub: &Arc<Hub>, options: Options, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let from = worker::index_in(hub.id);
    if hub.is_closed() {
        return settle_unqueued(hub, Outcome::Rejected, closure);
    }
    let permit = match &hub.admission {
        None => None,
        // What only one worker may run can neither be run here nor wait for that worker's own room.
        Some(_) if options.target.worker.is_some() => None,
        Some(admission) => match admit_in_time(hub, admission, &options) {
            Admitted::Queue(permit) => permit,
            Admitted::RunHere => return run_here::<Named, F, T>(hub, from, &options, closure),
            Admitted::Refused => return settle_unqueued(hub, Outcome::Rejected, closure),
            Admitted::TooLate(outcome) => return settle_unqueued(hub, outcome, closure),
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
        return settle_unqueued(hub, Outcome::Rejected, closure);
    }
    enqueue::<Named, F, T>(hub, worker::index_in(hub.id), None, Options::default(), closure)
}

/// Spawns if there is room now. A refused closure is given back as it came, so it is brought into shape only once it is
/// accepted.
pub(super) fn try_spawn_on<F, G, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
    shape: impl FnOnce(F) -> G,
) -> Result<TaskHandle<T>, SpawnError<F>>
where
    F: 'static,
    G: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.is_closed() {
        return Err(closed(hub, closure));
    }
    let permit = match &hub.admission {
        None => None,
        Some(_) if options.target.worker.is_some() => None,
        Some(admission) => match admission.try_enter() {
            Some(permit) => Some(permit),
            None => {
                count_refusal(hub);
                return Err(SpawnError::Full(closure));
            }
        },
    };
    Ok(enqueue::<F, G, T>(hub, worker::index_in(hub.id), permit, options, shape(closure)))
}

/// Waits for room without blocking. The closure is brought into shape as in [`try_spawn_on`].
pub(super) async fn spawn_async_on<F, G, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
    shape: impl FnOnce(F) -> G,
) -> Result<TaskHandle<T>, SpawnError<F>>
where
    F: 'static,
    G: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.is_closed() {
        return Err(closed(hub, closure));
    }
    let from = worker::index_in(hub.id);
    let permit = match &hub.admission {
        None => None,
        Some(_) if options.target.worker.is_some() => None,
        Some(admission) => match (admission.try_enter(), worker::is_inside(hub.id)) {
            (Some(permit), _) => Some(permit),
            // A worker that waited for its own pool might wait for itself.
            (None, true) => {
                return Ok(run_here::<F, G, T>(hub, from, &options, shape(closure)));
            }
            (None, false) => match wait_for_room(admission, options.patience()).await {
                Room::Place(permit) => Some(permit),
                Room::Closed => return Err(closed(hub, closure)),
                Room::TooLate => {
                    let outcome = options.too_late().unwrap_or(Outcome::Cancelled);
                    return Ok(settle_unqueued(hub, outcome, closure));
                }
            },
        },
    };
    let from = worker::index_in(hub.id);
    Ok(enqueue::<F, G, T>(hub, from, permit, options, shape(closure)))
}

/// Makes the task and pushes it.
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
    let caller = Caller::here();
    let closure = move |context: &TaskContext| caller.run(|| closure(context));
    if !options.are_plain() {
        return enqueue_planned::<Named, _, T>(hub, from, permit, options, closure);
    }
    let target = options.target;
    let extra = extra_for(hub, permit, options.name, None);
    let (queued, held) = task::make::<Named, _, T>(hub.id, extra, closure);
    let gate =
        if target.is_plain() { hub.push(queued, from) } else { hub.push_to(target, queued, from) };
    if gate == Gate::Closed {
        take_back(hub, &held);
    }
    TaskHandle::new(held)
}

/// As [`enqueue`], for a task that is tied to a token, a time or a worker.
#[cold]
fn enqueue_planned<Named, F, T>(
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
    if let Some(outcome) = options.too_late() {
        return settle_unqueued(hub, outcome, closure);
    }
    let Options { name, target, start_by, run_for, token } = options;
    let may_be_claimed = token.is_some() || start_by.is_some();
    let unsettled = may_be_claimed.then(|| Arc::clone(&hub.lives.unsettled));
    let plan = Plan { worker: target.worker, start_by, run_for, unsettled, ..Plan::default() };
    let extra = extra_for(hub, permit, name, Some(Box::new(plan)));
    let (queued, held) = task::make::<Named, F, T>(hub.id, extra, closure);
    let gate = hub.push_to(target, queued, from);
    let mut ended = None;
    if let Some(token) = token {
        if held.tie::<ById>(&token, Meaning::Stop).is_err() {
            ended = Some(Outcome::Cancelled);
        }
    }
    if let Some(start_by) = start_by {
        let deadline = CancelToken::with_deadline(start_by);
        if held.tie::<ById>(&deadline, Meaning::TooLate).is_err() {
            ended = ended.or(Some(Outcome::Expired));
        }
    }
    if let Some(outcome) = ended {
        if held.settle_unrun(outcome).is_some() {
            hub.note_settled_in_queue(outcome);
        } else if outcome == Outcome::Cancelled {
            held.request_cancel();
        }
    }
    if gate == Gate::Closed {
        take_back(hub, &held);
    }
    TaskHandle::new(held)
}

/// The pool was closed while the task was pushed. If no worker took it, nobody may be left to do so.
#[cold]
fn take_back<T>(hub: &Hub, held: &HeldTask<T>) {
    if held.settle_unrun(Outcome::Rejected).is_some() {
        hub.note_settled_in_queue(Outcome::Rejected);
    }
}

fn extra_for(
    hub: &Hub,
    permit: Option<Permit>,
    name: Option<Arc<str>>,
    plan: Option<Box<Plan>>,
) -> Option<Extra> {
    // In a bounded pool a task without a place has an age all the same: it stands among those that have one.
    if hub.admission.is_none() && !hub.measures_tasks() && name.is_none() && plan.is_none() {
        return None;
    }
    let accepted = hub.times.as_ref().map(|_| clock::now());
    let extra = Extra { accepted, age: hub.next_age(), name, plan, ..Extra::default() };
    Some(extra.with_permit(permit))
}

/// A task that no queue will see. The closure's drop is user code, and this is not to be seen as a panic.
#[cold]
fn settle_unqueued<F, T>(hub: &Hub, outcome: Outcome, closure: F) -> TaskHandle<T> {
    unwind::quietly(|| drop(closure));
    hub.count_unqueued();
    hub.count_unrun(outcome);
    TaskHandle::new(HeldTask::settled_unrun(hub.id, outcome))
}

/// The queue is full, and the caller does the work.
#[cold]
fn run_here<Named, F, T>(
    hub: &Arc<Hub>,
    from: Option<usize>,
    options: &Options,
    closure: F,
) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if let Some(outcome) = options.too_late() {
        return settle_unqueued(hub, outcome, closure);
    }
    let token = match (&options.token, options.run_for) {
        (token, None) => token.clone(),
        (None, Some(run_for)) => Some(CancelToken::with_timeout(run_for)),
        (Some(token), Some(run_for)) => Some(token.child_with_timeout(run_for)),
    };
    let name = options.name.as_deref();
    TaskHandle::new(worker::run_in_caller::<Named, F, T>(hub, from, name, token, closure))
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

/// A task that will not start anyway takes nobody's place.
fn admit_in_time(hub: &Hub, admission: &Arc<Admission>, options: &Options) -> Admitted {
    match options.too_late() {
        Some(outcome) => Admitted::TooLate(outcome),
        None => admit(hub, admission, options),
    }
}

/// A bounded pool's answer, by its policy.
fn admit(hub: &Hub, admission: &Arc<Admission>, options: &Options) -> Admitted {
    loop {
        if let Some(permit) = admission.try_enter() {
            return Admitted::Queue(Some(permit));
        }
        return match hub.config.when_full {
            WhenFull::Reject => Admitted::Refused,
            WhenFull::CallerRuns => Admitted::RunHere,
            WhenFull::Block if worker::is_inside(hub.id) => Admitted::RunHere,
            WhenFull::Block if hub.is_copy() => Admitted::Refused,
            WhenFull::Block => match block_for_room(admission, options.patience()) {
                Room::Place(permit) => Admitted::Queue(Some(permit)),
                Room::Closed => Admitted::Refused,
                Room::TooLate => {
                    Admitted::TooLate(options.too_late().unwrap_or(Outcome::Cancelled))
                }
            },
            WhenFull::DropOldest if hub.drop_oldest() => continue,
            WhenFull::DropOldest => Admitted::Refused,
        };
    }
}

/// Blocks until there is room, or the token ends.
fn block_for_room(admission: &Arc<Admission>, token: Option<CancelToken>) -> Room {
    let mut wait = WaitForRoom::new(admission, token);
    parker::with_current(|parker, waker| {
        loop {
            if let Poll::Ready(room) = wait.poll(waker) {
                return room;
            }
            // A worker of another pool lends its core there: what leaves the room may wait for it.
            parker.park_lending(None);
        }
    })
}

async fn wait_for_room(admission: &Arc<Admission>, token: Option<CancelToken>) -> Room {
    let mut wait = WaitForRoom::new(admission, token);
    poll_fn(move |cx| wait.poll(cx.waker())).await
}

/// A stand in the line for room, that may be left early.
struct WaitForRoom<'a> {
    admission: &'a Arc<Admission>,
    standing: Option<InLine>,
    ended: Option<UntilCancelled>,
}

impl<'a> WaitForRoom<'a> {
    fn new(admission: &'a Arc<Admission>, token: Option<CancelToken>) -> Self {
        let ended = token.map(|token| token.cancelled());
        Self { admission, standing: None, ended }
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Room> {
        let entry = match self.standing.take() {
            None => self.admission.enter(waker),
            Some(in_line) => in_line.check(waker),
        };
        match entry {
            Entry::Permit(permit) => return Poll::Ready(Room::Place(permit)),
            Entry::Closed => return Poll::Ready(Room::Closed),
            Entry::Wait(in_line) => self.standing = Some(in_line),
        }
        let mut context = Context::from_waker(waker);
        let ended = self.ended.as_mut().map(|ended| Pin::new(ended).poll(&mut context));
        match ended {
            Some(Poll::Ready(_)) => Poll::Ready(Room::TooLate),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}
