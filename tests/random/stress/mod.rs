//! Random programs against random pools: whatever they do, every task is settled once and nothing
//! is left.

mod many;
mod program;

use super::Blame;
use crate::support::{PATIENCE, within};

pub(crate) fn run(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE, move || program::run(seed));
}
