//! Whether a task gets room in a bounded pool, and the wait for room.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::submit::{Options, Way};
use crate::cancel::CancelToken;
use crate::parts::admission::{Admission, Entry, InLine, Place};
use crate::parts::parker;
use crate::sched::config::WhenFull;
use crate::sched::hub::Hub;
use crate::sched::worker;
use crate::task::Outcome;

/// How a wait that blocks ended.
enum Waited {
    Place(Place),
    Closed,
    TooLate,
}

/// Decides what happens to a task by the pool's policy. Blocks for room if that is the policy.
pub(super) fn by_policy(hub: &Hub, options: &Options) -> Way {
    if hub.is_closed() {
        return Way::Refuse(Outcome::Closed);
    }
    let Some(admission) = admission_for(hub, options) else { return Way::Queue(None) };
    match options.too_late() {
        // It takes up no place.
        Some(outcome) => Way::Refuse(outcome),
        None => admit(hub, admission, options),
    }
}

/// Decides what happens to a task that does not wait for room, or why it is refused.
pub(super) fn at_once(hub: &Hub, options: &Options) -> Result<Way, Outcome> {
    if hub.is_closed() {
        return Err(Outcome::Closed);
    }
    let Some(admission) = admission_for(hub, options) else { return Ok(Way::Queue(None)) };
    // As in `by_policy`. If the caller were told that the pool is full, it would try again.
    if let Some(outcome) = options.too_late() {
        return Ok(Way::Refuse(outcome));
    }
    let place = admission.try_enter().ok_or(Outcome::Full)?;
    Ok(Way::Queue(Some(place)))
}

/// Takes a place for a task that is yet to come. `None` if the task needs no place.
pub(super) fn take_place(hub: &Hub) -> Result<Option<Place>, Outcome> {
    if hub.is_closed() {
        return Err(Outcome::Closed);
    }
    let Some(admission) = &hub.admission else { return Ok(None) };
    admission.try_enter().map(Some).ok_or(Outcome::Full)
}

/// Like [`take_place`], but waits for a place. `None` also if the caller must not wait.
pub(super) async fn wait_for_place(hub: &Hub) -> Result<Option<Place>, Outcome> {
    let admission = match (take_place(hub), &hub.admission) {
        // A worker that waited for its own pool might wait for itself.
        (Err(Outcome::Full), _) if worker::is_inside(hub.id) => return Ok(None),
        (Err(Outcome::Full), Some(admission)) => admission,
        (taken, _) => return taken,
    };
    let mut wait = WaitForRoom { admission, standing: None };
    poll_fn(move |cx| {
        if hub.is_copy() {
            // A forked child has no workers, so there will be no room. The line's lock may be held
            // by a thread of the parent.
            return Poll::Ready(Err(Outcome::Closed));
        }
        match wait.poll(cx.waker()) {
            Poll::Ready(place) => Poll::Ready(place.map(Some).ok_or(Outcome::Closed)),
            // It was polled elsewhere first.
            Poll::Pending if worker::is_inside(hub.id) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Decides what happens to a task that has a permit, with the place that [`take_place`] or
/// [`wait_for_place`] returned, or why it is refused.
pub(super) fn reserved(hub: &Hub, place: Option<Place>) -> Result<Way, Outcome> {
    if hub.is_closed() {
        return Err(Outcome::Closed);
    }
    let is_over_capacity = place.is_none() && hub.admission.is_some();
    if is_over_capacity && worker::is_inside(hub.id) {
        return Ok(run_here_or_queue());
    }
    Ok(Way::Queue(place))
}

/// The admission from which a task needs room. A task that only one worker may run needs none: its
/// spawner cannot run it, and cannot wait for room at that one worker.
fn admission_for<'a>(hub: &'a Hub, options: &Options) -> Option<&'a Arc<Admission>> {
    hub.admission.as_ref().filter(|_| options.target.worker.is_none())
}

/// A bounded pool's decision, by its policy.
fn admit(hub: &Hub, admission: &Arc<Admission>, options: &Options) -> Way {
    loop {
        let given_back = admission.given_back();
        if let Some(place) = admission.try_enter() {
            return Way::Queue(Some(place));
        }
        return match hub.config.when_full {
            WhenFull::Reject => Way::Refuse(Outcome::Full),
            WhenFull::CallerRuns => run_here_or_queue(),
            WhenFull::Block if worker::is_inside(hub.id) => run_here_or_queue(),
            WhenFull::Block if hub.is_copy() => Way::Refuse(Outcome::Full),
            WhenFull::Block => match block_for_room(admission, options.patience()) {
                Waited::Place(place) => Way::Queue(Some(place)),
                Waited::Closed => Way::Refuse(Outcome::Closed),
                Waited::TooLate => Way::Refuse(options.too_late().unwrap_or(Outcome::Cancelled)),
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
fn block_for_room(admission: &Arc<Admission>, token: Option<CancelToken>) -> Waited {
    let mut wait = WaitForRoom { admission, standing: None };
    let mut ended = token.map(|token| token.cancelled());
    parker::with_current(|parker, waker| {
        loop {
            if let Poll::Ready(place) = wait.poll(waker) {
                return place.map_or(Waited::Closed, Waited::Place);
            }
            let mut context = Context::from_waker(waker);
            let ended = ended.as_mut().map(|ended| Pin::new(ended).poll(&mut context));
            if ended.is_some_and(|ended| ended.is_ready()) {
                return Waited::TooLate;
            }
            // A worker of another pool lends its core, because the task that makes room may wait
            // for it.
            parker.park_lending(None);
        }
    })
}

/// A submitter that waits for room. Dropping it leaves the line.
struct WaitForRoom<'a> {
    admission: &'a Arc<Admission>,
    standing: Option<InLine>,
}

impl WaitForRoom<'_> {
    /// Returns the place, or `None` if the pool was closed.
    fn poll(&mut self, waker: &Waker) -> Poll<Option<Place>> {
        let entry = match self.standing.take() {
            None => self.admission.enter(waker),
            Some(in_line) => in_line.check(waker),
        };
        match entry {
            Entry::Place(place) => Poll::Ready(Some(place)),
            Entry::Closed => Poll::Ready(None),
            Entry::Wait(in_line) => {
                self.standing = Some(in_line);
                Poll::Pending
            }
        }
    }
}
