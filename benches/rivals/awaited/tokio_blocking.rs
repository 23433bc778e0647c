//! tokio's `spawn_blocking` on the awaiting runtime, limited to two threads.

#![forbid(unsafe_code)]

use tokio::task::{JoinError, JoinHandle};

use super::Awaited;

/// The runtime owns the threads.
pub(super) struct SpawnBlocking;

pub(super) fn start() -> SpawnBlocking {
    SpawnBlocking
}

impl Awaited for SpawnBlocking {
    type Handle = JoinHandle<u64>;

    fn spawn(&self, value: u64) -> JoinHandle<u64> {
        tokio::task::spawn_blocking(move || value)
    }

    fn value(output: Result<u64, JoinError>) -> u64 {
        output.expect("the task ran")
    }
}
