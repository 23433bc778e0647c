//! The tests of the crate as a user sees it: one binary, a file for each promise.

mod admission;
mod await_handles;
mod builder;
mod cancel;
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
mod panics;
mod promise;
mod scope;
mod shared;
mod shutdown;
mod slices;
mod stress;
mod support;
mod task_set;
mod tidy;
mod workers;
