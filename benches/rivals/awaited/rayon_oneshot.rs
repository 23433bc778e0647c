//! rayon's `spawn` with tokio's oneshot channel for the result.

#![forbid(unsafe_code)]

use rayon::ThreadPool;
use tokio::sync::oneshot::{self, Receiver, error::RecvError};

use super::Awaited;

/// A wrapper, because the pool itself is a separate contestant (`tokio_rayon_crate.rs`).
pub(super) struct RayonOneshot(ThreadPool);

pub(super) fn start() -> RayonOneshot {
    RayonOneshot(crate::rivals::tasks::rayon_oneshot::start())
}

impl Awaited for RayonOneshot {
    type Handle = Receiver<u64>;

    fn spawn(&self, value: u64) -> Receiver<u64> {
        let (sender, receiver) = oneshot::channel();
        self.0.spawn(move || {
            let _sent = sender.send(value);
        });
        receiver
    }

    fn value(output: Result<u64, RecvError>) -> u64 {
        output.expect("the task ran")
    }
}
