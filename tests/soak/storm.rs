//! One storm: a pool, some threads that hand in far more than it can do at once, and the book that
//! everything is compared with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use corepool::{CancelToken, Dispatch, TaskHandle, WhenFull, WorkerPool};
use fastrand::Rng;

use super::book::{Book, Ticket};
use super::{borrow, flood, gather, memory};
use crate::random::setting;
use crate::support::{self, until};

/// The value of a task: its ticket, or nothing if the task used that up.
pub(super) type Value = Option<Ticket>;

/// At most this many tasks per storm; fewer where each takes long.
const MOST: usize = if cfg!(corepool_chaos) { 30_000 } else { 120_000 };

/// How many times as long as usual a storm is, from `COREPOOL_SOAK_SCALE`. Under AddressSanitizer
/// threads are expensive and tasks are cheap.
fn scale() -> usize {
    setting("COREPOOL_SOAK_SCALE").unwrap_or(1)
}

pub(super) struct Storm {
    pub(super) pool: Arc<WorkerPool>,
    pub(super) book: Arc<Book>,
    pub(super) workers: usize,
    /// Ends tasks that are tied to it; it is cancelled at some time or never.
    pub(super) request: CancelToken,
    /// Handles that are never looked at again. They are as good as leaked while the pool lives.
    pub(super) attic: Mutex<Vec<TaskHandle<Value>>>,
    /// Workers that may still be ended. Each costs its successor some back-off.
    ends_left: AtomicUsize,
}

impl Storm {
    fn new(random: &mut Rng) -> Self {
        let workers = random.usize(1..=16);
        let pool = Arc::new(random_pool(random, workers));
        let book = Book::new(random.usize(1_000..=MOST) * scale());
        book.is_of(&pool);
        Self {
            pool,
            book,
            workers,
            request: CancelToken::new(),
            attic: Mutex::default(),
            ends_left: AtomicUsize::new(random.usize(..3)),
        }
    }

    pub(super) fn may_end_a_worker(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.ends_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Shuts the pool down in one of several ways, and compares.
    fn end(self, way: u8, patience: Duration) {
        match way {
            0 => thread::scope(|s| {
                s.spawn(|| self.pool.shutdown());
                self.pool.shutdown();
            }),
            1 => {
                let report = self.pool.shutdown_timeout(Duration::from_secs(3_600));
                assert!(report.is_clean(), "{report}");
            }
            2 => drop(self.pool.shutdown_timeout(patience)),
            3 => pollster::block_on(self.pool.shutdown_async()),
            _ => {}
        }
        self.pool.shutdown();
        drop(self.attic);
        // A task that looked at its pool may be about to release it.
        until(|| Arc::strong_count(&self.pool) == 1);
        let pool = Arc::into_inner(self.pool).expect("nobody else holds the pool");
        let metrics = pool.metrics();
        drop(pool);
        self.book.expect_all_right(&metrics);
        support::tally(metrics.spawned, self.book.closures.load(Ordering::SeqCst));
    }
}

fn random_pool(random: &mut Rng, workers: usize) -> WorkerPool {
    let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
    let mut builder = WorkerPool::builder()
        .workers(workers)
        .spare_workers(random.usize(..4))
        .record_timing(random.u8(..4) == 0);
    if random.u8(..4) == 0 {
        builder = builder.dispatch(Dispatch::RoundRobin);
    }
    if random.u8(..3) == 0 {
        let capacity = 1 << random.usize(..12);
        let policy = policies[random.usize(..4)];
        builder = builder.queue_capacity(capacity).when_full(policy);
    }
    if random.u8(..8) == 0 {
        builder = builder.watchdog(Duration::from_millis(20));
    }
    builder.build().expect("the system gives threads")
}

pub(super) fn run(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let storm = Storm::new(&mut random);
    let closer = random.usize(..12);
    thread::scope(|s| {
        for number in 0..random.usize(1..=3) {
            let (storm, random) = (&storm, random.fork());
            s.spawn(move || lane(storm, random, number == closer));
        }
    });
    let end = random.u8(..5);
    storm.end(end, Duration::from_micros(random.u64(..2_000)));
}

/// One thread's part.
fn lane(storm: &Storm, mut random: Rng, closes: bool) {
    for _ in 0..random.usize(3..14) * scale() {
        match random.u8(..20) {
            0..4 => flood::burst(storm, &mut random),
            4..7 => flood::window(storm, &mut random),
            7 | 8 => flood::inside(storm, &mut random),
            9 => gather::batch(storm, &mut random),
            10 => gather::broadcast(storm, &mut random),
            11 => gather::promises(storm, &mut random),
            12 => gather::set(storm, &mut random),
            13 => gather::windowed(storm, &mut random),
            14 => borrow::joins(storm, &mut random),
            15 => borrow::scopes(storm, &mut random),
            16 => borrow::loops(storm, &mut random),
            17 => memory::relay(storm, &mut random),
            18 => memory::locals(storm, &mut random),
            _ if random.u8(..8) == 0 => storm.request.cancel(),
            _ => flood::chains(storm, &mut random),
        }
    }
    if closes {
        storm.pool.close();
    }
}

/// How many at once: mostly few, sometimes thousands.
pub(super) fn some(random: &mut Rng) -> usize {
    let width = random.usize(1..14);
    random.usize(..1 << width)
}
