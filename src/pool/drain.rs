//! Waiting until a pool has nothing to do, without closing it.
#![forbid(unsafe_code)]

use super::WorkerPool;
use crate::sched::worker;

impl WorkerPool {
    /// Waits until all accepted tasks have run, and the tasks that they spawned, and so on. The
    /// pool stays open. **Blocks** until then.
    ///
    /// It returns once there was a moment in which no task was queued and none was running. While
    /// others keep submitting, that may never happen. At that moment all handles are settled,
    /// including those of continuations. A submitter that waits for room in a bounded queue does
    /// not count, because its task is not accepted yet. On a closed pool it waits for the end of
    /// the pool.
    ///
    /// Inside a task of another pool it lends the core, as other waits do. In a forked child, which
    /// has no workers, it returns immediately.
    ///
    /// # Panics
    /// Inside one of the pool's own tasks, because the call would wait for that task itself.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let done = Arc::new(AtomicU32::new(0));
    /// for _ in 0..10 {
    ///     let done = Arc::clone(&done);
    ///     let count = move || done.fetch_add(1, Ordering::Relaxed);
    ///     let next = move || corepool::spawn(count).detach();
    ///     pool.spawn(next).detach();
    /// }
    /// pool.drain();
    /// assert_eq!(done.load(Ordering::Relaxed), 10);
    /// assert!(!pool.is_closed());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[track_caller]
    pub fn drain(&self) {
        if self.hub().is_copy() {
            return;
        }
        assert!(
            !worker::is_inside(self.hub().id),
            "drain was called in a task of the pool, and would wait for that task itself"
        );
        let _lent = worker::lend();
        self.hub().wait_until_quiet();
    }
}
