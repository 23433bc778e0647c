//! Locks with the interface of `parking_lot`. The mutex takes the same steps: it spins for a
//! moment, yields, and sleeps. An unlock wakes one sleeper, and the first thread to arrive gets the
//! free lock.

use std::cell::{Cell, UnsafeCell};
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::Instant;

use crate::atomic::{AtomicU32, Ordering};
use crate::clock;
use crate::futex;
use crate::line::Access;
use crate::memory::access;
use crate::thread;
use crate::world::{Place, charge, is_running, with};

const TAKEN: u32 = 1;
const PARKED: u32 = 2;
/// How often a thread looks before it sleeps, and after how many of these looks it only spins.
const LOOKS: u32 = 10;
const SPINS: u32 = 3;
/// The cost of the table of sleepers, in nanoseconds.
const TABLE: u64 = 60;

/// The lock itself, and the core whose cache has the protected data.
#[derive(Debug, Default)]
struct Raw {
    state: AtomicU32,
    last: Cell<Option<usize>>,
}

impl Raw {
    const fn new() -> Self {
        Self { state: AtomicU32::new(0), last: Cell::new(None) }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(&self.state).addr()
    }

    fn change(&self, from: u32, to: u32, place: Place) -> bool {
        access(self.address(), Access::Locked, place);
        let is_changed = self.state.peek() == from;
        if is_changed {
            self.state.poke(to);
        } else {
            with(|world| world.totals.failed += 1);
        }
        is_changed
    }

    fn look(&self, place: Place) -> u32 {
        access(self.address(), Access::Load, place);
        self.state.peek()
    }

    fn lock(&self, place: Place) {
        if !self.change(0, TAKEN, place) {
            self.lock_later(place);
        }
        self.enter(place);
    }

    fn try_lock(&self, place: Place) -> bool {
        let is_mine = self.change(0, TAKEN, place);
        if is_mine {
            self.enter(place);
        }
        is_mine
    }

    fn enter(&self, place: Place) {
        with(|world| {
            let core = world.my_core();
            if let Some(last) = self.last.replace(Some(core)).filter(|last| *last != core) {
                world.bring(last, place, self.address());
            }
        });
    }

    fn lock_later(&self, place: Place) {
        // Outside a machine, or while a panic unwinds, no thread could unlock it.
        assert!(is_running(), "a lock that nobody lets go of");
        with(|world| world.totals.lock_waits += 1);
        let mut looks = 0;
        loop {
            let state = self.look(place);
            if state & TAKEN == 0 {
                if self.change(state, state | TAKEN, place) {
                    return;
                }
                continue;
            }
            if state & PARKED == 0 && looks < LOOKS {
                looks += 1;
                if looks <= SPINS {
                    (0..1 << looks).for_each(|_| thread::spin_loop());
                } else {
                    thread::yield_now();
                }
                continue;
            }
            if state & PARKED == 0 && !self.change(state, state | PARKED, place) {
                continue;
            }
            with(|world| world.totals.lock_sleeps += 1);
            charge(|_| TABLE);
            futex::wait(&self.state, TAKEN | PARKED, None);
            looks = 0;
        }
    }

    fn unlock(&self, place: Place) {
        if self.change(TAKEN, 0, place) {
            return;
        }
        charge(|_| TABLE);
        access(self.address(), Access::Locked, place);
        let is_last = futex::sleepers(self.address()) <= 1;
        self.state.poke(if is_last { 0 } else { PARKED });
        futex::wake(&self.state, 1);
    }
}

/// As in `parking_lot`.
#[derive(Debug, Default)]
pub struct Mutex<T> {
    raw: Raw,
    inside: UnsafeCell<T>,
}

// SAFETY: the lock gives the inside to one thread at a time. Only one system thread touches `Raw`'s
// cell.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: as for `Send`: one thread at a time gets the inside.
unsafe impl<T: Send> Sync for Mutex<T> {}

#[derive(Debug)]
pub struct MutexGuard<'lock, T> {
    lock: &'lock Mutex<T>,
    place: Place,
}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self { raw: Raw::new(), inside: UnsafeCell::new(value) }
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let place = Location::caller();
        self.raw.lock(place);
        MutexGuard { lock: self, place }
    }

    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let place = Location::caller();
        let is_mine = self.raw.try_lock(place);
        // Create the guard only if the lock is ours, because dropping a guard unlocks.
        is_mine.then(|| MutexGuard { lock: self, place })
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.inside.get_mut()
    }

    pub fn into_inner(self) -> T {
        self.inside.into_inner()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.inside.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock.
        unsafe { &mut *self.lock.inside.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.raw.unlock(self.place);
    }
}

/// As in `parking_lot`, except that readers and writers take turns through a separate lock and not
/// through two words.
#[derive(Debug, Default)]
pub struct RwLock<T> {
    /// Twice the number of readers, plus one for a writer.
    state: AtomicU32,
    inside: UnsafeCell<T>,
}

// SAFETY: there are many readers or one writer at a time.
unsafe impl<T: Send> Send for RwLock<T> {}
// SAFETY: as for `Send`: there are many readers or one writer at a time.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

#[derive(Debug)]
pub struct RwLockReadGuard<'lock, T>(&'lock RwLock<T>);
#[derive(Debug)]
pub struct RwLockWriteGuard<'lock, T>(&'lock RwLock<T>);

impl<T> RwLock<T> {
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(0), inside: UnsafeCell::new(value) }
    }

    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        while self.state.fetch_add(2, Ordering::SeqCst) & 1 != 0 {
            let now = self.state.fetch_sub(2, Ordering::SeqCst) - 2;
            with(|world| world.totals.lock_waits += 1);
            if now & 1 != 0 {
                futex::wait(&self.state, now, None);
            }
        }
        RwLockReadGuard(self)
    }

    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        while let Err(now) = self.state.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst) {
            with(|world| world.totals.lock_waits += 1);
            futex::wait(&self.state, now, None);
        }
        RwLockWriteGuard(self)
    }

    #[track_caller]
    fn leave(&self, part: u32) {
        self.state.fetch_sub(part, Ordering::SeqCst);
        if futex::sleepers(std::ptr::from_ref(&self.state).addr()) > 0 {
            futex::wake(&self.state, usize::MAX);
        }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is no writer while there is a reader.
        unsafe { &*self.0.inside.get() }
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.0.leave(2);
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the writer is alone.
        unsafe { &*self.0.inside.get() }
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the writer is alone.
        unsafe { &mut *self.0.inside.get() }
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.0.leave(1);
    }
}

/// As in `parking_lot`.
#[derive(Debug, Default)]
pub struct Condvar {
    round: AtomicU32,
}

#[derive(Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub const fn new() -> Self {
        Self { round: AtomicU32::new(0) }
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_for_round(guard, None);
    }

    pub fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut goes_on: impl FnMut(&mut T) -> bool,
    ) {
        while goes_on(&mut *guard) {
            self.wait(guard);
        }
    }

    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, end: Instant) -> WaitTimeoutResult {
        WaitTimeoutResult(!self.wait_for_round(guard, Some(clock::nanos_of(end))))
    }

    /// Returns whether there was a new round.
    fn wait_for_round<T>(&self, guard: &mut MutexGuard<'_, T>, until: Option<u64>) -> bool {
        let round = self.round.peek();
        guard.lock.raw.unlock(guard.place);
        futex::wait_at(&self.round, round, until);
        let came = self.round.peek() != round;
        guard.lock.raw.lock(guard.place);
        came
    }

    #[track_caller]
    pub fn notify_one(&self) {
        self.notify(1, Location::caller());
    }

    #[track_caller]
    pub fn notify_all(&self) {
        self.notify(usize::MAX, Location::caller());
    }

    fn notify(&self, most: usize, place: Place) {
        let address = std::ptr::from_ref(&self.round).addr();
        access(address, Access::Load, place);
        // A thread that is about to sleep has seen the previous round.
        self.round.poke(self.round.peek().wrapping_add(1));
        if futex::sleepers(address) > 0 {
            access(address, Access::Locked, place);
            futex::wake(&self.round, most);
        }
    }
}
