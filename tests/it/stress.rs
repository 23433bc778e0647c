//! Random programs against random pools: whatever they do, every task is settled once and nothing
//! is left.
//!
//! `COREPOOL_SEED` runs only the program with that number, which is printed when a program fails.
//! `COREPOOL_STRESS` is the number of seconds to run, one by default.

use std::time::{Duration, Instant};

use crate::random::stress::run;
use crate::random::{random_seed, setting};

/// Runs one program after another for the given number of seconds, or for `COREPOOL_STRESS`
/// seconds. With `COREPOOL_SEED` it runs only the program with that number.
pub(crate) fn series(seconds: u64, run: fn(u64)) {
    if let Some(seed) = setting("COREPOOL_SEED") {
        return run(seed);
    }
    let time = Duration::from_secs(setting("COREPOOL_STRESS").unwrap_or(seconds));
    let mut seeds = fastrand::Rng::with_seed(random_seed());
    let (begin, mut programs) = (Instant::now(), 0);
    // Runs at least a few, however slow the machine is.
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

/// Programs that once failed and some arbitrary ones, so that a part of every run is the same.
#[test]
fn known_programs_settle_every_task_once_and_leave_nothing() {
    (0..40).for_each(run);
}
