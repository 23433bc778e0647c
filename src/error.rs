//! What can go wrong, and why: one error type for each operation, with what was asked for inside.
#![forbid(unsafe_code)]

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use parking_lot::Mutex;

use crate::id::WorkerId;
use crate::unwind::{self, Payload};

/// Why a task's handle has no value.
///
/// ```
/// use corepool::{TaskError, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// match pool.spawn(|| -> u32 { panic!("no luck") }).join() {
///     Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "no luck"),
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task panicked; what it threw is kept and can be [resumed](PanicPayload::resume).
    Panicked(PanicPayload),
    /// The task was cancelled before it started.
    Cancelled,
    /// The task's deadline passed before it started.
    Expired,
    /// The pool was full or closed, or a newer task took this one's place in a full queue.
    Rejected,
    /// The thread of the worker that ran the task ended under it.
    Lost,
}

impl TaskError {
    pub(crate) fn panicked(payload: Payload) -> Self {
        Self::Panicked(PanicPayload::new(payload))
    }

    /// Goes on with the task's panic on this thread, if that is what happened; else panics with the
    /// error as the message. For callers to whom a task without a value is a bug.
    ///
    /// # Panics
    /// Always.
    pub fn resume(self) -> ! {
        match self {
            Self::Panicked(panic) => panic.resume(),
            other => panic!("{other}"),
        }
    }

    /// Tells whether the task panicked.
    #[must_use]
    pub fn is_panicked(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Tells whether the task was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

/// No task of a [`TaskSet`](crate::TaskSet) finished in the time that was given to
/// [`next_timeout`](crate::TaskSet::next_timeout).
///
/// ```
/// use corepool::{TaskSet, WorkerPool};
/// use std::time::Duration;
/// let pool = WorkerPool::with_workers(1)?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let mut set = TaskSet::from_iter([pool.spawn(move || wait.recv())]);
/// let error = set.next_timeout(Duration::from_millis(1)).unwrap_err();
/// assert_eq!(error.to_string(), "no task finished within 1ms, of 1 that were waited for");
/// # drop(go);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// How long the wait was to be at most.
    pub timeout: Duration,
    /// How many tasks were waited for.
    pub unfinished: usize,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, unfinished } = self;
        write!(f, "no task finished within {timeout:?}, of {unfinished} that were waited for")
    }
}

impl Error for TimedOut {}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => write!(f, "the task panicked: {}", panic.message()),
            Self::Cancelled => f.write_str("the task was cancelled before it started"),
            Self::Expired => f.write_str("the task's deadline passed before it started"),
            Self::Rejected => f.write_str("the pool refused the task: it is full or closed"),
            Self::Lost => f.write_str("the thread of the worker that ran the task ended"),
        }
    }
}

impl Error for TaskError {}

/// What a panicking task threw.
///
/// Dropping it drops the payload; should that panic in turn, the panic is swallowed.
pub struct PanicPayload {
    // In a box, so that an error is no larger than a pointer; in a lock, because a payload may be sent
    // to another thread but not looked at from two.
    inner: Box<PanicParts>,
}

struct PanicParts {
    message: String,
    payload: Mutex<Option<Payload>>,
}

impl PanicPayload {
    pub(crate) fn new(payload: Payload) -> Self {
        let message = panic_message(&*payload).to_owned();
        Self { inner: Box::new(PanicParts { message, payload: Mutex::new(Some(payload)) }) }
    }

    /// Gives the text of the panic, or a stand-in if it did not carry a text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Takes the payload out, as [`std::thread::JoinHandle::join`] would give it.
    ///
    /// # Panics
    /// Never: the payload is there until it is taken, and taking uses up `self`.
    #[must_use = "dropping the payload drops what the task threw"]
    pub fn into_inner(self) -> Box<dyn Any + Send + 'static> {
        let payload = self.inner.payload.lock().take();
        payload.expect("only this method and `drop` take the payload, and each uses up `self`")
    }

    /// Goes on with the panic on this thread; the panic hook is not called again.
    ///
    /// # Panics
    /// Always.
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_inner())
    }
}

impl Drop for PanicParts {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.get_mut().take() {
            unwind::drop_payload(payload);
        }
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PanicPayload").field(&self.message()).finish()
    }
}

/// The text that a panic carries, if it carries one.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic without a text"
    }
}

/// A running task was asked to stop; what [`TaskContext::check`](crate::TaskContext::check) returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancelled;

impl Cancelled {
    pub(crate) const fn new() -> Self {
        Self
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was asked to stop")
    }
}

impl Error for Cancelled {}

/// Why a closure was not accepted; gives the closure back.
///
/// ```
/// use corepool::{SpawnError, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// pool.close();
/// match pool.try_spawn(|| 6 * 7) {
///     Err(SpawnError::Closed(closure)) => assert_eq!(closure(), 42),
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[non_exhaustive]
pub enum SpawnError<F> {
    /// As many tasks wait as the queue may hold.
    Full(F),
    /// The pool accepts nothing any more.
    Closed(F),
}

impl<F> SpawnError<F> {
    /// Gives the closure back.
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(closure) | Self::Closed(closure) => closure,
        }
    }

    /// Tells whether room was lacking: later there may be some.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Tells whether the pool is closed: this will not change.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
        }
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the pool's queue is full"),
            Self::Closed(_) => f.write_str("the pool is closed"),
        }
    }
}

impl<F> Error for SpawnError<F> {}

/// Why a pool could not be built. Nothing is left behind: threads that had started are joined.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of workers is none, or beyond reason.
    WorkerCount {
        /// What was asked for.
        asked: usize,
        /// The largest possible number; the smallest is 1.
        most: usize,
    },
    /// A core was named that the process may not use.
    CoreNotAllowed {
        /// The first such core.
        core: usize,
        /// The cores that may be named.
        allowed: Vec<usize>,
    },
    /// Workers were to be pinned to named cores, and no core was named.
    NoCores,
    /// The stack is too small to run a task on, or too large for any address space.
    StackSize {
        /// What was asked for, in bytes.
        asked: usize,
        /// The smallest possible size, in bytes.
        least: usize,
        /// The largest possible size, in bytes.
        most: usize,
    },
    /// The system refused a thread.
    Thread {
        /// The worker that would have run on it.
        worker: WorkerId,
        /// How many workers were asked for.
        workers: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A worker's start hook, or the closure that names threads, panicked.
    Hook {
        /// The worker on which it happened.
        worker: WorkerId,
        /// The text of the panic.
        message: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerCount { asked, most } => {
                write!(f, "{asked} workers were asked for, possible are 1 to {most}")
            }
            Self::CoreNotAllowed { core, allowed } => {
                write!(f, "core {core} was asked for, this process may use {allowed:?}")
            }
            Self::NoCores => f.write_str("pinning to named cores needs at least one core"),
            Self::StackSize { asked, least, most } => {
                write!(f, "a stack of {asked} bytes was asked for, possible are {least} to {most}")
            }
            Self::Thread { worker, workers, source } => {
                write!(f, "the system refused the thread of worker {worker} of {workers}: {source}")
            }
            Self::Hook { worker, message } => {
                write!(f, "a closure given to the builder panicked for worker {worker}: {message}")
            }
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread { source, .. } => Some(source),
            _ => None,
        }
    }
}
