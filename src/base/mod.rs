//! What everything else stands on: the one door to atomics, locks and threads, the clock, numbers
//! and errors.

#[macro_use]
pub(crate) mod sync;
pub(crate) mod unwind;
pub(crate) mod half;
pub(crate) mod error;
pub(crate) mod counter_start;
pub(crate) mod id;
pub(crate) mod clock;
pub(crate) mod trampoline;
pub(crate) mod spans;
