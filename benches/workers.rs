//! How speed grows with the number of workers, and how much is lost with more workers than cores.
//!
//! ```text
//! cargo bench --bench workers                     all rows: about a minute
//! cargo bench --bench workers -- --json FILE      what benches/plots.py draws
//! cargo bench --bench workers -- --rows join      some rows
//! ```
//!
//! A row is a load and a number of workers, and every contestant does the same work in it. The
//! speed is relative to plain calls on one thread, which take their turn among the pools in each
//! round.

use std::hint::black_box;
use std::time::Instant;

use corepool::WorkerPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use support::interleave::{Contestant, Row, interleave, quantile, sorted};
use support::options::Options;
use support::rival::{self, Role};

const ROUNDS: usize = 15;
/// Each round's value is the median of this many runs.
const RUNS: usize = 5;

/// The machine of our tables has two cores. With three workers the cores are already shared.
const WORKERS: &[usize] = &[1, 2, 3, 4, 8];

/// The work, and the number of pieces.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// This many tasks of some 50 µs, all spawned from outside before the first is joined.
    Tasks(u64),
    /// A loop over this many numbers, about a microsecond each.
    Loop(u64),
    /// This Fibonacci number, with a `join` at each number and no cutoff.
    Join(u64),
}

/// A running pool: it does the load and returns the sum of all results.
type Running = Box<dyn Fn(Load) -> u64>;

/// A pool that can be started with a given number of workers.
struct Worked {
    name: &'static str,
    role: Role,
    start: fn(usize) -> Running,
}

impl Contestant for Worked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

fn main() {
    let options = Options::read();
    let mut journal = options.journal();
    let contestants = options.among(all(), |_| true);
    let loads = [
        ("tasks", Load::Tasks(options.size(8, 200))),
        ("loop", Load::Loop(options.size(100, 10_000))),
        ("join", Load::Join(options.size(12, 27))),
    ];
    for (name, load) in loads {
        for workers in WORKERS {
            let name = format!("{name}_{workers}");
            if !options.wants(&name) {
                continue;
            }
            // The name is leaked because rows need static names, and there are only a few.
            let row = Row { bench: "workers", name: name.leak(), metrics: &["ms a run"] };
            let runs = options.size(1, RUNS);
            let measure = |worked: &Worked| vec![worked.measure(*workers, load, runs)];
            interleave(row, &contestants, options.rounds(ROUNDS), measure)
                .report(&options, &mut journal);
        }
    }
}

impl Worked {
    /// Returns milliseconds per run, while no other pool is alive.
    fn measure(&self, workers: usize, load: Load, runs: usize) -> f64 {
        let wanted = plain(load);
        let once = |pool: &Running| {
            let start = Instant::now();
            let sum = pool(black_box(load));
            let took = start.elapsed().as_secs_f64() * 1e3;
            assert_eq!(sum, wanted, "{load:?} by {}", self.name);
            took
        };
        let start = || {
            let pool = (self.start)(workers);
            once(&pool); // Warm-up.
            pool
        };
        rival::alone(start, |pool| {
            let times = sorted((0..runs).map(|_| once(pool)));
            quantile(&times, 0.5).unwrap_or(f64::NAN)
        })
    }
}

fn all() -> Vec<Worked> {
    vec![
        Worked { name: "plain", role: Role::Baseline, start: |_| Box::new(plain) },
        Worked { name: "corepool", role: Role::Ours, start: corepool },
        Worked { name: "rayon", role: Role::Pool, start: rayon },
    ]
}

/// No pool: one thread does one thing after another.
fn plain(load: Load) -> u64 {
    match load {
        Load::Tasks(tasks) => (0..tasks).map(task).sum(),
        Load::Loop(items) => (0..items).map(item).fold(0, u64::wrapping_add),
        Load::Join(n) => fib(n),
    }
}

fn corepool(workers: usize) -> Running {
    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = corepool::join(|| fib(n - 1), || fib(n - 2));
        a + b
    }

    fn run(pool: &WorkerPool, load: Load) -> u64 {
        match load {
            Load::Tasks(tasks) => {
                let handles: Vec<_> =
                    (0..tasks).map(|value| pool.spawn(move || task(value))).collect();
                handles.into_iter().map(|handle| handle.join().expect("the task ran")).sum()
            }
            Load::Loop(items) => {
                pool.map_reduce(0..items, item, u64::wrapping_add).unwrap_or_default()
            }
            Load::Join(n) => pool.install(|| fib(n)),
        }
    }

    let pool = WorkerPool::with_workers(workers).expect("a pool of a few workers");
    Box::new(move |load| run(&pool, load))
}

/// rayon's `spawn` returns no result, so a oneshot channel carries it.
fn rayon(workers: usize) -> Running {
    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
        a + b
    }

    fn spawn(pool: &ThreadPool, value: u64) -> oneshot::Receiver<u64> {
        let (sender, receiver) = oneshot::channel();
        pool.spawn(move || drop(sender.send(task(value))));
        receiver
    }

    fn run(pool: &ThreadPool, load: Load) -> u64 {
        match load {
            Load::Tasks(tasks) => {
                let receivers: Vec<_> = (0..tasks).map(|value| spawn(pool, value)).collect();
                receivers.into_iter().map(|receiver| receiver.recv().expect("the task ran")).sum()
            }
            Load::Loop(items) => pool
                .install(|| (0..items).into_par_iter().map(item).reduce(|| 0, u64::wrapping_add)),
            Load::Join(n) => pool.install(|| fib(n)),
        }
    }

    let pool = ThreadPoolBuilder::new().num_threads(workers).build();
    let pool = pool.expect("a pool of a few threads");
    Box::new(move |load| run(&pool, load))
}

/// Tasks differ in length, from 30 µs to 80 µs, as real tasks do.
fn task(value: u64) -> u64 {
    fib(black_box(19 + value % 3))
}

/// Each step depends on the previous one. Takes about a microsecond.
fn item(seed: u64) -> u64 {
    (0..480).fold(seed, |x, _| (x ^ (x >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}
