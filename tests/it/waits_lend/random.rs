//! Random programs in which everybody waits for somebody: all of them end.
//!
//! `COREPOOL_SEED` and `COREPOOL_STRESS` as in `stress.rs`. With `COREPOOL_PATIENCE` a hang is told
//! after so many seconds.

use crate::random::waits::run;
use crate::stress::series;

#[test]
fn random_programs_of_waits_come_to_their_ends() {
    series(1, run);
}

#[test]
fn known_programs_of_waits_come_to_their_ends() {
    (0..40).for_each(run);
}
