//! The `threadpool` crate with a oneshot channel for the result.

#![forbid(unsafe_code)]

use oneshot::Receiver;
use threadpool::ThreadPool;

use crate::support::{WORKERS, work::burst};

pub(crate) use super::rayon_oneshot::join;

pub(crate) fn start() -> ThreadPool {
    ThreadPool::new(WORKERS)
}

pub(crate) fn spawn<T: Send + 'static>(
    pool: &ThreadPool,
    f: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    pool.execute(move || drop(sender.send(f())));
    receiver
}

pub(crate) fn inside(pool: &ThreadPool, tasks: u64) -> u64 {
    let here = pool.clone();
    join(spawn(pool, move || burst(tasks, |value| spawn(&here, move || value), join)))
}
