//! Round trips, one at a time, and the metrics over many of them.

#![forbid(unsafe_code)]

use super::interleave::{quantile, sorted};
use super::usage;

/// The metrics that [`said_of`] returns.
pub(crate) const TRIP: &[&str] = &["p50 ns", "p99 ns", "sleeps a trip", "cpu us a trip"];

/// The median, the 99th percentile, and sleeps and CPU time per trip. `make` returns the
/// nanoseconds of each trip.
///
/// The submitter's own sleeps count too. With a pause the minimum is three: one for the pause, one
/// to wait, and one of the worker.
pub(crate) fn said_of(make: impl FnOnce() -> Vec<f64>) -> Vec<f64> {
    let before = usage::process();
    let times = make();
    let used = usage::process() - before;
    let count = times.len() as f64;
    let times = sorted(times);
    let at = |part| quantile(&times, part).unwrap_or(f64::NAN);
    vec![at(0.5), at(0.99), used.sleeps / count, used.cpu / count]
}
