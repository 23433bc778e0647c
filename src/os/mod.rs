//! What differs from system to system: cores and pinning, what threads inherit, forked children.

pub(crate) mod lineage;
pub(crate) mod affinity;
pub(crate) mod heritage;
