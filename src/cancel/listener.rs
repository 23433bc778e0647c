//! Listeners: objects in the crate that are told of a token's end, known by address alone.
//!
//! This file knows only the address of a listener, so a token needs neither an allocation for it
//! nor its type. Ownership makes the use of the address sound. A [`Listener`] is in its node's
//! table until its [`Registration`] is dropped or the token ends. The claim takes it out, under the
//! node's lock. A claim that returns true makes it a [`Claimed`], which is finished once. Each step
//! consumes the value, so neither step can happen twice.

use core::ptr::NonNull;
use std::sync::Arc;

use super::guests::{Guest, GuestPlace};
use super::node::Node;
use super::reason::CancelReason;
use super::token::CancelToken;

/// An object that is told of a token's end, by its address.
pub(crate) struct Listener {
    data: NonNull<()>,
    claim: unsafe fn(NonNull<()>) -> bool,
    finish: unsafe fn(NonNull<()>),
}

/// A listener whose claim returned true.
#[must_use = "who claimed waits to be finished"]
pub(super) struct Claimed {
    data: NonNull<()>,
    finish: unsafe fn(NonNull<()>),
}

/// The stay of a listener with a token. Dropping it removes the listener; after that its claim is
/// not called any more.
///
/// The drop waits at most for the token's lock, never for user code. If the claim has already
/// returned true, the drop changes nothing: the listener is still finished, possibly at this
/// moment.
#[must_use = "dropping the registration takes the listener off"]
pub(crate) struct Registration {
    node: Arc<Node>,
    place: GuestPlace,
}

// SAFETY: the maker promises that `data` may be used from any thread (see `Listener::new`).
unsafe impl Send for Listener {}
// SAFETY: its `data` came from a `Listener`, whose maker promised that any thread may use it.
unsafe impl Send for Claimed {}

impl Listener {
    /// Makes a listener. When the token ends, `claim` is called under the token's lock. If it
    /// returns true, `finish` is called without the lock. A panic of `finish` is swallowed.
    ///
    /// # Safety
    /// - `data` may be used from any thread.
    /// - `data` is valid for `claim` until the registration is dropped.
    /// - After a `claim` that returned true, `data` is valid until `finish` has been called. That
    ///   happens once.
    /// - `claim` runs no user code. It neither panics nor waits, does not use this token, and drops
    ///   no registration of it.
    pub(crate) unsafe fn new(
        data: NonNull<()>,
        claim: unsafe fn(NonNull<()>) -> bool,
        finish: unsafe fn(NonNull<()>),
    ) -> Self {
        Self { data, claim, finish }
    }

    /// Only for a listener that is still registered, under the lock of its node.
    pub(super) fn claim(self) -> Option<Claimed> {
        // SAFETY: the registration has not been dropped, or its drop waits for the node's lock.
        let is_claimed = unsafe { (self.claim)(self.data) };
        is_claimed.then_some(Claimed { data: self.data, finish: self.finish })
    }
}

impl Claimed {
    pub(super) fn finish(self) {
        // SAFETY: the claim returned true, and this is the only call of `finish` after it.
        unsafe { (self.finish)(self.data) };
    }
}

impl CancelToken {
    /// Registers the listener, in constant time.
    ///
    /// # Errors
    /// The reason, if the token is already cancelled. Then nothing is called.
    pub(crate) fn listen(&self, listener: Listener) -> Result<Registration, CancelReason> {
        let place = self.node().admit(Guest::Listener(listener))?;
        Ok(Registration { node: Arc::clone(self.node()), place })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.node.leave(self.place);
    }
}
