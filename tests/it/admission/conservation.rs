//! No place is lost: after a storm of everything that can go wrong, there is exactly as much room
//! as before.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use corepool::{TaskContext, WhenFull, WorkerPool};

use super::{accepted, bounded};
use crate::support::{Drops, PATIENCE, within};

/// One round of something that takes a place, or waits for one, and then goes away in its own way.
fn mischief(pool: &WorkerPool, kind: u32, drops: &Drops) {
    match kind {
        0 => drop(pool.spawn(|| ())),
        1 => drop(pool.spawn(|| ()).join()),
        2 => drop(pool.spawn(|| ()).cancel_on_drop()),
        3 => {
            let _ran_or_not = pool.spawn(|| ()).cancel();
        }
        4 => drop(pool.try_spawn(|| panic!("a task of the storm"))),
        5 => drop(pool.task().name("named").spawn(|| panic!("a named task of the storm"))),
        6 => {
            let bomb = drops.bomb();
            if let Ok(task) = pool.try_spawn(move || drop(bomb)) {
                let _ran_or_not = task.cancel();
            }
        }
        7 => {
            let mut future = pin!(pool.reserve());
            let _ready = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        }
        8 => drop(pollster::block_on(pool.reserve()).map(|permit| permit.spawn(|| ()))),
        12 => drop(pool.try_reserve()),
        13 => drop(pool.try_reserve().map(|permit| permit.task().name("named"))),
        14 => {
            if let Ok(permit) = pool.try_reserve() {
                permit.task().on_worker(0).spawn(|| ()).detach();
            }
        }
        9 => {
            let _lost = pool.spawn(|| corepool::spawn(|| corepool::spawn(|| 5).join()).join());
        }
        10 => forget_a_handle(pool),
        _ => pool.spawn_with(TaskContext::worker).detach(),
    }
}

/// `ci/parts/lsan.supp` names this function.
fn forget_a_handle(pool: &WorkerPool) {
    std::mem::forget(pool.spawn(|| ()));
}

/// A refused closure that panics in its drop would end the storm's thread; see `panics`.
fn storm(pool: &Arc<WorkerPool>, seed: u64) {
    let threads: Vec<_> = (0..4)
        .map(|lane| {
            let pool = Arc::clone(pool);
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed * 4 + lane);
                let drops = Drops::default();
                for _ in 0..300 {
                    let kind = random.u32(..16);
                    let refused = std::panic::AssertUnwindSafe(|| mischief(&pool, kind, &drops));
                    // A closure that `try_spawn` gives back is dropped here, so its panic surfaces
                    // here.
                    assert!(std::panic::catch_unwind(refused).is_ok() || kind == 6);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Case 50.
#[test]
fn after_a_storm_there_is_room_for_exactly_workers_and_capacity() {
    within(PATIENCE, || {
        let policies =
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
        for (seed, policy) in (0..).zip(policies) {
            for (workers, capacity) in [(1, 0), (1, 1), (2, 3), (3, 8)] {
                let pool = Arc::new(bounded(workers, capacity, policy));
                storm(&pool, seed);
                // A place is given back before its handle is settled, but no thread waits for the
                // detached tasks.
                crate::support::until(|| {
                    let now = pool.metrics();
                    let ended = now.completed + now.panicked + now.cancelled + now.rejected;
                    now.spawned == ended && now.waiting_for_room == 0
                });
                let mut full = accepted(&pool);
                for _ in 0..100 {
                    if full == workers + capacity {
                        break;
                    }
                    // The last worker has counted its task and is about to give the place back.
                    thread::yield_now();
                    full = accepted(&pool);
                }
                assert_eq!(full, workers + capacity, "{workers} workers, {capacity}, {policy:?}");
            }
        }
    });
}

/// Case 50: a task that ends its worker also gives its place back.
#[test]
fn lost_tasks_give_their_places_back() {
    within(PATIENCE, || {
        let pool = bounded(1, 2, WhenFull::Block);
        for _ in 0..3 {
            let lost = pool.spawn_with::<_, u8>(|cx| cx.end_worker());
            assert!(lost.join().is_err());
            assert_eq!(accepted(&pool), 3);
        }
    });
}
