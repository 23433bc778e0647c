//! The real atomics with a hook around each access; the build in use defines the hook.
#![forbid(unsafe_code)]

use core::sync::atomic as real;
use core::sync::atomic::Ordering;

#[cfg(corepool_chaos)]
use super::chaos::around;
#[cfg(corepool_shuttle)]
use super::schedule::around;

macro_rules! wrapped {
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

wrapped!(AtomicBool, bool, swap);
wrapped!(AtomicU8, u8);
wrapped!(AtomicU32, u32, swap, fetch_add, fetch_sub, fetch_or, fetch_and);
wrapped!(AtomicUsize, usize, fetch_add, fetch_sub, fetch_max, fetch_min);

/// Written out for pointers, because the macro's names cannot carry the type parameter.
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
