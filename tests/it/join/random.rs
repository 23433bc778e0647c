//! Random trees of all kinds of calls at once, each compared with the result of a single thread.
//!
//! `COREPOOL_SEED` and `COREPOOL_STRESS` work as in `stress.rs`.

use crate::random::trees::run;
use crate::stress::series;

#[test]
fn random_trees_come_to_what_one_thread_makes_of_them() {
    series(1, run);
}

#[test]
fn known_trees_come_to_what_one_thread_makes_of_them() {
    (0..40).for_each(run);
}
