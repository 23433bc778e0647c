//! The single clock: all code that measures time or waits uses it, so that only monotonic time is
//! used.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Longer than any wait that a program lives to see, and short enough to be added to any instant.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The current time.
#[cfg(not(any(corepool_shuttle, corepool_virtual)))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(corepool_virtual)]
pub(crate) use machine::clock::now;

#[cfg(all(test, corepool_shuttle))]
pub(crate) use scheduled::restart;
#[cfg(corepool_shuttle)]
pub(crate) use scheduled::{now, pass_until};

/// The end of a wait that starts now. `Duration::MAX` is a wait of a hundred years.
pub(crate) fn after(wait: Duration) -> Instant {
    later(now(), wait)
}

/// The end of a wait that starts at `start`. If an `Instant` cannot represent that end, the result
/// is a hundred years after `start`, or, if that cannot be represented either, more than half of
/// the remaining range after it. It never panics, because a panic on one of our own threads would
/// abort the process.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| {
        let mut left = wait.min(FAR);
        loop {
            match start.checked_add(left) {
                Some(end) => return end,
                None => left /= 2,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Duration, FAR, later, now};

    #[test]
    fn a_wait_beyond_the_last_instant_has_an_end_all_the_same() {
        let mut time = now();
        assert_eq!(later(time, Duration::MAX), time + FAR);
        // As far as an `Instant` goes, in ever smaller steps.
        let mut step = Duration::MAX / 2;
        while !step.is_zero() {
            time = time.checked_add(step).unwrap_or(time);
            step /= 2;
        }
        for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX]
        {
            assert!(later(time, wait) >= time, "{wait:?}");
        }
        let second = Duration::from_secs(1);
        assert!(later(time - second / 2, second) > time - second / 4, "most of what is left");
    }
}

/// The clock of a schedule. A replay has to see the same times, so the clock counts steps, and
/// jumps forward when a wait is given up.
#[cfg(corepool_shuttle)]
mod scheduled {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    const STEP: Duration = Duration::from_micros(1);

    // The standard library's thread-local, because all threads of a schedule run on one real
    // thread.
    std::thread_local! {
        static JUMPED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        let steps = u32::try_from(shuttle::current::context_switches()).unwrap_or(u32::MAX);
        *START.get_or_init(Instant::now) + STEP * steps + JUMPED.get()
    }

    /// Advances the clock to `end`, unless it is already later.
    pub(crate) fn pass_until(end: Instant) {
        JUMPED.set(JUMPED.get() + end.saturating_duration_since(now()));
    }

    /// Called when a new schedule begins.
    #[cfg(test)]
    pub(crate) fn restart() {
        JUMPED.set(Duration::ZERO);
    }
}
