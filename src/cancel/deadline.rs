//! A token's deadline: an alarm that knows the token weakly.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::guests::{Guest, Guests};
use super::node::Node;
use super::reason::CancelReason;
use crate::clock;
use crate::timer::{self, Bell, Errand};

/// What the alarm rings. Weakly, because an alarm is no reason to keep a token that everybody else
/// has dropped.
struct Ends(Weak<Node>);

impl Bell for Ends {
    /// All tokens below are marked and all claims made at once. Who is told, and what is dropped,
    /// is the user's, each by an errand of its own: one that takes its time holds up no other.
    fn ring(self: Arc<Self>) -> Vec<Errand> {
        let Some(node) = self.0.upgrade() else { return Vec::new() };
        let guests = node.end_untold(&CancelReason::DeadlinePassed).into_iter();
        let tell = |guest: Guest| -> Errand { Box::new(|| guest.tell()) };
        let mut errands: Vec<_> = guests.flat_map(Guests::into_told).map(tell).collect();
        if let Some(last) = Arc::into_inner(node) {
            // Nobody else has it any more, so what its parents hold goes with it.
            errands.push(Box::new(move || drop(last)));
        }
        errands
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
    let bell = Arc::new(Ends(Arc::downgrade(node)));
    // If it rings before it is kept, the node is over and drops it.
    node.keep(timer::at(deadline, bell));
}
