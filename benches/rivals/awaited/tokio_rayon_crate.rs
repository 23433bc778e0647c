//! The `tokio-rayon` crate on a rayon pool of two threads.

#![forbid(unsafe_code)]

use tokio_rayon::rayon::ThreadPool;
use tokio_rayon::{AsyncRayonHandle, AsyncThreadPool};

use super::Awaited;

pub(super) struct TokioRayon(ThreadPool);

pub(super) fn start() -> TokioRayon {
    TokioRayon(crate::rivals::tasks::rayon_oneshot::start())
}

impl Awaited for TokioRayon {
    type Handle = AsyncRayonHandle<u64>;

    fn spawn(&self, value: u64) -> AsyncRayonHandle<u64> {
        self.0.spawn_async(move || value)
    }

    /// If the task panics, the panic continues in the thread that awaits it.
    fn value(output: u64) -> u64 {
        output
    }
}
