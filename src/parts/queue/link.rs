//! The link inside an item that lets it be part of a [`Queue`](super::Queue).

use core::ptr::{self, NonNull};

use crate::base::sync::{AtomicPtr, Ordering};

// ORDERING: SeqCst, the look of a worker that goes idle: one half of the handshake in `idle`. The
// partner is `PUBLISH`.
ordering!(NEXT = SeqCst, planted "next_relaxed": Relaxed);
// ORDERING: SeqCst, the pusher's half of that handshake. The pusher looks for sleepers after this.
ordering!(PUBLISH = SeqCst, planted "publish_relaxed": Relaxed);

/// An item's place in a list: a pointer to its successor.
#[derive(Debug)]
pub(crate) struct Link {
    next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The successor, if its pusher has linked it.
    #[inline]
    pub(super) fn next(&self) -> *mut Link {
        self.next.load(NEXT)
    }

    /// Prepares a link that no other thread can reach.
    #[inline]
    pub(super) fn set_next(&self, next: *mut Link) {
        // ORDERING: the exchange of `last` that makes this link reachable releases the store.
        self.next.store(next, Ordering::Relaxed);
    }

    /// Makes a successor visible. At this moment the push has happened.
    #[inline]
    pub(super) fn publish(&self, next: *mut Link) {
        self.next.store(next, PUBLISH);
    }
}

/// In a model, dropping a link counts as a write, so that the model finds any thread that still
/// touches it.
#[cfg(corepool_loom)]
impl Drop for Link {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.next.with_mut(|_| ());
        }
    }
}

/// An owning pointer to something that contains a [`Link`].
///
/// # Safety
/// - `into_link` returns a pointer to a link that stays valid and in place until the pointer is
///   passed to `from_link`;
/// - `from_link` of that pointer returns the same item.
pub(crate) unsafe trait Linked: Sized {
    /// Turns the item into its link. The list owns it from here on.
    fn into_link(self) -> NonNull<Link>;

    /// Turns a link back into its item.
    ///
    /// # Safety
    /// - `link` came from `into_link` of the same type, and is passed to `from_link` only once.
    unsafe fn from_link(link: NonNull<Link>) -> Self;
}
