//! `corepool::spawn` uses the pool whose work the caller does, on whatever thread that is.

use std::sync::Arc;
use std::thread;

use corepool::WorkerPool;

use crate::support::{PATIENCE, occupy, within};

fn named(beginning: &'static str, workers: usize) -> WorkerPool {
    let name = move |id| format!("{beginning}-{id}");
    WorkerPool::builder().workers(workers).thread_name(name).build().unwrap()
}

/// Spawns a task here, and returns a closure that gives the name of the worker that ran it. The
/// task is not joined: a join inside a task would run it in place.
fn spawned_on() -> impl FnOnce() -> String {
    let (told, name) = std::sync::mpsc::channel();
    corepool::spawn(move || told.send(thread::current().name().unwrap().to_owned())).detach();
    move || name.recv().unwrap()
}

fn is_of(beginning: &str, names: impl IntoIterator<Item = impl FnOnce() -> String>) {
    for name in names {
        let name = name();
        assert!(name.starts_with(beginning), "{name}");
    }
}

#[test]
fn a_guest_spawns_into_the_pool_that_it_is_a_guest_of() {
    within(PATIENCE, || {
        let pool = named("guests", 1);
        let (one, other) = pool.join(spawned_on, spawned_on);
        is_of("guests", [one, other]);
        is_of("guests", pool.map(&[1, 2, 3], |_| spawned_on()));
        is_of("guests", [pool.scope(|_| spawned_on())]);
    });
}

#[test]
fn a_worker_that_is_a_guest_elsewhere_spawns_there_and_then_at_home_again() {
    within(PATIENCE, || {
        let (home, other) = (named("home", 1), Arc::new(named("other", 1)));
        let guest = Arc::clone(&other);
        let task = home.spawn(move || {
            let before = spawned_on();
            let ((inside, _), other) = (guest.join(spawned_on, || ()), spawned_on());
            (before, inside, other)
        });
        let (before, inside, after) = task.join().unwrap();
        is_of("home", [before, after]);
        is_of("other", [inside]);
    });
}

#[test]
fn a_task_that_runs_in_place_on_another_pools_worker_spawns_into_its_own_pool() {
    within(PATIENCE, || {
        let (home, other) = (named("home", 1), Arc::new(named("own", 1)));
        let busy = occupy(&other, 1);
        let inner = Arc::clone(&other);
        // No other worker can start it.
        let name = home.spawn(move || inner.spawn(spawned_on).join().unwrap()).join().unwrap();
        busy.release();
        is_of("own", [name]);
    });
}
