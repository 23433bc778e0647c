//! What a random program does with many tasks at once: batches, broadcasts, sets, promises,
//! windows, and continuations.

use std::sync::Arc;
use std::time::Duration;

use corepool::{TaskError, TaskHandle, TaskSet, WorkerPool, promise};
use fastrand::Rng;

use super::program::{Shared, Value, body, expect_possible};

/// Spawns many tasks by one call, and takes some of their results.
pub(super) fn spawn(shared: &Arc<Shared>, pool: &WorkerPool, random: &mut Rng) {
    match random.u8(..3) {
        0 => {
            let ids: Vec<_> = (0..random.usize(..70)).map(|_| random.u64(..)).collect();
            let bodies: Vec<_> = ids.iter().map(|id| body(shared, *id, random.fork())).collect();
            shared.hand_in(ids.len());
            let closures = bodies.into_iter().map(|body| move || body(None));
            let set = if random.bool() {
                pool.spawn_batch(closures)
            } else {
                let taken = random.usize(..5);
                // The installed closure counts as a task.
                shared.hand_in(1);
                pool.install(|| begin(pool.spawn_batch(closures), taken, &ids))
            };
            take_some(set, &ids, random);
        }
        1 => {
            shared.hand_in(shared.workers);
            let held = shared.token();
            let made = Arc::clone(shared);
            let set = pool.broadcast(move |_| {
                let _held = &held;
                (7, made.token())
            });
            take_some(set, &[7], random);
        }
        _ => {
            let ids: Vec<_> = (0..random.usize(..30)).map(|_| random.u64(..)).collect();
            let bodies: Vec<_> = ids.iter().map(|id| body(shared, *id, random.fork())).collect();
            let handed_in = Arc::clone(shared);
            let items = bodies.into_iter().inspect(move |_| handed_in.hand_in(1));
            let taken = random.usize(..40);
            let results = pool.map_ordered(items, random.usize(..8), |body| body(None));
            for (id, result) in ids.iter().zip(results.take(taken)) {
                expect_possible(*id, result);
            }
        }
    }
}

/// Takes the first results inside a task, which runs what it waits for.
fn begin(mut set: TaskSet<Value>, taken: usize, ids: &[u64]) -> TaskSet<Value> {
    for result in set.by_ref().take(taken) {
        let id = result.as_ref().map_or(ids[0], |(id, _)| *id);
        expect_possible(id, result);
    }
    set
}

/// Takes results in random ways, and drops the rest.
fn take_some(mut set: TaskSet<Value>, ids: &[u64], random: &mut Rng) {
    if random.bool() {
        set = set.cancel_on_drop();
    }
    for _ in 0..random.usize(..80) {
        let before = set.len();
        let result = match random.u8(..8) {
            0 => set.try_next(),
            1 => pollster::block_on(set.next_async()),
            2 => set.next_timeout(Duration::from_nanos(random.u64(..50_000))),
            3 if random.u8(..8) == 0 => {
                set.cancel_all();
                None
            }
            _ => set.next(),
        };
        assert_eq!(set.len(), before - usize::from(result.is_some()));
        let Some(result) = result else { continue };
        let id = result.as_ref().map_or(ids[0], |(id, _)| *id);
        assert!(ids.contains(&id), "the value of another task");
        expect_possible(id, result);
    }
}

/// Puts some of the handles into a set or a promise.
pub(super) fn gather(open: &mut Vec<(u64, TaskHandle<Value>)>, random: &mut Rng) {
    let count = random.usize(..=open.len().min(8));
    let (ids, tasks): (Vec<_>, Vec<_>) = open.drain(..count).unzip();
    let first = ids.first().copied().unwrap_or_default();
    match random.u8(..5) {
        0 if count > 0 => take_some(tasks.into_iter().collect(), &ids, random),
        1 => match promise::all(tasks).join() {
            Ok(values) => {
                assert!(values.iter().map(|(id, _)| *id).eq(ids), "each value in its place");
            }
            Err(error) => expect_possible(first, Err(error)),
        },
        2 => {
            for (id, result) in ids.into_iter().zip(promise::all_settled(tasks).join()) {
                expect_possible(id, result);
            }
        }
        3 => match promise::any(tasks).join() {
            Ok((id, _token)) => assert!(ids.contains(&id), "the value of another task"),
            Err(errors) => assert_eq!(errors.len(), count),
        },
        4 if count > 0 => {
            let race = promise::race(tasks).cancel_on_drop();
            let first = pollster::block_on(race);
            assert!(first.map_or(true, |(id, _)| ids.contains(&id)), "the value of another task");
        }
        _ => open.extend(ids.into_iter().zip(tasks)),
    }
}

/// Adds a continuation that keeps the task's number.
pub(super) fn link(
    shared: &Shared,
    id: u64,
    task: TaskHandle<Value>,
    random: &mut Rng,
) -> TaskHandle<Value> {
    shared.hand_in(1);
    let held = shared.token();
    match random.u8(..3) {
        0 => task.then(move |(given, token)| {
            assert_eq!(given, id, "another task's value");
            drop(token);
            (id, held)
        }),
        1 => task.recover(move |error: TaskError| {
            drop(error);
            (id, held)
        }),
        _ => task.finally(move || drop(held)),
    }
}
