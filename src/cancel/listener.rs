//! Listeners: somebody in the crate whom a token's end concerns, known by address alone.
//!
//! The address is all that this file knows of a listener, so that a token needs no allocation for
//! it and no type of it. What makes the use of the address right is who owns what: a [`Listener`]
//! is in its node's table exactly as long as its [`Registration`] lives and the token does not end.
//! The claim takes it out, under the node's lock; a claim that gave true becomes a [`Claimed`],
//! which is finished once. Each step uses the value up, so neither can happen twice.

use core::ptr::NonNull;
use std::sync::Arc;

use super::guests::{Guest, Place};
use super::node::Node;
use super::reason::CancelReason;
use super::token::CancelToken;

/// Somebody whom a token's end concerns, by its address.
pub(crate) struct Listener {
    data: NonNull<()>,
    claim: unsafe fn(NonNull<()>) -> bool,
    finish: unsafe fn(NonNull<()>),
}

/// A listener whose claim gave true.
#[must_use = "who claimed waits to be finished"]
pub(super) struct Claimed {
    data: NonNull<()>,
    finish: unsafe fn(NonNull<()>),
}

/// A listener's stay with a token. Dropping it takes the listener off; after that its claim is not
/// called any more.
///
/// The drop waits for the token's lock at most, never for user code. If the claim gave true before,
/// the drop changes nothing: the listener is finished all the same, and may be being finished now.
#[must_use = "dropping the registration takes the listener off"]
pub(crate) struct Registration {
    node: Arc<Node>,
    place: Place,
}

// SAFETY: the maker promises that the data may be used from any thread.
unsafe impl Send for Listener {}
// SAFETY: as above.
unsafe impl Send for Claimed {}

impl Listener {
    /// When the token ends, `claim` is called under the token's lock, and if it gives true,
    /// `finish` is called without it; a panic of that is swallowed.
    ///
    /// # Safety
    /// - `data` may be used from any thread.
    /// - It is valid for `claim` until the registration is dropped.
    /// - After a `claim` that gave true, it is valid until `finish` has been called, which is done
    ///   once.
    /// - `claim` runs no user code, neither panics nor waits, and neither uses this token nor drops
    ///   a registration of it.
    pub(crate) unsafe fn new(
        data: NonNull<()>,
        claim: unsafe fn(NonNull<()>) -> bool,
        finish: unsafe fn(NonNull<()>),
    ) -> Self {
        Self { data, claim, finish }
    }

    /// Only for a listener that is still registered, under the lock of its node.
    pub(super) fn claim(self) -> Option<Claimed> {
        // SAFETY: the registration has not been dropped, or is being dropped and waits for the
        // node's lock.
        let is_claimed = unsafe { (self.claim)(self.data) };
        is_claimed.then_some(Claimed { data: self.data, finish: self.finish })
    }
}

impl Claimed {
    pub(super) fn finish(self) {
        // SAFETY: the claim gave true, and this is the one call after it.
        unsafe { (self.finish)(self.data) };
    }
}

impl CancelToken {
    /// Registers the listener, in constant time.
    ///
    /// # Errors
    /// The reason, if the token is cancelled already: then nothing is called.
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
