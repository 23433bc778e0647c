//! Random programs over the whole public API, one after another in one process, for as long as you
//! like. Whatever they do, each task is settled once, the counters add up, and memory, threads and
//! descriptors afterwards are the same as before.
//!
//! A program is given by a number. The number is printed when the program fails, and reproduces it.
//! Environment variables:
//!
//! - `COREPOOL_SOAK`: how many seconds to run; a few by default.
//! - `COREPOOL_SOAK_TASKS`: run until there were at least this many tasks.
//! - `COREPOOL_SOAK_SEED`: the number from which those of all programs are drawn; a different one
//!   each time by default.
//! - `COREPOOL_SOAK_KIND`: only programs of this kind, by its name in [`KINDS`].
//! - `COREPOOL_SOAK_SCALE`: how many times as long as usual each storm is; a number gives the same
//!   program only with the same scale.
//! - `COREPOOL_PROGRAM`: only this program, `COREPOOL_TIMES` times.
//!
//! This runs without the test harness, whose threads would disturb the counts.

#[path = "soak/book.rs"]
mod book;
#[path = "soak/borrow.rs"]
mod borrow;
#[path = "soak/flood.rs"]
mod flood;
#[path = "soak/gather.rs"]
mod gather;
#[path = "soak/holdings.rs"]
mod holdings;
#[path = "soak/memory.rs"]
mod memory;
#[path = "random/mod.rs"]
mod random;
#[path = "soak/storm.rs"]
mod storm;
#[expect(dead_code, reason = "what only other tests use")]
#[path = "it/support.rs"]
mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;

use holdings::{Holdings, slope};
use random::{Blame, model, random_seed, setting, stress, trees, waits};
use support::{PATIENCE, within};

/// A kind of program: its name, how many of sixteen programs are of this kind, and how to run the
/// program with a given number.
type Kind = (&'static str, u64, fn(u64));

const KINDS: [Kind; 5] = [
    ("storm", 6, storm),
    ("stress", 4, stress::run),
    ("model", 2, model::run),
    ("trees", 2, trees::run),
    ("waits", 2, waits::run),
];

fn storm(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE * 5, move || storm::run(seed));
}

/// The kind of a program, which its number determines.
fn kind_of(program: u64) -> &'static Kind {
    let mut place = program % 16;
    let here = |kind: &&Kind| {
        let is_here = place < kind.1;
        place = place.wrapping_sub(kind.1);
        is_here
    };
    KINDS.iter().find(here).expect("the parts are sixteen together")
}

/// The state of a run so far.
struct Run {
    begin: Instant,
    programs: u64,
    /// Threads and descriptors at the start.
    before: (usize, usize),
    looks: Vec<Holdings>,
    told: Duration,
}

impl Run {
    fn program(&mut self, program: u64) {
        (kind_of(program).2)(program);
        self.programs += 1;
        let look = || Holdings::now(self.begin.elapsed());
        let (mut now, patience) = (look(), Instant::now());
        // A joined thread is listed a moment longer.
        while (now.threads, now.descriptors) != self.before {
            let (before, names) = (self.before, holdings::thread_names());
            assert!(
                patience.elapsed() < PATIENCE,
                "program {program} left something: {now:?}, {before:?} before; {names:?}"
            );
            std::thread::sleep(Duration::from_micros(200));
            now = look();
        }
        self.looks.push(now);
        if self.told + Duration::from_secs(60) <= now.time {
            self.told = now.time;
            self.tell(&now);
        }
    }

    fn tell(&self, now: &Holdings) {
        let (tasks, closures) = tasks();
        println!(
            "{:6} s  {:8} programs  {tasks:12} tasks  {closures:12} closures  {:8} B live  {:7} KiB resident  {} threads  {} descriptors",
            now.time.as_secs(),
            self.programs,
            now.live,
            now.resident,
            now.threads,
            now.descriptors
        );
    }

    /// Prints the last line, and asserts that memory stayed flat.
    fn end(&self, seed: u64) {
        let now = self.looks.last().expect("one program at least");
        within(PATIENCE, || {
            support::until(|| !holdings::thread_names().iter().any(|name| name == holdings::TIMER))
        });
        self.tell(now);
        // One-time allocations happen in the first quarter.
        let settled = &self.looks[self.looks.len() / 4..];
        let live = slope(settled, |look| look.live as f64 / 1_048_576.0).unwrap_or(0.0);
        let resident = slope(settled, |look| look.resident as f64 / 1_024.0).unwrap_or(0.0);
        let (tasks, closures) = tasks();
        println!(
            "soak: seed {seed}, {} s, {} programs, {tasks} tasks, {closures} closures of fork-join, live heap {live:+.3} MiB an hour, resident {resident:+.3} MiB an hour: passed",
            now.time.as_secs(),
            self.programs,
        );
        // In a shorter run a single byte would already look like a slope.
        if now.time > Duration::from_secs(600) {
            assert!(live < 1.0, "the heap grows by {live} MiB an hour");
        }
    }
}

fn tasks() -> (u64, u64) {
    (support::TASKS.load(Ordering::SeqCst), support::CLOSURES.load(Ordering::SeqCst))
}

fn main() {
    // `cargo nextest` first asks for the names of the tests.
    if std::env::args().any(|argument| argument == "--list") {
        if !std::env::args().any(|argument| argument == "--ignored") {
            println!("soak: test");
        }
        return;
    }
    if let Some(program) = setting("COREPOOL_PROGRAM") {
        for _ in 0..setting("COREPOOL_TIMES").unwrap_or(1) {
            (kind_of(program).2)(program);
        }
        return;
    }
    let seed = setting("COREPOOL_SOAK_SEED").unwrap_or_else(random_seed);
    let seconds = setting("COREPOOL_SOAK");
    let least: Option<u64> = setting("COREPOOL_SOAK_TASKS");
    let seconds = Duration::from_secs(seconds.unwrap_or(if least.is_some() { 0 } else { 5 }));
    let wanted: Option<String> = setting("COREPOOL_SOAK_KIND");
    println!("soak: seed {seed}");
    let mut programs = Rng::with_seed(seed);
    // The global pool is made once and stays. A thread that helped to make it is listed a moment
    // longer.
    let workers = corepool::WorkerPool::global().worker_count();
    within(PATIENCE, move || support::until(|| holdings::thread_names().len() == 2 + workers));
    let first = Holdings::now(Duration::ZERO);
    let mut run = Run {
        begin: Instant::now(),
        programs: 0,
        before: (1 + workers, first.descriptors),
        looks: Vec::with_capacity(1 << 20),
        told: Duration::ZERO,
    };
    while run.programs < 20 || run.begin.elapsed() < seconds || tasks().0 < least.unwrap_or(0) {
        let program = programs.u64(..);
        if wanted.as_deref().is_none_or(|wanted| wanted == kind_of(program).0) {
            run.program(program);
        }
    }
    run.end(seed);
}
