//! The single import point for atomics, cells and locks, so that a model or chaos can replace them.
//!
//! There are five implementations behind it. Ordinary builds get the real primitives at no cost.
//!
//! - With `--cfg corepool_loom` every access becomes a step of the model checker.
//! - With `--cfg corepool_chaos` the real atomics sometimes yield, spin or sleep around an access,
//!   so schedules that a quiet machine never shows occur in seconds.
//! - With `--cfg corepool_shuttle` the accesses are made one after another, in an order that a
//!   random scheduler chooses. Shuttle knows nothing of weak orderings (loom does), but it is fast
//!   enough for whole pools and finds lost wake-ups as deadlocks.
//! - With `--cfg corepool_virtual` the pool runs on virtual cores in virtual time, and each access
//!   costs what the transfer of its cache line would: see `benches/virtual/README.md`. Only the
//!   manifest in that folder builds it.
//!
//! Modules that take part in a lock-free protocol import only from here. To run the whole pool
//! under shuttle, more has to go through this module than loom's models need: [`lock`], [`thread`]
//! and thread-locals. In every other build these are the real ones.

#[cfg(any(corepool_chaos, corepool_shuttle, corepool_loom))]
mod around;
#[cfg(corepool_chaos)]
mod chaos;
#[macro_use]
mod mutant;
mod asymmetric;
mod prefetch;
#[cfg(corepool_loom)]
mod model;
#[cfg(corepool_shuttle)]
pub(crate) mod schedule;
#[cfg(miri)]
mod standard;

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(corepool_loom))]
pub(crate) use core::sync::atomic::fence;
#[cfg(corepool_loom)]
pub(crate) use loom::sync::atomic::fence;

pub(crate) use prefetch::prefetch_to_write;

pub(crate) use asymmetric::{heavy_fence, is_asymmetric, light_fence};

#[cfg(any(corepool_chaos, corepool_shuttle, corepool_loom))]
pub(crate) use around::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};
#[cfg(not(any(corepool_loom, corepool_chaos, corepool_shuttle, corepool_virtual)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};
#[cfg(corepool_virtual)]
pub(crate) use machine::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};

#[cfg(corepool_loom)]
pub(crate) use mutant::Planted;
#[cfg(any(corepool_loom, corepool_shuttle))]
pub(crate) use mutant::is_planted;

#[cfg(not(corepool_loom))]
pub(crate) use lock::{Mutex, MutexGuard};
#[cfg(corepool_loom)]
pub(crate) use model::{Mutex, MutexGuard, RwLock};
#[cfg(all(test, corepool_loom))]
pub(crate) use model::{explore, explore_shallow};

#[cfg(corepool_virtual)]
pub(crate) use machine::{local::LocalKey, thread_local};
#[cfg(corepool_shuttle)]
pub(crate) use schedule::{LocalKey, thread_local};
#[cfg(not(any(corepool_shuttle, corepool_virtual)))]
pub(crate) use std::{thread::LocalKey, thread_local};

/// A lock that is real in every build: for statics, and for locks that are never held during an
/// access through this module.
pub(crate) mod real {
    #[cfg(miri)]
    pub(crate) use super::standard::Mutex;
    #[cfg(not(miri))]
    pub(crate) use parking_lot::Mutex;
}

/// Locks that loom's models do not see, and condition variables for them. A lock that is in a
/// static, or that is never held during an access through this module, may also be a [`real`] one.
pub(crate) mod lock {
    #[cfg(corepool_shuttle)]
    pub(crate) use super::schedule::{Condvar, Mutex, MutexGuard};
    #[cfg(miri)]
    pub(crate) use super::standard::{Condvar, Mutex, MutexGuard};
    #[cfg(corepool_virtual)]
    pub(crate) use machine::lock::{Condvar, Mutex, MutexGuard};
    #[cfg(not(any(corepool_shuttle, corepool_virtual, miri)))]
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
}

/// Primitives that take part in no protocol and are no step of any model or schedule: statistics
/// and look-ups. They are the real ones in every build except the virtual one, where every shared
/// access has a cost.
pub(crate) mod plain {
    #[cfg(miri)]
    pub(crate) use super::standard::{Mutex, RwLock};
    pub(crate) use core::sync::atomic::Ordering;
    #[cfg(not(corepool_virtual))]
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
    #[cfg(corepool_virtual)]
    pub(crate) use machine::atomic::{AtomicPtr, AtomicU32, AtomicU64};
    #[cfg(corepool_virtual)]
    pub(crate) use machine::lock::{Mutex, RwLock};
    #[cfg(not(any(corepool_virtual, miri)))]
    pub(crate) use parking_lot::{Mutex, RwLock};
}

/// Threads that the pool starts, and their names.
pub(crate) mod thread {
    #[cfg(corepool_virtual)]
    pub(crate) use machine::thread::{Builder, JoinHandle, ThreadId, current, sleep, yield_now};
    #[cfg(corepool_shuttle)]
    pub(crate) use shuttle::thread::{Builder, JoinHandle, ThreadId, current, yield_now};
    #[cfg(not(corepool_virtual))]
    pub(crate) use std::thread::sleep;
    #[cfg(not(any(corepool_shuttle, corepool_virtual)))]
    pub(crate) use std::thread::{Builder, JoinHandle, ThreadId, current, yield_now};

    /// Whether a thread's closure has returned.
    #[cfg(not(corepool_shuttle))]
    pub(crate) fn has_ended(thread: &JoinHandle<()>) -> bool {
        thread.is_finished()
    }

    /// Shuttle cannot tell, and a schedule is too short for ended threads to pile up.
    #[cfg(corepool_shuttle)]
    pub(crate) fn has_ended(_thread: &JoinHandle<()>) -> bool {
        false
    }
}

#[cfg(not(corepool_loom))]
pub(crate) use cell::UnsafeCell;
#[cfg(corepool_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// Marks the middle of one side of a store-then-load handshake (Dekker's pattern).
///
/// Both sides write with a `SeqCst` access, call this, and read with a `SeqCst` access. In the
/// language's memory model the four accesses have one total order, so at least one side sees the
/// other's write, and nothing more is needed: a real build emits no instruction here. Loom treats
/// `SeqCst` accesses only as acquire and release, so a model gets a fence with the same effect.
#[inline(always)]
pub(crate) fn handshake() {
    #[cfg(corepool_loom)]
    {
        mutant!("handshake" => return);
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Tells the processor that this is a spin loop. Models and schedules treat it as a yield.
#[inline]
pub(crate) fn spin_loop() {
    #[cfg(corepool_loom)]
    loom::thread::yield_now();
    #[cfg(corepool_shuttle)]
    shuttle::thread::yield_now();
    #[cfg(corepool_virtual)]
    machine::thread::spin_loop();
    #[cfg(not(any(corepool_loom, corepool_shuttle, corepool_virtual)))]
    core::hint::spin_loop();
}

#[cfg(not(corepool_loom))]
mod cell {
    /// `core`'s cell with loom's interface, so that the model sees each access as a read or a
    /// write.
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
