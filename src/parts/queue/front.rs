//! The lock of a queue's front: one exchange takes it, and one plain store releases it.
//!
//! A lock that wakes sleepers needs a second exchange to release it. That would be a tenth of what
//! a task costs here. This lock is held for some tens of instructions, and never over user code or
//! a system call. So a thread that finds it taken retries soon. In case the holder was preempted,
//! the waiter then yields its core, and after that sleeps in small steps, so it never spins without
//! a bound.

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use crate::base::sync::{AtomicBool, Ordering, UnsafeCell, spin_loop, thread};
use crate::parts::spin::Retry;

const SPINS: u32 = 10;
const YIELDS: u32 = 100;
const SLEEP: Duration = Duration::from_micros(50);

// ORDERING: acquire, partner of `UNLOCK`.
ordering!(LOCK = Acquire, planted "front_lock_unacquired": Relaxed);
// ORDERING: release, partner of the next thread's `LOCK`.
ordering!(UNLOCK = Release, planted "front_lock_unreleased": Relaxed);

pub(super) struct FrontLock<T> {
    taken: AtomicBool,
    inside: UnsafeCell<T>,
}

// SAFETY: the lock gives access to one thread at a time, and its content may go to any thread.
unsafe impl<T: Send> Sync for FrontLock<T> {}

impl<T> FrontLock<T> {
    pub(super) fn new(inside: T) -> Self {
        Self { taken: AtomicBool::new(false), inside: UnsafeCell::new(inside) }
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, T> {
        if !self.try_take() {
            self.take_later();
        }
        Guard { lock: self }
    }

    #[inline]
    fn try_take(&self) -> bool {
        // ORDERING: relaxed on failure, because the loser touches nothing.
        self.taken.compare_exchange(false, true, LOCK, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn take_later(&self) {
        let mut tries = 0;
        let mut retry = Retry::default();
        loop {
            // ORDERING: only a look; `try_take` has the acquire.
            if !self.taken.load(Ordering::Relaxed) && self.try_take() {
                return;
            }
            tries += 1;
            match tries {
                // A model has no time: it waits by letting other threads run.
                _ if cfg!(any(corepool_loom, corepool_shuttle)) => spin_loop(),
                0..=SPINS => retry.pause(),
                _ if tries <= SPINS + YIELDS => thread::yield_now(),
                _ => thread::sleep(SLEEP),
            }
        }
    }
}

pub(super) struct Guard<'lock, T> {
    lock: &'lock FrontLock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: holding the guard is the right to access the content, and the result has the
        // guard's lifetime.
        self.lock.inside.with(|inside| unsafe { &*inside })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; the guard is borrowed mutably.
        self.lock.inside.with_mut(|inside| unsafe { &mut *inside })
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.taken.store(false, UNLOCK);
    }
}
