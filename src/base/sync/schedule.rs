//! Shuttle's implementation: at every access its scheduler may switch to another thread.
//!
//! The atomics are the real ones. Shuttle runs all threads of a schedule as coroutines on a single
//! system thread, so a real access after a possible switch is equivalent to shuttle's own atomics.
//! In addition, real atomics can be in statics and outlive a schedule. Locks, condition variables,
//! threads and thread-locals are shuttle's, because a real lock would block the single thread.
//!
//! Code that uses the time does not run by the real clock: see `base/clock.rs`. A wait with a
//! deadline gives up at random.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::sync::PoisonError;
use std::time::Instant;

use shuttle::rand::Rng;

#[cfg(test)]
mod explore;

#[cfg(test)]
pub(crate) use explore::explore;

/// Lets the scheduler choose which thread continues, then makes the access.
///
/// It does not switch while a panic unwinds, because all coroutines on this thread would take the
/// panic for theirs.
pub(super) fn around<R>(access: impl FnOnce() -> R) -> R {
    if !std::thread::panicking() && shuttle::current::get_current_task().is_some() {
        // Shuttle does not model time, so a sleep is only a chance to switch. `yield_now` would
        // also tell the scheduler that this thread waits for others, and the scheduler would favour
        // the others.
        shuttle::thread::sleep(Duration::ZERO);
    }
    access()
}

/// Returns true with a chance of one in `sides`. The randomness belongs to the schedule: a replay
/// draws the same.
pub(crate) fn one_in(sides: u32) -> bool {
    shuttle::rand::thread_rng().gen_range(0..sides) == 0
}

/// Whether a wait with a deadline gives up now. If so, the clock advances to the deadline.
pub(crate) fn gives_up(end: Instant) -> bool {
    let is_over = crate::base::clock::now() >= end || one_in(4);
    if is_over {
        crate::base::clock::pass_until(end);
    }
    is_over
}

/// Shuttle's mutex with the interface of `parking_lot`'s: no poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'lock, T> {
    lock: &'lock shuttle::sync::Mutex<T>,
    /// `None` only while its owner waits.
    held: Option<shuttle::sync::MutexGuard<'lock, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { lock: &self.0, held: Some(held) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard { lock: &self.0, held: Some(held) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("its owner does not look while it waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("its owner does not look while it waits")
    }
}

/// Shuttle's condition variable with the interface of `parking_lot`'s.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

pub(crate) struct TimedOut(bool);

impl TimedOut {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.held.take() {
            guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(crate) fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut goes_on: impl FnMut(&mut T) -> bool,
    ) {
        while goes_on(&mut *guard) {
            self.wait(guard);
        }
    }

    /// Sometimes returns without a notification, which its callers allow, because shuttle has no
    /// wait with a deadline.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, end: Instant) -> TimedOut {
        drop(guard.held.take());
        shuttle::thread::yield_now();
        guard.held = Some(guard.lock.lock().unwrap_or_else(PoisonError::into_inner));
        TimedOut(gives_up(end))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Shuttle's thread-local with those methods of the standard library's that are used here.
pub(crate) struct LocalKey<T: 'static>(pub(crate) &'static shuttle::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    pub(crate) fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.0.with(look)
    }

    pub(crate) fn try_with<R>(
        &'static self,
        look: impl FnOnce(&T) -> R,
    ) -> Result<R, shuttle::thread::AccessError> {
        self.0.try_with(look)
    }
}

impl<T: 'static> LocalKey<core::cell::Cell<T>> {
    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(core::cell::Cell::get)
    }

    pub(crate) fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(core::cell::Cell::take)
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<core::cell::RefCell<T>> {
    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub(crate) fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(core::cell::RefCell::take)
    }
}

macro_rules! thread_local_of_a_schedule {
    ($($(#[$doc:meta])* $vis:vis static $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* $vis static $name: $crate::base::sync::LocalKey<$type> = {
            shuttle::thread_local! {
                static INSIDE: $type = $value;
            }
            $crate::base::sync::schedule::LocalKey(&INSIDE)
        };)*
    };
}
pub(crate) use thread_local_of_a_schedule as thread_local;
