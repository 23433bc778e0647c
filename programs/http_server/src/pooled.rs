//! The work on a pool: bounded, with a deadline, and stopped when the answer is no longer wanted.
#![forbid(unsafe_code)]

use std::time::Duration;

use axum::body::Bytes;
use corepool::cancel::{CancelReason, Cancelled};
use corepool::{BuildError, CancelToken, Metrics, TaskError, WorkerPool};
use rustix::process::{getpriority_process, setpriority_process};

use crate::job::Job;
use crate::runner::{Refusal, Runner, Running, refused};

/// The largest niceness that the system allows.
pub const NICEST: i32 = 19;

/// How to set up the pool.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// By default one for each core.
    pub workers: Option<usize>,
    /// How many requests may wait for a worker.
    pub queue: usize,
    /// How long a request may take, waiting and running together.
    pub deadline: Duration,
    /// How far the workers give way to other threads: 0 is not at all, 19 is as far as possible.
    pub niceness: i32,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { workers: None, queue: 64, deadline: Duration::from_secs(5), niceness: NICEST }
    }
}

/// Runs each job as a task of the pool.
#[derive(Debug)]
pub struct Pooled {
    pub(crate) pool: WorkerPool,
    /// The parent of every request's token.
    pub(crate) everything: CancelToken,
    deadline: Duration,
}

impl Pooled {
    /// Starts the workers.
    ///
    /// # Errors
    /// If the system cannot start the threads.
    pub fn new(options: &PoolOptions) -> Result<Self, BuildError> {
        let niceness = options.niceness;
        let mut builder = WorkerPool::builder()
            .on_worker_start(move |_| give_way(niceness))
            .queue_capacity(options.queue)
            .record_timing(true)
            .thread_name(|id| format!("compute-{id}"));
        if let Some(workers) = options.workers {
            builder = builder.workers(workers);
        }
        let everything = CancelToken::new();
        Ok(Self { pool: builder.build()?, everything, deadline: options.deadline })
    }
}

impl Runner for Pooled {
    fn name(&self) -> String {
        format!("a pool of {}", self.pool.worker_count())
    }

    fn run(&self, job: Job) -> Running {
        let permit = match self.pool.try_reserve() {
            Ok(permit) => permit,
            Err(full) if full.is_full() => return refused(Refusal::Full),
            Err(_) => return refused(Refusal::Ending),
        };
        let token = self.everything.child_with_timeout(self.deadline);
        let task = permit.task().name(job.name()).cancel_token(&token);
        let task = task.spawn_with(move |cx| job.run(|| cx.check())).cancel_on_drop();
        Box::pin(async move { answer(task.await, &token) })
    }

    fn metrics(&self) -> Option<Metrics> {
        Some(self.pool.metrics())
    }
}

/// Lets every other thread of the process go first.
///
/// With as many workers as cores, the runtime's thread finds every core taken when it wakes. Among
/// threads of equal niceness the system lets a worker run on for some milliseconds first, but a
/// nice worker has to give up its core at once. The work loses nothing, because the runtime's
/// thread soon sleeps again. Keeping a core free for that thread was rejected: on a small machine
/// this is half of all cores.
pub fn give_way(niceness: i32) {
    // On Linux this means the calling thread. A thread that is already nicer may not lower its
    // niceness again, so it keeps its value.
    let already = getpriority_process(None).unwrap_or(0);
    let _stays = setpriority_process(None, niceness.max(already));
}

fn answer(
    result: Result<Result<Bytes, Cancelled>, TaskError>,
    token: &CancelToken,
) -> Result<Bytes, Refusal> {
    match result {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Cancelled { .. })) | Err(TaskError::Cancelled) => match token.reason() {
            Some(CancelReason::DeadlinePassed) => Err(Refusal::Late),
            _ => Err(Refusal::Ending),
        },
        Err(TaskError::Rejected(_)) => Err(Refusal::Ending),
        Err(broken) => Err(Refusal::Broken(broken.to_string())),
    }
}
