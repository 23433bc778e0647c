//! How closely a thread watches its fork-join calls: the one word that every such call looks at.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU32, Ordering};

/// Nobody could use help-work, and the calls are small: they are plain calls.
const PLAIN: u32 = 0;
/// Calls leave a job on the stack, and now and then somebody looks whether it is wanted.
const LOOKING: u32 = 1;
/// A hungry thread was here: look at once.
const POKED: u32 = 2;

/// A thread's mode. The thread itself writes it, and hungry threads poke it.
#[derive(Debug)]
pub(crate) struct Mode(AtomicU32);

impl Mode {
    #[cfg(not(corepool_loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(LOOKING))
    }

    #[cfg(corepool_loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(LOOKING))
    }

    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        // ORDERING: a hint that is looked at again soon; what an offer needs to be seen with it goes through
        // the board's lock.
        self.0.load(Ordering::Relaxed) == PLAIN
    }

    #[inline(always)]
    pub(crate) fn is_looking(&self) -> bool {
        // ORDERING: as above.
        self.0.load(Ordering::Relaxed) == LOOKING
    }

    #[inline(always)]
    pub(crate) fn is_poked(&self) -> bool {
        // ORDERING: as above.
        self.0.load(Ordering::Relaxed) == POKED
    }

    /// From now on calls are plain, until a poke. Look for hunger after this, never before: else a poke
    /// between the look and this store would be lost.
    pub(crate) fn set_plain(&self) {
        self.0.store(PLAIN, Ordering::SeqCst);
    }

    /// From now on calls are looked at. Look for hunger after this, as after `set_plain`.
    pub(crate) fn look(&self) {
        self.0.store(LOOKING, Ordering::SeqCst);
    }

    /// Calls are plain no more. A poke stays, but for one that comes at this very moment: then the thread
    /// looks some calls later.
    #[inline]
    pub(crate) fn end_plain(&self) {
        if self.is_plain() {
            // ORDERING: a word for the thread itself.
            self.0.store(LOOKING, Ordering::Relaxed);
        }
    }

    pub(crate) fn poke(&self) {
        self.0.store(POKED, Ordering::SeqCst);
    }
}
