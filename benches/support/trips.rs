//! Round trips, one at a time: what is said of many of them.

#![forbid(unsafe_code)]

use super::interleave::{quantile, sorted};
use super::usage;

/// What [`said_of`] gives.
pub(crate) const TRIP: &[&str] = &["p50 ns", "p99 ns", "sleeps a trip", "cpu us a trip"];

/// Median, 99th percentile, sleeps and CPU a trip, of trips that say how many nanoseconds each
/// took.
///
/// The submitter's own sleeps count too: with a pause the least possible is three, one for the
/// pause, one to wait, one of the worker.
pub(crate) fn said_of(make: impl FnOnce() -> Vec<f64>) -> Vec<f64> {
    let before = usage::process();
    let times = make();
    let used = usage::process() - before;
    let count = times.len() as f64;
    let times = sorted(times);
    let at = |part| quantile(&times, part).unwrap_or(f64::NAN);
    vec![at(0.5), at(0.99), used.sleeps / count, used.cpu / count]
}
