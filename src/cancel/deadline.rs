//! A token's deadline: an alarm that holds the token weakly.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::guests::{Guest, Guests};
use super::node::Node;
use super::reason::CancelReason;
use crate::base::clock;
use crate::parts::timer::{self, Bell, Errand};

/// The alarm's action. The reference is weak, because an alarm should not keep a token that all its
/// owners have dropped.
struct Ends(Weak<Node>);

impl Bell for Ends {
    /// Marks all tokens below and makes all claims at once. Waking guests and dropping nodes can
    /// run user code, so each of these is an errand (a job on another thread) of its own: a slow
    /// one delays no other.
    fn ring(self: Arc<Self>) -> Vec<Errand> {
        let Some(node) = self.0.upgrade() else { return Vec::new() };
        let guests = node.end_untold(&CancelReason::DeadlinePassed).into_iter();
        let tell = |guest: Guest| -> Errand { Box::new(|| guest.tell()) };
        let mut errands: Vec<_> = guests.flat_map(Guests::into_told).map(tell).collect();
        if let Some(last) = Arc::into_inner(node) {
            // This was the last owner, so the drop may also drop the node's parents with what they
            // hold.
            errands.push(Box::new(move || drop(last)));
        }
        errands
    }
}

/// Ends the node at the deadline, or now if it has passed.
pub(super) fn end_at(node: &Arc<Node>, deadline: Instant) {
    if node.is_over() {
        return;
    }
    if deadline <= clock::now() {
        node.end(&CancelReason::DeadlinePassed);
        return;
    }
    let bell = Arc::new(Ends(Arc::downgrade(node)));
    // If the alarm rings before it is kept, the node has ended, and `keep` drops the alarm.
    node.keep(timer::at(deadline, bell));
}
