//! The small numbers that identify pools, workers and tasks.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::counter_start;

/// Identifies a worker of one pool. Workers are numbered from 0.
///
/// The number stays the same when a worker's thread is replaced; only the generation in
/// [`WorkerInfo`](crate::WorkerInfo) goes up.
///
/// ```
/// let id = corepool::WorkerId::from(3);
/// assert_eq!(format!("worker-{id}"), "worker-3");
/// assert_eq!(id.index(), 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(usize);

impl WorkerId {
    /// Returns the number, for instance to index a table.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let mut indices: Vec<_> = pool.workers().iter().map(|worker| worker.id.index()).collect();
    /// indices.sort_unstable();
    /// assert_eq!(indices, [0, 1]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl From<usize> for WorkerId {
    fn from(index: usize) -> Self {
        Self(index)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies a task of one [`TaskSet`](crate::TaskSet). Tasks are numbered from 0, in the order in
/// which they were pushed.
///
/// In a set from [`spawn_batch`](crate::WorkerPool::spawn_batch) the number is the position of the
/// closure. In a set from [`broadcast`](crate::WorkerPool::broadcast) it is the worker's number.
/// Numbers are not reused.
///
/// ```
/// use corepool::{TaskSet, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let mut set = TaskSet::new();
/// let id = set.push(pool.spawn(|| 7));
/// assert_eq!((id.number(), id.to_string()), (0, "0".to_owned()));
/// # assert_eq!(set.next().unwrap().unwrap(), 7);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    ///
    /// ```
    /// use corepool::{TaskSet, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut set = TaskSet::new();
    /// let (first, second) = (set.push(pool.spawn(|| ())), set.push(pool.spawn(|| ())));
    /// assert_ne!(first.number(), second.number());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells the pools of one process apart.
///
/// It has 24 bits, so that it shares a word of the task's header with another value. The numbers
/// wrap around; the registry skips those of pools that still exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolId(u32);

impl PoolId {
    const MOST: u32 = (1 << 24) - 1;
    /// The number that no pool has, for tasks that belong to none.
    pub(crate) const NONE: Self = Self(Self::MOST);

    pub(crate) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(counter_start::POOL);
        loop {
            // ORDERING: only the number matters.
            let id = Self(NEXT.fetch_add(1, Ordering::Relaxed) & Self::MOST);
            if id != Self::NONE {
                return id;
            }
        }
    }

    /// Packs the number beside eight other bits.
    pub(crate) const fn pack(self, beside: u8) -> u32 {
        self.0 << 8 | beside as u32
    }

    /// Returns what [`pack`](Self::pack) was given.
    pub(crate) const fn unpack(packed: u32) -> (Self, u8) {
        (Self(packed >> 8), packed as u8)
    }
}
