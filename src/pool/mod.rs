//! The pool as its users see it: making it, submitting, handles and promises, ending it.

mod submit;
mod room;
mod permit;
mod worker_pool;
pub mod handle;
pub mod promise;
mod task_builder;
mod drain;
mod shutdown;
mod shutdown_async;
pub(crate) mod builder;
pub(crate) mod global;
pub(crate) mod blocking;
pub(crate) mod install;
pub(crate) mod unpinned;
pub(crate) mod worker_local;

pub use permit::Permit;
pub use shutdown::{AbandonedTask, ShutdownReport};
pub use shutdown_async::UntilShutdown;
pub(crate) use submit::{Options, spawn, spawn_with_options, spawn_without_place};
pub use task_builder::TaskBuilder;
pub use worker_pool::WorkerPool;
