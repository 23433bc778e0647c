//! The time: each thread has its own clock, and the thread that is furthest behind runs first.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::world::with;

/// The time at which all machines begin.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// The calling thread's time. The reading is charged.
pub fn now() -> Instant {
    let nanos = with(|world| {
        world.charge(|costs| costs.clock);
        world.me().clock
    });
    beginning() + Duration::from_nanos(nanos.unwrap_or(0))
}

/// The calling thread's time in nanoseconds since the machine began. The reading is free.
pub fn nanos() -> u64 {
    with(|world| world.me().clock).unwrap_or(0)
}

/// Converts an instant to the scale of [`nanos`].
pub(crate) fn nanos_of(instant: Instant) -> u64 {
    nanos_in(instant.saturating_duration_since(beginning()))
}

pub(crate) fn nanos_in(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}
