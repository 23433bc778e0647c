//! How a task enters the pool: admission, allocation, push.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::error::SpawnError;
use crate::base::spans::Caller;
use crate::cancel::{CancelToken, UntilCancelled};
use crate::parts::admission::{Admission, Entry, InLine, Permit};
use crate::parts::parker;
use crate::pool::handle::TaskHandle;
use crate::sched::config::WhenFull;
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
    fn patience(&self) -> Option<CancelToken> {
        match (&self.token, self.latest_start()) {
            (None, None) => None,
            (Some(token), None) => Some(token.clone()),
            (Some(token), Some(start_by)) => Some(token.child_with_deadline(start_by)),
            (None, Some(start_by)) => Some(CancelToken::with_deadline(start_by)),
        }
    }

    /// The outcome of a task that is already too late to start, if it is.
    fn too_late(&self) -> Option<Outcome> {
        if self.token.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Some(Outcome::Cancelled);
        }
        let is_late = self.latest_start().is_some_and(|latest| clock::now() >= latest);
        is_late.then_some(Outcome::Expired)
    }
}

/// What happens to a spawned task.
enum Way {
    /// It is queued. A bounded pool gave it a place.
    Queue(Option<Permit>),
    /// Its spawner runs it immediately.
    RunHere,
    /// It is settled with this outcome and never runs.
    Refuse(Outcome),
}

/// How a wait for room ended.
enum Room {
    Place(Permit),
    Closed,
    TooLate,
}

/// Like [`spawn_on`], for a task without options, by far the most common kind.
#[inline]
pub(crate) fn spawn_plain<NameSource, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if !hub.has_plain_tasks || hub.is_closed() {
        return spawn_on::<NameSource, F, T>(hub, Options::default(), closure);
    }
    let (queued, held) = task::make::<NameSource, _, T>(hub.id, None, inside_caller(closure));
    if hub.push(queued, worker::index_in(hub.id)) == Gate::Closed {
        take_back(hub, held.as_unvalued());
    }
    TaskHandle::new(held)
}

/// Spawns according to the pool's policy. A refusal is a settled handle.
pub(crate) fn spawn_on<NameSource, F, T>(
    hub: &Arc<Hub>,
    options: Options,
    closure: F,
) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    let way = way_for(hub, &options);
    make_and_send::<NameSource, F, T>(hub, way, options, closure)
}

/// Spawns without a place in a bounded pool, and so without waiting for one. For callers that limit
/// the number of their tasks themselves.
pub(crate) fn spawn_without_place<NameSource, F, T>(hub: &Arc<Hub>, closure: F) -> TaskHandle<T>
where
    F: FnOnce(&TaskContext) -> T + Send + 'static,
    T: Send + 'static,
{
    if hub.has_plain_tasks {
        return spawn_plain::<NameSource, F, T>(hub, closure);
    }
    let way = if hub.is_closed() { Way::Refuse(Outcome::Closed) } else { Way::Queue(None) };
    make_and_send::<NameSource, F, T>(hub, way, Options::default(), closure)
}

/// Spawns if there is room now. A refused closure is returned unchanged, so `shape` adapts it only
/// once it is accepted.
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
    match way_at_once(hub, &options) {
        Ok(way) => Ok(make_and_send::<F, G, T>(hub, way, options, shape(closure))),
        Err(reason) => Err(refused(hub, reason, closure)),
    }
}

/// Waits for room without blocking. `shape` adapts the closure as in [`try_spawn_on`].
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
    match way_awaited(hub, &options).await {
        Ok(way) => Ok(make_and_send::<F, G, T>(hub, way, options, shape(closure))),
        Err(reason) => Err(refused(hub, reason, closure)),
    }
}

/// Creates the task and sends it on its way. Everything that does not depend on the closure's type
/// is in other functions, so that it is not compiled again for each closure.
fn make_and_send<NameSource, F, T>(
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
    // By far the most tasks take this path, so it is not left to `send`.
    if let (Way::Queue(_), true) = (&way, is_plain) {
        if hub.push_to(options.target, queued, worker::index_in(hub.id)) == Gate::Closed {
            take_back(hub, held.as_unvalued());
        }
    } else {
        send(hub, &way, &options, queued, held.as_unvalued());
    }
    TaskHandle::new(held)
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
    let permit = match way {
        // In a bounded pool even a task without a place has an age, because it is queued among
        // tasks that have one.
        Way::Queue(_) if is_bare && hub.admission.is_none() && !hub.measures_tasks() => {
            return None;
        }
        Way::Queue(permit) => permit.take(),
        Way::RunHere if is_bare => return None,
        Way::RunHere => None,
        Way::Refuse(_) => return None,
    };
    let plan = if is_plain { None } else { Some(plan_for(hub, options)) };
    let accepted = hub.times.as_ref().map(|_| clock::now());
    let name = options.name.take();
    let extra = Extra { accepted, age: hub.next_age(), name, plan, ..Extra::default() };
    Some(extra.with_permit(permit))
}

#[cold]
fn plan_for(hub: &Hub, options: &Options) -> Box<Plan> {
    let start_by = options.latest_start();
    let may_be_claimed = options.token.is_some() || start_by.is_some();
    let unsettled = may_be_claimed.then(|| Arc::clone(&hub.lives.unsettled));
    let (worker, run_for) = (options.target.worker, options.run_for);
    Box::new(Plan { worker, start_by, run_for, unsettled, ..Plan::default() })
}

/// Sends a new task on its way.
fn send(hub: &Arc<Hub>, way: &Way, options: &Options, queued: QueuedTask, held: &HeldTask<()>) {
    match *way {
        Way::Queue(_) => {
            let gate = hub.push_to(options.target, queued, worker::index_in(hub.id));
            tie(hub, options, held);
            if gate == Gate::Closed {
                take_back(hub, held);
            }
        }
        Way::RunHere => {
            // Claimed first: a token that ends now must find a running task, not a queued one.
            let claimed = queued.claim().expect("nobody else has seen the task");
            if !options.are_plain() {
                tie(hub, options, held);
            }
            worker::run_in_caller(hub, claimed);
        }
        Way::Refuse(outcome) => refuse(hub, outcome, queued),
    }
}

/// Dropping the closure runs user code, whose panic must not reach the caller.
#[cold]
fn refuse(hub: &Hub, outcome: Outcome, queued: QueuedTask) {
    let _settled = queued.settle_unrun(outcome);
    hub.count_unqueued();
    hub.count_unrun(outcome);
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

/// A refusal that returns the closure.
#[cold]
fn refused<F>(hub: &Hub, reason: Outcome, closure: F) -> SpawnError<F> {
    hub.count_unqueued();
    hub.count_unrun(reason);
    if reason == Outcome::Full { SpawnError::Full(closure) } else { SpawnError::Closed(closure) }
}

/// The admission from which a task needs room. A task that only one worker may run needs none: its
/// spawner cannot run it, and cannot wait for room at that one worker.
fn room_for<'a>(hub: &'a Hub, options: &Options) -> Option<&'a Arc<Admission>> {
    hub.admission.as_ref().filter(|_| options.target.worker.is_none())
}

/// Decides what happens to a task by the pool's policy. Blocks for room if that is the policy.
fn way_for(hub: &Hub, options: &Options) -> Way {
    if hub.is_closed() {
        return Way::Refuse(Outcome::Closed);
    }
    let Some(admission) = room_for(hub, options) else { return Way::Queue(None) };
    match options.too_late() {
        // It takes up no place.
        Some(outcome) => Way::Refuse(outcome),
        None => admit(hub, admission, options),
    }
}

/// Decides what happens to a task that does not wait for room, or why it is refused.
fn way_at_once(hub: &Hub, options: &Options) -> Result<Way, Outcome> {
    if hub.is_closed() {
        return Err(Outcome::Closed);
    }
    let Some(admission) = room_for(hub, options) else { return Ok(Way::Queue(None)) };
    // As in `way_for`. If the caller were told that the pool is full, it would try again.
    if let Some(outcome) = options.too_late() {
        return Ok(Way::Refuse(outcome));
    }
    let permit = admission.try_enter().ok_or(Outcome::Full)?;
    Ok(Way::Queue(Some(permit)))
}

/// Decides what happens to a task that awaits room, or why it is refused.
async fn way_awaited(hub: &Hub, options: &Options) -> Result<Way, Outcome> {
    if hub.is_closed() {
        return Err(Outcome::Closed);
    }
    let Some(admission) = room_for(hub, options) else { return Ok(Way::Queue(None)) };
    if let Some(permit) = admission.try_enter() {
        return Ok(Way::Queue(Some(permit)));
    }
    // A worker that waited for its own pool might wait for itself.
    if worker::is_inside(hub.id) {
        return Ok(run_here_or_queue());
    }
    match wait_for_room(admission, options.patience()).await {
        Room::Place(permit) => Ok(Way::Queue(Some(permit))),
        Room::Closed => Err(Outcome::Closed),
        Room::TooLate => Ok(Way::Refuse(options.too_late().unwrap_or(Outcome::Cancelled))),
    }
}

/// A bounded pool's decision, by its policy.
fn admit(hub: &Hub, admission: &Arc<Admission>, options: &Options) -> Way {
    loop {
        let given_back = admission.given_back();
        if let Some(permit) = admission.try_enter() {
            return Way::Queue(Some(permit));
        }
        return match hub.config.when_full {
            WhenFull::Reject => Way::Refuse(Outcome::Full),
            WhenFull::CallerRuns => run_here_or_queue(),
            WhenFull::Block if worker::is_inside(hub.id) => run_here_or_queue(),
            WhenFull::Block if hub.is_copy() => Way::Refuse(Outcome::Full),
            WhenFull::Block => match block_for_room(admission, options.patience()) {
                Room::Place(permit) => Way::Queue(Some(permit)),
                Room::Closed => Way::Refuse(Outcome::Closed),
                Room::TooLate => Way::Refuse(options.too_late().unwrap_or(Outcome::Cancelled)),
            },
            WhenFull::DropOldest if hub.drop_oldest() => continue,
            // The tasks that waited a moment ago were taken by workers that had finished others.
            WhenFull::DropOldest if admission.given_back() != given_back => continue,
            WhenFull::DropOldest => Way::Refuse(Outcome::Full),
        };
    }
}

/// A caller that must not wait runs the task itself. Deep in a chain of such tasks, the task is
/// queued over capacity instead.
fn run_here_or_queue() -> Way {
    if worker::may_run_in_caller() { Way::RunHere } else { Way::Queue(None) }
}

/// Blocks until there is room or the token ends.
fn block_for_room(admission: &Arc<Admission>, token: Option<CancelToken>) -> Room {
    let mut wait = WaitForRoom::new(admission, token);
    parker::with_current(|parker, waker| {
        loop {
            if let Poll::Ready(room) = wait.poll(waker) {
                return room;
            }
            // A worker of another pool lends its core, because the task that makes room may wait
            // for it.
            parker.park_lending(None);
        }
    })
}

async fn wait_for_room(admission: &Arc<Admission>, token: Option<CancelToken>) -> Room {
    let mut wait = WaitForRoom::new(admission, token);
    poll_fn(move |cx| wait.poll(cx.waker())).await
}

/// A place in the queue of submitters that wait for room. The submitter may give it up early.
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
