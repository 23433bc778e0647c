//! Closures that another thread took in a batch: their handles, their order, and which of them wait
//! for each other.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use corepool::parallel::ScopedHandle;
use corepool::{Scope, WorkerPool};

use crate::support::{Busy, Gate, PATIENCE, occupy, until, within};

/// Records the first closure that runs on a thread other than the scope's. That closure waits for
/// the gate.
struct Trap {
    owner: ThreadId,
    gate: Gate,
    caught: Mutex<Option<usize>>,
}

impl Trap {
    fn new() -> Self {
        Self { owner: thread::current().id(), gate: Gate::default(), caught: Mutex::new(None) }
    }

    fn run(&self, number: usize) -> ThreadId {
        let here = thread::current().id();
        if here != self.owner {
            self.caught.lock().unwrap().get_or_insert(number);
            self.gate.wait();
        }
        here
    }

    fn caught(&self) -> Option<usize> {
        *self.caught.lock().unwrap()
    }
}

/// Spawns closures until a worker has taken a batch of them and is caught in the first.
///
/// The pool's other worker must be busy.
fn spawn_until_caught<'scope>(
    s: &'scope Scope<'scope, '_>,
    trap: &'scope Trap,
    release: impl FnOnce(),
) -> Vec<ScopedHandle<'scope, ThreadId>> {
    let mut handles = Vec::new();
    let spawn = |handles: &mut Vec<_>| {
        let number = handles.len();
        handles.push(s.spawn(move || trap.run(number)));
    };
    // No worker can take any of these yet, so the batch will be large.
    for _ in 0..63 {
        spawn(&mut handles);
    }
    release();
    until(|| {
        spawn(&mut handles);
        trap.caught().is_some()
    });
    handles
}

/// Runs the test on a worker while two others are busy. Only the one that is released can take
/// something.
fn with_one_worker_to_come(test: impl Fn(&WorkerPool, &mut (dyn FnMut() + Send)) + Sync) {
    // No spare workers: `release` waits for a task, and must not lend its core to a spare worker
    // that would take something too.
    let pool = WorkerPool::builder().workers(3).spare_workers(0).build().unwrap();
    let _busy = occupy(&pool, 1);
    let mut other = Some(occupy(&pool, 1));
    let mut release = || other.take().into_iter().for_each(Busy::release);
    pool.install(|| test(&pool, &mut release));
}

#[test]
fn a_handle_claims_its_closure_out_of_a_batch_that_was_taken() {
    within(PATIENCE, || {
        for _ in 0..10 {
            with_one_worker_to_come(|pool, release| {
                let trap = Trap::new();
                pool.scope(|s| {
                    let mut handles = spawn_until_caught(s, &trap, release);
                    let caught = handles.remove(trap.caught().unwrap());
                    // Most of these are in the batch that was taken, behind the closure that is
                    // caught.
                    for handle in handles {
                        assert!(!handle.is_finished());
                        assert_eq!(handle.join().unwrap(), trap.owner);
                    }
                    trap.gate.open();
                    assert_ne!(caught.join().unwrap(), trap.owner);
                });
            });
        }
    });
}

/// The handles are dropped, so only the taker has the closures; the scope waits for them.
#[test]
fn a_scope_waits_for_a_batch_that_was_taken() {
    within(PATIENCE, || {
        with_one_worker_to_come(|pool, release| {
            let trap = Trap::new();
            let runs = AtomicUsize::new(0);
            let spawned = pool.scope(|s| {
                let handles = spawn_until_caught(s, &trap, release);
                let spawned = handles.len();
                drop(handles);
                for _ in 0..100 {
                    s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                }
                // This thread runs the last closure, after everything else that it still has.
                s.spawn(|| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    trap.gate.open();
                });
                spawned
            });
            assert!(spawned >= 64);
            assert_eq!(runs.into_inner(), 101);
        });
    });
}

/// The closure that was taken waits for what the body does after spawning it.
#[test]
fn the_body_goes_on_while_a_batch_runs() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..100 {
            let threads = Mutex::new(HashSet::new());
            let gate = Gate::default();
            pool.scope(|s| {
                let handle = super::start_elsewhere(&pool, s, &gate, || thread::current().id());
                for _ in 0..10 {
                    s.spawn(|| threads.lock().unwrap().insert(thread::current().id()));
                }
                gate.open();
                assert_ne!(handle.join().unwrap(), thread::current().id());
            });
            assert!(!threads.into_inner().unwrap().is_empty());
        }
    });
}

/// The closures of a batch spawn more closures, which other workers take from there, and so on.
#[test]
fn batches_are_taken_out_of_batches() {
    within(PATIENCE * 3, || {
        for workers in [2, 4, 16] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let runs = AtomicUsize::new(0);
            pool.scope(|s| {
                for _ in 0..200 {
                    s.spawn(|| {
                        super::work(std::time::Duration::from_micros(20));
                        for _ in 0..10 {
                            s.spawn(|| {
                                super::work(std::time::Duration::from_micros(5));
                                s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                            });
                        }
                    });
                }
            });
            assert_eq!(runs.into_inner(), 2_000);
            let metrics = pool.metrics();
            assert!(metrics.jobs_taken <= metrics.jobs_offered);
        }
    });
}
