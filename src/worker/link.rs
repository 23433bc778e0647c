//! A continuation whose turn has come: on its way to a worker, or settled where it is.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use super::current;
use crate::config::Dispatch;
use crate::hub::{self, Gate, Hub};
use crate::id::PoolId;
use crate::in_turn;
use crate::task::{Outcome, QueuedTask, Turn};
use crate::unwind;

/// Links go to the pool that their chain began in.
#[derive(Debug)]
pub(crate) struct ByPool;

crate::sync::thread_local! {
    /// Where a worker that has just settled a task catches the link behind it.
    static CAUGHT: Cell<Catch> = const { Cell::new(Catch::Closed) };

    /// Links that are to be settled on this thread, while one is being settled: a chain of a
    /// million links that fails must not need a million frames.
    static TO_SETTLE: in_turn::Line<QueuedTask> = const { RefCell::new(None) };

    /// Links of pools that are closed, while one of them is seen to: it may be run here, and so
    /// make the next one's turn come.
    static TO_END: in_turn::Line<QueuedTask> = const { RefCell::new(None) };
}

/// What stands ready for a link.
#[derive(Debug, Default)]
enum Catch {
    /// The thread is at something else: links go to the pool's queues.
    #[default]
    Closed,
    /// It is a worker of this pool, and would run the link next.
    Open(PoolId),
    Link(QueuedTask),
}

/// Wakes whoever waits for a task that the calling worker has just settled; gives the link if it
/// was one whose turn came.
pub(super) fn catch(hub: &Hub, wake: impl FnOnce()) -> Option<QueuedTask> {
    // More urgent tasks come first, and where tasks are dealt in turn links are too.
    if !hub.has_lanes() && hub.config.dispatch == Dispatch::FreeWorker {
        CAUGHT.set(Catch::Open(hub.id));
    }
    unwind::quietly(wake);
    match CAUGHT.take() {
        Catch::Link(link) => Some(link),
        Catch::Closed | Catch::Open(_) => None,
    }
}

/// Leaves the link to the worker's loop that is on this thread, if it stands ready.
fn try_throw(link: QueuedTask) -> Option<QueuedTask> {
    let stands_ready = CAUGHT.try_with(|caught| match caught.take() {
        Catch::Open(pool) if pool == link.pool() => true,
        other => {
            caught.set(other);
            false
        }
    });
    if stands_ready != Ok(true) {
        return Some(link);
    }
    CAUGHT.set(Catch::Link(link));
    None
}

/// A link was cancelled between its turn and its run, and counted as if it had reached a queue.
pub(super) fn note_cancelled(hub: &Hub) {
    hub.counters.claimed_in_queue.lower();
    hub.count_unqueued();
}

impl Turn for ByPool {
    fn come(link: QueuedTask, passes_on: bool) {
        if passes_on {
            return settle_here(link);
        }
        let Some(link) = try_throw(link) else { return };
        if let Some(index) = current::index_in(link.pool()) {
            // This worker is there as long as the task that it is running; it will find the link
            // itself, though the pool was closed.
            current::with_hub(|hub| {
                let _gate = hub.push(link, Some(index));
            });
        } else {
            push_from_outside(link);
        }
    }
}

fn push_from_outside(link: QueuedTask) {
    let hub = hub::find(link.pool());
    match hub.filter(|hub| !hub.is_closed()) {
        Some(hub) => push_to(&hub, link),
        None => {
            // Where thread-locals are gone each link needs a frame.
            if let Err(link) = in_turn::run(&TO_END, link, end) {
                end(link);
            }
        }
    }
}

/// The pool of this link is closed, and may have ended.
fn end(link: QueuedTask) {
    // Dropped without a run it is refused, or run here if it was promised to run.
    let Some(hub) = hub::find(link.pool()) else { return drop(link) };
    if hub.lives.was_given_up() {
        // What waited was settled already, and a worker may never come back to look again.
        if let Some(outcome) = link.settle_unrun(Outcome::Closed) {
            hub.count_unqueued();
            hub.count_settled(outcome);
        } else {
            note_cancelled(&hub);
        }
    } else {
        push_to(&hub, link);
    }
}

fn push_to(hub: &Hub, link: QueuedTask) {
    if hub.push(link, None) == Gate::Closed {
        // The last worker may be gone; then nobody else settles what waits.
        hub.lives.begin_serving();
        hub.lives.end_serving(|| {
            hub.settle_waiting(Outcome::Closed);
        });
    }
}

/// Settles a link that needs no worker; those behind it follow, one after another.
fn settle_here(link: QueuedTask) {
    // Where thread-locals are gone there is no line, and each link would need a frame: a worker
    // settles them.
    if let Err(link) = in_turn::run(&TO_SETTLE, link, settle) {
        push_from_outside(link);
    }
}

/// Settles the links that wait for that on this thread, before it sleeps for one of them.
pub(crate) fn settle_waiting_links() {
    in_turn::run_what_waits(&TO_SETTLE, settle);
    in_turn::run_what_waits(&TO_END, end);
}

fn settle(link: QueuedTask) {
    let hub = hub::find(link.pool());
    let hub = hub.as_deref();
    let Some(claimed) = link.claim() else {
        hub.inspect(|hub| note_cancelled(hub));
        return;
    };
    let ran = claimed.run(None);
    hub.inspect(|hub| {
        hub.count_unqueued();
        hub.count_settled(ran.outcome());
    });
    ran.settle();
}
