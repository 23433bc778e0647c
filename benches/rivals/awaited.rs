//! The contestants whose tasks are awaited from a tokio current-thread runtime, one module each,
//! and the measurements on them.

#![forbid(unsafe_code)]

mod blocking_crate;
mod by_hand;
mod executor;
mod in_place;
mod ours;
mod rayon_oneshot;
mod tokio_blocking;
mod tokio_rayon_crate;

use std::future::Future;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::support::WORKERS;
use crate::support::interleave::Contestant;
use crate::support::rival::{self, Role};
pub(crate) use executor::TwoThreads;

/// Tasks that are spawned before the first is awaited.
pub(crate) const TOGETHER: u64 = 1_000;

/// A pool whose tasks can be awaited. A task is always `move || value`, as in `work.rs`.
trait Awaited {
    type Handle: Future + Send + 'static;

    /// Called inside the runtime.
    fn spawn(&self, value: u64) -> Self::Handle;

    fn value(output: <Self::Handle as Future>::Output) -> u64;
}

/// What the runtime drives apart from tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drivers {
    /// Nothing: the runtime sleeps on a condition variable.
    None,
    /// Timers and sockets, as in any service: the runtime sleeps in the system's poll.
    All,
}

/// A runtime with a pool. Dropping it ends both.
pub(crate) trait Beside {
    /// Spawns and awaits one task after another, each after a pause. Returns the nanoseconds of
    /// each.
    fn trips(&self, count: u64, pause: Duration) -> Vec<f64>;

    /// Spawns [`TOGETHER`] tasks, then awaits them in order, this many times.
    fn in_turn(&self, times: u64) -> Duration;

    /// The same, but each task is awaited by its own async task, as the requests of a service would
    /// be.
    fn at_once(&self, times: u64) -> Duration;
}

struct Pair<A> {
    // Field order matters: a pool that uses the runtime must end before it.
    pool: A,
    runtime: Runtime,
}

/// A pool that can be started.
pub(crate) struct Awaiter {
    name: &'static str,
    role: Role,
    start: fn(Drivers) -> Box<dyn Beside>,
}

impl Awaiter {
    /// Measures this pool while no other is alive.
    pub(crate) fn alone<R>(&self, drivers: Drivers, measure: impl FnOnce(&dyn Beside) -> R) -> R {
        let start = || {
            let pair = (self.start)(drivers);
            let _warm = pair.in_turn(4);
            pair
        };
        rival::alone(start, |pair| measure(pair.as_ref()))
    }
}

impl Contestant for Awaiter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

/// All contestants. `blocking` is last because its threads cannot be ended.
pub(crate) fn all() -> Vec<Awaiter> {
    let entry = |name, role, start| Awaiter { name, role, start };
    vec![
        entry("in place", Role::Baseline, |drivers| pair(in_place::start(), drivers)),
        entry("corepool", Role::Ours, |drivers| pair(ours::start(), drivers)),
        entry("rayon", Role::Pool, |drivers| pair(rayon_oneshot::start(), drivers)),
        entry("tokio-rayon", Role::Pool, |drivers| pair(tokio_rayon_crate::start(), drivers)),
        entry("tokio", Role::Pool, |drivers| pair(tokio_blocking::start(), drivers)),
        entry("crossbeam by hand", Role::Pool, |drivers| pair(by_hand::start(), drivers)),
        entry("async-executor", Role::Pool, |drivers| pair(TwoThreads::start(), drivers)),
        entry("blocking", Role::Pool, |drivers| pair(blocking_crate::start(), drivers)),
    ]
}

fn pair<A: Awaited + 'static>(pool: A, drivers: Drivers) -> Box<dyn Beside> {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(WORKERS);
    if let Drivers::All = drivers {
        builder.enable_all();
    }
    Box::new(Pair { pool, runtime: builder.build().expect("a runtime") })
}

impl<A: Awaited> Beside for Pair<A> {
    fn trips(&self, count: u64, pause: Duration) -> Vec<f64> {
        self.runtime.block_on(async {
            let mut times = Vec::new();
            for value in 0..count {
                if !pause.is_zero() {
                    // The runtime's thread may sleep, because it has nothing else to do.
                    thread::sleep(pause);
                }
                let start = Instant::now();
                let came_back = A::value(self.pool.spawn(value).await);
                times.push(start.elapsed().as_nanos() as f64);
                assert_eq!(came_back, value, "a trip lost its value");
            }
            times
        })
    }

    fn in_turn(&self, times: u64) -> Duration {
        self.timed(times, async |handles| {
            let mut sum = 0;
            for handle in handles {
                sum += A::value(handle.await);
            }
            sum
        })
    }

    fn at_once(&self, times: u64) -> Duration {
        self.timed(times, async |handles| {
            let await_it = |handle: A::Handle| tokio::spawn(async { A::value(handle.await) });
            let tasks: Vec<_> = handles.into_iter().map(await_it).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.expect("the task ran");
            }
            sum
        })
    }
}

impl<A: Awaited> Pair<A> {
    /// Spawns [`TOGETHER`] tasks and lets `collect` await their results, this many times.
    fn timed(&self, times: u64, collect: impl AsyncFn(Vec<A::Handle>) -> u64) -> Duration {
        self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..times {
                let handles = (0..TOGETHER).map(|value| self.pool.spawn(value)).collect();
                let sum = black_box(collect(handles).await);
                assert_eq!(sum, (0..TOGETHER).sum::<u64>(), "a result is wrong");
            }
            start.elapsed()
        })
    }
}
