//! A node: the state that a token's clones share. It has the flag, the guests (which are told of
//! the node's end) and the parent.
//!
//! A node holds its parent strongly, so that an end of a grandparent can reach the node. A parent
//! holds its children weakly. When a child is dropped, it gives back its place in the parent's
//! table. Only one node is locked at a time.
//!
//! A node ends when its token is cancelled. The end has two steps. First the node and all nodes
//! below it are marked, one after the other, and their listeners make their claims under the lock
//! of their node. Then wakers and listeners are told without a lock, because that is user code. So
//! a guest that is told finds the whole tree cancelled, and a slow waker does not keep a child
//! running.
//!
//! Trees may be as deep as memory allows: neither the end nor the drop of a node recurses.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::guests::{Guest, GuestPlace, Guests};
use super::reason::CancelReason;
use crate::base::sync::{AtomicBool, Mutex, Ordering};
use crate::parts::timer::Alarm;

pub(super) struct Node {
    /// Set together with the state, under its lock: a thread that sees it set finds the reason
    /// there.
    is_over: AtomicBool,
    state: Mutex<NodeState>,
    tie: Option<Tie>,
}

enum NodeState {
    Live(Live),
    Over(CancelReason),
}

struct Live {
    guests: Guests,
    alarm: Option<Alarm>,
}

/// A child's link to its parent, and its place in the parent's table.
struct Tie {
    parent: Arc<Node>,
    place: GuestPlace,
}

impl Node {
    fn new(tie: Option<Tie>) -> Self {
        let live = Live { guests: Guests::new(), alarm: None };
        Self { is_over: AtomicBool::new(false), state: Mutex::new(NodeState::Live(live)), tie }
    }

    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    /// Makes a child. If the parent has ended, so has the child.
    pub(super) fn child_of(parent: &Arc<Self>) -> Arc<Self> {
        let mut state = parent.state.lock();
        match &mut *state {
            NodeState::Live(live) => {
                // Made under the lock, because the child must know its place.
                let place = live.guests.next_place();
                let tie = Tie { parent: Arc::clone(parent), place };
                let node = Arc::new(Self::new(Some(tie)));
                mutant!("cancel_child_unlisted" => return node);
                live.guests.admit(Guest::Child(Arc::downgrade(&node)));
                node
            }
            NodeState::Over(reason) => Arc::new(Self {
                is_over: AtomicBool::new(true),
                state: Mutex::new(NodeState::Over(reason.clone())),
                tie: None,
            }),
        }
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        // ORDERING: relaxed, because it only says that code should stop and hands nothing over. The
        // reason is read under the lock.
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn reason(&self) -> Option<CancelReason> {
        if !self.is_over() {
            return None;
        }
        match &*self.state.lock() {
            NodeState::Live(_) => None,
            NodeState::Over(reason) => Some(reason.clone()),
        }
    }

    /// # Errors
    /// The reason, if the node has ended.
    pub(super) fn admit(&self, guest: Guest) -> Result<GuestPlace, CancelReason> {
        let mut state = self.state.lock();
        let reason = match &mut *state {
            NodeState::Live(live) => return Ok(live.guests.admit(guest)),
            NodeState::Over(reason) => reason.clone(),
        };
        drop(state);
        guest.discard();
        Err(reason)
    }

    /// Replaces the guest in a place.
    ///
    /// # Errors
    /// The reason, if the node has ended.
    pub(super) fn replace(&self, place: GuestPlace, guest: Guest) -> Result<(), CancelReason> {
        let mut state = self.state.lock();
        let (unneeded, result) = match &mut *state {
            NodeState::Live(live) => (live.guests.replace(place, guest), Ok(())),
            NodeState::Over(reason) => (Some(guest), Err(reason.clone())),
        };
        drop(state);
        unneeded.into_iter().for_each(Guest::discard);
        result
    }

    /// Gives the place back. After this its guest is not told of an end, unless that has already
    /// begun.
    pub(super) fn leave(&self, place: GuestPlace) {
        mutant!("cancel_never_leaves" => return);
        let mut state = self.state.lock();
        let guest = match &mut *state {
            NodeState::Live(live) => live.guests.dismiss(place),
            NodeState::Over(_) => None,
        };
        drop(state);
        guest.into_iter().for_each(Guest::discard);
    }

    /// Keeps the alarm set until the node ends or is dropped.
    pub(super) fn keep(&self, alarm: Alarm) {
        let mut state = self.state.lock();
        let unneeded = match &mut *state {
            NodeState::Live(live) => live.alarm.replace(alarm),
            NodeState::Over(_) => Some(alarm),
        };
        drop(state);
        drop(unneeded);
    }

    /// Ends this node and all nodes below it, except those that have already ended. Runs user code.
    pub(super) fn end(&self, reason: &CancelReason) {
        self.end_untold(reason).into_iter().for_each(Guests::tell);
    }

    /// The first step of the end, which runs no user code. Returns the guests to be told.
    pub(super) fn end_untold(&self, reason: &CancelReason) -> Vec<Guests> {
        let mut below = Vec::new();
        let mut to_tell = Vec::new();
        self.mark(reason, &mut below, &mut to_tell);
        while let Some(node) = below.pop() {
            node.mark(reason, &mut below, &mut to_tell);
        }
        to_tell
    }

    /// The first step of the end, for this node alone.
    fn mark(&self, reason: &CancelReason, below: &mut Vec<Arc<Self>>, to_tell: &mut Vec<Guests>) {
        if let Some(live) = self.mark_locked(reason) {
            let Live { guests, alarm } = live;
            drop(alarm);
            guests.children_into(below);
            mutant!("cancel_untold" => return);
            if guests.has_to_be_told() {
                to_tell.push(guests);
            }
        }
    }

    /// Marks the node, and returns its guests and alarm if this is its first end.
    fn mark_locked(&self, reason: &CancelReason) -> Option<Live> {
        // ORDERING: this store is only a planted bug.
        mutant!("cancel_flag_early" => self.is_over.store(true, Ordering::Relaxed));
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, NodeState::Over(reason.clone())) {
            NodeState::Live(mut live) => {
                // ORDERING: relaxed; see `is_over`.
                self.is_over.store(true, Ordering::Relaxed);
                mutant!("cancel_claims_unlocked" => drop(state));
                live.guests.claim();
                Some(live)
            }
            NodeState::Over(first) => {
                mutant!("cancel_last_reason" => return None);
                *state = NodeState::Over(first);
                None
            }
        }
    }
}

impl Drop for Node {
    /// Goes up the tree as long as this node was the parent's last owner. Nested drops would need a
    /// stack frame for each level.
    fn drop(&mut self) {
        let mut tie = self.tie.take();
        while let Some(Tie { parent, place }) = tie {
            parent.leave(place);
            tie = Arc::into_inner(parent).and_then(|mut parent| parent.tie.take());
        }
    }
}
