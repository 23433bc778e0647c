//! Random programs in which all threads wait for one another, on workers of several pools and as
//! their guests, by every means of waiting.
//!
//! None of them may hang, because they are drawn so that waits form no cycle:
//!
//! - A piece of a program waits only for pieces that it has begun itself. So waits form a tree.
//! - No piece holds a lock while it waits.
//! - Each pool may have more spare workers than the whole program has pieces. So a worker that
//!   waits always finds a thread for the tasks that are placed on it.
//! - A task keeps its room in a bounded pool until it ends, so a thread that waits for it may be
//!   waiting for room too. Room is taken in the order of the pools: a task that has room takes more
//!   only in later pools.
//! - Where the halves of a join communicate, the first waits for the second and never the other way
//!   round. Either a worker is idle all the time, or the first half announces its wait, so that a
//!   spare worker comes.

mod chains;
mod late;
mod links;
mod others;
mod talk;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, WhenFull, WorkerPool};
use fastrand::Rng;

use super::{Blame, setting};
use crate::support::{self, PATIENCE, within};
use tree::Part;

/// A program with more pieces is drawn again with a smaller size.
const MOST: usize = 150;

/// What all pieces of a program share.
struct World {
    /// The number of workers of each pool.
    workers: Vec<usize>,
    /// `None` if the calling thread computes everything alone.
    pools: Option<Vec<WorkerPool>>,
    /// Whether each pool is bounded, so that room in it may run out.
    bounds: Vec<bool>,
    pieces: AtomicUsize,
}

/// Where a piece should run.
#[derive(Clone, Copy)]
struct Place<'w> {
    pool: Option<&'w WorkerPool>,
    number: usize,
    is_bounded: bool,
    workers: usize,
}

impl World {
    fn alone(workers: &[usize]) -> Arc<Self> {
        let (pieces, bounds) = (AtomicUsize::new(0), vec![false; workers.len()]);
        Arc::new(Self { workers: workers.to_vec(), pools: None, bounds, pieces })
    }

    fn with_pools(workers: &[usize], pieces: usize, random: &mut Rng) -> Arc<Self> {
        let bounds: Vec<_> = workers.iter().map(|_| random.u8(..3) == 0).collect();
        let each = workers.iter().zip(&bounds);
        let pools =
            each.map(|(&workers, &bound)| random_pool(workers, pieces, bound, random)).collect();
        let pieces = AtomicUsize::new(0);
        Arc::new(Self { workers: workers.to_vec(), pools: Some(pools), bounds, pieces })
    }

    /// The pool of this number; there must be pools.
    fn pool(&self, number: usize) -> &WorkerPool {
        &self.pools.as_ref().expect("a task is of a pool")[number]
    }

    fn place(&self, random: &mut Rng) -> Place<'_> {
        let number = random.usize(..self.workers.len());
        let pool = self.pools.as_ref().map(|pools| &pools[number]);
        let (workers, is_bounded) = (self.workers[number], self.bounds[number]);
        Place { pool, number, is_bounded, workers }
    }
}

/// Has a spare worker for each piece, and for the other waits of a piece.
fn random_pool(workers: usize, pieces: usize, is_bounded: bool, random: &mut Rng) -> WorkerPool {
    let mut builder = WorkerPool::builder().workers(workers).spare_workers(2 * pieces);
    if random.u8(..4) == 0 {
        builder = builder.dispatch(Dispatch::RoundRobin);
    }
    if is_bounded {
        let policy = if random.u8(..3) == 0 { WhenFull::CallerRuns } else { WhenFull::Block };
        builder = builder.queue_capacity(random.usize(..4)).when_full(policy);
    }
    builder.build().expect("the system gives threads")
}

/// Sometimes lets the other threads go first: whether a thread is found waiting depends on timing.
fn pause(random: &mut Rng) {
    match random.u8(..8) {
        0 => thread::sleep(Duration::from_micros(random.u64(1_000..3_000))),
        1 | 2 => thread::sleep(Duration::from_micros(random.u64(..300))),
        3 => thread::yield_now(),
        _ => {}
    }
}

/// Where a program begins: its seed, and the thread that runs it.
#[derive(Clone, Copy)]
enum Root {
    Outside(u64),
    Installed(u64),
    OnWorker(u64),
}

impl Root {
    fn random(random: &mut Rng) -> Self {
        let seed = random.u64(..);
        match random.u8(..3) {
            0 => Self::Outside(seed),
            1 => Self::Installed(seed),
            _ => Self::OnWorker(seed),
        }
    }

    fn run(self, world: &Arc<World>, size: u32) -> u64 {
        let (Self::Outside(seed) | Self::Installed(seed) | Self::OnWorker(seed)) = self;
        let Place { pool, workers, .. } = world.place(&mut Rng::with_seed(seed));
        let part = Part { seed, size, first_room: 0 };
        match (pool, self) {
            (Some(pool), Self::Installed(_)) => pool.install(|| part.run(world)),
            (Some(pool), Self::OnWorker(_)) => {
                let worker = (seed >> 32) as usize % workers;
                let task = pool.task().on_worker(worker).spawn(part.task(world));
                task.join().expect("no piece panics")
            }
            _ => part.run(world),
        }
    }
}

/// The results of the roots, the number of all pieces, and the size used. The size shrinks until
/// there are at most `MOST` pieces, or it is 1.
fn alone(workers: &[usize], roots: &[Root], mut size: u32) -> (Vec<u64>, usize, u32) {
    loop {
        let world = World::alone(workers);
        let sums = roots.iter().map(|root| root.run(&world, size)).collect();
        let pieces = world.pieces.load(Ordering::Relaxed);
        if pieces <= MOST || size == 1 {
            return (sums, pieces, size);
        }
        size -= 1;
    }
}

fn program(seed: u64) {
    let mut random = Rng::with_seed(seed);
    if random.u8(..8) == 0 {
        return talk::program(&mut random);
    }
    let workers: Vec<_> = (0..random.usize(1..=3)).map(|_| random.usize(1..=3)).collect();
    let roots: Vec<_> = (0..random.usize(1..=2)).map(|_| Root::random(&mut random)).collect();
    let (expected, pieces, size) = alone(&workers, &roots, random.u32(3..9));
    let world = World::with_pools(&workers, pieces, &mut random);
    thread::scope(|threads| {
        for (root, expected) in roots.iter().zip(expected) {
            let world = &world;
            threads.spawn(move || assert_eq!(root.run(world, size), expected));
        }
    });
    // A thread that has reported its value may still hold the world for a moment.
    support::until(|| Arc::strong_count(&world) == 1);
    assert_eq!(world.pieces.load(Ordering::Relaxed), pieces, "each piece runs once");
    let mut tasks = 0;
    for pool in world.pools.iter().flatten() {
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.spawned, support::ended(&metrics), "{metrics}");
        tasks += metrics.spawned;
    }
    support::tally(tasks, pieces as u64);
}

pub(crate) fn run(seed: u64) {
    let _blame = Blame(seed);
    // When looking for a hang, a shorter limit reports it sooner.
    let patience = setting("COREPOOL_PATIENCE").map_or(PATIENCE, Duration::from_secs);
    within(patience, move || program(seed));
}

/// The sum of closures that may end in any order.
#[derive(Default)]
struct Sum(AtomicU64);

impl Sum {
    fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
