//! A continuation (a link of a chain) whose turn has come: on its way to a worker, or settled where
//! it is.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use super::current;
use crate::base::id::PoolId;
use crate::base::trampoline;
use crate::base::unwind;
use crate::sched::config::Dispatch;
use crate::sched::hub::{self, Gate, Hub};
use crate::task::{Outcome, QueuedTask, Turn};

/// Links go to the pool in which their chain began.
#[derive(Debug)]
pub(crate) struct ByPool;

crate::base::sync::thread_local! {
    /// Where a worker that has just settled a task catches the next link.
    static CAUGHT: Cell<Catch> = const { Cell::new(Catch::Closed) };

    /// Links to settle on this thread, while it is settling one. A chain of a million links that
    /// fails must not need a million frames.
    static TO_SETTLE: trampoline::Line<QueuedTask> = const { RefCell::new(None) };

    /// Links of closed pools, while this thread handles one of them. Handling a link may run it
    /// here, and so make the next one's turn come.
    static TO_END: trampoline::Line<QueuedTask> = const { RefCell::new(None) };
}

/// How the thread is prepared for a link.
#[derive(Debug, Default)]
enum Catch {
    /// The thread is doing something else: links go to the pool's queues.
    #[default]
    Closed,
    /// The thread is a worker of this pool, and will run the link next.
    Open(PoolId),
    Link(QueuedTask),
}

/// Wakes the thread that waits for a task that the calling worker has just settled. If the waiter
/// was a link whose turn came, returns the link.
pub(super) fn catch(hub: &Hub, wake: impl FnOnce()) -> Option<QueuedTask> {
    // Not if lanes are in use, because more urgent tasks come first; and not if tasks are dealt in
    // turn, because then links are too.
    if !hub.has_lanes() && hub.config.dispatch == Dispatch::FreeWorker {
        CAUGHT.set(Catch::Open(hub.id));
    }
    unwind::quietly(wake);
    match CAUGHT.take() {
        Catch::Link(link) => Some(link),
        Catch::Closed | Catch::Open(_) => None,
    }
}

/// Leaves the link to the worker loop on this thread, if the loop is ready for it. Otherwise
/// returns it.
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

/// Counts a link that was cancelled between its turn and its run as if it had reached a queue.
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
            // This worker stays as long as the task that it runs. It will find the link itself,
            // even if the pool was closed.
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
            // Where thread-locals are gone, each link needs a frame.
            if let Err(link) = trampoline::run(&TO_END, link, end) {
                end(link);
            }
        }
    }
}

/// Handles a link whose pool is closed, and may have ended.
fn end(link: QueuedTask) {
    // Dropping the link without a run refuses it, or runs it here if it was promised to run.
    let Some(hub) = hub::find(link.pool()) else { return drop(link) };
    if hub.lives.was_given_up() {
        // Waiting tasks were settled already, and a worker may never come back to look again.
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
        // The last worker may be gone, and then no other thread settles what waits.
        hub.lives.begin_serving();
        hub.lives.end_serving(|| {
            hub.settle_waiting(Outcome::Closed);
        });
    }
}

/// Settles a link that needs no worker. The links behind it follow, one after another.
fn settle_here(link: QueuedTask) {
    // Where thread-locals are gone there is no row to wait in, and each link would need a frame. So
    // a worker settles them.
    if let Err(link) = trampoline::run(&TO_SETTLE, link, settle) {
        push_from_outside(link);
    }
}

/// Settles the links that wait to be settled on this thread, before it sleeps for one of them.
pub(crate) fn settle_waiting_links() {
    trampoline::run_what_waits(&TO_SETTLE, settle);
    trampoline::run_what_waits(&TO_END, end);
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
