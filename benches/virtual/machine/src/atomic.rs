//! Atomics with the interface of the standard library. Only one thread runs at a time, so an
//! ordering only affects the cost of an access: a `SeqCst` store waits for its cache line.

use std::panic::Location;
use std::sync::atomic as real;
pub use std::sync::atomic::Ordering;

pub use crate::fence::{compiler_fence, fence};
use crate::line::Access;
use crate::memory::access;
use crate::world::{Place, with};

fn store_kind(order: Ordering) -> Access {
    if order == Ordering::SeqCst { Access::Locked } else { Access::Store }
}

/// Charges a locked access.
fn locked<T>(of: &T, place: Place) {
    access(std::ptr::from_ref(of).addr(), Access::Locked, place);
}

fn note_failed(failed: bool) {
    if failed {
        with(|world| world.totals.failed += 1);
    }
}

macro_rules! atomic {
    ($name:ident $(<$param:ident>)?, $value:ty, [$($op:ident),*]) => {
        /// As in the standard library.
        #[repr(transparent)]
        pub struct $name $(<$param>)? (real::$name $(<$param>)?);

        impl $(<$param>)? std::fmt::Debug for $name $(<$param>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl $(<$param>)? Default for $name $(<$param>)? {
            fn default() -> Self {
                Self(real::$name::default())
            }
        }

        impl $(<$param>)? $name $(<$param>)? {
            pub const fn new(value: $value) -> Self {
                Self(real::$name::new(value))
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                access(std::ptr::from_ref(self).addr(), Access::Load, Location::caller());
                self.0.load(order)
            }

            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                let kind = store_kind(order);
                access(std::ptr::from_ref(self).addr(), kind, Location::caller());
                self.0.store(value, order);
            }

            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                locked(self, Location::caller());
                self.0.swap(value, order)
            }

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                locked(self, Location::caller());
                let result = self.0.compare_exchange(current, new, success, failure);
                note_failed(result.is_err());
                result
            }

            /// Never fails spuriously.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut now = self.load(failure);
                while let Some(next) = change(now) {
                    match self.compare_exchange(now, next, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(other) => now = other,
                    }
                }
                Err(now)
            }

            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            $(#[track_caller]
            pub fn $op(&self, value: $value, order: Ordering) -> $value {
                locked(self, Location::caller());
                self.0.$op(value, order)
            })*
        }
    };
}

macro_rules! numbers {
    ($($name:ident: $value:ty,)*) => {
        $(atomic!($name, $value, [
            fetch_add, fetch_sub, fetch_or, fetch_and, fetch_xor, fetch_max, fetch_min
        ]);)*
    };
}

numbers!(
    AtomicU8: u8,
    AtomicU16: u16,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicI64: i64,
    AtomicUsize: usize,
    AtomicIsize: isize,
);
atomic!(AtomicBool, bool, [fetch_or, fetch_and, fetch_xor]);
atomic!(AtomicPtr<T>, *mut T, []);

impl AtomicU32 {
    /// The kernel's read. The thread does not pay for it.
    pub(crate) fn peek(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// A store that is charged elsewhere.
    pub(crate) fn poke(&self, value: u32) {
        self.0.store(value, Ordering::SeqCst);
    }
}
