//! Random programs against random pools: whatever they do, every task is settled once and nothing
//! is left.
//!
//! `COREPOOL_SEED` runs the one program of that number; it is printed when a program fails.
//! `COREPOOL_STRESS` is how many seconds to go on for, by default one.

use std::time::{Duration, Instant};

use crate::random::stress::run;
use crate::random::{random_seed, setting};

/// Runs one program after another for some seconds, or as many as `COREPOOL_STRESS` says; with
/// `COREPOOL_SEED` the one of that number.
pub(crate) fn series(seconds: u64, run: fn(u64)) {
    if let Some(seed) = setting("COREPOOL_SEED") {
        return run(seed);
    }
    let time = Duration::from_secs(setting("COREPOOL_STRESS").unwrap_or(seconds));
    let mut seeds = fastrand::Rng::with_seed(random_seed());
    let (begin, mut programs) = (Instant::now(), 0);
    // At least a few, however slow the machine is.
    while programs < 10 || begin.elapsed() < time {
        run(seeds.u64(..));
        programs += 1;
    }
    println!("{programs} programs in {:?}", begin.elapsed());
}

#[test]
fn random_programs_settle_every_task_once_and_leave_nothing() {
    series(1, run);
}

/// Programs that once failed, and some for good luck, so that a part of every run is the same.
#[test]
fn known_programs_settle_every_task_once_and_leave_nothing() {
    (0..40).for_each(run);
}
