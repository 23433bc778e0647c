//! How long a worker's thread has been on a core, asked of the system when somebody looks.
//!
//! The kernel keeps this number for every thread anyway. Reading it costs the reader a file, and the
//! worker nothing; clock reads around every task would cost each of them twice 37 ns.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Names a thread to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadClock(#[cfg(target_os = "linux")] i32);

/// The calling thread's name to the system.
#[cfg(target_os = "linux")]
pub(crate) fn of_thread() -> ThreadClock {
    ThreadClock(rustix::thread::gettid().as_raw_nonzero().get())
}

/// The calling thread's name to the system, which has none here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_thread() -> ThreadClock {
    ThreadClock()
}

impl ThreadClock {
    /// The thread's CPU time up to now; `None` once it has ended.
    #[cfg(target_os = "linux")]
    pub(crate) fn busy(self) -> Option<Duration> {
        let path = format!("/proc/self/task/{}/schedstat", self.0);
        let text = std::fs::read_to_string(path).ok()?;
        let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanoseconds))
    }

    /// Not known on this system.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn busy(self) -> Option<Duration> {
        None
    }
}
