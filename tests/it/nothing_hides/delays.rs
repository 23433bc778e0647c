//! What a thread has left to be run begins at once on an idle worker, while the thread sleeps or computes.

use std::hint;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use corepool::WorkerPool;

use super::{DISTORTED, Place, idle_pool};
use crate::support::{PATIENCE, within};

/// What the owner of the work does meanwhile.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    Sleeps,
    /// Without a call of the pool.
    Computes,
}

impl Meanwhile {
    const LONG: [Self; 2] = [Self::Sleeps, Self::Computes];

    fn run(self) {
        match self {
            Self::Nothing => {}
            Self::Sleeps => thread::sleep(Duration::from_millis(300)),
            Self::Computes => {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(200) {
                    hint::spin_loop();
                }
            }
        }
    }
}

/// In the middle of some tries: a machine that does much else may delay any of them.
const USUAL: Duration = Duration::from_millis(if DISTORTED { 190 } else { 100 });
/// In the best of them. What the pool promises is 100 microseconds; the rest is the system's.
const BEST: Duration = Duration::from_millis(if DISTORTED { 190 } else { 2 });
/// The same where no core is free: a thread that wakes up waits for its turn, for a few milliseconds each time.
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

/// Hundredths of a second in which a core had nothing to do, all cores together. None where the system does not say.
fn idle_ticks() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/stat").ok()?;
    facts.split_whitespace().nth(4)?.parse().ok()
}

/// Whether a core was free for most of the time since then. What other tests and programs do is seen by it too.
fn has_free_core(before: Option<u64>, start: Instant) -> bool {
    let idle = before.zip(idle_ticks()).map(|(before, now)| now.saturating_sub(before));
    let spent = start.elapsed().as_millis() as u64 / 10;
    idle.is_some_and(|idle| idle * 10 > spent * 8)
}

/// The same for an idle pool of two workers and one of sixteen, and whatever the owner does.
fn always_begins_at_once(delay: fn(&WorkerPool, Meanwhile) -> Duration) {
    within(PATIENCE, move || {
        for workers in [2, 16] {
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

/// How long after the start of the join its second half begins.
fn of_a_half(pool: &WorkerPool, first: Meanwhile) -> Duration {
    let start = Instant::now();
    pool.join(|| first.run(), || start.elapsed()).1
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
        let start = Instant::now();
        let inner = || pool.join(|| first.run(), || start.elapsed()).1;
        pool.join(|| first.run(), inner).1
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
        for workers in [2, 16] {
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

/// The longest of the delays of calls from a worker and from outside, which keep two threads busy.
fn from_anywhere(pool: &WorkerPool, delay: impl Fn() -> Duration + Sync) -> Duration {
    let delays = PLACES.map(|place| place.call(pool, &delay));
    delays[0].max(delays[1])
}

#[test]
fn a_closure_of_a_scope_begins_at_once_whatever_the_body_does() {
    always_begins_at_once(|pool, body| {
        from_anywhere(pool, || {
            let (start, delay) = (Instant::now(), OnceLock::new());
            pool.scope(|s| {
                s.spawn(|| delay.set(start.elapsed()));
                body.run();
            });
            delay.into_inner().unwrap()
        })
    });
}

#[test]
fn a_closure_begins_at_once_whatever_the_one_before_it_does() {
    always_begins_at_once(|pool, closure| {
        from_anywhere(pool, || {
            let (start, delays) = (Instant::now(), [OnceLock::new(), OnceLock::new()]);
            pool.scope(|s| {
                for delay in &delays {
                    s.spawn(|| {
                        delay.set(start.elapsed()).unwrap();
                        closure.run();
                    });
                }
            });
            delays.into_iter().map(|delay| delay.into_inner().unwrap()).max().unwrap()
        })
    });
}

#[test]
fn a_loops_next_item_begins_at_once_whatever_the_one_before_it_does() {
    always_begins_at_once(|pool, item| {
        from_anywhere(pool, || {
            let start = Instant::now();
            let delays = pool.map(0..2, |_| {
                let delay = start.elapsed();
                item.run();
                delay
            });
            delays.into_iter().max().unwrap()
        })
    });
}

#[test]
fn what_a_second_half_spawns_into_a_scope_around_it_begins_at_once() {
    fn one(pool: &WorkerPool, half: Meanwhile) -> Duration {
        let (start, delay) = (OnceLock::new(), OnceLock::new());
        pool.scope(|s| {
            let second = || {
                let start = start.get_or_init(Instant::now);
                s.spawn(|| delay.set(start.elapsed()));
                half.run();
            };
            pool.join(|| half.run(), second);
        });
        delay.into_inner().unwrap()
    }
    // Both halves keep a thread busy, so on a worker this needs a third one.
    always_begins_at_once(|pool, half| match pool.worker_count() {
        2 => one(pool, half),
        _ => from_anywhere(pool, || one(pool, half)),
    });
}
