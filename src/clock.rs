//! The one clock: everything that measures or waits asks here, so that only monotonic time is used.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Farther off than any wait that a program lives to see, and near enough to be added to any instant.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The time now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The end of a wait that starts now; `Duration::MAX` is a wait of a hundred years.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = now();
    now.checked_add(wait).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}
