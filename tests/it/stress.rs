//! Random programs against random pools: whatever they do, every task is settled once and nothing is left.
//!
//! `COREPOOL_SEED` runs the one program of that number; it is printed when a program fails.
//! `COREPOOL_STRESS` is how many seconds to go on for, by default five.

mod many;
mod program;

use std::env;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{PATIENCE, within};

pub(crate) fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

/// Another one each time.
pub(crate) fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Says which program it was when it fails or hangs.
pub(crate) struct Blame(pub(crate) u64);

impl Drop for Blame {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to run this program again: COREPOOL_SEED={}", self.0);
        }
    }
}

fn run(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE, move || program::run(seed));
}

#[test]
fn random_programs_settle_every_task_once_and_leave_nothing() {
    if let Some(seed) = setting("COREPOOL_SEED") {
        return run(seed);
    }
    let time = Duration::from_secs(setting("COREPOOL_STRESS").unwrap_or(5));
    let mut seeds = fastrand::Rng::with_seed(random_seed());
    let (begin, mut programs) = (Instant::now(), 0);
    // At least a few, however slow the machine is.
    while programs < 10 || begin.elapsed() < time {
        run(seeds.u64(..));
        programs += 1;
    }
    println!("{programs} programs in {:?}", begin.elapsed());
}

/// Programs that once failed, and some for good luck, so that a part of every run is the same.
#[test]
fn known_programs_settle_every_task_once_and_leave_nothing() {
    (0..40).for_each(run);
}
