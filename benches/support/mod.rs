//! What the benches share beside the rivals: the workloads, the measuring and the output.

pub(crate) mod interleave;
pub(crate) mod json;
pub(crate) mod options;
pub(crate) mod rival;
pub(crate) mod trips;
pub(crate) mod usage;
pub(crate) mod verdict;
pub(crate) mod work;

/// The number of workers in every pool. It must be the same for all, or the comparison says
/// nothing.
pub(crate) const WORKERS: usize = 2;
