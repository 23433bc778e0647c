//! Random programs against a plain model: every handle settles once, with a result that the model allows.
//!
//! `COREPOOL_SEED` runs the one program of that number; it is printed when a program fails. `COREPOOL_STRESS` is how many
//! seconds to go on for, by default three.

mod body;
mod book;
mod ends;
mod handles;
mod planted;
mod program;
mod promises;
mod sets;
mod spawning;

use std::time::{Duration, Instant};

use crate::stress::{Blame, random_seed, setting};
use crate::support::{PATIENCE, within};

fn run(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE, move || program::run(seed));
}

#[test]
fn random_programs_do_what_the_model_allows() {
    if let Some(seed) = setting("COREPOOL_SEED") {
        return run(seed);
    }
    let time = Duration::from_secs(setting("COREPOOL_STRESS").unwrap_or(3));
    let mut seeds = fastrand::Rng::with_seed(random_seed());
    let (begin, mut programs) = (Instant::now(), 0);
    // At least a few, however slow the machine is.
    while programs < 10 || begin.elapsed() < time {
        run(seeds.u64(..));
        programs += 1;
    }
    println!("{programs} programs in {:?}", begin.elapsed());
}

/// So that a part of every run is the same.
#[test]
fn known_programs_do_what_the_model_allows() {
    (0..if cfg!(any(corepool_chaos, corepool_tsan)) { 40 } else { 300 }).for_each(run);
}
