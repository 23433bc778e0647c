//! Random programs against a plain model: every handle settles once, with a result that the model
//! allows.
//!
//! `COREPOOL_SEED` and `COREPOOL_STRESS` work as in `stress.rs`. By default this runs for one
//! second.

mod planted;

use crate::random::model::run;
use crate::stress::series;

#[test]
fn random_programs_do_what_the_model_allows() {
    series(1, run);
}

/// Makes a part of every run the same.
#[test]
fn known_programs_do_what_the_model_allows() {
    (0..if cfg!(any(corepool_chaos, corepool_tsan)) { 40 } else { 300 }).for_each(run);
}
