//! The initial values of counters that wrap around: 0, or shortly before the wrap in a chaos build.
//!
//! A counter that is raised for each task or pool may wrap around in a process that runs for a long
//! time; on a 32-bit machine this takes less than an hour. No test runs for that long, so
//! `ci/chaos.sh` runs all of them across the wrap. Counters that have 64 bits on every platform are
//! left out, because at one count per nanosecond they last for 584 years.
#![forbid(unsafe_code)]

/// How many counts before the wrap: few enough for a short test to cross it, and more than one.
const BEFORE_THE_END: u32 = 3;

/// For counters of tasks in a machine word.
pub(crate) const WORD: usize =
    if cfg!(corepool_chaos) { usize::MAX - BEFORE_THE_END as usize } else { 0 };

/// For what a worker counts for itself.
pub(crate) const SHORT: u32 = if cfg!(corepool_chaos) { u32::MAX - BEFORE_THE_END } else { 0 };

/// For the numbers of pools. Both the word and the part of it that is used wrap around.
pub(crate) const POOL: u32 = if cfg!(corepool_chaos) { u32::MAX - BEFORE_THE_END } else { 0 };
