//! The contestants, one module each, all with the same four functions.
//!
//! `start() -> Pool`, `spawn(&Pool, f) -> Handle<T>`, `join(Handle<T>) -> T`, and `inside(&Pool,
//! tasks)`: one task that spawns the others on the pool that runs it, and joins them. Each is
//! written as the contestant's own documentation suggests.

pub(crate) mod blocking_crate;
pub(crate) mod by_hand;
pub(crate) mod in_place;
pub(crate) mod ours;
pub(crate) mod rayon_install;
pub(crate) mod rayon_oneshot;
pub(crate) mod rusty;
pub(crate) mod threadpool_crate;
pub(crate) mod tokio_blocking;
