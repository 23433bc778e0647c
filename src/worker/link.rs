//! A continuation whose turn has come: on its way to a worker, or settled where it is.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use super::current;
use crate::hub::{self, Gate};
use crate::in_turn;
use crate::task::{Outcome, QueuedTask, Turn};

/// Links go to the pool that their chain began in.
#[derive(Debug)]
pub(crate) struct ByPool;

thread_local! {
    /// Links that are to be settled on this thread, while one is being settled: a chain of a million links that
    /// fails must not need a million frames.
    static TO_SETTLE: in_turn::Line<QueuedTask> = const { RefCell::new(None) };
}

impl Turn for ByPool {
    fn come(link: QueuedTask, passes_on: bool) {
        if passes_on {
            settle_here(link);
        } else if let Some(index) = current::index_in(link.pool()) {
            // This worker is there as long as the task that it is running; it will find the link itself, though
            // the pool was closed.
            current::with_hub(|hub| {
                let _gate = hub.push(link, Some(index));
            });
        } else {
            push_from_outside(link);
        }
    }
}

fn push_from_outside(link: QueuedTask) {
    // Dropped without a run it is refused.
    let Some(hub) = hub::find(link.pool()) else { return drop(link) };
    if hub.push(link, None) == Gate::Closed {
        // The last worker may be gone; then nobody else settles what waits.
        hub.lives.begin_serving();
        hub.lives.end_serving(|| {
            hub.settle_waiting(Outcome::Rejected);
        });
    }
}

/// Settles a link that needs no worker; those behind it follow, one after another.
fn settle_here(link: QueuedTask) {
    // Where thread-locals are gone the link is refused as it is dropped.
    let _refused = in_turn::run(&TO_SETTLE, link, settle);
}

fn settle(link: QueuedTask) {
    let hub = hub::find(link.pool());
    let hub = hub.as_deref();
    let Some(claimed) = link.claim() else {
        // Cancelled between its turn and here, and counted as if it had reached a queue.
        hub.inspect(|hub| hub.counters.claimed_in_queue.lower());
        hub.inspect(|hub| hub.count_unqueued());
        return;
    };
    let ran = claimed.run(None);
    hub.inspect(|hub| {
        hub.count_unqueued();
        hub.count_settled(ran.outcome());
    });
    ran.settle();
}
