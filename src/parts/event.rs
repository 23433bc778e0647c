//! The events of a pool and their listeners. A slow listener never holds the pool up.
#![forbid(unsafe_code)]

mod listener;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use crate::base::id::WorkerId;
use crate::base::sync::real::Mutex;
use crate::base::unwind;
pub use listener::{Events, NextEvent};
use listener::{Listener, listener};

/// How many events are kept for one listener. Later ones are dropped and counted.
const CAPACITY: usize = 4096;
/// How many past events a new listener receives first.
const BACKLOG: usize = 256;

/// Something that happened in a pool.
///
/// ```
/// use corepool::{PoolEvent, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let mut events = pool.events();
/// assert!(matches!(events.next(), Some(PoolEvent::WorkerOnline { .. })));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A worker's thread has started and takes tasks.
    WorkerOnline {
        /// The worker.
        worker: WorkerId,
        /// 0 for its first thread, and one more each time the thread is replaced.
        generation: u64,
        /// The core that the kernel confirmed; `None` if the worker is not pinned.
        core: Option<usize>,
    },
    /// A worker could not be pinned to its core. It works anyway.
    WorkerUnpinned {
        /// The worker.
        worker: WorkerId,
        /// The core that it should have been pinned to.
        core: usize,
        /// The kernel's error.
        why: String,
    },
    /// A worker did not get its core, because other threads occupied it, while another thread
    /// waited for this worker. The worker was let loose: it may run on any of the pool's cores for
    /// a while.
    WorkerLetLoose {
        /// The worker.
        worker: WorkerId,
        /// The core that it was pinned to and will be pinned to again.
        core: usize,
    },
    /// A worker's core is no longer available, because a set of allowed cores has shrunk or a core
    /// was switched off. The worker is now pinned to another core. It tries its own core again when
    /// it gets a new thread, or after it was let loose.
    WorkerMoved {
        /// The worker.
        worker: WorkerId,
        /// The core that it should have.
        from: usize,
        /// The core that it has, as the kernel confirmed.
        to: usize,
    },
    /// A worker's thread ended.
    WorkerExited {
        /// The worker.
        worker: WorkerId,
        /// The generation of the thread that ended.
        generation: u64,
        /// Why it ended.
        reason: ExitReason,
    },
    /// A new thread replaces one that ended.
    WorkerRespawned {
        /// The worker.
        worker: WorkerId,
        /// The generation of the new thread.
        generation: u64,
    },
    /// A worker's threads ended in quick succession, so the worker waits before it gets the next
    /// one. If a task is waiting and no other worker is free for it, the wait ends after its first
    /// 10 ms. See [`TaskContext::end_worker`](crate::TaskContext::end_worker).
    RespawnDelayed {
        /// The worker.
        worker: WorkerId,
        /// How long the worker waits if no task is waiting.
        rest: Duration,
        /// How many of its threads in a row lived for less than a second.
        deaths: u32,
    },
    /// The system refused a new thread for a worker. The pool asks again after a while.
    RespawnRefused {
        /// The worker.
        worker: WorkerId,
        /// How long until the next attempt.
        retry_in: Duration,
        /// The system's error.
        why: String,
    },
    /// A task panicked.
    TaskPanicked {
        /// The worker that ran it; `None` if its caller ran it.
        worker: Option<WorkerId>,
        /// The task's name, or its closure's type.
        task: String,
        /// The message of the panic.
        message: String,
    },
    /// A task has run for longer than the [watchdog's](crate::PoolBuilder::watchdog) limit.
    /// Reported once for each task.
    TaskStuck {
        /// The worker that runs it.
        worker: WorkerId,
        /// The task's name, or its closure's type.
        task: String,
        /// How long it has run so far.
        running_for: Duration,
    },
    /// A hook panicked. The panic was caught.
    HookPanicked {
        /// The worker on which the hook ran.
        worker: WorkerId,
        /// The message of the panic.
        message: String,
    },
    /// A bounded pool had no room for a task. Reported once, until the pool has drained.
    QueueFull,
    /// At least half of a full pool's room is free again.
    QueueDrained,
    /// The pool accepts no more tasks.
    Closed,
}

/// Why a worker's thread ended.
///
/// ```
/// use corepool::events::ExitReason;
/// use corepool::{PoolEvent, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let mut events = pool.events();
/// pool.spawn_with(|cx| cx.end_worker()).detach();
/// let is_end = |event| {
///     matches!(event, PoolEvent::WorkerExited { reason: ExitReason::EndedByTask, .. })
/// };
/// assert!(events.any(is_end));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The pool was closed, and there was nothing left to do.
    Shutdown,
    /// It was a spare worker, and it had not been needed for some seconds.
    NotNeeded,
    /// A task ended it. See [`TaskContext::end_worker`](crate::TaskContext::end_worker).
    EndedByTask,
}

/// Formats the event as a line for a log.
///
/// ```
/// use corepool::{PoolEvent, WorkerId};
/// let event = PoolEvent::WorkerOnline { worker: WorkerId::from(3), generation: 0, core: Some(5) };
/// assert_eq!(event.to_string(), "worker 3 is online, on core 5");
/// assert_eq!(PoolEvent::Closed.to_string(), "the pool was closed");
/// ```
impl fmt::Display for PoolEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerOnline { worker, core: Some(core), .. } => {
                write!(f, "worker {worker} is online, on core {core}")
            }
            Self::WorkerOnline { worker, core: None, .. } => {
                write!(f, "worker {worker} is online, not pinned")
            }
            Self::WorkerUnpinned { worker, core, why } => {
                write!(f, "worker {worker} could not be pinned to core {core}: {why}")
            }
            Self::WorkerLetLoose { worker, core } => {
                write!(f, "worker {worker} was let loose: others had core {core}")
            }
            Self::WorkerMoved { worker, from, to } => {
                write!(f, "worker {worker} cannot have core {from} and has moved to core {to}")
            }
            Self::WorkerExited { worker, reason, .. } => {
                write!(f, "worker {worker} ended: {reason}")
            }
            Self::WorkerRespawned { worker, generation } => {
                write!(f, "worker {worker} has a new thread, number {generation}")
            }
            Self::RespawnDelayed { worker, rest, deaths } => {
                write!(
                    f,
                    "worker {worker} restarts in {rest:?}: {deaths} of its threads ended within a second"
                )
            }
            Self::RespawnRefused { worker, retry_in, why } => {
                write!(f, "worker {worker} got no new thread, next try in {retry_in:?}: {why}")
            }
            Self::TaskPanicked { worker: Some(worker), task, message } => {
                write!(f, "the task {task:?} panicked on worker {worker}: {message}")
            }
            Self::TaskPanicked { worker: None, task, message } => {
                write!(f, "the task {task:?} panicked in its caller: {message}")
            }
            Self::TaskStuck { worker, task, running_for } => {
                write!(f, "the task {task:?} has run for {running_for:?} on worker {worker}")
            }
            Self::HookPanicked { worker, message } => {
                write!(f, "a hook of worker {worker} panicked: {message}")
            }
            Self::QueueFull => f.write_str("the queue is full"),
            Self::QueueDrained => f.write_str("the queue has room again"),
            Self::Closed => f.write_str("the pool was closed"),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "the pool was closed and nothing was left to do",
            Self::NotNeeded => "nobody needed the spare worker any more",
            Self::EndedByTask => "a task ended its thread",
        })
    }
}

/// The listeners of one pool.
#[derive(Debug)]
pub(crate) struct Audience {
    members: Mutex<Members>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Members {
    past: VecDeque<PoolEvent>,
    listeners: Vec<Listener>,
}

impl Audience {
    pub(crate) fn new() -> Self {
        Self { members: Mutex::new(Members::default()), dropped: AtomicU64::new(0) }
    }

    /// Sends the event to every listener, and wakes those that wait. That is user code, so not
    /// under a lock.
    pub(crate) fn tell(&self, event: PoolEvent) {
        wake(self.send(event));
    }

    /// Sends the event to every listener. A listener that is full misses it, and a listener that is
    /// gone is removed. The caller [wakes](wake) those that wait, once it holds no lock.
    #[must_use = "listeners that wait must be woken"]
    pub(crate) fn send(&self, event: PoolEvent) -> Vec<Waker> {
        // Empty, and so without memory, unless a listener waits.
        let mut waiters = Vec::new();
        let mut members = self.members.lock();
        members.listeners.retain(|listener| {
            // Events are sent only here, under the lock, so the queue cannot have grown since the
            // check.
            if listener.untaken() >= CAPACITY {
                // ORDERING: a statistic.
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            let is_there = listener.send(event.clone());
            waiters.extend(listener.take_waiter());
            is_there
        });
        if members.past.len() == BACKLOG {
            members.past.pop_front();
        }
        members.past.push_back(event);
        waiters
    }

    /// Adds a new listener, which receives the recent past first.
    pub(crate) fn listen(&self) -> Events {
        let (listener, events) = listener();
        let mut members = self.members.lock();
        for event in &members.past {
            // The listener still exists, so this cannot fail.
            let _sent = listener.send(event.clone());
        }
        members.listeners.push(listener);
        events
    }

    /// How many events listeners missed because they were slow.
    pub(crate) fn dropped(&self) -> u64 {
        // ORDERING: a statistic.
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Wakes listeners that wait. Not under a lock, because waking is user code.
pub(crate) fn wake(waiters: Vec<Waker>) {
    for waker in waiters {
        unwind::quietly(|| waker.wake());
    }
}
