//! The tests of the crate as a user sees it: one binary, a file for each promise.

mod admission;
mod await_handles;
mod blocking;
mod broadcast;
mod builder;
mod cancel;
mod cancel_token;
mod conservation;
mod deadlines;
mod events;
mod handles;
mod held;
mod idle_quiet;
mod in_task;
mod install;
mod join;
mod lifetime;
mod map_ordered;
mod memory_layout;
mod metrics;
mod model;
mod nothing_hides;
mod panics;
mod placement;
mod printed;
mod priorities;
mod promise;
#[path = "../random/mod.rs"]
mod random;
mod scope;
mod shared;
mod shutdown;
mod slices;
mod spawn_batch;
#[cfg(feature = "tracing")]
mod spans;
mod stress;
mod support;
mod then;
mod task_set;
mod tidy;
mod waits_lend;
mod watchdog;
mod worker_local;
mod workers;
