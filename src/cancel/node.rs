//! What a token's clones share: the flag, who is to hear of the end, and the way up to the parent.
//!
//! A node holds its parent, so that the way from a grandparent's end down to it stays whole; a
//! parent knows its children weakly, and a child that goes gives its place in the parent's table
//! back. Only one node is locked at a time.
//!
//! The end comes in two steps. First the node and all below it are marked, one after the other, and
//! listeners make their claims under the lock of theirs. Then, without a lock, wakers and listeners
//! are told: user code. So who is told finds the whole tree cancelled, and a slow waker does not
//! keep a child running.
//!
//! Trees may be as deep as memory goes: neither the end nor the drop of one recurses.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::guests::{Guest, Guests, Place};
use super::reason::CancelReason;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::timer::Alarm;

pub(super) struct Node {
    /// Set with the state, under its lock: who sees it set finds the reason there.
    is_over: AtomicBool,
    state: Mutex<State>,
    tie: Option<Tie>,
}

enum State {
    Live(Live),
    Over(CancelReason),
}

struct Live {
    guests: Guests,
    alarm: Option<Alarm>,
}

/// A child's way to its parent, and its place there.
struct Tie {
    parent: Arc<Node>,
    place: Place,
}

impl Node {
    fn new(tie: Option<Tie>) -> Self {
        let live = Live { guests: Guests::new(), alarm: None };
        Self { is_over: AtomicBool::new(false), state: Mutex::new(State::Live(live)), tie }
    }

    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    /// A child of a node that is over is over.
    pub(super) fn child_of(parent: &Arc<Self>) -> Arc<Self> {
        let mut state = parent.state.lock();
        match &mut *state {
            State::Live(live) => {
                // Made under the lock, because it has to know its place.
                let place = live.guests.next_place();
                let tie = Tie { parent: Arc::clone(parent), place };
                let node = Arc::new(Self::new(Some(tie)));
                if !mutant!("cancel_child_unlisted") {
                    live.guests.admit(Guest::Child(Arc::downgrade(&node)));
                }
                node
            }
            State::Over(reason) => Arc::new(Self {
                is_over: AtomicBool::new(true),
                state: Mutex::new(State::Over(reason.clone())),
                tie: None,
            }),
        }
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        // ORDERING: a sign to stop, which hands nothing over; the reason is read under the lock.
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn reason(&self) -> Option<CancelReason> {
        if !self.is_over() {
            return None;
        }
        match &*self.state.lock() {
            State::Live(_) => None,
            State::Over(reason) => Some(reason.clone()),
        }
    }

    /// # Errors
    /// The reason, if the node is over.
    pub(super) fn admit(&self, guest: Guest) -> Result<Place, CancelReason> {
        let mut state = self.state.lock();
        let reason = match &mut *state {
            State::Live(live) => return Ok(live.guests.admit(guest)),
            State::Over(reason) => reason.clone(),
        };
        drop(state);
        guest.discard();
        Err(reason)
    }

    /// Puts another guest into a place.
    ///
    /// # Errors
    /// The reason, if the node is over.
    pub(super) fn replace(&self, place: Place, guest: Guest) -> Result<(), CancelReason> {
        let mut state = self.state.lock();
        let (unneeded, result) = match &mut *state {
            State::Live(_) if mutant!("cancel_first_waker") => (Some(guest), Ok(())),
            State::Live(live) => (live.guests.replace(place, guest), Ok(())),
            State::Over(reason) => (Some(guest), Err(reason.clone())),
        };
        drop(state);
        unneeded.into_iter().for_each(Guest::discard);
        result
    }

    /// Gives the place back. After this its guest hears nothing any more, but for what has begun.
    pub(super) fn leave(&self, place: Place) {
        if mutant!("cancel_never_leaves") {
            return;
        }
        let mut state = self.state.lock();
        let guest = match &mut *state {
            State::Live(live) => live.guests.dismiss(place),
            State::Over(_) => None,
        };
        drop(state);
        guest.into_iter().for_each(Guest::discard);
    }

    /// Keeps the alarm set for as long as the node is neither over nor gone.
    pub(super) fn keep(&self, alarm: Alarm) {
        let mut state = self.state.lock();
        let unneeded = match &mut *state {
            State::Live(live) => live.alarm.replace(alarm),
            State::Over(_) => Some(alarm),
        };
        drop(state);
        drop(unneeded);
    }

    /// Ends this node and all below it, but for those that have ended before. Runs user code.
    pub(super) fn end(&self, reason: &CancelReason) {
        self.end_untold(reason).into_iter().for_each(Guests::tell);
    }

    /// The first step of that, which runs no user code. Gives who is to be told.
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
            if guests.has_to_be_told() && !mutant!("cancel_untold") {
                to_tell.push(guests);
            }
        }
    }

    /// Gives what the node had, if this is the first end.
    fn mark_locked(&self, reason: &CancelReason) -> Option<Live> {
        let marks_early = mutant!("cancel_flag_early");
        if marks_early {
            // ORDERING: as below; but a mutant.
            self.is_over.store(true, Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Over(reason.clone())) {
            State::Live(mut live) => {
                if !marks_early {
                    // ORDERING: see `is_over`.
                    self.is_over.store(true, Ordering::Relaxed);
                }
                if mutant!("cancel_claims_unlocked") {
                    drop(state);
                }
                live.guests.claim();
                Some(live)
            }
            State::Over(first) => {
                if !mutant!("cancel_last_reason") {
                    *state = State::Over(first);
                }
                None
            }
        }
    }
}

impl Drop for Node {
    /// Steps up as long as this was the parent's last owner: a chain of drops inside drops would
    /// need a frame for each.
    fn drop(&mut self) {
        let mut tie = self.tie.take();
        while let Some(Tie { parent, place }) = tie {
            parent.leave(place);
            tie = Arc::into_inner(parent).and_then(|mut parent| parent.tie.take());
        }
    }
}
