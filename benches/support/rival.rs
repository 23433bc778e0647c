//! One contestant: a name, what it may take part in, and how to start it.

#![forbid(unsafe_code)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::interleave::Contestant;
use super::work::{self, Work};
use crate::rivals::tasks::{
    blocking_crate, by_hand, in_place, ours, rayon_install, rayon_oneshot, rusty, threadpool_crate,
    tokio_blocking,
};

/// The reference for ratios: what most people use today.
pub(crate) const REFERENCE: &str = "rayon";

/// A running pool. Call it to give it work; drop it to end its threads.
pub(crate) type Running = Box<dyn Fn(Work)>;

/// A pool that can be started.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    start: fn() -> Running,
}

/// Why a contestant is in the table. This decides what it takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The crate that is measured.
    Ours,
    /// A pool that returns something to wait for.
    Pool,
    /// Only makes round trips, because it has no handle to collect later.
    TripsOnly,
    /// No pool at all: the task runs where it is spawned.
    Baseline,
}

impl Role {
    /// The word for the role in tables and in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Pool | Self::TripsOnly => "rival",
            Self::Baseline => "baseline",
        }
    }

    /// Whether it is another crate's pool.
    pub(crate) fn is_rival(self) -> bool {
        matches!(self, Self::Pool | Self::TripsOnly)
    }

    /// Whether it can hold waiting tasks, so that bursts and queues are meaningful for it.
    pub(crate) fn has_queue(self) -> bool {
        matches!(self, Self::Ours | Self::Pool)
    }
}

impl Rival {
    /// Starts the pool and warms it up with a few thousand tasks.
    pub(crate) fn start(&self) -> Running {
        let running = (self.start)();
        running(Work::Windows(4_000));
        running
    }

    /// Starts the pool without a warm-up, for counting instructions.
    pub(crate) fn start_cold(&self) -> Running {
        (self.start)()
    }

    /// Measures this pool while no other is alive.
    pub(crate) fn alone<R>(&self, measure: impl FnOnce(&Running) -> R) -> R {
        alone(|| self.start(), measure)
    }
}

impl Contestant for Rival {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

/// Starts a pool, measures, drops it, and waits until its threads are gone.
///
/// Only one pool is alive at a time. The alternative would be to start all of them first. Then a
/// rival that is slow to fall asleep (rayon yields thousands of times first) would disturb the one
/// measured after it, and pinned workers would share a core with other pools' threads.
pub(crate) fn alone<P, R>(start: impl FnOnce() -> P, measure: impl FnOnce(&P) -> R) -> R {
    let before = threads();
    let running = start();
    let measured = measure(&running);
    drop(running);
    let patience = Instant::now() + Duration::from_millis(200);
    // Some pools end their threads after drop has returned. `blocking` keeps its two threads for
    // good.
    while threads() > before && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    measured
}

/// The number of threads of this process, or 0 where the system does not report it.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Defines how a module under `rivals` is driven: eight modules with one shape.
macro_rules! rival {
    ($name:literal, $role:ident, $module:ident) => {
        Rival {
            name: $name,
            role: Role::$role,
            start: || {
                let pool = $module::start();
                Box::new(move |work| {
                    work::run(
                        work,
                        &pool,
                        |pool, value| $module::spawn(pool, move || value),
                        |pool, gate| $module::spawn(pool, move || gate.pass()),
                        $module::inside,
                        $module::join,
                    );
                })
            },
        }
    };
}

/// All contestants. `blocking` is last because its threads cannot be ended.
pub(crate) fn all() -> Vec<Rival> {
    vec![
        rival!("in place", Baseline, in_place),
        rival!("corepool", Ours, ours),
        rival!("rayon", Pool, rayon_oneshot),
        rival!("rayon install", TripsOnly, rayon_install),
        rival!("tokio", Pool, tokio_blocking),
        rival!("threadpool", Pool, threadpool_crate),
        rival!("rusty_pool", Pool, rusty),
        rival!("crossbeam by hand", Pool, by_hand),
        rival!("blocking", Pool, blocking_crate),
    ]
}
