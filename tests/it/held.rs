//! Workers that are kept busy until the test releases them, so that later tasks must wait.

use std::sync::mpsc::{self, Sender};

use corepool::{TaskHandle, WorkerPool};

/// A worker that is busy with one task until this is released or dropped.
#[derive(Debug)]
pub(crate) struct Held {
    gate: Sender<()>,
    task: TaskHandle<()>,
}

impl Held {
    /// Releases the worker and waits until its task is settled.
    pub(crate) fn release(self) {
        drop(self.gate);
        self.task.join().expect("a held task just ends");
    }
}

/// Keeps one worker busy. Returns when its task runs.
pub(crate) fn hold(pool: &WorkerPool) -> Held {
    hold_named(pool, "held")
}

/// Like [`hold`], with a name for the task.
pub(crate) fn hold_named(pool: &WorkerPool, name: &str) -> Held {
    let (gate, wait) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let task = pool.task().name(name).spawn(move || {
        running.send(()).expect("the test waits for this");
        // Ends when the gate's sender is dropped.
        let _released = wait.recv();
    });
    runs.recv().expect("the pool has a worker for this task");
    Held { gate, task }
}

/// Keeps every worker busy.
pub(crate) fn hold_all(pool: &WorkerPool) -> Vec<Held> {
    pool.workers().iter().map(|_| hold(pool)).collect()
}
