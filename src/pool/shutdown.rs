//! The end of a pool: close, wait, say what was left.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::WorkerPool;
use crate::clock;
use crate::id::WorkerId;
use crate::metrics::WorkerInfo;
use crate::task::Outcome;
use crate::worker;

/// What [`WorkerPool::shutdown_timeout`] found when it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that ended with a value during the shutdown.
    pub completed: u64,
    /// Tasks that had not started when the time was over; their handles say `Cancelled`.
    pub cancelled: u64,
    /// Tasks that still ran when the time was over. Their threads go on until they end.
    pub abandoned: Vec<AbandonedTask>,
}

/// A task that still ran when the time of a shutdown was over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedTask {
    /// The worker that runs it.
    pub worker: WorkerId,
    /// Its name, or its closure's type.
    pub task: String,
}

impl ShutdownReport {
    /// Tells whether every accepted task ran to its end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cancelled == 0 && self.abandoned.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} completed, {} cancelled", self.completed, self.cancelled)?;
        for (place, task) in self.abandoned.iter().enumerate() {
            let lead = if place == 0 { ", abandoned: " } else { ", " };
            write!(f, "{lead}{} (worker {})", task.task, task.worker)?;
        }
        Ok(())
    }
}

impl WorkerPool {
    /// Stops accepting tasks. What was accepted still runs. Never blocks.
    ///
    /// Threads and futures that wait for room are sent away. Tasks that run may not spawn any more
    /// either: their handles say `Rejected`.
    ///
    /// ```
    /// use corepool::{TaskError, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let before = pool.spawn(|| 1);
    /// pool.close();
    /// assert!(matches!(before.join(), Ok(1)));
    /// assert!(matches!(pool.spawn(|| 2).join(), Err(TaskError::Rejected)));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn close(&self) {
        self.hub.close();
    }

    /// Tells whether the pool was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.hub.is_closed()
    }

    /// Closes the pool, runs what is queued, and joins the threads. **Blocks** until that is done.
    ///
    /// May be called from any thread, more than once, at once: every call returns when the work is done. That includes tasks
    /// that another thread settles just then: because their token or deadline ended, or they made room for others. A closure that ends
    /// the pool in its drop there does not wait for itself.
    /// Inside one of the pool's own tasks it cannot wait for itself: there it only closes the pool. So it
    /// does in a forked child, where the threads are missing.
    pub fn shutdown(&self) {
        self.hub.close();
        if !worker::is_inside(self.hub.id) && !self.hub.is_copy() {
            // A worker of another pool: what runs here may wait for it.
            let _lent = worker::lend();
            self.hub.lives.wait_for_all(None);
            self.hub.lives.join_threads();
        }
    }

    /// As [`shutdown`](Self::shutdown), but gives up when the time is over. **Blocks** that long at most.
    ///
    /// Then what is still queued is cancelled; what still runs is named in the report, and its threads
    /// are left to end by themselves. Dropping the pool does not wait for them either. Inside one of the pool's own tasks it closes the pool and
    /// reports at once. So it does in a forked child, where nothing runs, and the report is empty.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let stuck = pool.task().name("stuck").spawn(move || wait.recv());
    /// while pool.workers()[0].running.is_none() {
    ///     std::thread::yield_now();
    /// }
    /// let queued = pool.spawn(|| 1);
    /// let report = pool.shutdown_timeout(Duration::from_millis(20));
    /// assert_eq!((report.cancelled, report.abandoned[0].task.as_str()), (1, "stuck"));
    /// assert!(queued.join().unwrap_err().is_cancelled());
    /// drop(go);
    /// # let _ = stuck.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn shutdown_timeout(&self, timeout: Duration) -> ShutdownReport {
        let end = clock::after(timeout);
        if self.hub.is_copy() {
            // Counting would take locks, which may be held for ever here.
            self.hub.close();
            return ShutdownReport { completed: 0, cancelled: 0, abandoned: Vec::new() };
        }
        // As in `shutdown`.
        let _lent = if worker::is_inside(self.hub.id) { None } else { worker::lend() };
        let completed_before = self.hub.metrics().completed;
        self.hub.close();
        let mut cancelled = 0;
        let mut abandoned = Vec::new();
        if worker::is_inside(self.hub.id) {
            abandoned = self.running_tasks();
        } else if self.hub.lives.wait_for_all(Some(end)) {
            if self.hub.lives.join_threads_until(end) {
                self.hub.lives.give_up();
            }
        } else {
            cancelled = self.hub.settle_waiting(Outcome::Cancelled) as u64;
            // From here on continuations are refused at once; what came between the two is settled too.
            self.hub.lives.give_up();
            cancelled += self.hub.settle_waiting(Outcome::Cancelled) as u64;
            abandoned = self.running_tasks();
        }
        let completed = self.hub.metrics().completed - completed_before;
        ShutdownReport { completed, cancelled, abandoned }
    }

    fn running_tasks(&self) -> Vec<AbandonedTask> {
        let named = |worker: WorkerInfo| {
            worker.running.map(|task| AbandonedTask { worker: worker.id, task })
        };
        let all = self.hub.workers().into_iter().chain(self.hub.spare_workers());
        all.filter_map(named).collect()
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        // A deadline was set and has passed: what it left behind is not waited for after all.
        if self.hub.lives.was_given_up() {
            self.close();
        } else {
            self.shutdown();
        }
    }
}
