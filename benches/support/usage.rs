//! Resource usage as the system reports it: CPU time and context switches, of the process and of
//! this thread.
//!
//! The values come from `getrusage`, which is exact to the microsecond here and keeps counting
//! threads that have ended. Adding up `/proc/self/task/*/status` would lose those threads; tokio
//! ends idle threads after 10 s. There is one limit: a thread that is on a core during the reading
//! is only charged up to its last tick. So over a few milliseconds of spinning the CPU time is too
//! low.

use std::fs;
use std::ops::Sub;

/// CPU time and context switches since the start of a process or a thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Microseconds of CPU time, in user mode and in the kernel.
    pub(crate) cpu: f64,
    /// How often a thread went to sleep.
    pub(crate) sleeps: f64,
    /// How often a thread was preempted, or yielded.
    pub(crate) pushed: f64,
}

impl Usage {
    /// Context switches of both kinds.
    pub(crate) fn switches(self) -> f64 {
        self.sleeps + self.pushed
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu - earlier.cpu,
            sleeps: self.sleeps - earlier.sleeps,
            pushed: self.pushed - earlier.pushed,
        }
    }
}

/// The whole process, including the threads that have ended.
#[cfg(target_os = "linux")]
pub(crate) fn process() -> Usage {
    read(libc::RUSAGE_SELF)
}

/// The calling thread only.
#[cfg(target_os = "linux")]
pub(crate) fn thread() -> Usage {
    read(libc::RUSAGE_THREAD)
}

#[cfg(target_os = "linux")]
fn read(who: libc::c_int) -> Usage {
    let mut raw = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is valid for writing one `rusage`, and the kernel keeps no copy of it.
    let answer = unsafe { libc::getrusage(who, raw.as_mut_ptr()) };
    assert_eq!(answer, 0, "getrusage knows both selectors used here");
    // SAFETY: the call succeeded, so it filled in every field.
    let raw = unsafe { raw.assume_init() };
    let micros = |t: libc::timeval| t.tv_sec as f64 * 1e6 + t.tv_usec as f64;
    Usage {
        cpu: micros(raw.ru_utime) + micros(raw.ru_stime),
        sleeps: raw.ru_nvcsw as f64,
        pushed: raw.ru_nivcsw as f64,
    }
}

/// On other systems the benches still run, and these columns stay 0.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process() -> Usage {
    Usage::default()
}

/// On other systems the benches still run, and these columns stay 0.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread() -> Usage {
    Usage::default()
}

/// A reading of the machine's CPU time, to find out later how much of it other processes used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    total: f64,
    /// Ticks that no process used.
    free: f64,
    /// Microseconds that this process used.
    own: f64,
}

impl Machine {
    /// Reads the counters, if the system has them.
    pub(crate) fn now() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<f64> =
            stat.lines().next()?.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guest time is already in user.
        let total = ticks.iter().take(8).sum();
        Some(Self { total, free: ticks.get(3)? + ticks.get(4)?, own: process().cpu })
    }

    /// The part of all cores that other processes have used since, from 0 to 1.
    pub(crate) fn strangers(self) -> Option<f64> {
        let now = Self::now()?;
        let total = now.total - self.total;
        // A tick is 10 ms on all present-day Linux systems.
        let own = (now.own - self.own) / 10_000.0;
        let free = now.free - self.free;
        (total > 0.0).then(|| ((total - free - own) / total).clamp(0.0, 1.0))
    }
}
