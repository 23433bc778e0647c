//! The one clock: everything that measures or waits asks here, so that only monotonic time is used.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Farther off than any wait that a program lives to see, and near enough to be added to any instant.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The time now.
#[cfg(not(corepool_shuttle))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(all(test, corepool_shuttle))]
pub(crate) use scheduled::restart;
#[cfg(corepool_shuttle)]
pub(crate) use scheduled::{now, pass_until};

/// The end of a wait that starts now; `Duration::MAX` is a wait of a hundred years.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = now();
    now.checked_add(wait).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

/// The clock of a schedule: a replay has to see the same times, so it counts steps, and jumps where a wait is given up.
#[cfg(corepool_shuttle)]
mod scheduled {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    const STEP: Duration = Duration::from_micros(1);

    // The standard library's, for all threads of a schedule run on one.
    std::thread_local! {
        static JUMPED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        let steps = u32::try_from(shuttle::current::context_switches()).unwrap_or(u32::MAX);
        *START.get_or_init(Instant::now) + STEP * steps + JUMPED.get()
    }

    /// It is that time now, if it was not already.
    pub(crate) fn pass_until(end: Instant) {
        JUMPED.set(JUMPED.get() + end.saturating_duration_since(now()));
    }

    /// A new schedule begins.
    #[cfg(test)]
    pub(crate) fn restart() {
        JUMPED.set(Duration::ZERO);
    }
}
