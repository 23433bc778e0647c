//! The atomics of a model, a schedule or a chaos build: each access has a hook around it, which the
//! build defines, and takes the orderings that `ordering!` names.
#![forbid(unsafe_code)]

#[cfg(not(corepool_loom))]
use core::sync::atomic as real;
use core::sync::atomic::Ordering;
#[cfg(corepool_loom)]
use loom::sync::atomic as real;

#[cfg(corepool_chaos)]
use super::chaos::around;
#[cfg(corepool_loom)]
use super::model::around;
#[cfg(corepool_shuttle)]
use super::schedule::around;

macro_rules! wrapped {
    ($name:ident $(<$of:ident>)?, $value:ty $(, $op:ident)*) => {
        #[derive(Debug)]
        #[repr(transparent)]
        pub(crate) struct $name $(<$of>)? (real::$name $(<$of>)?);

        impl $(<$of>)? $name $(<$of>)? {
            #[cfg(not(corepool_loom))]
            pub(crate) const fn new(value: $value) -> Self {
                Self(real::$name::new(value))
            }
            #[cfg(corepool_loom)]
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self(real::$name::new(value))
            }
            #[cfg_attr(corepool_loom, track_caller)]
            pub(crate) fn load(&self, order: impl Into<Ordering>) -> $value {
                around(|| self.0.load(order.into()))
            }
            #[cfg_attr(corepool_loom, track_caller)]
            pub(crate) fn store(&self, value: $value, order: impl Into<Ordering>) {
                around(|| self.0.store(value, order.into()));
            }
            #[cfg_attr(corepool_loom, track_caller)]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: impl Into<Ordering>,
                failure: impl Into<Ordering>,
            ) -> Result<$value, $value> {
                around(|| self.0.compare_exchange(current, new, success.into(), failure.into()))
            }
            $(
                #[cfg_attr(corepool_loom, track_caller)]
                pub(crate) fn $op(&self, value: $value, order: impl Into<Ordering>) -> $value {
                    around(|| self.0.$op(value, order.into()))
                }
            )*
        }

        /// For the accesses that only a model makes.
        #[cfg(corepool_loom)]
        impl $(<$of>)? core::ops::DerefMut for $name $(<$of>)? {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }

        #[cfg(corepool_loom)]
        impl $(<$of>)? core::ops::Deref for $name $(<$of>)? {
            type Target = real::$name $(<$of>)?;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    };
}

wrapped!(AtomicBool, bool, swap);
wrapped!(AtomicU8, u8);
wrapped!(AtomicU32, u32, swap, fetch_add, fetch_sub, fetch_or, fetch_and);
wrapped!(AtomicUsize, usize, fetch_add, fetch_sub, fetch_max, fetch_min);
wrapped!(AtomicPtr<T>, *mut T, swap);

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Default for AtomicUsize {
    fn default() -> Self {
        Self::new(0)
    }
}
