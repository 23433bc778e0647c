//! Many tasks at once: batches, sets, windowed maps.

pub(crate) mod batch;
pub(crate) mod task_set;
pub(crate) mod windowed;
