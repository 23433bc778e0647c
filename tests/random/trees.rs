//! Random trees that mix everything, each checked against the result of a single thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use corepool::{TaskError, WorkerPool};
use fastrand::Rng;

use super::Blame;
use crate::support::{self, Drops, PATIENCE, within};

/// The result of a tree in which a panic was caught.
const CAUGHT: u64 = 1_000_003;

/// Thrown by leaves.
struct Thrown;

/// Where a tree is computed: by the pools, or by the calling thread alone.
struct Place {
    pools: Option<[WorkerPool; 2]>,
    locks: [Mutex<u64>; 3],
    made: AtomicUsize,
    drops: Drops,
}

/// What may occur in a part of a tree.
#[derive(Clone, Copy)]
struct Rules {
    size: u32,
    may_lock: bool,
    /// Whether it may wait for a worker. This is not allowed under a lock that all workers may
    /// want.
    may_wait: bool,
    may_throw: bool,
}

impl Place {
    fn new(pools: Option<[WorkerPool; 2]>) -> Arc<Self> {
        let locks = [(); 3].map(|()| Mutex::new(0));
        Arc::new(Self { pools, locks, made: AtomicUsize::new(0), drops: Drops::default() })
    }

    fn pool(&self, random: &mut Rng) -> Option<&WorkerPool> {
        let which = random.usize(..4) / 3;
        self.pools.as_ref().map(|pools| &pools[which])
    }
}

/// The tree of this seed. Its result depends only on the seed and the rules.
fn tree(place: &Arc<Place>, seed: u64, rules: Rules) -> u64 {
    let mut random = Rng::with_seed(seed);
    place.made.fetch_add(1, Ordering::Relaxed);
    let _token = place.drops.token();
    if rules.size == 0 {
        return leaf(&mut random, rules);
    }
    let below = Rules { size: random.u32(..rules.size), ..rules };
    let (left, right) = (random.u64(..), random.u64(..));
    let pool = place.pool(&mut random);
    let sum = match random.u8(..16) {
        0..6 => join(place, pool, [left, right], [below, Rules { size: rules.size - 1, ..rules }]),
        6 if rules.may_wait => match pool {
            Some(pool) => pool.install(|| tree(place, left, below)),
            None => tree(place, left, below),
        },
        7 | 8 => scope(place, pool, left, random.u64(..6), below),
        9 | 10 => looped(place, pool, left, random.u64(..20), below),
        11 | 12 if rules.may_wait => tasks(place, pool, left, random.usize(..4), below),
        13 => {
            catch_unwind(AssertUnwindSafe(|| tree(place, left, Rules { may_throw: true, ..below })))
                .unwrap_or_else(|payload| {
                    assert!(payload.is::<Thrown>(), "nothing else is thrown");
                    CAUGHT
                })
        }
        14 if rules.may_lock => {
            let lock = &place.locks[random.usize(..3)];
            let mut count = lock.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            tree(place, left, Rules { may_lock: false, may_wait: false, ..below })
        }
        _ => tree(place, left, below).rotate_left(7),
    };
    sum.wrapping_mul(31).wrapping_add(left)
}

fn leaf(random: &mut Rng, rules: Rules) -> u64 {
    match random.u8(..32) {
        0..2 if rules.may_throw => resume_unwind(Box::new(Thrown)),
        2..5 => (0..random.u32(..2_000)).for_each(|_| std::hint::spin_loop()),
        5 => thread::yield_now(),
        _ => {}
    }
    random.u64(..)
}

fn join(place: &Arc<Place>, pool: Option<&WorkerPool>, seeds: [u64; 2], rules: [Rules; 2]) -> u64 {
    let a = || tree(place, seeds[0], rules[0]);
    let b = || tree(place, seeds[1], rules[1]);
    let (a, b) = match pool {
        None => (a(), b()),
        Some(_) if seeds[0] % 3 == 0 => corepool::join(a, b),
        Some(pool) if seeds[0] % 3 == 1 => pool.join(a, b),
        Some(pool) => pool.join_context(|_| a(), |_| b()),
    };
    a.wrapping_sub(b)
}

/// If closures panic, all of them have ended before the scope does.
fn scope(
    place: &Arc<Place>,
    pool: Option<&WorkerPool>,
    seed: u64,
    count: u64,
    rules: Rules,
) -> u64 {
    let run = |n: u64| tree(place, seed.wrapping_add(n), rules);
    let Some(pool) = pool else {
        let results: Vec<_> =
            (0..count).map(|n| catch_unwind(AssertUnwindSafe(|| run(n)))).collect();
        return sum(results.into_iter().map(|result| result.unwrap_or_else(|p| resume_unwind(p))));
    };
    pool.scope(|s| {
        let handles: Vec<_> = (0..count).map(|n| s.spawn(move || run(n))).collect();
        sum(handles.into_iter().map(|task| match task.join() {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic.into_panic().unwrap().into_inner()),
        }))
    })
}

fn looped(
    place: &Arc<Place>,
    pool: Option<&WorkerPool>,
    seed: u64,
    count: u64,
    rules: Rules,
) -> u64 {
    let small = Rules { size: rules.size.min(3), ..rules };
    let run = |n: u64| tree(place, seed.wrapping_add(n), small);
    let add = |a: u64, b: u64| a.wrapping_add(b);
    match pool {
        None => sum((0..count).map(run)),
        Some(pool) if seed % 2 == 0 => sum(pool.map(0..count, run).into_iter()),
        Some(pool) => pool.map_reduce(0..count, run, add).unwrap_or(0),
    }
}

fn tasks(
    place: &Arc<Place>,
    pool: Option<&WorkerPool>,
    seed: u64,
    count: usize,
    rules: Rules,
) -> u64 {
    let seeds = (0..count as u64).map(|n| seed.wrapping_add(n));
    let Some(pool) = pool else {
        let results: Vec<_> =
            seeds.map(|seed| catch_unwind(AssertUnwindSafe(|| tree(place, seed, rules)))).collect();
        return sum(results.into_iter().map(|result| result.unwrap_or_else(|p| resume_unwind(p))));
    };
    let handles: Vec<_> = seeds
        .map(|seed| {
            let place = Arc::clone(place);
            pool.spawn(move || tree(&place, seed, rules))
        })
        .collect();
    let results: Vec<_> = handles.into_iter().map(corepool::TaskHandle::join).collect();
    sum(results.into_iter().map(|result| match result {
        Ok(value) => value,
        Err(TaskError::Panicked(panic)) => resume_unwind(panic.into_inner()),
        Err(other) => panic!("no task of the tree ends like this: {other}"),
    }))
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

/// The result of the whole tree; `None` if it panics.
fn root(place: &Arc<Place>, seed: u64, size: u32) -> Option<u64> {
    let rules = Rules { size, may_lock: true, may_wait: true, may_throw: seed % 4 == 0 };
    let result = catch_unwind(AssertUnwindSafe(|| tree(place, seed, rules)));
    match result {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Thrown>() => None,
        Err(other) => resume_unwind(other),
    }
}

pub(crate) fn run(seed: u64) {
    let _blame = Blame(seed);
    within(PATIENCE * 3, move || {
        let mut random = Rng::with_seed(seed);
        let pools = [(); 2].map(|()| WorkerPool::with_workers(random.usize(1..=16)).unwrap());
        let (place, alone) = (Place::new(Some(pools)), Place::new(None));
        let size = random.u32(4..14);
        let seeds: Vec<u64> = (0..random.usize(1..8)).map(|_| random.u64(..)).collect();
        let expected: Vec<_> = seeds.iter().map(|&seed| root(&alone, seed, size)).collect();
        thread::scope(|s| {
            for (&seed, &expected) in seeds.iter().zip(&expected) {
                let place = &place;
                s.spawn(move || {
                    let found = match (seed >> 8) % 3 {
                        0 => root(place, seed, size),
                        1 => place.pools.as_ref().unwrap()[0].install(|| root(place, seed, size)),
                        _ => {
                            let inside = Arc::clone(place);
                            let pool = &place.pools.as_ref().unwrap()[1];
                            pool.spawn(move || root(&inside, seed, size)).join().unwrap()
                        }
                    };
                    assert_eq!(found, expected, "the tree of {seed}");
                });
            }
        });
        // Only tasks that have ended and are being freed still use the tokens.
        support::until(|| Arc::strong_count(&place) == 1);
        assert_eq!(place.drops.count(), place.made.load(Ordering::SeqCst), "dropped once each");
        let tasks = place.pools.iter().flatten().map(|pool| pool.metrics().spawned).sum();
        support::tally(tasks, place.drops.count() as u64);
    });
}
