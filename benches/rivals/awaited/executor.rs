//! `async-executor` on two threads. The task is an async block that does not wait.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_executor::{Executor, Task};
use futures_lite::future::block_on;
use tokio::sync::oneshot::{self, Sender};

use super::Awaited;
use crate::support::WORKERS;

/// An executor with its threads.
pub(crate) struct TwoThreads {
    pub(crate) executor: Arc<Executor<'static>>,
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl TwoThreads {
    pub(crate) fn start() -> Self {
        let executor = Arc::new(Executor::new());
        let run = |_| {
            let executor = Arc::clone(&executor);
            let (end, ended) = oneshot::channel();
            (end, thread::spawn(move || drop(block_on(executor.run(ended)))))
        };
        let threads = (0..WORKERS).map(run).collect();
        Self { executor, threads }
    }
}

impl Drop for TwoThreads {
    fn drop(&mut self) {
        for (end, thread) in self.threads.drain(..) {
            drop(end);
            thread.join().expect("no task of a bench panics");
        }
    }
}

impl Awaited for TwoThreads {
    type Handle = Task<u64>;

    fn spawn(&self, value: u64) -> Task<u64> {
        self.executor.spawn(async move { value })
    }

    fn value(output: u64) -> u64 {
        output
    }
}
