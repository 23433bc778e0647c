//! The storm: tasks of random length, from outside and inside, one by one, in batches and in
//! scopes, dealt and awaited.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::{Dispatch, TaskHandle, WorkerPool};
use fastrand::Rng;

use crate::random::{random_seed, setting};

const SUBMITTERS: u64 = 3;

/// Runs the storm for `COREPOOL_STRESS` seconds, by default one.
pub(super) fn blow(pool: &Arc<WorkerPool>, dispatch: Dispatch) {
    let time = Duration::from_secs(setting("COREPOOL_STRESS").unwrap_or(1));
    let seed = setting("COREPOOL_SEED").unwrap_or_else(random_seed);
    println!("COREPOOL_SEED={seed}");
    let end = Instant::now() + time;
    thread::scope(|threads| {
        for submitter in 0..SUBMITTERS {
            threads.spawn(move || {
                let mut random = Rng::with_seed(seed.wrapping_add(submitter));
                while Instant::now() < end && !gust(pool, &mut random, dispatch) {}
            });
        }
    });
}

/// Spawns some tasks and waits for them. Returns whether the pool was closed meanwhile.
fn gust(pool: &Arc<WorkerPool>, random: &mut Rng, dispatch: Dispatch) -> bool {
    let kinds = if dispatch == Dispatch::RoundRobin { 2 } else { 5 };
    let count = random.usize(1..12);
    let seed = random.u64(..);
    match random.u8(..kinds) {
        0 => {
            let handles = (0..count).map(|n| pool.spawn(move || work(seed ^ n as u64)));
            wait_for(handles.collect())
        }
        1 => {
            let mut handles = Vec::new();
            for n in 0..count {
                let inside = Arc::clone(pool);
                handles.push(pool.spawn(move || spawn_inside(&inside, seed >> (n % 8))));
                if random.u8(..3) == 0 {
                    work(random.u64(..));
                }
            }
            wait_for(handles)
        }
        2 => {
            let set = pool.spawn_batch((0..count).map(|n| move || work(seed ^ n as u64)));
            set.map(|result| result.is_err()).fold(false, |any, failed| any | failed)
        }
        3 => pool.spawn(move || scope(seed, count)).join().is_err(),
        _ => {
            scope(seed, count);
            false
        }
    }
}

fn wait_for<T>(handles: Vec<TaskHandle<T>>) -> bool {
    handles.into_iter().map(|handle| handle.join().is_err()).fold(false, |any, failed| any | failed)
}

fn spawn_inside(pool: &WorkerPool, seed: u64) {
    let inner: Vec<_> = (0..seed % 6).map(|n| pool.spawn(move || work(seed ^ n))).collect();
    work(seed);
    if seed % 3 == 0 {
        inner.into_iter().for_each(TaskHandle::detach);
    } else {
        wait_for(inner);
    }
}

fn scope(seed: u64, count: usize) {
    corepool::scope(|s| {
        for n in 0..count {
            s.spawn(move || work(seed ^ n as u64));
        }
    });
}

/// Takes from no time to a few milliseconds, busy or asleep.
fn work(seed: u64) {
    let mut random = Rng::with_seed(seed);
    match random.u8(..10) {
        0..6 => {}
        6..9 => {
            let end = Instant::now() + Duration::from_micros(random.u64(..300));
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        _ => thread::sleep(Duration::from_micros(random.u64(..5_000))),
    }
}
