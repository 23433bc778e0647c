//! Waiting for the end of a pool in async code.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::WorkerPool;
use crate::base::id::PoolId;
use crate::os::lineage;
use crate::sched::hub::{EndWaiter, ThreadRoster};
use crate::sched::worker;

impl WorkerPool {
    /// Closes the pool immediately, and returns a future that waits until all queued tasks have run
    /// and the threads have ended.
    ///
    /// This is [`shutdown`](Self::shutdown) for async code, on any runtime or none. The pool is
    /// closed when this call returns, whether or not the future is polled. The future only waits,
    /// and it never blocks: a thread is started to wait for the destructors of the workers'
    /// thread-locals. (If the system refuses that thread, the wait happens in place.)
    ///
    /// It may be called more than once, concurrently, and alongside the other ways to end a pool.
    /// The future borrows nothing, so it can be spawned on a runtime. Inside one of the pool's own
    /// tasks it cannot wait for itself. There, and in a forked child, it is ready immediately.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let task = pool.spawn(|| 7);
    /// pollster::block_on(pool.shutdown_async());
    /// assert!(task.is_finished());
    /// # assert_eq!(task.join().unwrap(), 7);
    /// // There is nothing left to wait for, so this does not block.
    /// drop(pool);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn shutdown_async(&self) -> UntilShutdown {
        self.hub.close();
        let lives = (!self.hub.is_copy()).then(|| Arc::clone(&self.hub.lives));
        UntilShutdown { pool: self.hub.id, process: lineage::process(), lives, watcher: None }
    }
}

/// The future that [`WorkerPool::shutdown_async`] returns.
///
/// Only the most recent waker is woken. Once ready, the future stays ready. **Dropping** it early
/// is fine: the pool stays closed, runs what is queued, and ends. Dropping the pool then waits for
/// the rest.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let ending: corepool::shutdown::UntilShutdown = pool.shutdown_async();
/// assert!(pool.is_closed());
/// pollster::block_on(ending);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[must_use = "the pool is closed, but nobody waits for its end until this is awaited"]
pub struct UntilShutdown {
    pool: PoolId,
    process: u32,
    /// None when there is nothing left to wait for.
    lives: Option<Arc<ThreadRoster>>,
    /// The registration of this future among those that wait, from the first wait on.
    watcher: Option<EndWaiter>,
}

impl UntilShutdown {
    /// Whether a wait here would be for the waiting task itself, or for threads that do not exist.
    fn must_not_wait(&self) -> bool {
        worker::is_inside(self.pool) || lineage::process() != self.process
    }

    fn stop_waiting(&mut self) {
        if let (Some(lives), Some(watcher)) = (self.lives.take(), self.watcher.take()) {
            lives.stop_waiting(watcher);
        }
    }
}

impl Future for UntilShutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let is_over = match &this.lives {
            Some(lives) if !this.must_not_wait() => lives.poll_end(&mut this.watcher, cx.waker()),
            _ => true,
        };
        if !is_over {
            return Poll::Pending;
        }
        this.stop_waiting();
        Poll::Ready(())
    }
}

impl Drop for UntilShutdown {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

impl fmt::Debug for UntilShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilShutdown").field("pool", &self.pool).finish_non_exhaustive()
    }
}
