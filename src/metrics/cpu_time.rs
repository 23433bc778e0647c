//! How long a worker's thread has been on a core, asked of the system when somebody looks.
//!
//! The kernel keeps this number for every thread anyway. Reading it costs the reader a system call,
//! and the worker nothing; clock reads around every task would cost each of them twice 37 ns. The
//! same number stands in `/proc/self/task/*/schedstat`, but opening a file for each worker took 40
//! times as long.

use std::time::Duration;

/// Names a thread to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadClock(#[cfg(target_os = "linux")] i32);

/// The calling thread's name to the system.
#[cfg(target_os = "linux")]
pub(crate) fn of_thread() -> ThreadClock {
    ThreadClock(crate::affinity::thread_number())
}

/// The calling thread's name to the system, which has none here.
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

    /// The thread's CPU time up to now; `None` once it has ended.
    #[cfg(target_os = "linux")]
    pub(crate) fn busy(self) -> Option<Duration> {
        /// What a thread was given by the scheduler, in the kernel's numbering of clocks: bits that
        /// pthread_getcpuclockid(3) sets, too.
        const OF_A_THREAD: libc::clockid_t = 0b110;
        // Miri interprets the program, and knows no such clock.
        if cfg!(miri) {
            return None;
        }
        let clock = (!self.0 << 3) | OF_A_THREAD;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is ours to be written to. A number that names no thread of this process
        // is refused.
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
