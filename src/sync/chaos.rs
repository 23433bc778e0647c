//! Atomics that disturb the schedule: before and after an access they sometimes yield, spin or sleep.
//!
//! A late touch of freed memory or a missing re-check needs an unlucky schedule to show itself. On two
//! quiet cores that schedule may not come in a day; with noise at every access it comes in seconds.

use core::cell::Cell;
use core::sync::atomic as real;
use core::sync::atomic::Ordering;
use core::time::Duration;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// One step of xorshift, seeded by the address of the thread's own state.
fn next() -> u64 {
    STATE
        .try_with(|state| {
            let mut x = state.get();
            if x == 0 {
                x = core::ptr::from_ref(state).addr() as u64 | 1;
            }
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            state.set(x);
            x
        })
        .unwrap_or(1)
}

/// Mostly nothing; now and then a yield, a short spin, rarely a sleep.
pub(crate) fn disturb() {
    match next() >> 32 & 0x3ff {
        0 => std::thread::sleep(Duration::from_micros(50)),
        1..=8 => std::thread::yield_now(),
        9..=40 => (0..next() & 0xff).for_each(|_| core::hint::spin_loop()),
        _ => {}
    }
}

/// Runs one access between two chances of a disturbance.
fn around<R>(access: impl FnOnce() -> R) -> R {
    disturb();
    let result = access();
    disturb();
    result
}

macro_rules! noisy {
    ($name:ident, $value:ty $(, $op:ident)*) => {
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name(real::$name);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(real::$name::new(value))
            }
            pub(crate) fn load(&self, order: Ordering) -> $value {
                around(|| self.0.load(order))
            }
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                around(|| self.0.store(value, order));
            }
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                around(|| self.0.compare_exchange(current, new, success, failure))
            }
            $(pub(crate) fn $op(&self, value: $value, order: Ordering) -> $value {
                around(|| self.0.$op(value, order))
            })*
        }
    };
}

noisy!(AtomicBool, bool, swap);
noisy!(AtomicU32, u32, swap, fetch_add, fetch_sub, fetch_or, fetch_and);
noisy!(AtomicUsize, usize, fetch_add, fetch_sub, fetch_max);

/// A pointer's turn: the macro's names cannot carry its type parameter.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct AtomicPtr<T>(real::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(real::AtomicPtr::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        around(|| self.0.load(order))
    }

    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        around(|| self.0.store(value, order));
    }

    pub(crate) fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
        around(|| self.0.swap(value, order))
    }

    pub(crate) fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        around(|| self.0.compare_exchange(current, new, success, failure))
    }
}
