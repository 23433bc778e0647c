//! The link that an item carries so that it can stand in a [`Queue`](super::Queue).

use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering, planted};

/// One item's place in a list: who comes next.
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
        // SeqCst: this is the look of a worker that goes idle, one half of the handshake in `idle`.
        // ORDERING: the weaker one is a planted bug.
        let order = planted(mutant!("next_relaxed"), Ordering::SeqCst, Ordering::Relaxed);
        self.next.load(order)
    }

    /// Prepares a link that nobody else can reach.
    #[inline]
    pub(super) fn set_next(&self, next: *mut Link) {
        // ORDERING: the exchange of `last` that makes this link reachable releases the store.
        self.next.store(next, Ordering::Relaxed);
    }

    /// Makes a successor visible: the moment at which a push has happened.
    #[inline]
    pub(super) fn publish(&self, next: *mut Link) {
        // SeqCst: the pusher's half of the handshake with a worker that goes idle. It looks for
        // sleepers after this.
        // ORDERING: the weaker one is a planted bug.
        let order = planted(mutant!("publish_relaxed"), Ordering::SeqCst, Ordering::Relaxed);
        self.next.store(next, order);
    }
}

/// A model takes the end of a link for a write: whoever still touches it then is found out.
#[cfg(corepool_loom)]
impl Drop for Link {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.next.with_mut(|_| ());
        }
    }
}

/// An owning pointer to something that carries a [`Link`].
///
/// # Safety
/// - `into_link` gives a pointer to a link that stays valid and in place until `from_link` gets it
///   back;
/// - `from_link` of that pointer gives the same item back.
pub(crate) unsafe trait Linked: Sized {
    /// Turns the item into its link; the list owns it from here.
    fn into_link(self) -> NonNull<Link>;

    /// Turns a link back into its item.
    ///
    /// # Safety
    /// - `link` came from `into_link` of the same type, and is given back just once.
    unsafe fn from_link(link: NonNull<Link>) -> Self;
}
