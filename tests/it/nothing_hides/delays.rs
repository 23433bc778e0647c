//! Work that a thread has left for others begins at once on an idle worker, while the thread sleeps
//! or computes.

use std::hint;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use corepool::WorkerPool;

use super::{DISTORTED, Place, idle_pool};
use crate::support::{PATIENCE, within};

/// What the owner of the work does until the work has begun elsewhere, or for a long time if it
/// never begins.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    Sleeps,
    /// Computes without calling into the pool.
    Computes,
}

impl Meanwhile {
    const LONG: [Self; 2] = [Self::Sleeps, Self::Computes];

    fn run(self, work: &Work) {
        match self {
            Self::Nothing => {}
            Self::Sleeps => {
                let waiting = work.waiting.lock().unwrap();
                let for_long = Duration::from_millis(300);
                let woken = work.begun.wait_timeout_while(waiting, for_long, |left| *left > 0);
                drop(woken.unwrap());
            }
            Self::Computes => {
                let start = Instant::now();
                while *work.waiting.lock().unwrap() > 0
                    && start.elapsed() < Duration::from_millis(200)
                {
                    for _ in 0..1_000 {
                        hint::spin_loop();
                    }
                }
            }
        }
    }
}

/// Pieces of work that other threads should begin.
struct Work {
    left: Instant,
    /// How many pieces have not begun.
    waiting: Mutex<usize>,
    begun: Condvar,
    /// How long the last piece waited.
    delay: Mutex<Duration>,
}

impl Work {
    fn new(pieces: usize) -> Self {
        let (waiting, delay) = (Mutex::new(pieces), Mutex::new(Duration::MAX));
        Self { left: Instant::now(), waiting, begun: Condvar::new(), delay }
    }

    /// Marks the start of one piece.
    fn begin(&self) {
        *self.delay.lock().unwrap() = self.left.elapsed();
        *self.waiting.lock().unwrap() -= 1;
        self.begun.notify_all();
    }

    fn delay(self) -> Duration {
        assert_eq!(self.waiting.into_inner().unwrap(), 0);
        self.delay.into_inner().unwrap()
    }
}

/// Bound for the median of the tries: other load on the machine may delay any one of them.
const USUAL: Duration = Duration::from_millis(if DISTORTED { 190 } else { 100 });
/// Bound for the best try. The pool promises 100 microseconds; the rest is left to the system.
const BEST: Duration = Duration::from_millis(if DISTORTED { 190 } else { 2 });
/// Bound for the best try when no core is free: each thread that wakes up waits a few milliseconds
/// for its turn.
const BEST_IN_TURN: Duration = Duration::from_millis(if DISTORTED { 190 } else { 20 });
const FEWEST_TRIES: usize = 3;
const MOST_TRIES: usize = 9;

/// Tries until the delays are short enough, and fails if they never are.
fn begins_at_once(what: &str, delay: impl Fn() -> Duration) {
    let mut delays = Vec::new();
    let before = idle_ticks();
    let start = Instant::now();
    for _ in 0..MOST_TRIES {
        delays.push(delay());
        delays.sort_unstable();
        let best = if has_free_core(before, start) { BEST } else { BEST_IN_TURN };
        let good = delays[0] <= best && delays[delays.len() / 2] <= USUAL;
        if good && delays.len() >= FEWEST_TRIES {
            return;
        }
    }
    panic!("{what}: began after {delays:?}");
}

/// The time in which cores were idle, in hundredths of a second, summed over all cores. `None` if
/// the system does not report it.
fn idle_ticks() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/stat").ok()?;
    facts.split_whitespace().nth(4)?.parse().ok()
}

/// Whether a core was free for most of the time since `start`. Other tests and programs count as
/// load too.
fn has_free_core(before: Option<u64>, start: Instant) -> bool {
    let idle = before.zip(idle_ticks()).map(|(before, now)| now.saturating_sub(before));
    let spent = start.elapsed().as_millis() as u64 / 10;
    idle.is_some_and(|idle| idle * 10 > spent * 8)
}

/// Checks idle pools of two, sixteen and sixty-four workers, with everything that the owner may do.
fn always_begins_at_once(delay: fn(&WorkerPool, Meanwhile) -> Duration) {
    within(PATIENCE, move || {
        for workers in [2, 16, 64] {
            on_a_pool(&idle_pool(workers), delay);
        }
    });
}

fn on_a_pool(pool: &WorkerPool, delay: impl Fn(&WorkerPool, Meanwhile) -> Duration) {
    for meanwhile in Meanwhile::LONG {
        let what = format!("{} workers, the owner {meanwhile:?}", pool.worker_count());
        begins_at_once(&what, || delay(pool, meanwhile));
    }
}

/// The time from the start of the join until its second half begins.
fn of_a_half(pool: &WorkerPool, first: Meanwhile) -> Duration {
    let work = Work::new(1);
    pool.join(|| first.run(&work), || work.begin());
    work.delay()
}

#[test]
fn a_guests_second_half_begins_at_once() {
    always_begins_at_once(of_a_half);
}

#[test]
fn a_workers_second_half_begins_at_once() {
    always_begins_at_once(|pool, first| pool.install(|| of_a_half(pool, first)));
}

#[test]
fn the_second_half_of_a_join_inside_a_join_begins_at_once() {
    always_begins_at_once(|pool, first| {
        pool.install(|| pool.join(|| of_a_half(pool, first), || ()).0)
    });
}

#[test]
fn the_second_half_of_a_guests_join_inside_a_join_begins_at_once() {
    always_begins_at_once(|pool, first| pool.join(|| of_a_half(pool, first), || ()).0);
}

#[test]
fn the_second_half_of_a_join_in_a_second_half_begins_at_once() {
    always_begins_at_once(|pool, first| {
        let work = Work::new(1);
        let inner = || pool.join(|| first.run(&work), || work.begin());
        pool.join(|| first.run(&work), inner);
        work.delay()
    });
}

#[test]
fn a_second_half_inside_a_scopes_closure_begins_at_once() {
    always_begins_at_once(|pool, first| {
        pool.scope(|s| s.spawn(|| of_a_half(pool, first)).join().unwrap())
    });
}

#[test]
fn a_second_half_inside_an_item_of_a_loop_begins_at_once() {
    always_begins_at_once(|pool, first| {
        pool.map(0..2, |at| if at == 0 { of_a_half(pool, first) } else { Duration::ZERO })[0]
    });
}

#[test]
fn a_second_half_begins_at_once_after_many_light_joins_of_its_type() {
    fn light(pool: &WorkerPool, joins: usize) {
        for _ in 0..joins {
            of_a_half(pool, Meanwhile::Nothing);
        }
    }
    fn after_some(pool: &WorkerPool, first: Meanwhile) -> Duration {
        light(pool, 1_000);
        of_a_half(pool, first)
    }
    within(PATIENCE, || {
        for workers in [2, 16, 64] {
            let pool = idle_pool(workers);
            pool.install(|| light(&pool, 100_000));
            on_a_pool(&pool, |pool, first| pool.install(|| after_some(pool, first)));
            light(&pool, 100_000);
            on_a_pool(&pool, after_some);
        }
    });
}

/// From a worker and from outside.
const PLACES: [Place; 2] = [Place::Worker, Place::Outside];

/// The longest delay of calls from a worker and from outside. The calls keep two threads busy.
fn from_anywhere(pool: &WorkerPool, delay: impl Fn() -> Duration + Sync) -> Duration {
    let delays = PLACES.map(|place| place.call(pool, &delay));
    delays[0].max(delays[1])
}

#[test]
fn a_closure_of_a_scope_begins_at_once_whatever_the_body_does() {
    always_begins_at_once(|pool, body| {
        from_anywhere(pool, || {
            let work = Work::new(1);
            pool.scope(|s| {
                s.spawn(|| work.begin());
                body.run(&work);
            });
            work.delay()
        })
    });
}

#[test]
fn a_closure_begins_at_once_whatever_the_one_before_it_does() {
    always_begins_at_once(|pool, closure| {
        from_anywhere(pool, || {
            let work = Work::new(2);
            pool.scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        work.begin();
                        closure.run(&work);
                    });
                }
            });
            work.delay()
        })
    });
}

#[test]
fn a_loops_next_item_begins_at_once_whatever_the_one_before_it_does() {
    always_begins_at_once(|pool, item| {
        from_anywhere(pool, || {
            let work = Work::new(2);
            pool.for_each(0..2, |_| {
                work.begin();
                item.run(&work);
            });
            work.delay()
        })
    });
}

#[test]
fn what_a_second_half_spawns_into_a_scope_around_it_begins_at_once() {
    fn one(pool: &WorkerPool, half: Meanwhile) -> Duration {
        let (second, work) = (Work::new(1), OnceLock::new());
        pool.scope(|s| {
            let spawns = || {
                let work = work.get_or_init(|| Work::new(1));
                s.spawn(|| work.begin());
                second.begin();
                half.run(work);
            };
            pool.join(
                || {
                    half.run(&second);
                    work.get().inspect(|work| half.run(work));
                },
                spawns,
            );
        });
        work.into_inner().unwrap().delay()
    }
    // Both halves keep a thread busy, so a call from a worker needs a third thread.
    always_begins_at_once(|pool, half| match pool.worker_count() {
        2 => one(pool, half),
        _ => from_anywhere(pool, || one(pool, half)),
    });
}
