//! What the benches share: the contestants, the workloads, the measuring and the writing down.

pub(crate) mod awaited;
pub(crate) mod forks;
pub(crate) mod interleave;
pub(crate) mod json;
pub(crate) mod options;
pub(crate) mod rival;
pub(crate) mod rivals;
pub(crate) mod slices;
pub(crate) mod trips;
pub(crate) mod usage;
pub(crate) mod verdict;
pub(crate) mod work;

/// How many workers every pool gets: the same for all, or the comparison says nothing.
pub(crate) const WORKERS: usize = 2;
