//! The one door to atomics, cells and locks, so that a model or chaos can stand behind it.
//!
//! Three rooms lie behind the door. Ordinary builds get the real things, at no cost. Under
//! `--cfg corepool_loom` every access becomes a step of the model checker. Under
//! `--cfg corepool_chaos` the real atomics are wrapped so that they sometimes yield, spin or sleep
//! around an access: schedules that a quiet machine never shows then happen in seconds.
//!
//! Modules that take part in a lock-free protocol import from here and from nowhere else.

#[cfg(corepool_chaos)]
mod chaos;
#[cfg(corepool_loom)]
mod model;
#[macro_use]
mod mutant;

pub(crate) use core::sync::atomic::Ordering;

#[cfg(corepool_chaos)]
pub(crate) use chaos::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};
#[cfg(not(any(corepool_loom, corepool_chaos)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};
#[cfg(corepool_loom)]
pub(crate) use model::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};

#[cfg(any(corepool_loom, corepool_shuttle))]
pub(crate) use mutant::is_planted;

#[cfg(corepool_loom)]
pub(crate) use model::Mutex;
#[cfg(all(test, corepool_loom))]
pub(crate) use model::{explore, explore_shallow};
#[cfg(not(corepool_loom))]
pub(crate) use parking_lot::Mutex;

#[cfg(not(corepool_loom))]
pub(crate) use cell::UnsafeCell;
#[cfg(corepool_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// Marks the middle of one half of a store-then-load handshake (Dekker's pattern).
///
/// Both halves write with a `SeqCst` access, come here, and read with a `SeqCst` access. In the
/// language's memory model the four accesses stand in one total order, so at least one half sees the
/// other's write, and nothing more is needed: a real build emits no instruction here. Loom counts
/// `SeqCst` accesses as acquire and release only, so a model gets the fence that says the same.
#[inline(always)]
pub(crate) fn handshake() {
    #[cfg(corepool_loom)]
    if !mutant!("handshake") {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// An access's ordering, and the weaker one that it has when a bug is planted (see `ci/mutants.sh`).
#[inline(always)]
pub(crate) const fn planted(mutant: bool, order: Ordering, weaker: Ordering) -> Ordering {
    if mutant { weaker } else { order }
}

/// Tells the processor that this is a spin loop; the model takes it as a yield.
#[inline]
pub(crate) fn spin_loop() {
    #[cfg(corepool_loom)]
    loom::thread::yield_now();
    #[cfg(not(corepool_loom))]
    core::hint::spin_loop();
}

#[cfg(not(corepool_loom))]
mod cell {
    /// `core`'s cell behind loom's face, so that the model sees each access as a read or a write.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}
