//! Building blocks that know nothing of tasks, workers or pools.

pub(crate) mod parker;
pub(crate) mod timer;
pub(crate) mod spin;
pub(crate) mod habit;
pub(crate) mod queue;
pub(crate) mod admission;
pub(crate) mod event;
pub(crate) mod metrics;
pub(crate) mod watch;
pub(crate) mod idle;
pub(crate) mod offer;
