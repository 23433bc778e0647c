//! What happens in a pool, told to whoever asked to hear it; nobody who listens slowly holds the
//! pool up.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sync::real::Mutex;
use crossbeam_channel::{Receiver, Sender};

use crate::id::WorkerId;

/// How many events wait for one listener; later ones are dropped and counted.
const CAPACITY: usize = 4096;
/// How many past events a new listener hears first.
const BACKLOG: usize = 256;

/// Something that happened in a pool.
///
/// ```
/// use corepool::{PoolEvent, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let events = pool.events();
/// assert!(matches!(events.recv(), Ok(PoolEvent::WorkerOnline { .. })));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A worker's thread runs and takes tasks.
    WorkerOnline {
        /// The worker.
        worker: WorkerId,
        /// 0 for its first thread; one more each time the thread was replaced.
        generation: u64,
        /// The core that the kernel confirmed; `None` if the worker is not pinned.
        core: Option<usize>,
    },
    /// A worker could not be pinned to its core; it works all the same.
    WorkerUnpinned {
        /// The worker.
        worker: WorkerId,
        /// The core it should have had.
        core: usize,
        /// What the kernel said.
        why: String,
    },
    /// A worker did not get its core, because others had it, while somebody waited for it: it may
    /// run on any core of the pool's for a while.
    WorkerLetLoose {
        /// The worker.
        worker: WorkerId,
        /// The core that it was pinned to, and will be again.
        core: usize,
    },
    /// A worker's core is not to be had any more, because a set of cores has shrunk or a core was
    /// switched off: it is pinned to another one. It tries its own again when it gets a new thread,
    /// or was let loose.
    WorkerMoved {
        /// The worker.
        worker: WorkerId,
        /// The core it should have.
        from: usize,
        /// The core it has, as the kernel confirmed.
        to: usize,
    },
    /// A worker's thread ended.
    WorkerExited {
        /// The worker.
        worker: WorkerId,
        /// Which of its threads.
        generation: u64,
        /// Why.
        reason: ExitReason,
    },
    /// A new thread takes the place of one that ended.
    WorkerRespawned {
        /// The worker.
        worker: WorkerId,
        /// The new thread's generation.
        generation: u64,
    },
    /// A worker's threads end one soon after another, so it rests before it gets the next one. A
    /// task that waits, and for which no other worker is free, ends the rest after the first 10 ms;
    /// see [`TaskContext::end_worker`](crate::TaskContext::end_worker).
    RespawnDelayed {
        /// The worker.
        worker: WorkerId,
        /// How long it rests, if no task waits.
        rest: Duration,
        /// How many of its threads in a row lived for less than a second.
        deaths: u32,
    },
    /// The system refused a new thread for a worker; it is asked again after a while.
    RespawnRefused {
        /// The worker.
        worker: WorkerId,
        /// How long until the next try.
        retry_in: Duration,
        /// What the system said.
        why: String,
    },
    /// A task panicked.
    TaskPanicked {
        /// The worker on which it ran; `None` if its caller ran it.
        worker: Option<WorkerId>,
        /// The task's name, or its closure's type.
        task: String,
        /// The text of the panic.
        message: String,
    },
    /// A task runs for longer than the [watchdog's](crate::Builder::watchdog) bound. Told once for
    /// each task.
    TaskStuck {
        /// The worker on which it runs.
        worker: WorkerId,
        /// The task's name, or its closure's type.
        task: String,
        /// How long it has run by now.
        running_for: Duration,
    },
    /// A hook panicked; the panic went no further.
    HookPanicked {
        /// The worker on which it happened.
        worker: WorkerId,
        /// The text of the panic.
        message: String,
    },
    /// A bounded pool had no room for a task. Told once until it has drained.
    QueueFull,
    /// At least half of a full pool's room is free again.
    QueueDrained,
    /// The pool accepts nothing any more.
    Closed,
}

/// Why a worker's thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The pool was closed, and nothing was left to do.
    Shutdown,
    /// It was a spare worker, and nobody had needed it for some seconds.
    NotNeeded,
    /// A task ended it: see [`TaskContext::end_worker`](crate::TaskContext::end_worker).
    EndedByTask,
}

/// A line for a log.
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
pub(crate) struct Events {
    audience: Mutex<Audience>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Audience {
    past: VecDeque<PoolEvent>,
    listeners: Vec<Sender<PoolEvent>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { audience: Mutex::new(Audience::default()), dropped: AtomicU64::new(0) }
    }

    /// Tells every listener; one that is full misses the event, one that is gone is forgotten.
    pub(crate) fn tell(&self, event: PoolEvent) {
        let mut audience = self.audience.lock();
        audience.listeners.retain(|listener| {
            // Only here is sent, under the lock: so it can't be more by now.
            if listener.len() < CAPACITY {
                return listener.send(event.clone()).is_ok();
            }
            // ORDERING: a statistic.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            true
        });
        if audience.past.len() == BACKLOG {
            audience.past.pop_front();
        }
        audience.past.push_back(event);
    }

    /// A new listener, who hears the recent past first.
    pub(crate) fn listen(&self) -> Receiver<PoolEvent> {
        // Not `bounded`, which takes the room for all of them at once, and keeps it until the next
        // event if the listener goes before that.
        let (sender, receiver) = crossbeam_channel::unbounded();
        let mut audience = self.audience.lock();
        for event in &audience.past {
            // The receiver is still here.
            let _sent = sender.send(event.clone());
        }
        audience.listeners.push(sender);
        receiver
    }

    /// How many events listeners missed because they were slow.
    pub(crate) fn dropped(&self) -> u64 {
        // ORDERING: a statistic.
        self.dropped.load(Ordering::Relaxed)
    }
}
