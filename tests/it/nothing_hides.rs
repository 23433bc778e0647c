//! Work that has not begun never waits while a worker is idle, whatever its owner does and whatever
//! ran before.
//!
//! Expensive items sleep, so the schedule also shows on a machine with few cores. `spread` and
//! `mixed` compare whole calls with a perfect schedule. `delays` and `talk` look at one piece of
//! work whose owner sleeps, computes or waits for it.

mod delays;
mod mixed;
mod spread;
mod talk;

use std::hint;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corepool::WorkerPool;

use crate::support::{PATIENCE, within};

const WORKERS: [usize; 4] = [2, 4, 16, 64];

/// Whether the build injects noise or is ten times slower. Measured times mean little then.
const DISTORTED: bool = cfg!(any(corepool_tsan, corepool_chaos));

/// The time that a call's expensive items take in a perfect schedule. Each test chooses its items
/// to match.
const IDEAL: Duration = Duration::from_millis(100);

/// The time that they may take in the best of several tries. On two workers a serial call takes
/// twice the ideal. On more workers it takes longer, and so does a call that spreads its items by
/// halves, round by round.
const BOUND: Duration = Duration::from_millis(if DISTORTED { 3_000 } else { 180 });

/// Several, because another program may delay a try.
const TRIES: usize = 10;

/// A pool under test whose workers are all idle.
struct Case {
    pool: WorkerPool,
    workers: usize,
    /// How long an expensive item sleeps.
    item: Duration,
    /// How many expensive items have run.
    ran: AtomicUsize,
    /// When the first expensive item began. The measured time starts here, because the cheap items
    /// before it compute, and other load on the machine stretches that.
    began: Mutex<Option<Instant>>,
}

/// The thread that makes a call.
#[derive(Debug, Clone, Copy)]
enum Place {
    Worker,
    /// A thread that is not a worker.
    Outside,
}

impl Place {
    fn call<R: Send>(self, pool: &WorkerPool, op: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Worker => pool.install(op),
            Self::Outside => op(),
        }
    }
}

impl Case {
    /// Notes the start of the expensive items, unless it is noted already.
    fn begin(&self) {
        self.began.lock().unwrap().get_or_insert_with(Instant::now);
    }

    fn expensive(&self) {
        self.begin();
        thread::sleep(self.item);
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    /// One item of a sequence in which every twentieth item is expensive.
    fn mixed(&self, at: usize) {
        if at % 20 == 13 { self.expensive() } else { cheap() }
    }
}

/// At most a microsecond of work.
fn cheap() {
    hint::black_box((0..20_u64).fold(1, |x, n| hint::black_box(x ^ n).wrapping_mul(3)));
}

/// Runs `work` with each number of workers, from a worker and from outside. Fails if it takes much
/// longer than the rounds of expensive items in a perfect schedule. `work` returns the number of
/// its expensive items.
///
/// The pools run at the same time, because their expensive items only sleep.
#[track_caller]
fn takes_rounds(rounds: fn(usize) -> usize, work: fn(&Case) -> usize) {
    within(PATIENCE, move || {
        thread::scope(|threads| {
            for workers in WORKERS {
                let rounds = u32::try_from(rounds(workers)).unwrap();
                threads.spawn(move || takes_rounds_with(workers, rounds, work));
            }
        });
    });
}

fn takes_rounds_with(workers: usize, rounds: u32, work: fn(&Case) -> usize) {
    let pool = idle_pool(workers);
    let (ran, began) = (AtomicUsize::new(0), Mutex::new(None));
    let case = Case { pool, workers, item: IDEAL / rounds, ran, began };
    for place in [Place::Worker, Place::Outside] {
        let best = best_time(&case, place, work);
        assert!(
            best <= BOUND,
            "{workers} workers, {place:?}: {best:?} at best, where {IDEAL:?} is perfect"
        );
    }
}

/// The shortest time of several tries. It stops at the first try that is good enough.
fn best_time(case: &Case, place: Place, work: fn(&Case) -> usize) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        case.ran.store(0, Ordering::Relaxed);
        *case.began.lock().unwrap() = None;
        let items = place.call(&case.pool, || work(case));
        let began = case.began.lock().unwrap().expect("some items are expensive");
        best = best.min(began.elapsed());
        assert_eq!(case.ran.load(Ordering::Relaxed), items, "each expensive item runs once");
        if best <= BOUND {
            break;
        }
    }
    best
}

/// Creates a pool whose threads have all started.
fn idle_pool(workers: usize) -> WorkerPool {
    let pool = WorkerPool::with_workers(workers).unwrap();
    assert_eq!(pool.broadcast(|_| ()).filter(Result::is_ok).count(), workers);
    pool
}
