//! Compares the pool with itself at another commit. Both are packages of this one program, which
//! `ci/versus.sh` builds. A change that costs something shows here although the machine is noisy,
//! because the two take turns every few milliseconds.
//!
//! Each turn has its own pool, and its figure is the mean time of a run in it. The output has
//! medians over the turns, in nanoseconds, and for the ratios of neighbouring turns the median and
//! the middle half. Rows use only features that the pool has had for a long time, so that old
//! commits compile.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

const TURNS: usize = 60;
const TURN: Duration = Duration::from_millis(12);

const ROWS: [&str; 16] = [
    "one at a time",
    "2,000 at once",
    "500 spawned inside",
    "64 of some us",
    "one of 20 us",
    "a task after a pause",
    "a batch of 500",
    "50 continuations",
    "awaited",
    "joins: fib(20) inside",
    "joins: fib(12) outside",
    "20 joins of some ns",
    "a scope of 2",
    "a scope of 1,000",
    "for_each_mut of 1,000",
    "map_reduce of 100,000",
];

// One copy for both versions: two copies may be placed in memory so that one takes a tenth longer.
#[inline(never)]
fn spin(steps: u64) -> u64 {
    (0..steps).fold(1, |x, n| black_box(x ^ n).wrapping_mul(3))
}

macro_rules! version {
    ($name:ident) => {
        mod $name {
            use super::*;
            use ::$name::{TaskHandle, WorkerPool};

            fn join_all<T>(tasks: Vec<TaskHandle<T>>) {
                for task in tasks {
                    black_box(task.join().unwrap());
                }
            }

            fn fib(pool: &WorkerPool, n: u64) -> u64 {
                if n < 2 {
                    return n;
                }
                let (one, other) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
                one + other
            }

            fn run(row: usize, pool: &WorkerPool) {
                match row {
                    0 => _ = black_box(pool.spawn(|| 1).join().unwrap()),
                    1 => join_all((0..2_000).map(|n| pool.spawn(move || n)).collect()),
                    2 => pool.install(|| {
                        join_all((0..500).map(|n| pool.spawn(move || spin(n % 30))).collect());
                    }),
                    3 => join_all((0..64).map(|_| pool.spawn(|| spin(3_000))).collect()),
                    4 => _ = black_box(pool.spawn(|| spin(20_000)).join().unwrap()),
                    5 => {
                        thread::sleep(Duration::from_micros(300));
                        black_box(pool.spawn(|| 1).join().unwrap());
                    }
                    6 => {
                        let batch = pool.spawn_batch((0..500_u64).map(|n| move || n));
                        assert_eq!(black_box(batch.count()), 500);
                    }
                    7 => {
                        let first = |n: u64| pool.spawn(move || n);
                        join_all((0..50).map(|n| first(n).then(|n| n + 1)).collect());
                    }
                    8 => _ = black_box(pollster::block_on(pool.spawn(|| 1)).unwrap()),
                    9 => _ = black_box(pool.install(|| fib(pool, 20))),
                    10 => _ = black_box(fib(pool, 12)),
                    11 => {
                        for _ in 0..20 {
                            black_box(pool.join(|| spin(50), || spin(50)));
                        }
                    }
                    12 | 13 => pool.scope(|scope| {
                        for _ in 0..if row == 12 { 2 } else { 1_000 } {
                            scope.spawn(|| {
                                black_box(spin(3));
                            });
                        }
                    }),
                    14 => {
                        let mut items = vec![1_u64; 1_000];
                        pool.for_each_mut(&mut items, |item| *item = spin(*item + 20));
                        black_box(&items);
                    }
                    15 => _ = black_box(pool.map_reduce(0..100_000_u64, |n| n, |a, b| a + b)),
                    _ => unreachable!("there are sixteen rows"),
                }
            }

            /// Returns the mean time of a run, in a new pool.
            pub(crate) fn turn(row: usize, workers: usize) -> f64 {
                let pool = WorkerPool::with_workers(workers).unwrap();
                run(row, &pool);
                let (start, mut runs) = (Instant::now(), 0_u32);
                while start.elapsed() < TURN {
                    run(row, &pool);
                    runs += 1;
                }
                start.elapsed().as_nanos() as f64 / f64::from(runs)
            }
        }
    };
}

version!(now);
version!(before);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted =
        |row: &str| wanted.is_empty() || wanted.iter().any(|word| row.contains(word.as_str()));
    for workers in [1, 2] {
        println!(
            "{:<24} {:>10} {:>10} {:>8}   middle half",
            format!("{workers} workers"),
            "before",
            "now",
            "ratio"
        );
        for (row, name) in ROWS.into_iter().enumerate().filter(|(_, name)| is_wanted(name)) {
            compare(row, name, workers);
        }
    }
}

fn compare(row: usize, name: &str, workers: usize) {
    let (mut before, mut now, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        // Swap the order every turn, because the first version leaves caches and cores in a changed
        // state.
        let (old, new) = if turn % 2 == 0 {
            let old = before::turn(row, workers);
            (old, now::turn(row, workers))
        } else {
            let new = now::turn(row, workers);
            (before::turn(row, workers), new)
        };
        before.push(old);
        now.push(new);
        ratios.push(new / old);
    }
    for figures in [&mut before, &mut now, &mut ratios] {
        figures.sort_by(f64::total_cmp);
    }
    let (middle, quarter) = (TURNS / 2, TURNS / 4);
    println!(
        "{name:<24} {:>10.0} {:>10.0} {:>8.3}   {:.2} to {:.2}",
        before[middle],
        now[middle],
        ratios[middle],
        ratios[quarter],
        ratios[TURNS - 1 - quarter]
    );
}
