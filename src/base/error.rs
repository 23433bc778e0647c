//! The error types: one for each operation, with the requested values inside.
#![forbid(unsafe_code)]

mod thrown;

use std::error::Error;
use std::fmt;
use std::io;

use crate::base::id::WorkerId;
pub use thrown::PanicPayload;
pub(crate) use thrown::{TaskName, panic_message};

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
    /// The task panicked. The payload is kept and can be [resumed](PanicPayload::resume).
    Panicked(PanicPayload),
    /// The task was cancelled before it started.
    Cancelled,
    /// The task did not start before its [`start_by`](crate::TaskBuilder::start_by) or
    /// [`finish_by`](crate::TaskBuilder::finish_by) time.
    Expired,
    /// The pool refused the task, for this reason.
    Rejected(Refusal),
    /// What was to settle the task ended first: its worker's thread, the
    /// [`Completer`](crate::handle::Completer) of a pair, or the parent of a forked child.
    Lost,
}

impl TaskError {
    /// Resumes the task's panic on this thread, if the task panicked; otherwise panics with the
    /// error as the message. Use it where a task without a value is a bug.
    ///
    /// # Panics
    /// Always.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let sum = pool.spawn(|| 1 + 1).join().unwrap_or_else(|error| error.resume());
    /// assert_eq!(sum, 2);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[track_caller]
    pub fn resume(self) -> ! {
        match self {
            Self::Panicked(panic) => panic.resume(),
            other => panic!("{other}"),
        }
    }

    /// Returns `true` if the task panicked.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let error = pool.spawn(|| panic!("no")).join().unwrap_err();
    /// assert!(error.is_panicked());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_panicked(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Returns the payload of the task's panic, if it panicked.
    ///
    /// # Errors
    /// The error itself, if the task did not panic.
    ///
    /// ```
    /// let mut numbers = vec![3, 1, 2];
    /// corepool::scope(|s| {
    ///     let sorts = s.spawn(|| {
    ///         numbers.sort();
    ///         std::panic::panic_any(numbers.len());
    ///     });
    ///     let error: Result<(), corepool::TaskError> = sorts.join();
    ///     let panic = error.unwrap_err().into_panic().expect("it panicked");
    ///     assert_eq!(panic.into_inner().downcast_ref(), Some(&3_usize));
    /// });
    /// ```
    pub fn into_panic(self) -> Result<PanicPayload, Self> {
        match self {
            Self::Panicked(panic) => Ok(panic),
            other => Err(other),
        }
    }

    /// Returns why the task was refused, if it was.
    ///
    /// ```
    /// use corepool::WorkerPool;
    /// use corepool::errors::Refusal;
    /// let pool = WorkerPool::with_workers(1)?;
    /// pool.close();
    /// let error = pool.spawn(|| ()).join().unwrap_err();
    /// assert_eq!(error.refusal(), Some(Refusal::Closed));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Rejected(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// Returns `true` if the task was cancelled.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// let waits = pool.spawn(|| ());
    /// waits.cancel();
    /// assert!(waits.join().unwrap_err().is_cancelled());
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

/// Why a task was refused: the content of [`TaskError::Rejected`].
///
/// ```
/// use corepool::errors::Refusal;
/// use corepool::{TaskError, WhenFull, WorkerPool};
/// let pool = WorkerPool::builder().workers(1).queue_capacity(1);
/// let pool = pool.when_full(WhenFull::DropOldest).build()?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let busy = pool.spawn(move || wait.recv());
/// while pool.workers()[0].running.is_none() {
///     std::thread::yield_now();
/// }
/// let oldest = pool.spawn(|| 1);
/// let newest = pool.spawn(|| 2);
/// assert!(matches!(oldest.join(), Err(TaskError::Rejected(Refusal::Displaced))));
/// drop(go);
/// assert_eq!(newest.join().unwrap(), 2);
/// pool.close();
/// assert_eq!(pool.spawn(|| 3).join().unwrap_err().refusal(), Some(Refusal::Closed));
/// # let _ = busy.join();
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
// As wide as a pointer, so that the discriminant of a `Result<T, TaskError>` is too. Compilers copy
// a narrower one in overlapping pieces, which stalls the processor: about 5 ns for each result that
// is passed on. The layout is no promise to users.
#[repr(usize)]
pub enum Refusal {
    /// The queue held as many tasks as it may. There may be room later.
    Full,
    /// The pool no longer accepts tasks.
    Closed,
    /// The task was accepted at first, and later dropped to make room for newer ones (see
    /// [`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
    Displaced,
    /// There was no task at all: the result of a [`race`](crate::promise::race) of no
    /// handles.
    Empty,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the pool refused the task: its queue is full",
            Self::Closed => "the pool refused the task: it is closed",
            Self::Displaced => {
                "the task was dropped from a full queue to make room for a newer one"
            }
            Self::Empty => "there was no task to wait for",
        })
    }
}

impl Error for Refusal {}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => match panic.given_name() {
                Some(name) => write!(f, "the task {name:?} panicked: {panic}"),
                None => write!(f, "the task panicked: {panic}"),
            },
            Self::Cancelled => f.write_str("the task was cancelled before it started"),
            Self::Expired => f.write_str("the task did not start in time"),
            Self::Rejected(refusal) => refusal.fmt(f),
            Self::Lost => f.write_str("the task was lost: what was to settle it has ended"),
        }
    }
}

impl Error for TaskError {}

/// Lets `?` pass on a task's failure in functions that return an [`io::Error`]. Its kind is
/// [`Other`](io::ErrorKind::Other).
///
/// ```
/// use corepool::{TaskError, WorkerPool};
/// fn length(pool: &WorkerPool, text: &'static str) -> std::io::Result<usize> {
///     Ok(pool.spawn(move || text.len()).join()?)
/// }
/// let pool = WorkerPool::with_workers(1)?;
/// assert_eq!(length(&pool, "four")?, 4);
///
/// let error = std::io::Error::from(TaskError::Cancelled);
/// assert!(error.get_ref().is_some_and(|error| error.is::<TaskError>()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<TaskError> for io::Error {
    fn from(error: TaskError) -> Self {
        Self::other(error)
    }
}

/// A running task was asked to stop. Returned by [`TaskContext::check`](crate::TaskContext::check).
///
/// ```
/// use corepool::cancel::{CancelToken, Cancelled};
/// let token = CancelToken::new();
/// token.cancel();
/// match token.check() {
///     Err(Cancelled) => {}
///     Ok(()) => unreachable!("it was cancelled"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Why a closure was not accepted. Contains the closure.
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
    /// The queue holds as many tasks as it may.
    Full(F),
    /// The pool no longer accepts tasks.
    Closed(F),
}

impl<F> SpawnError<F> {
    /// Returns the closure.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// pool.close();
    /// let refused = pool.try_spawn(|| 7).unwrap_err();
    /// assert_eq!(refused.into_inner()(), 7);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(closure) | Self::Closed(closure) => closure,
        }
    }

    /// Returns `true` if the queue was full. There may be room later.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).queue_capacity(0).build()?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn(move || wait.recv());
    /// assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
    /// drop(go);
    /// # let _ = busy.join();
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns `true` if the pool is closed. This does not change.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// pool.close();
    /// assert!(pool.try_spawn(|| ()).unwrap_err().is_closed());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
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

/// Why [`try_reserve`](crate::WorkerPool::try_reserve) gave no permit.
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::errors::ReserveError;
/// let pool = WorkerPool::builder().workers(1).queue_capacity(0).build()?;
/// let permit = pool.try_reserve()?;
/// assert_eq!(pool.try_reserve().unwrap_err(), ReserveError::Full);
/// pool.close();
/// assert_eq!(pool.try_reserve().unwrap_err(), ReserveError::Closed);
/// # drop(permit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveError {
    /// There is room for no more tasks. There may be later.
    Full,
    /// The pool no longer accepts tasks.
    Closed,
}

impl ReserveError {
    /// Returns `true` if there was no room. There may be room later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// Returns `true` if the pool is closed. This does not change.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the pool's queue is full"),
            Self::Closed => Closed::new().fmt(f),
        }
    }
}

impl Error for ReserveError {}

/// The pool no longer accepts tasks, so [`reserve`](crate::WorkerPool::reserve) gave no permit.
///
/// ```
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// pool.close();
/// let refused = pollster::block_on(pool.reserve()).unwrap_err();
/// assert_eq!(refused.to_string(), "the pool is closed");
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Closed {
    pub(crate) const fn new() -> Self {
        Self
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is closed")
    }
}

impl Error for Closed {}

/// Why a pool could not be built. Nothing is left behind: threads that had started are joined.
///
/// ```
/// use corepool::{BuildError, WorkerPool};
/// let error = WorkerPool::with_workers(0).unwrap_err();
/// assert!(matches!(error, BuildError::WorkerCount { asked: 0, .. }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of workers is zero or too large.
    WorkerCount {
        /// The requested number.
        asked: usize,
        /// The largest possible number. The smallest is 1.
        most: usize,
    },
    /// The builder was given a core that the process may not use.
    CoreNotAllowed {
        /// The first such core.
        core: usize,
        /// The cores that the process may use.
        allowed: Vec<usize>,
    },
    /// Workers were to be pinned to a list of cores, and the list was empty.
    NoCores,
    /// The stack is too small to run a task on, or too large for any address space.
    StackSize {
        /// The requested size, in bytes.
        asked: usize,
        /// The smallest possible size, in bytes.
        least: usize,
        /// The largest possible size, in bytes.
        most: usize,
    },
    /// The system could not start a thread.
    Thread {
        /// The worker that would have run on the thread.
        worker: WorkerId,
        /// The requested number of workers.
        workers: usize,
        /// The error of the system.
        source: io::Error,
    },
    /// A worker's start hook, or the closure that names threads, panicked.
    Hook {
        /// The worker for which it panicked.
        worker: WorkerId,
        /// The message of the panic.
        message: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerCount { asked, most } => {
                write!(f, "invalid number of workers: {asked}, it must be 1 to {most}")
            }
            Self::CoreNotAllowed { core, allowed } => {
                write!(f, "core {core} is not one that this process may use: {allowed:?}")
            }
            Self::NoCores => f.write_str("pinning to named cores needs at least one core"),
            Self::StackSize { asked, least, most } => {
                write!(f, "invalid stack size: {asked} bytes, it must be {least} to {most}")
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
