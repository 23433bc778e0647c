//! An asymmetric fence: the frequent side pays nothing, and the rare side pays for both.
//!
//! Dekker's pattern needs a full fence between the store and the load on both sides. Here the light
//! side only keeps the compiler from swapping the two. The heavy side asks the kernel
//! (`membarrier`) to run a full fence on every core that runs a thread of this process. So either
//! the heavy side sees the light side's store, or the light side's load sees the heavy side's
//! store.
//!
//! Where the kernel cannot do that, [`is_asymmetric`] returns false and the light side has to run a
//! full fence itself. On other systems, and in builds for a model checker, both sides are full
//! fences.

#[cfg(corepool_virtual)]
pub(crate) use machine::fence::{heavy as heavy_fence, light as light_fence};

/// The virtual machine provides the fence.
#[cfg(corepool_virtual)]
pub(crate) fn is_asymmetric() -> bool {
    true
}

#[cfg(all(
    not(corepool_virtual),
    any(not(target_os = "linux"), corepool_loom, corepool_shuttle, corepool_tsan, miri)
))]
pub(crate) use symmetric::{heavy_fence, is_asymmetric, light_fence};

#[cfg(not(any(
    not(target_os = "linux"),
    corepool_loom,
    corepool_shuttle,
    corepool_tsan,
    corepool_virtual,
    miri
)))]
pub(crate) use by_kernel::{heavy_fence, is_asymmetric, light_fence};

#[cfg(all(
    not(corepool_virtual),
    any(not(target_os = "linux"), corepool_loom, corepool_shuttle, corepool_tsan, miri)
))]
mod symmetric {
    use crate::base::sync::{Ordering, fence};

    /// The light side's fence, which is a full fence here.
    #[inline(always)]
    pub(crate) fn light_fence() {
        mutant!("light_fence" => return);
        fence(Ordering::SeqCst);
    }

    /// The heavy side's fence.
    pub(crate) fn heavy_fence() {
        mutant!("heavy_fence" => return);
        fence(Ordering::SeqCst);
    }

    /// Both sides already have full fences, so the light side does not have to add one.
    pub(crate) fn is_asymmetric() -> bool {
        true
    }
}

#[cfg(not(any(
    not(target_os = "linux"),
    corepool_loom,
    corepool_shuttle,
    corepool_tsan,
    corepool_virtual,
    miri
)))]
mod by_kernel {
    use core::ffi::{c_int, c_long};
    use core::sync::atomic::{Ordering, compiler_fence, fence};
    use std::sync::OnceLock;

    /// Commands of the system call, as numbered by the kernel (`linux/membarrier.h`).
    const QUERY: c_int = 0;
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

    /// The light side's fence. It costs nothing, and holds only if [`is_asymmetric`] returns true.
    #[inline(always)]
    pub(crate) fn light_fence() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The heavy side's fence, for the caller and for every running thread of the process.
    pub(crate) fn heavy_fence() {
        // The system call is a full fence for the caller, but the memory model does not know that.
        fence(Ordering::SeqCst);
        if is_asymmetric() && membarrier(PRIVATE_EXPEDITED) < 0 {
            // A forked child is a separate process and may have to register again.
            let done =
                membarrier(REGISTER_PRIVATE_EXPEDITED) == 0 && membarrier(PRIVATE_EXPEDITED) == 0;
            assert!(done, "the kernel refuses a fence that it has promised");
        }
        fence(Ordering::SeqCst);
    }

    /// Whether the kernel supports the fence. If not, the light side has to run a full fence
    /// itself.
    pub(crate) fn is_asymmetric() -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        *ANSWER.get_or_init(register)
    }

    fn register() -> bool {
        let known = membarrier(QUERY);
        known >= 0
            && known & c_long::from(PRIVATE_EXPEDITED) != 0
            && membarrier(REGISTER_PRIVATE_EXPEDITED) == 0
    }

    /// Negative if the kernel refuses.
    fn membarrier(command: c_int) -> c_long {
        let flags: c_int = 0;
        // SAFETY: the call reads and writes no memory of this process. It only orders accesses.
        unsafe { libc::syscall(libc::SYS_membarrier, command, flags) }
    }
}
