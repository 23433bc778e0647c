//! Random programs in which all threads wait for each other: all of them end.
//!
//! `COREPOOL_SEED` and `COREPOOL_STRESS` work as in `stress.rs`. `COREPOOL_PATIENCE` is the number
//! of seconds after which a hang is reported.

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
