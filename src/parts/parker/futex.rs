//! The Linux kernel's queue of threads that sleep on a word (`futex`), found by the word's address.

use core::sync::atomic::AtomicU32;
use std::time::Duration;

/// Seconds and nanoseconds as `SYS_futex` reads them. The kernel's own width is not always that of
/// `libc::timespec`.
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64", target_arch = "riscv32"))]
type Number = i64;
#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64", target_arch = "riscv32")))]
type Number = i32;

#[repr(C)]
struct Timespec {
    seconds: Number,
    nanoseconds: Number,
}

impl Timespec {
    /// A time that does not fit is cut, because a sleep may end too early.
    fn new(time: Duration) -> Self {
        let seconds = Number::try_from(time.as_secs()).unwrap_or(Number::MAX);
        // Less than 1,000,000,000, so it fits both types.
        let nanoseconds = time.subsec_nanos() as Number;
        Self { seconds, nanoseconds }
    }
}

#[derive(Debug)]
pub(super) struct Line;

impl Line {
    pub(super) fn new() -> Self {
        Self
    }

    /// Sleeps if the word has this value, at most for the time that is left.
    ///
    /// It returns when it is woken, when the time is up, or spuriously. It does not say which,
    /// because the caller checks the word.
    pub(super) fn wait(&self, word: &AtomicU32, value: u32, left: Option<Duration>) {
        let timeout = left.map(Timespec::new);
        let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word and the time are borrowed until the call returns. The kernel reads both,
        // the word atomically, and keeps neither.
        let _why_awake =
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout) };
    }

    /// Wakes one of the threads that sleep on the word.
    pub(super) fn wake_one(&self, word: &AtomicU32) {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        let at_most: u32 = 1;
        // SAFETY: the kernel uses the word's address only as a key here; it does not access the
        // memory.
        let _woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, at_most) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Timespec};
    use core::sync::atomic::AtomicU32;
    use std::time::Duration;

    #[test]
    fn a_time_beyond_all_numbers_is_cut() {
        let time = Timespec::new(Duration::MAX);
        assert!(time.seconds as u64 >= i32::MAX as u64);
        assert_eq!(time.nanoseconds, 999_999_999);
    }

    /// The kernel rejects a time that it reads at the wrong width. Then no wait would take any
    /// time.
    #[test]
    fn a_wait_takes_the_time_that_it_was_given() {
        let word = AtomicU32::new(7);
        for time in [Duration::from_millis(30), Duration::from_millis(1_010)] {
            let start = crate::base::clock::now();
            Line::new().wait(&word, 7, Some(time));
            // A signal may end the wait, but there is none here.
            assert!(crate::base::clock::now() - start >= time);
        }
    }

    #[test]
    fn a_word_of_another_value_is_not_waited_on() {
        Line::new().wait(&AtomicU32::new(1), 2, None);
    }
}
