//! Other things that a worker may wait for: cells, tokens, channels inside of `blocking`, and the
//! start and end of a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use corepool::{CancelToken, WorkerPool, blocking, shared};
use fastrand::Rng;

use super::tree::Part;
use super::{Place, Sum, World};

/// A task without a handle, which signals its end by other means.
pub(super) fn messenger(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let worker = random.bool().then(|| random.usize(..place.workers));
    let way = random.u8(..3);
    let Some(pool) = place.pool else { return part.run(world) };
    let with_room = part.with_room(place).filter(|_| worker.is_none());
    let worker = worker.or_else(|| with_room.is_none().then_some(0));
    let run = with_room.unwrap_or(part).task(world);
    let spawn = |body: Box<dyn FnOnce() + Send>| match worker {
        Some(worker) => pool.task().on_worker(worker).spawn(body).detach(),
        None => pool.spawn(body).detach(),
    };
    let sum = Arc::new(Sum::default());
    let told = Arc::clone(&sum);
    match way {
        0 => {
            let (cell, has_ended) = (Arc::new(AtomicU32::new(0)), 1);
            let changed = Arc::clone(&cell);
            spawn(Box::new(move || {
                told.add(run());
                changed.store(has_ended, Ordering::SeqCst);
                shared::notify(&*changed, usize::MAX);
            }));
            while cell.load(Ordering::SeqCst) != has_ended {
                shared::wait(&*cell, 0, None);
            }
        }
        1 => {
            let token = CancelToken::new();
            let cancels = token.clone();
            spawn(Box::new(move || {
                told.add(run());
                cancels.cancel();
            }));
            token.wait();
        }
        _ => {
            // With room for the message, because a full pool runs the task right here.
            let (sender, receiver) = mpsc::sync_channel(1);
            spawn(Box::new(move || {
                told.add(run());
                sender.send(()).expect("the receiver waits");
            }));
            blocking(|| receiver.recv()).expect("the sender sends");
        }
    }
    sum.get()
}

/// A pool that is made for one task. Its hook may wait for a worker of another pool, and so may the
/// task while another thread waits for the end of its pool.
pub(super) fn passing_pool(
    world: &Arc<World>,
    place: Place<'_>,
    part: Part,
    random: &mut Rng,
) -> u64 {
    let worker = random.usize(..place.workers);
    let (has_hook, way) = (random.bool(), random.u8(..4));
    if place.pool.is_none() {
        return part.run(world);
    }
    let number = world
        .pools
        .iter()
        .flatten()
        .position(|pool| place.pool.is_some_and(|other| std::ptr::eq(pool, other)));
    let mut builder = WorkerPool::builder().workers(1);
    if has_hook {
        let inside = Arc::clone(world);
        builder = builder.on_worker_start(move |_| {
            let pool = inside.pools.iter().flatten().nth(number.unwrap_or_default());
            let task = pool.expect("it is one of these").task().on_worker(worker).spawn(|| ());
            task.join().expect("no piece panics");
        });
    }
    let pool = builder.build().expect("the system gives threads");
    let mut task = pool.spawn(part.task(world));
    match way {
        0 => pool.shutdown(),
        1 => assert!(pool.shutdown_timeout(Duration::from_secs(3_600)).is_clean()),
        2 => {
            pool.drain();
            assert!(task.is_finished(), "the pool was drained");
        }
        _ => {}
    }
    drop(pool);
    task.try_join().expect("its pool has ended").expect("no piece panics")
}
