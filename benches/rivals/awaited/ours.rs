//! `corepool`: the handle is the future.

#![forbid(unsafe_code)]

use corepool::{TaskError, TaskHandle, WorkerPool};

use super::Awaited;

pub(super) use crate::rivals::tasks::ours::start;

impl Awaited for WorkerPool {
    type Handle = TaskHandle<u64>;

    fn spawn(&self, value: u64) -> TaskHandle<u64> {
        self.spawn(move || value)
    }

    fn value(output: Result<u64, TaskError>) -> u64 {
        output.expect("the task ran")
    }
}
