//! A token's deadline: an alarm that knows the token weakly.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Instant;

use super::node::Node;
use super::reason::CancelReason;
use crate::{clock, timer};

/// What the alarm wakes. Weakly, because an alarm is no reason to keep a token that everybody else has dropped.
struct Ends(Weak<Node>);

impl Wake for Ends {
    fn wake(self: Arc<Self>) {
        if let Some(node) = self.0.upgrade() {
            node.end(&CancelReason::DeadlinePassed);
        }
    }
}

/// Ends the node at that time; now, if it has passed.
pub(super) fn end_at(node: &Arc<Node>, deadline: Instant) {
    if node.is_over() {
        return;
    }
    if deadline <= clock::now() {
        node.end(&CancelReason::DeadlinePassed);
        return;
    }
    let waker = Waker::from(Arc::new(Ends(Arc::downgrade(node))));
    // If it rings before it is kept, the node is over and drops it.
    node.keep(timer::at(deadline, waker));
}
