//! What runs tasks: the state that one pool shares, fork-join on its threads, and the workers.

pub(crate) mod config;
pub(crate) mod hub;
pub(crate) mod fork_join;
pub(crate) mod worker;
