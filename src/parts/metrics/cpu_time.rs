//! How long a worker's thread has run on a core, queried from the system on demand.
//!
//! The kernel keeps this number for every thread anyway. Reading it costs the reader a system call
//! and the worker nothing. Reading the clock around every task would cost each task twice 37 ns.
//! The same number is in `/proc/self/task/*/schedstat`, but opening a file for each worker took 40
//! times as long.

use std::time::Duration;

/// The system's name for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadClock(#[cfg(target_os = "linux")] i32);

/// Returns the system's name for the calling thread.
#[cfg(target_os = "linux")]
pub(crate) fn of_thread() -> ThreadClock {
    ThreadClock(crate::os::affinity::thread_number())
}

/// Returns the system's name for the calling thread. This system has none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_thread() -> ThreadClock {
    ThreadClock()
}

impl ThreadClock {
    /// The system's number of the thread.
    pub(crate) fn number(self) -> Option<i32> {
        #[cfg(target_os = "linux")]
        return Some(self.0);
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// The thread's CPU time until now; `None` once it has ended.
    #[cfg(target_os = "linux")]
    pub(crate) fn busy(self) -> Option<Duration> {
        /// The scheduler's clock of a thread, in the kernel's numbering of clocks. These are the
        /// bits that pthread_getcpuclockid(3) also sets.
        const OF_A_THREAD: libc::clockid_t = 0b110;
        // Miri interprets the program and does not know this clock.
        if cfg!(miri) {
            return None;
        }
        let clock = (!self.0 << 3) | OF_A_THREAD;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is ours and writable. The kernel refuses a number that is not that of a
        // thread of this process.
        let answer = unsafe { libc::clock_gettime(clock, &raw mut time) };
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
        (answer == 0).then(|| Duration::new(seconds, nanoseconds))
    }

    /// Not known on this system.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn busy(self) -> Option<Duration> {
        None
    }
}
