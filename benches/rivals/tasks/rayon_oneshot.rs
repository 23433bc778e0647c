//! rayon's `spawn` with a oneshot channel for the result, because `spawn` returns none.

#![forbid(unsafe_code)]

use oneshot::Receiver;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::support::{WORKERS, work::burst};

pub(crate) fn start() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("a pool of two threads")
}

pub(crate) fn spawn<T: Send + 'static>(
    pool: &ThreadPool,
    f: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    pool.spawn(move || drop(sender.send(f())));
    receiver
}

pub(crate) fn join<T>(receiver: Receiver<T>) -> T {
    receiver.recv().expect("the task ran")
}

/// Blocks one of the two threads on channels while the other runs the tasks that it spawned. This
/// ends because only one task waits.
pub(crate) fn inside(pool: &ThreadPool, tasks: u64) -> u64 {
    let spawn_here = |value| {
        let (sender, receiver) = oneshot::channel();
        rayon::spawn(move || drop(sender.send(value)));
        receiver
    };
    join(spawn(pool, move || burst(tasks, spawn_here, join)))
}
