//! The cost of pinning when other threads use the cores: a short loop in pinned pools, in unpinned
//! pools, and in rayon.
//!
//! ```text
//! cargo bench --bench pinning                      some minutes
//! cargo bench --bench pinning -- --quick           a fifth of the rounds
//! ```
//!
//! A step is one `for_each_mut` over 2,700 items, about 2 ms of work for one core. On two cores a
//! step should take half of that. Zero, one, two and four busy loops run next to it. They are
//! threads of this process, so they have the same priority as the workers. The pools take turns of
//! 20 steps. The figures are medians over the turns of a turn's mean, in microseconds. The ratios
//! are within a round, against the pool without pins. Pools that wait for their turn have idle
//! workers, which sleep.
//!
//! Other programs disturb this bench more than any other, so it reports how much of the machine
//! they used.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use corepool::{Pinning, WorkerPool};
use rayon::prelude::*;

#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;

const ITEMS: usize = 2_700;
const STEPS: usize = 20;
const LOOPS: [usize; 4] = [0, 1, 2, 4];

fn work(item: &mut u64) {
    let mut x = *item | 1;
    for _ in 0..400 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    *item = black_box(x);
}

struct Pools {
    pinned: WorkerPool,
    free: WorkerPool,
    rayon: rayon::ThreadPool,
}

impl Pools {
    fn new() -> Self {
        let free = WorkerPool::builder().pinning(Pinning::None).build();
        Self {
            pinned: WorkerPool::new().expect("a pool"),
            free: free.expect("a pool"),
            rayon: rayon::ThreadPoolBuilder::new().build().expect("a pool"),
        }
    }

    /// One turn for each pool, beginning with a different pool each time. Returns the mean time of
    /// a step.
    fn round(&self, number: usize, items: &mut [u64]) -> [f64; 3] {
        let mut times = [0.0; 3];
        for place in 0..3 {
            let which = (number + place) % 3;
            times[which] = turn(|| match which {
                0 => self.pinned.for_each_mut(&mut *items, work),
                1 => self.free.for_each_mut(&mut *items, work),
                _ => self.rayon.install(|| items.par_iter_mut().for_each(work)),
            });
        }
        times
    }
}

fn turn(mut step: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..STEPS).for_each(|_| step());
    start.elapsed().as_secs_f64() * 1e6 / STEPS as f64
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = of.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Starts threads that compute until they are told to stop.
fn busy_loops(count: usize, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<()>> {
    let one = |_| {
        let stop = Arc::clone(stop);
        thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
    };
    (0..count).map(one).collect()
}

fn main() {
    let is = |flag: &str| std::env::args().any(|given| given == flag);
    let rounds = if is("--test") {
        1
    } else if is("--quick") {
        10
    } else {
        50
    };
    let pools = Pools::new();
    let mut items: Vec<u64> = (0..ITEMS as u64).collect();
    let alone = turn(|| items.iter_mut().for_each(work));
    println!("one thread alone: {alone:.0} µs a step");
    println!("| busy loops | pinned | None | rayon | pinned to None | let loose | strangers |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for count in LOOPS {
        let before = pools.pinned.metrics().let_loose;
        let machine = usage::Machine::now();
        let stop = Arc::new(AtomicBool::new(false));
        let loops = busy_loops(count, &stop);
        let times: Vec<_> = (0..rounds).map(|number| pools.round(number, &mut items)).collect();
        stop.store(true, Ordering::Relaxed);
        loops.into_iter().for_each(|busy| busy.join().expect("it only counts"));
        let of = |which: usize| median(times.iter().map(|times| times[which]));
        let ratio = median(times.iter().map(|times| times[0] / times[1]));
        let strangers = machine.and_then(usage::Machine::strangers).unwrap_or(f64::NAN);
        let loose = pools.pinned.metrics().let_loose - before;
        let (pinned, free, rayon) = (of(0), of(1), of(2));
        println!(
            "| {count} | {pinned:.0} | {free:.0} | {rayon:.0} | {ratio:.2} | {loose} | {:.0} % |",
            strangers * 100.0
        );
    }
}
