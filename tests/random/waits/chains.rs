//! Chains of tasks that are longer than a stack: each joins the next one, or hands on to it.

use std::sync::{Arc, mpsc};

use corepool::{WorkerPool, blocking};
use fastrand::Rng;

use super::tree::Part;
use super::{Place, World};

/// This many tasks fill each bounded pool that has one worker.
const FULL: usize = 6;

/// A chain that a piece waits for. The last task of the chain runs the next piece.
pub(super) fn chain(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let length = random.u32(..12_000);
    let joins = random.u8(..4) == 0;
    let (Some(pool), Some(inner)) = (place.pool, part.with_room(place)) else {
        return part.run(world);
    };
    if joins {
        return joined_elsewhere(world, length / 4, part);
    }
    // Where other threads take part, each step may wake one, which takes time on a busy machine.
    let is_full = place.is_bounded && place.workers == 1;
    let length = if is_full { length } else { length % 30 };
    let (number, inside) = (place.number, Arc::clone(world));
    let (sender, receiver) = mpsc::sync_channel(1);
    // The chain begins in a task of its own, which never waits for room in its pool.
    let begin = pool.spawn(move || {
        let own = Arc::clone(&inside);
        if is_full {
            (0..FULL).for_each(|_| own.pool(number).spawn(|| ()).detach());
        }
        let end = move || {
            let _gone = sender.send(inner.run(&inside));
        };
        handed_on(&own, number, length, Box::new(end));
    });
    begin.detach();
    blocking(|| receiver.recv()).expect("the end of the chain sends")
}

/// AddressSanitizer keeps frames on the heap, so the pool does not see that a stack is nearly full.
/// ThreadSanitizer remembers fewer frames.
fn has_measurable_stacks() -> bool {
    !cfg!(corepool_tsan) && std::env::var_os("ASAN_OPTIONS").is_none()
}

/// Uses a pool of its own, so that the waiting tasks take no spare workers from the pieces.
fn joined_elsewhere(world: &Arc<World>, levels: u32, part: Part) -> u64 {
    let levels = if has_measurable_stacks() { levels } else { levels.min(50) };
    let pool = WorkerPool::builder().workers(1).spare_workers(0).build();
    let pool = Arc::new(pool.expect("the system gives threads"));
    let (own, inside) = (Arc::clone(&pool), Arc::clone(world));
    let first = pool.spawn(move || joined(&own, levels, &inside, part));
    first.join().expect("no piece panics")
}

/// Each task waits for the next one.
fn joined(pool: &Arc<WorkerPool>, left: u32, world: &Arc<World>, part: Part) -> u64 {
    if left == 0 {
        return part.run(world);
    }
    let (own, inside) = (Arc::clone(pool), Arc::clone(world));
    let next = pool.spawn(move || joined(&own, left - 1, &inside, part));
    next.join().expect("no piece panics")
}

/// Each task spawns the next one and ends.
fn handed_on(world: &Arc<World>, number: usize, left: u32, end: Box<dyn FnOnce() + Send>) {
    if left == 0 {
        return end();
    }
    let inside = Arc::clone(world);
    let next = move || handed_on(&inside, number, left - 1, end);
    world.pool(number).spawn(next).detach();
}
