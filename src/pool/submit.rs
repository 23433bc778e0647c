//! The way of a task into the pool, in reading order.
//!
//! - [`spawn`] is the whole way of most tasks: those without options, in a pool without a bound.
//!   It makes the task and pushes it.
//! - [`spawn_with_options`] is the way of all others. `room` decides what happens to the task, and
//!   [`submit`] makes it and does that.
//!
//! Both push by [`Hub::push`], which wakes a worker if necessary.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::room;
use crate::base::clock;
use crate::base::error::SpawnError;
use crate::base::spans::Caller;
use crate::cancel::CancelToken;
use crate::parts::admission;
use crate::pool::handle::TaskHandle;
use crate::sched::hub::{ById, Gate, Hub, Target};
use crate::sched::worker;
use crate::task::{self, Extra, HeldTask, Meaning, Outcome, Plan, QueuedTask, TaskContext};

/// The options of a task, in addition to its closure.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) target: Target,
    pub(crate) start_by: Option<Instant>,
    pub(crate) run_for: Option<Duration>,
    pub(crate) finish_by: Option<Instant>,
    pub(crate) token: Option<CancelToken>,
}

impl Options {
    #[inline]
    fn are_plain(&self) -> bool {
        self.target.worker.is_none()
            && self.start_by.is_none()
            && self.run_for.is_none()
            && self.finish_by.is_none()
            && self.token.is_none()
    }

    /// The time after which it makes no sense to start.
    fn latest_start(&self) -> Option<Instant> {
        match (self.start_by, self.finish_by) {
            (Some(start_by), Some(finish_by)) => Some(start_by.min(finish_by)),
            (start_by, finish_by) => start_by.or(finish_by),
        }
    }

    /// The token that ends the wait for room, if anything does.
    pub(super) fn patience(&self) -> Option<CancelToken> {
        match (&self.token, self.latest_start()) {
            (None, None) => None,
            (Some(token), None) => Some(token.clone()),
            (Some(token), Some(start_by)) => Some(token.child_with_deadline(start_by)),
            (None, Some(start_by)) => Some(CancelToken::with_deadline(start_by)),
        }
    }

    /// The outcome of a task that is already too late to start, if it is.
    pub(super) fn too_late(&self) -> Option<Outcome> {
        if self.token.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Some(Outcome::Cancelled);
        }
        let is_late = self.latest_start().is_some_and(|latest| clock::now() >= latest);
        is_late.then_some(Outcome::Expired)
    }
}

/// What happens to a spawned task.
pub(super) enum Way {
    /// It is queued. A bounded pool gave it a place.
    Queue(Option<admission::Place>),
    /// Its spawner runs it immediately.
    RunHere,
    /// It is settled with this outcome and never runs.
    Refuse(Outcome),
}

/// Spawns a task without options. A refusal is a settled handle.
#[inline]
pub(crate) fn spawn<NameSource, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if !hub.has_plain_tasks || hub.is_closed() {
        return spawn_with_options::<NameSource, F, T>(hub, Options::default(), closure);
    }
    let (queued, held) = task::make::<NameSource, _, T>(hub.id, None, inside_caller(closure));
    if hub.push(queued, worker::index_in(hub.id)) == Gate::Closed {
        take_back(hub, held.as_unvalued());
    }
    TaskHandle::new(held)
}

/// Spawns a task as the pool's policy says. A refusal is a settled handle.
pub(crate) fn spawn_with_options<NameSource, F, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let way = room::by_policy(hub, &options);
    submit::<NameSource, F, T>(hub, way, options, closure)
}

/// Makes the task and sends it on its way. What does not depend on the closure's type is in other
/// functions, so that it is not compiled again for each closure.
pub(super) fn submit<NameSource, F, T>(
    hub: &Arc<Hub>,
    mut way: Way,
    mut options: Options,
    closure: F,
) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let is_plain = options.are_plain();
    if !is_plain {
        end_if_late(&mut way, &options);
    }
    let extra = extra_for(hub, &mut way, &mut options, is_plain);
    let (queued, held) = task::make::<NameSource, _, T>(hub.id, extra, inside_caller(closure));
    match way {
        Way::Queue(_) => {
            let gate = hub.push_to(options.target, queued, worker::index_in(hub.id));
            if !is_plain {
                tie(hub, &options, held.as_unvalued());
            }
            if gate == Gate::Closed {
                take_back(hub, held.as_unvalued());
            }
        }
        Way::RunHere => run_here(hub, &options, queued, held.as_unvalued()),
        Way::Refuse(outcome) => refuse(hub, outcome, queued),
    }
    TaskHandle::new(held)
}

/// Spawns without a place in a bounded pool, and so without waiting for one. For callers that limit
/// the number of their tasks themselves.
pub(crate) fn spawn_without_place<NameSource, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.has_plain_tasks {
        return spawn::<NameSource, F, T>(hub, closure);
    }
    let way = if hub.is_closed() { Way::Refuse(Outcome::Closed) } else { Way::Queue(None) };
    submit::<NameSource, F, T>(hub, way, Options::default(), closure)
}

/// Spawns if this way was found, and otherwise returns the closure with the reason.
pub(super) fn try_submit<F, T>(
    hub: &Arc<Hub>,
    way: Result<Way, Outcome>,
    options: Options,
    closure: F,
) -> Result<TaskHandle<T>, SpawnError<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match way {
        Ok(way) => Ok(submit::<F, _, T>(hub, way, options, move |_: &TaskContext| closure())),
        Err(reason) => {
            count_refusal(hub, reason);
            let is_full = reason == Outcome::Full;
            Err(if is_full { SpawnError::Full(closure) } else { SpawnError::Closed(closure) })
        }
    }
}

/// Wraps the closure so that it runs inside its submitter's span.
#[inline(always)]
fn inside_caller<F, T>(closure: F) -> impl FnOnce(&TaskContext) -> T + Send + 'static
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
{
    let caller = Caller::here();
    move |context: &TaskContext| caller.run(|| closure(context))
}

/// The task may have become too late during a wait for room.
#[cold]
fn end_if_late(way: &mut Way, options: &Options) {
    if let (Some(outcome), false) = (options.too_late(), matches!(way, Way::Refuse(_))) {
        *way = Way::Refuse(outcome);
    }
}

/// The optional part of a new task. It takes the values that it needs out of `way` and `options`.
fn extra_for(
    hub: &Arc<Hub>,
    way: &mut Way,
    options: &mut Options,
    is_plain: bool,
) -> Option<Extra> {
    let is_bare = is_plain && options.name.is_none();
    let place = match way {
        // In a bounded pool even a task without a place has an age, because it is queued among
        // tasks that have one.
        Way::Queue(_) if is_bare && hub.admission.is_none() && !hub.measures_tasks() => {
            return None;
        }
        Way::Queue(place) => place.take(),
        Way::RunHere if is_bare => return None,
        Way::RunHere => None,
        Way::Refuse(_) => return None,
    };
    let plan = if is_plain { None } else { Some(plan_for(hub, options)) };
    let accepted = hub.times.as_ref().map(|_| clock::now());
    let name = options.name.take();
    let extra = Extra { accepted, age: hub.next_age(), name, plan, ..Extra::default() };
    Some(extra.with_place(place))
}

#[cold]
fn plan_for(hub: &Hub, options: &Options) -> Box<Plan> {
    let start_by = options.latest_start();
    let may_be_claimed = options.token.is_some() || start_by.is_some();
    let unsettled = may_be_claimed.then(|| Arc::clone(&hub.lives.unsettled));
    let (worker, run_for) = (options.target.worker, options.run_for);
    Box::new(Plan { worker, start_by, run_for, unsettled, ..Plan::default() })
}

/// Runs a new task in the thread that spawns it.
fn run_here(hub: &Hub, options: &Options, queued: QueuedTask, held: &HeldTask<()>) {
    // Claimed first: a token that ends now must find a running task, not a queued one.
    let claimed = queued.claim().expect("nobody else has seen the task");
    if !options.are_plain() {
        tie(hub, options, held);
    }
    worker::run_in_caller(hub, claimed);
}

/// Dropping the closure runs user code, whose panic must not reach the caller.
#[cold]
fn refuse(hub: &Hub, outcome: Outcome, queued: QueuedTask) {
    let _settled = queued.settle_unrun(outcome);
    count_refusal(hub, outcome);
}

/// Ties the task to everything that may end it. If one of these has already ended, the task ends
/// too.
#[cold]
fn tie(hub: &Hub, options: &Options, held: &HeldTask<()>) {
    let mut ended = None;
    if let Some(token) = &options.token {
        if held.tie::<ById>(token, Meaning::Stop).is_err() {
            ended = Some(Outcome::Cancelled);
        }
    }
    let mut stops = ended.is_some();
    let times = [(options.start_by, Meaning::TooLate), (options.finish_by, Meaning::TimeIsUp)];
    for (time, meaning) in times {
        let Some(time) = time else { continue };
        if held.tie::<ById>(&CancelToken::with_deadline(time), meaning).is_err() {
            ended = ended.or(Some(Outcome::Expired));
            stops |= meaning == Meaning::TimeIsUp;
        }
    }
    let Some(outcome) = ended else { return };
    if held.settle_unrun(outcome).is_some() {
        hub.note_settled_in_queue(outcome);
    } else if stops {
        held.request_cancel();
    }
}

/// The pool was closed while the task was pushed. If no worker has taken the task, there may be
/// none left to take it.
#[cold]
fn take_back(hub: &Hub, held: &HeldTask<()>) {
    if held.settle_unrun(Outcome::Closed).is_some() {
        hub.note_settled_in_queue(Outcome::Closed);
    }
}

/// Counts a task, or a reservation, that was refused before there was a task.
#[cold]
pub(super) fn count_refusal(hub: &Hub, reason: Outcome) {
    hub.count_unqueued();
    hub.count_unrun(reason);
}
