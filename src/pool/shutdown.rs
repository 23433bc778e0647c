//! The end of a pool: close it, wait, and report what was left.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use super::WorkerPool;
use crate::base::clock;
use crate::base::id::WorkerId;
use crate::cancel::{CancelReason, CancelToken};
use crate::parts::metrics::{Metrics, WorkerInfo};
use crate::sched::worker;

/// The result of [`WorkerPool::shutdown_timeout`].
///
/// ```
/// use std::time::Duration;
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// pool.spawn(|| ()).detach();
/// let report = pool.shutdown_timeout(Duration::from_secs(60));
/// assert_eq!((report.abandoned.len(), report.is_clean()), (0, true));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that ended with a value during the shutdown, before all tasks were asked to stop.
    pub completed: u64,
    /// Tasks that were running when all tasks were asked to stop, and that ended in time, in any
    /// way.
    pub stopped: u64,
    /// Tasks that had not started when all tasks were asked to stop. Their handles say `Cancelled`.
    pub cancelled: u64,
    /// Tasks that were still running when the time was over. Their threads go on until they end.
    pub abandoned: Vec<AbandonedTask>,
    /// The names of tasks that were still running then on threads that are not workers of the pool.
    /// Such a thread waits for the task and runs it in place.
    pub in_place: Vec<String>,
}

/// A task that was still running when the time of a shutdown was over.
///
/// ```
/// use std::time::Duration;
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let (begin, begun) = std::sync::mpsc::channel();
/// pool.task().name("stuck").spawn(move || begin.send(()).map(|()| wait.recv())).detach();
/// begun.recv().unwrap();
/// let report = pool.shutdown_timeout(Duration::from_millis(10));
/// assert_eq!(report.abandoned[0].task, "stuck");
/// drop(go);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedTask {
    /// The worker that runs it.
    pub worker: WorkerId,
    /// Its name, or the type of its closure.
    pub task: String,
}

impl ShutdownReport {
    /// Tells whether every accepted task ran to its end without being asked to stop.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert!(pool.shutdown_timeout(Duration::from_secs(60)).is_clean());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
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
    /// Stops accepting tasks. Accepted tasks still run. Never blocks.
    ///
    /// Threads and futures that wait for room stop waiting, and their tasks are refused. Running
    /// tasks cannot spawn any more either: the handles that they get say `Rejected`.
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
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// assert!(!pool.is_closed());
    /// pool.close();
    /// assert!(pool.is_closed());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.hub.is_closed()
    }

    /// Closes the pool, runs what is queued, and joins the threads. **Blocks** until that is done.
    ///
    /// It may be called from any thread, more than once, and concurrently. Every call returns when
    /// the work is done. The work includes tasks that another thread is settling at that moment,
    /// because it cancels them, because their token or deadline ended, or because they are dropped
    /// to make room for others. A closure whose drop shuts the pool down at that point does not
    /// wait for itself.
    ///
    /// Inside one of the pool's own tasks the call cannot wait, because it would wait for itself.
    /// There it only closes the pool. It does the same in a forked child, where the threads are
    /// missing.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn(|| 1);
    /// pool.shutdown();
    /// assert!(task.is_finished());
    /// assert!(pool.spawn(|| 2).join().is_err(), "a closed pool takes no tasks");
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn shutdown(&self) {
        self.hub.close();
        if !worker::is_inside(self.hub.id) && !self.hub.is_copy() {
            // On a worker of another pool: a task that runs in this pool may wait for that worker.
            let _lent = worker::lend();
            self.hub.lives.wait_for_all(None);
            self.hub.lives.join_threads();
        }
    }

    /// Like [`shutdown`](Self::shutdown), but gives up when the time is over. **Blocks** for at
    /// most that time.
    ///
    /// When the time is over, queued tasks are cancelled, and running tasks are asked to stop, as
    /// by [`shutdown_stopping`](Self::shutdown_stopping). The report names the tasks that still
    /// run. Their threads are left to end by themselves, and dropping the pool does not wait for
    /// them either. The closures of cancelled tasks are dropped on a separate thread, and the call
    /// waits for that for about 20 ms at most.
    ///
    /// Inside one of the pool's own tasks the call closes the pool and reports immediately. In a
    /// forked child, where nothing runs, it does the same, and the report is empty.
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

    /// Like [`shutdown_timeout`](Self::shutdown_timeout), but asks running tasks to stop some time
    /// before it gives up. Both times count from now. A `stop_after` that is longer than `timeout`
    /// counts as `timeout`. **Blocks** for at most `timeout`.
    ///
    /// Until `stop_after` the work goes on. Then tasks that have not started are cancelled, and
    /// [`is_cancelled`](crate::TaskContext::is_cancelled) becomes true for every running task, for
    /// the reason [`ShuttingDown`](CancelReason::ShuttingDown). Running tasks that end before the
    /// time is over are counted as [`stopped`](ShutdownReport::stopped).
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
    /// assert_eq!(task.join().unwrap(), Some(corepool::cancel::CancelReason::ShuttingDown));
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

    /// The time for the work is over. The tasks that are left get the rest of the time to stop.
    fn stop_until(&self, end: Instant, before: &Metrics, report: &mut ShutdownReport) {
        let ended = |metrics: &Metrics| metrics.completed + metrics.panicked + metrics.lost;
        // The waiting tasks come first, because a worker whose task has stopped takes the next one.
        let settler = self.hub.cancel_waiting();
        // Counted first, because a task may stop as soon as it is asked.
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
            // From here on continuations are refused immediately. Those that were queued between
            // the first `cancel_waiting` and this point are settled too.
            self.hub.lives.give_up();
            report.cancelled += self.hub.cancel_waiting().wait(end);
            report.abandoned = self.running_tasks();
            report.in_place = self.hub.guests.running();
        }
        report.stopped = ended(&self.hub.metrics()) - ended(&asked);
    }

    /// Cancels every task that was spawned before this call. Returns how many of them had not
    /// started. The pool stays open.
    ///
    /// Tasks that had not started never run, and their handles say
    /// [`Cancelled`](crate::TaskError::Cancelled). For a running task
    /// [`is_cancelled`](crate::TaskContext::is_cancelled) becomes true, for the reason
    /// [`PoolCancelled`](CancelReason::PoolCancelled), and its result is kept. Tasks that are
    /// spawned after this call are not affected, even if a cancelled task spawns them. Never
    /// blocks, unless a closure's drop does.
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

    /// Returns a token that ends when all tasks are asked to stop, by
    /// [`cancel_all`](Self::cancel_all) or by a shutdown whose time [is
    /// over](Self::shutdown_stopping). After a `cancel_all` the pool has a new token. The returned
    /// token is a child of the pool's own, so cancelling it stops nothing in the pool.
    ///
    /// Use it for things that belong to the pool's work but are not its tasks: a reader thread, a
    /// request, a call from a thread outside the pool. Tasks do not need it, because they have
    /// their [`TaskContext`](crate::TaskContext).
    ///
    /// ```
    /// use corepool::cancel::CancelReason;
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
        // Either a shutdown has timed out, and what it left behind is not waited for. Or the last
        // owner is one of the pool's own tasks, dropped because its token ended. Then a full
        // shutdown would wait for work that may wait for this very drop.
        if self.hub.lives.was_given_up() || self.hub.lives.unsettled.is_settling_here() {
            self.close();
        } else {
            self.shutdown();
        }
    }
}
