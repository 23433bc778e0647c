//! Random programs against a simple model: every handle settles once, with a result that the model
//! allows.

pub(crate) mod body;
pub(crate) mod book;
pub(crate) mod ends;
mod handles;
mod program;
mod promises;
mod sets;
mod spawning;

use super::Blame;
use crate::support::{PATIENCE, within};

pub(crate) fn run(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE, move || program::run(seed));
}
