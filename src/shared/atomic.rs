//! The types that a shared array can be made of: the atomic integers and `AtomicBool`.

use std::fmt::Debug;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicUsize, Ordering,
};
#[cfg(target_has_atomic = "64")]
use std::sync::atomic::{AtomicI64, AtomicU64};

/// An atomic that a [`SharedArray`](super::SharedArray) can be made of, and that can be waited on.
///
/// These are `AtomicU8` to `AtomicU64`, `AtomicI8` to `AtomicI64`, `AtomicUsize`, `AtomicIsize` and
/// `AtomicBool`. The trait is sealed: the array relies on zeroed memory being a valid value.
///
/// ```
/// use std::sync::atomic::{AtomicU8, AtomicI64, Ordering};
/// use corepool::shared::{Atomic, SharedArray};
///
/// fn highest<A: Atomic<Value: Ord>>(cells: &SharedArray<A>) -> Option<A::Value> {
///     cells.iter().map(|cell| cell.load(Ordering::Relaxed)).max()
/// }
///
/// assert_eq!(highest(&SharedArray::<AtomicU8>::from_iter([3, 7, 5])), Some(7));
/// assert_eq!(highest(&SharedArray::<AtomicI64>::from_iter([-3, -7, -5])), Some(-3));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no atomic that threads can share in a `SharedArray`",
    label = "expected one of `AtomicU8` to `AtomicU64`, `AtomicI8` to `AtomicI64`, `AtomicUsize`, \
             `AtomicIsize`, `AtomicBool`",
    note = "for `f32` and `f64` share `AtomicU32` and `AtomicU64`, with `to_bits` and `from_bits`"
)]
pub trait Atomic: sealed::Zeroable + Debug + Send + Sync + 'static {
    /// The plain value.
    type Value: Copy + Eq + Debug + Unpin + Send + Sync + 'static;

    /// Reads the value, like the method of the same name on each of these types.
    ///
    /// # Panics
    /// If the ordering is `Release` or `AcqRel`.
    fn load(&self, order: Ordering) -> Self::Value;

    /// Writes the value, like the method of the same name on each of these types.
    ///
    /// # Panics
    /// If the ordering is `Acquire` or `AcqRel`.
    fn store(&self, value: Self::Value, order: Ordering);
}

pub(super) mod sealed {
    /// A type for which zeroed memory is a valid value.
    ///
    /// # Safety
    /// - All bytes zero is a value of the type.
    /// - Dropping a value does nothing.
    #[expect(unnameable_types, reason = "nobody else may implement it, and so nobody may name it")]
    pub unsafe trait Zeroable {}
}

macro_rules! atomics {
    ($($atomic:ty: $value:ty,)*) => { $(
        // SAFETY: it has the layout of an integer or a `bool`, for which zero is a value (`false`
        // for `bool`), and it has no drop.
        unsafe impl sealed::Zeroable for $atomic {}

        impl Atomic for $atomic {
            type Value = $value;

            #[inline]
            fn load(&self, order: Ordering) -> $value {
                <$atomic>::load(self, order)
            }

            #[inline]
            fn store(&self, value: $value, order: Ordering) {
                <$atomic>::store(self, value, order);
            }
        }
    )* };
}

atomics! {
    AtomicBool: bool,
    AtomicU8: u8,
    AtomicI8: i8,
    AtomicU16: u16,
    AtomicI16: i16,
    AtomicU32: u32,
    AtomicI32: i32,
    AtomicUsize: usize,
    AtomicIsize: isize,
}

#[cfg(target_has_atomic = "64")]
atomics! {
    AtomicU64: u64,
    AtomicI64: i64,
}
