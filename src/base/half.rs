//! A closure, and later its result, in the same place. It drops neither by itself: the code that
//! holds it knows which of them is there.

use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;

use super::unwind::{self, Payload};

/// Room for a closure and then for its result.
#[repr(transparent)]
pub(crate) struct Half<F, R>(UnsafeCell<Contents<F, R>>);

/// Both variants lie at its beginning, so a pointer to it is a pointer to either.
#[repr(C)]
union Contents<F, R> {
    closure: ManuallyDrop<F>,
    /// Never named: it only reserves the space that the result needs.
    _result: ManuallyDrop<Result<R, Payload>>,
}

impl<F, R> Half<F, R> {
    #[inline(always)]
    pub(crate) fn new(closure: F) -> Self {
        Self(UnsafeCell::new(Contents { closure: ManuallyDrop::new(closure) }))
    }

    /// Moves the closure out.
    ///
    /// # Safety
    /// - `half` points to a half whose closure is there and belongs to the caller.
    #[inline(always)]
    pub(crate) unsafe fn take_closure(half: *const Self) -> F {
        // SAFETY: the caller promises that the closure is there, and that it is its own to move.
        unsafe { half.cast::<F>().read() }
    }

    /// Runs the closure by `call`, and leaves the result or the panic in its place. Returns whether
    /// it panicked.
    ///
    /// # Safety
    /// - As for [`take_closure`](Self::take_closure). The half stays during the call.
    #[inline(always)]
    pub(crate) unsafe fn run(half: *const Self, call: impl FnOnce(F) -> R) -> bool {
        // SAFETY: the caller promises that the closure is there and belongs to it.
        let closure = unsafe { Self::take_closure(half) };
        let result = unwind::catch(|| call(closure));
        let panicked = result.is_err();
        let place = UnsafeCell::raw_get(half.cast::<UnsafeCell<Contents<F, R>>>());
        // SAFETY: the place belongs to the caller, and the closure has been moved out of it.
        unsafe { place.cast::<Result<R, Payload>>().write(result) };
        panicked
    }
}

/// Moves the result out of a half, whatever its closure's type.
///
/// # Safety
/// - `half` points to a `Half<_, R>` whose result is there and belongs to the caller.
#[inline(always)]
pub(crate) unsafe fn take_result<R>(half: *const ()) -> Result<R, Payload> {
    // SAFETY: the caller promises that the result is there, and that it is its own to move.
    unsafe { half.cast::<Result<R, Payload>>().read() }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use std::sync::Arc;

    use super::{Half, take_result};

    #[test]
    fn the_result_takes_the_place_of_the_closure() {
        let text = Arc::new("hello".to_owned());
        let kept = Arc::clone(&text);
        let half = Half::<_, usize>::new(move || kept.len());
        // SAFETY: the closure is there, and this is its only run.
        assert!(!unsafe { Half::run(&raw const half, |closure| closure()) });
        assert_eq!(Arc::strong_count(&text), 1, "the closure is gone");
        // SAFETY: the run has left the result, which is taken once.
        assert_eq!(unsafe { take_result::<usize>((&raw const half).cast()) }.unwrap(), 5);
    }

    #[test]
    fn a_panic_is_a_result() {
        let half = Half::<_, ()>::new(|| std::panic::resume_unwind(Box::new(7)));
        // SAFETY: the closure is there, and this is its only run.
        assert!(unsafe { Half::run(&raw const half, |closure| closure()) });
        // SAFETY: the run has left the result, which is taken once.
        let payload = unsafe { take_result::<()>((&raw const half).cast()) }.unwrap_err();
        assert_eq!(payload.downcast_ref::<i32>(), Some(&7));
    }
}
