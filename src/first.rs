//! Where counters begin that come round: at nothing, and in a build with chaos shortly before their
//! ends.
//!
//! A counter that is raised for each task or pool may come to its end in a process that runs for
//! long, on a machine of 32 bits within the hour. No test lives to see that, so `ci/chaos.sh` runs
//! all of them across it. Counters of 64 bits everywhere are left out: at a count each nanosecond
//! they last for 584 years.
#![forbid(unsafe_code)]

/// So many counts before the end: few enough for a short test to come across it, and more than one.
const BEFORE_THE_END: u32 = 3;

/// For what counts tasks in a machine's word.
pub(crate) const WORD: usize =
    if cfg!(corepool_chaos) { usize::MAX - BEFORE_THE_END as usize } else { 0 };

/// For what a worker counts for itself.
pub(crate) const SHORT: u32 = if cfg!(corepool_chaos) { u32::MAX - BEFORE_THE_END } else { 0 };

/// For the numbers of pools: both the word and the part of it that is used come round.
pub(crate) const POOL: u32 = if cfg!(corepool_chaos) { u32::MAX - BEFORE_THE_END } else { 0 };
