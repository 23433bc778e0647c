//! One worker's slot in the pool: its queues, its parker, its counters, and the facts of its
//! thread.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::lanes::Lanes;
use super::late::{Arrival, Looseness};
use super::moves::Moves;
use super::quiet::Rests;
use super::watchdog::TimedRun;
use crate::base::id::WorkerId;
use crate::base::sync::lock::Mutex;
use crate::base::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::os::affinity::{CoreKind, Lease};
use crate::parts::metrics::{ThreadClock, WorkerCounters, WorkerInfo, WorkerMetrics, WorkerState};
use crate::parts::offer::Line;
use crate::parts::parker::Parker;
use crate::parts::queue::Queue;
use crate::task::{QueuedTask, RunningName};

/// Outlives the worker's threads. A new thread finds everything here.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: WorkerId,
    /// Tasks spawned by this worker's tasks, and batches that it took. Other workers may take from
    /// it.
    pub(crate) inbox: Queue<QueuedTask>,
    /// Tasks dealt to this worker. Only it takes from here.
    pub(crate) dealt: Queue<QueuedTask>,
    /// Tasks that only this worker may run.
    pub(crate) own: Lanes,
    /// Batches that the worker moves from other queues into its inbox.
    pub(crate) moves: Moves,
    pub(crate) parker: Parker,
    /// The worker's line: what it has left to be run in its fork-join calls.
    pub(crate) line: Line,
    /// Begun before the worker sleeps and ended after it. Read by threads that deal tasks or drain.
    pub(crate) rests: Rests,
    /// Set by a submitter on this worker's core that is about to sleep until the task is done: it
    /// wants the core back as soon as the task is done.
    pub(crate) hurried: AtomicBool,
    /// Whether it was woken and has not arrived yet, or was let loose because of that.
    pub(crate) arrival: Arrival,
    pub(crate) counters: WorkerCounters,
    pub(crate) running: RunningName,
    /// How long it has been at its task, if a watchdog watches it.
    pub(super) timed_run: TimedRun,
    /// Whether the worker runs a part of another thread's fork-join call.
    pub(crate) helping: AtomicBool,
    /// Set by a task that ran in place of a wait and wants the thread to end. The thread ends after
    /// the task that waited.
    pub(crate) ending: AtomicBool,
    /// The index of the worker whose own tasks this worker's thread runs: its own, or for a spare
    /// worker that of the worker it stands in for.
    pub(crate) home: AtomicUsize,
    /// Set while the worker waits and lends its core: see `lend.rs`.
    pub(crate) lends: AtomicBool,
    /// Tells a spare worker to rest.
    pub(crate) relieved: AtomicBool,
    pub(crate) thread: Mutex<ThreadFacts>,
}

/// The facts of a worker's present thread.
#[derive(Debug, Default)]
pub(crate) struct ThreadFacts {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) core: Option<usize>,
    pub(crate) core_kind: Option<CoreKind>,
    pub(crate) clock: Option<ThreadClock>,
    pub(crate) looseness: Looseness,
    /// The lease on another core, because the worker's own is not available.
    pub(crate) moved_to: Option<Lease>,
    /// The CPU time of threads that have ended.
    past: Option<Duration>,
    pub(crate) life: Life,
}

/// The stage of a worker's thread.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    Starting,
    Online,
    Exited,
}

impl Slot {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            id: WorkerId::from(index),
            inbox: Queue::new(),
            dealt: Queue::new(),
            own: Lanes::new(),
            moves: Moves::new(),
            parker: Parker::new(),
            line: Line::new(),
            rests: Rests::new(),
            hurried: AtomicBool::new(false),
            arrival: Arrival::default(),
            counters: WorkerCounters::default(),
            running: RunningName::new(),
            timed_run: TimedRun::default(),
            helping: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            home: AtomicUsize::new(index),
            lends: AtomicBool::new(false),
            relieved: AtomicBool::new(false),
            thread: Mutex::new(ThreadFacts::default()),
        }
    }

    pub(crate) fn info(&self) -> WorkerInfo {
        let running = self.running.get();
        let facts = self.thread.lock();
        WorkerInfo {
            id: self.id,
            generation: facts.generation,
            thread_name: facts.name.clone(),
            core: facts.core,
            core_kind: facts.core_kind,
            state: self.state(facts.life, running.is_some() || self.is_helping()),
            running,
            tasks_run: self.counters.tasks_run(),
            busy_time: facts.busy(),
        }
    }

    pub(crate) fn metrics(&self) -> WorkerMetrics {
        WorkerMetrics {
            id: self.id,
            tasks_run: self.counters.tasks_run(),
            stolen: self.counters.stolen.get(),
            parks: self.counters.parks.get(),
            busy_time: self.thread.lock().busy(),
        }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.thread.lock().life == Life::Online
    }

    fn is_helping(&self) -> bool {
        // ORDERING: a hint, shown to people only.
        self.helping.load(Ordering::Relaxed)
    }

    fn state(&self, life: Life, runs: bool) -> WorkerState {
        match life {
            Life::Starting => WorkerState::Starting,
            Life::Exited => WorkerState::Exited,
            Life::Online if runs => WorkerState::Active,
            Life::Online if self.rests.is_at_rest() => WorkerState::Parked,
            Life::Online => WorkerState::Idle,
        }
    }
}

impl ThreadFacts {
    /// Notes the core that the kernel gave.
    pub(crate) fn set_core(&mut self, core: Option<usize>, kind: Option<CoreKind>) {
        (self.core, self.core_kind) = (core, kind);
    }

    /// Keeps the CPU time of the worker's thread, which is about to end.
    pub(crate) fn end_clock(&mut self) {
        self.past = self.busy();
        self.clock = None;
    }

    fn busy(&self) -> Option<Duration> {
        match (self.past, self.clock.and_then(ThreadClock::busy)) {
            (Some(past), Some(now)) => Some(past + now),
            (past, now) => past.or(now),
        }
    }
}
