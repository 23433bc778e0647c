//! The pieces of a program: each begins some others, and waits for all of them.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use corepool::parallel::ScopedHandle;
use corepool::{TaskHandle, WorkerPool, blocking};
use fastrand::Rng;

use super::{Place, Sum, World, chains, late, links, others, pause};

/// The result depends only on the seed and the size.
fn node(world: &Arc<World>, Part { seed, size, first_room }: Part) -> u64 {
    let mut random = Rng::with_seed(seed);
    world.pieces.fetch_add(1, Ordering::Relaxed);
    if size == 0 {
        pause_in(world, &mut random);
        return seed;
    }
    let part = Part { seed: random.u64(..), size: random.u32(..size), first_room };
    let place = world.place(&mut random);
    let sum = match random.u8(..20) {
        0..3 => placed(world, place, part, &mut random),
        3 => broadcast(world, place, part),
        4 => tasks(world, place, part, &mut random),
        5..9 => join(world, place, part, size - 1, &mut random),
        9..12 => scope(world, place, part, &mut random),
        12 => looped(world, place, part, &mut random),
        13 => match place.pool {
            Some(pool) => pool.install(|| part.run(world)),
            None => part.run(world),
        },
        14 => others::messenger(world, place, part, &mut random),
        15 => late::task(world, place, part, &mut random),
        16 | 17 => links::linked(world, place, part, &mut random),
        18 => chains::chain(world, place, part, &mut random),
        _ => others::passing_pool(world, place, part, &mut random),
    };
    sum.wrapping_mul(31).wrapping_add(seed)
}

/// A piece, or the first of several similar ones.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) seed: u64,
    pub(super) size: u32,
    /// The first pool in which it may take room.
    pub(super) first_room: usize,
}

impl Part {
    pub(super) fn run(self, world: &Arc<World>) -> u64 {
        node(world, self)
    }

    /// One of several similar pieces.
    pub(super) fn number(self, n: u64) -> Self {
        Self { seed: self.seed.wrapping_add(n), ..self }
    }

    /// The piece as a part of a task that takes room, if it may do so there.
    pub(super) fn with_room(self, place: Place<'_>) -> Option<Self> {
        match place.is_bounded {
            true if place.number < self.first_room => None,
            true => Some(Self { first_room: place.number + 1, ..self }),
            false => Some(self),
        }
    }

    /// The piece as a closure that owns what it needs.
    pub(super) fn task(self, world: &Arc<World>) -> impl Fn() -> u64 + Send + Sync + 'static {
        let world = Arc::clone(world);
        move || self.run(&world)
    }
}

/// Draws the pause in any case, but takes it only where other threads may go first.
pub(super) fn pause_in(world: &World, random: &mut Rng) {
    let mut own = random.fork();
    if world.pools.is_some() {
        pause(&mut own);
    }
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

fn join_all(handles: Vec<TaskHandle<u64>>) -> u64 {
    sum(handles.into_iter().map(|handle| handle.join().expect("no piece panics")))
}

/// Tasks that only certain workers may run, perhaps the waiting one.
fn placed(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let count = random.u64(1..3);
    let first = random.usize(..place.workers);
    match place.pool {
        None => sum((0..count).map(|n| part.number(n).run(world))),
        Some(pool) => sum_of_placed(world, pool, part, first..first + count as usize),
    }
}

fn sum_of_placed(world: &Arc<World>, pool: &WorkerPool, part: Part, workers: Range<usize>) -> u64 {
    let spawn = |(n, worker): (u64, usize)| {
        let worker = worker % pool.worker_count();
        pool.task().on_worker(worker).spawn(part.number(n).task(world))
    };
    join_all((0..).zip(workers).map(spawn).collect())
}

fn broadcast(world: &Arc<World>, place: Place<'_>, part: Part) -> u64 {
    let count = place.workers as u64;
    let Some(pool) = place.pool else { return sum((0..count).map(|n| part.number(n).run(world))) };
    let inside = Arc::clone(world);
    let set = pool.broadcast(move |worker| part.number(worker.id.index() as u64).run(&inside));
    sum(set.map(|result| result.expect("no piece panics")))
}

fn tasks(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let count = random.u64(1..4);
    let is_batch = random.bool();
    let Some(pool) = place.pool else { return sum((0..count).map(|n| part.number(n).run(world))) };
    let Some(part) = part.with_room(place) else {
        return sum_of_placed(world, pool, part, 0..count as usize);
    };
    if is_batch {
        let set = pool.spawn_batch((0..count).map(|n| part.number(n).task(world)));
        return sum(set.map(|result| result.expect("no piece panics")));
    }
    join_all((0..count).map(|n| pool.spawn(part.number(n).task(world))).collect())
}

/// The first half may take so long that another thread takes the second.
fn join(world: &Arc<World>, place: Place<'_>, part: Part, size: u32, random: &mut Rng) -> u64 {
    let (is_free, talks) = (random.u8(..4) == 0, random.u8(..4) == 0);
    let mut pauses = random.fork();
    let (sender, receiver) = mpsc::sync_channel(1);
    // A pool's only worker does not help guests (threads from outside that take part in the work).
    // A free call would first ask whose guest this thread is.
    let talks = talks && !is_free && place.pool.is_some() && place.workers > 1;
    let a = move || {
        pause_in(world, &mut pauses);
        if talks {
            blocking(|| receiver.recv()).expect("the second half sends");
        }
        part.run(world)
    };
    let b = || {
        let _gone = sender.send(());
        Part { size, ..part.number(1) }.run(world)
    };
    let (a, b) = match place.pool {
        None => {
            let mut a = a;
            (a(), b())
        }
        Some(pool) if is_free && pool.is_current() => corepool::join(a, b),
        Some(pool) => pool.join(a, b),
    };
    a.wrapping_sub(b)
}

/// Some handles are joined and some are dropped; closures spawn into the scope, and join that.
fn scope(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let all = Sum::default();
    let count = random.u64(1..4);
    let nests = random.u64(..);
    let keeps = random.u64(..);
    let mut pauses = random.fork();
    let Some(pool) = place.pool else {
        let pieces = (0..count).map(|n| 1 + (nests >> n & 1));
        return sum((0..count).zip(pieces).flat_map(|(n, pieces)| {
            (0..pieces).map(move |inner| part.number(n + 8 * inner).run(world))
        }));
    };
    pool.scope(|s| {
        let all = &all;
        let mut handles: Vec<ScopedHandle<'_, ()>> = Vec::new();
        for n in 0..count {
            let mut pauses = pauses.fork();
            let handle = s.spawn(move || {
                if nests >> n & 1 == 1 {
                    let inner = s.spawn(move || all.add(part.number(n + 8).run(world)));
                    pause_in(world, &mut pauses);
                    inner.join().expect("no piece panics");
                }
                all.add(part.number(n).run(world));
            });
            if keeps >> n & 1 == 1 {
                handles.push(handle);
            }
        }
        pause_in(world, &mut pauses);
        handles.into_iter().for_each(|handle| handle.join().expect("no piece panics"));
    });
    all.get()
}

fn looped(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let count = random.u64(1..5);
    let spawns = random.u8(..3) == 0;
    let run = |n: u64| match place.pool {
        Some(_) if spawns && !place.is_bounded => spawn_here(world, part.number(n)),
        _ => part.number(n).run(world),
    };
    match place.pool {
        None => sum((0..count).map(run)),
        Some(pool) if part.seed % 2 == 0 => sum(pool.map(0..count, run).into_iter()),
        Some(pool) => pool.map_reduce(0..count, run, u64::wrapping_add).unwrap_or(0),
    }
}

/// Uses the free function, which spawns into the pool that this work belongs to, no matter which
/// thread runs it.
fn spawn_here(world: &Arc<World>, part: Part) -> u64 {
    corepool::spawn(part.task(world)).join().expect("no piece panics")
}
