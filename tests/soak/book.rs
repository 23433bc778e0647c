//! The book of one storm: what each task did and how it ended, so that everything can be compared
//! at the end.

use std::sync::atomic::{AtomicIsize, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use corepool::{Metrics, TaskError, WorkerPool};

/// How a task ended, according to its handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum End {
    /// Not known, because the handle was dropped.
    Unknown,
    Ran,
    NeverRan,
}

#[derive(Default)]
struct Entry {
    runs: AtomicU8,
    /// An [`End`].
    end: AtomicU8,
}

pub(super) struct Book {
    entries: Box<[Entry]>,
    given: AtomicUsize,
    /// Tickets that were made and never handed in, because their future was dropped before.
    taken_back: AtomicUsize,
    /// Tickets that have not been dropped.
    alive: AtomicIsize,
    /// Calls of `install`, which are tasks too unless the pool is closed.
    pub(super) installed: AtomicU64,
    /// Continuations. One of them may pass on the end of the task before it, whether it ran or not.
    pub(super) continued: AtomicU64,
    /// Closures of fork-join calls.
    pub(super) closures: AtomicU64,
    /// Weak, so that no task keeps the pool that runs it alive. Set once, at the start.
    pool: OnceLock<Weak<WorkerPool>>,
}

impl Book {
    /// A book for at most this many tasks.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            entries: (0..most).map(|_| Entry::default()).collect(),
            given: AtomicUsize::new(0),
            taken_back: AtomicUsize::new(0),
            alive: AtomicIsize::new(0),
            installed: AtomicU64::new(0),
            continued: AtomicU64::new(0),
            closures: AtomicU64::new(0),
            pool: OnceLock::new(),
        })
    }

    pub(super) fn is_of(&self, pool: &Arc<WorkerPool>) {
        self.pool.set(Arc::downgrade(pool)).expect("a book is of one pool");
    }

    pub(super) fn pool(&self) -> Option<Arc<WorkerPool>> {
        self.pool.get().and_then(Weak::upgrade)
    }

    /// A number and a ticket for one task; `None` when the book is full.
    pub(super) fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let take = |given: usize| (given < self.entries.len()).then_some(given + 1);
        let id = self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        self.alive.fetch_add(1, Ordering::Relaxed);
        Some(Ticket { book: Arc::clone(self), id: id as u32 })
    }

    /// This many tickets, or as many as are left.
    pub(super) fn tickets(self: &Arc<Self>, count: usize) -> Vec<Ticket> {
        (0..count).map_while(|_| self.ticket()).collect()
    }

    /// Records how a task ended, according to its handle.
    pub(super) fn saw(&self, id: u32, result: Result<Option<Ticket>, TaskError>) {
        let end = match result {
            Ok(ticket) => {
                assert!(ticket.is_none_or(|ticket| ticket.id == id), "the value of another task");
                End::Ran
            }
            Err(TaskError::Panicked(panic)) => {
                assert_eq!(panic.message(), super::flood::PANIC, "a panic from nowhere");
                End::Ran
            }
            Err(TaskError::Lost) => End::Ran,
            Err(TaskError::Cancelled | TaskError::Expired | TaskError::Rejected(_)) => {
                End::NeverRan
            }
            Err(other) => panic!("no task of a storm ends like this: {other}"),
        };
        let before = self.entries[id as usize].end.swap(end as u8, Ordering::Relaxed);
        assert_eq!(before, End::Unknown as u8, "task {id} was settled twice");
    }

    pub(super) fn take_back(&self) {
        self.taken_back.fetch_add(1, Ordering::Relaxed);
    }

    /// Compares everything after all tasks have ended.
    pub(super) fn expect_all_right(&self, metrics: &Metrics) {
        let given = self.given.load(Ordering::SeqCst);
        let mut runs = 0;
        for (id, entry) in self.entries[..given].iter().enumerate() {
            let ran = entry.runs.load(Ordering::SeqCst);
            let end = entry.end.load(Ordering::SeqCst);
            let fits = match ran {
                0 => end != End::Ran as u8,
                1 => end != End::NeverRan as u8,
                _ => false,
            };
            assert!(fits, "task {id} ran {ran} times and ended as {end}");
            runs += u64::from(ran);
        }
        assert_eq!(self.alive.load(Ordering::SeqCst), 0, "each closure and result is dropped once");
        let handed_in = (given - self.taken_back.load(Ordering::SeqCst)) as u64;
        let installed = self.installed.load(Ordering::SeqCst);
        let beyond = metrics.spawned.checked_sub(handed_in);
        let beyond = beyond.unwrap_or_else(|| panic!("{handed_in} were handed in:\n{metrics}"));
        assert!(beyond <= installed, "{beyond} tasks that nobody handed in:\n{metrics}");
        let ran = metrics.completed + metrics.panicked + metrics.lost;
        // An `install` on a closed pool is refused, and runs on its caller's thread. A closure of
        // `finally` that runs behind a refused task counts as refused.
        let continued = self.continued.load(Ordering::SeqCst);
        let possible = runs.saturating_sub(continued)..=runs + beyond + continued;
        assert!(
            possible.contains(&ran),
            "{runs} closures ran, {possible:?} are possible:\n{metrics}"
        );
        let never = metrics.cancelled + metrics.expired + metrics.rejected;
        assert_eq!(ran + never, metrics.spawned, "{metrics}");
        assert_eq!((metrics.queue_depth, metrics.waiting_for_room), (0, 0), "{metrics}");
    }
}

/// The ticket of one task, in its closure and perhaps in its result.
pub(super) struct Ticket {
    book: Arc<Book>,
    id: u32,
}

impl Ticket {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Records that its task runs now.
    pub(super) fn run(&self) {
        self.book.entries[self.id as usize].runs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.book.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
