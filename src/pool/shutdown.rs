//! The end of a pool: close, wait, say what was left.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use super::WorkerPool;
use crate::cancel::{CancelReason, CancelToken};
use crate::clock;
use crate::id::WorkerId;
use crate::metrics::{Metrics, WorkerInfo};
use crate::worker;

/// What [`WorkerPool::shutdown_timeout`] found when it was over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that ended with a value during the shutdown, before they were asked to stop.
    pub completed: u64,
    /// Tasks that ran when all were asked to stop, and ended in time, however.
    pub stopped: u64,
    /// Tasks that had not started when all were asked to stop; their handles say `Cancelled`.
    pub cancelled: u64,
    /// Tasks that still ran when the time was over. Their threads go on until they end.
    pub abandoned: Vec<AbandonedTask>,
    /// The names of tasks that still ran then on threads that are none of the pool's workers:
    /// something there waits for them, and ran them in place.
    pub in_place: Vec<String>,
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
    /// Tells whether every accepted task ran to its end, and none was asked to stop.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cancelled == 0
            && self.stopped == 0
            && self.abandoned.is_empty()
            && self.in_place.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("nothing was left to do");
        }
        write!(f, "{} completed, {} cancelled", self.completed, self.cancelled)?;
        if self.stopped > 0 {
            write!(f, ", {} stopped", self.stopped)?;
        }
        let workers = self.abandoned.iter().map(|task| (&task.task, Some(task.worker)));
        let others = self.in_place.iter().map(|task| (task, None));
        for (place, (task, worker)) in workers.chain(others).enumerate() {
            let lead = if place == 0 { ", abandoned: " } else { ", " };
            match worker {
                Some(worker) => write!(f, "{lead}{task} (worker {worker})")?,
                None => write!(f, "{lead}{task} (in place)")?,
            }
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
    /// assert!(matches!(pool.spawn(|| 2).join(), Err(TaskError::Rejected(_))));
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
    /// May be called from any thread, more than once, at once: every call returns when the work is
    /// done. That includes tasks that another thread settles just then: because it cancels them,
    /// their token or deadline ended, or they made room for others. A closure that ends the pool in
    /// its drop there does not wait for itself. Inside one of the pool's own tasks it cannot wait
    /// for itself: there it only closes the pool. So it does in a forked child, where the threads
    /// are missing.
    pub fn shutdown(&self) {
        self.hub.close();
        if !worker::is_inside(self.hub.id) && !self.hub.is_copy() {
            // A worker of another pool: what runs here may wait for it.
            let _lent = worker::lend();
            self.hub.lives.wait_for_all(None);
            self.hub.lives.join_threads();
        }
    }

    /// As [`shutdown`](Self::shutdown), but gives up when the time is over. **Blocks** that long at
    /// most.
    ///
    /// Then what is still queued is cancelled, and what still runs is asked to stop, as by
    /// [`shutdown_stopping`](Self::shutdown_stopping). It is named in the report, and its threads
    /// are left to end by themselves. Dropping the pool does not wait for them either. The closures
    /// of cancelled tasks are dropped on a thread of its own; what that takes beyond some 20 ms is
    /// not waited for. Inside one of the pool's own tasks it closes the pool and reports at once.
    /// So it does in a forked child, where nothing runs, and the report is empty.
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
        self.shutdown_stopping(timeout, timeout)
    }

    /// As [`shutdown_timeout`](Self::shutdown_timeout), but asks what runs to stop some time before
    /// it gives up. Both times count from now; a `stop_after` that is longer than `timeout` counts
    /// as that. **Blocks** for the whole time at most.
    ///
    /// Until `stop_after` the work goes on. Then what has not started is cancelled, and every
    /// running task sees that [`is_cancelled`](crate::TaskContext::is_cancelled), for the reason
    /// [`ShuttingDown`](CancelReason::ShuttingDown). Those that end before the time is over are
    /// counted as [`stopped`](ShutdownReport::stopped).
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn_with(|cx| {
    ///     while !cx.is_cancelled() {
    ///         std::hint::spin_loop();
    ///     }
    ///     cx.cancel_reason()
    /// });
    /// while pool.workers()[0].running.is_none() {
    ///     std::thread::yield_now();
    /// }
    /// let report = pool.shutdown_stopping(Duration::from_millis(20), Duration::from_secs(60));
    /// assert_eq!((report.completed, report.stopped), (0, 1));
    /// assert_eq!(task.join().unwrap(), Some(corepool::CancelReason::ShuttingDown));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn shutdown_stopping(&self, stop_after: Duration, timeout: Duration) -> ShutdownReport {
        let (stop_at, end) = (clock::after(stop_after.min(timeout)), clock::after(timeout));
        let mut report = ShutdownReport::default();
        if self.hub.is_copy() {
            // Counting would take locks, which may be held for ever here.
            self.hub.close();
            return report;
        }
        // As in `shutdown`.
        let _lent = if worker::is_inside(self.hub.id) { None } else { worker::lend() };
        let before = self.hub.metrics();
        self.hub.close();
        if worker::is_inside(self.hub.id) {
            report.abandoned = self.running_tasks();
        } else if self.hub.lives.wait_for_all(Some(stop_at)) {
            if self.hub.lives.join_threads_until(end) {
                self.hub.lives.give_up();
            }
        } else {
            self.stop_until(end, &before, &mut report);
            return report;
        }
        report.completed = self.hub.metrics().completed - before.completed;
        report
    }

    /// The time for the work is over; what is left gets the rest of the time to stop.
    fn stop_until(&self, end: Instant, before: &Metrics, report: &mut ShutdownReport) {
        let ended = |metrics: &Metrics| metrics.completed + metrics.panicked + metrics.lost;
        // First what waits: a worker whose task has stopped takes the next one.
        let settler = self.hub.cancel_waiting();
        // Counted before: a task may stop as soon as it is asked.
        let asked = self.hub.metrics();
        self.hub.stop_all(&CancelReason::ShuttingDown);
        report.completed = asked.completed - before.completed;
        let are_gone = self.hub.lives.wait_for_all(Some(end));
        report.cancelled = settler.wait(end);
        if are_gone {
            if self.hub.lives.join_threads_until(end) {
                self.hub.lives.give_up();
            }
        } else {
            // From here on continuations are refused at once; what came between the two is settled
            // too.
            self.hub.lives.give_up();
            report.cancelled += self.hub.cancel_waiting().wait(end);
            report.abandoned = self.running_tasks();
            report.in_place = self.hub.guests.running();
        }
        report.stopped = ended(&self.hub.metrics()) - ended(&asked);
    }

    /// Cancels every task that was spawned by now. The pool stays open. Says how many of them had
    /// not started.
    ///
    /// Those never run, and their handles say [`Cancelled`](crate::TaskError::Cancelled). One that
    /// runs sees that it [`is_cancelled`](crate::TaskContext::is_cancelled), for the reason
    /// [`PoolCancelled`](CancelReason::PoolCancelled); its result stays its own. What is spawned
    /// after this call is not concerned, be it by a task that was. Never blocks, unless a closure's
    /// drop does.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (running, started) = std::sync::mpsc::channel();
    /// let runs = pool.spawn_with(move |cx| {
    ///     running.send(()).unwrap();
    ///     while !cx.is_cancelled() {
    ///         std::hint::spin_loop();
    ///     }
    ///     "stopped early"
    /// });
    /// started.recv()?;
    /// let waits = pool.spawn(|| unreachable!("it never starts"));
    /// assert_eq!(pool.cancel_all(), 1);
    /// assert!(waits.join().unwrap_err().is_cancelled());
    /// assert_eq!(runs.join()?, "stopped early");
    /// assert_eq!(pool.spawn_with(|cx| cx.is_cancelled()).join()?, false);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_all(&self) -> usize {
        if self.hub.is_copy() {
            return 0;
        }
        self.hub.cancel_all(&CancelReason::PoolCancelled)
    }

    /// Gives the pool's token: it ends when all tasks are asked to stop, by
    /// [`cancel_all`](Self::cancel_all) or a shutdown whose time [is
    /// over](Self::shutdown_stopping). After a `cancel_all` the pool has a new one. It is a child
    /// of the pool's own: to cancel it stops nothing of the pool.
    ///
    /// For what belongs to the pool's work and is no task of it: a reader thread, a request, a call
    /// that a thread from outside makes. Tasks need none: they have their
    /// [`TaskContext`](crate::TaskContext).
    ///
    /// ```
    /// use corepool::CancelReason;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let token = pool.cancel_token();
    /// pool.cancel_all();
    /// assert_eq!(token.reason(), Some(CancelReason::PoolCancelled));
    /// pool.cancel_token().cancel();
    /// assert!(!pool.cancel_token().is_cancelled());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.hub.token().child()
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
        // A deadline was set and has passed: what it left behind is not waited for after all. Or
        // the last owner is one of the pool's own tasks, which its token's end drops: it would wait
        // for what may wait for its own end.
        if self.hub.lives.was_given_up() || self.hub.lives.unsettled.is_settling_here() {
            self.close();
        } else {
            self.shutdown();
        }
    }
}
