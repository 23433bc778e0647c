//! What corepool is measured beside, corepool itself included: one module for each kind of work,
//! and in it one for each contestant.

pub(crate) mod awaited;
pub(crate) mod forks;
pub(crate) mod slices;
pub(crate) mod tasks;
