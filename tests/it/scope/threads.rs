//! Scopes where threads come and go: thread-locals that are gone, and threads that end while other
//! threads have their closures.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use corepool::WorkerPool;

use super::{WORKERS, start_elsewhere};
use crate::support::{Gate, PATIENCE, within};

/// Opens scopes when it is dropped. For a thread-local that is when its thread ends.
struct AtTheEnd {
    pool: Arc<WorkerPool>,
    runs: Arc<AtomicUsize>,
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let Self { pool, runs } = self;
        let run = || {
            runs.fetch_add(1, Ordering::SeqCst);
        };
        pool.scope(|s| {
            for number in 0..1_000 {
                let handle = s.spawn(run);
                if number % 2 == 0 {
                    handle.join().unwrap();
                }
            }
        });
        let gate = Gate::default();
        let joiner = crate::support::thread_number();
        pool.scope(|s| {
            let handle = start_elsewhere(pool, s, &gate, run);
            // The gate opens when this thread sleeps, so the thread has to be woken.
            thread::scope(|threads| {
                threads.spawn(|| {
                    crate::support::until_asleep(joiner);
                    gate.open();
                });
                handle.join().unwrap();
            });
        });
        pool.join(|| pool.for_each(0..100, |_| run()), || pool.for_each(0..100, |_| run()));
    }
}

thread_local! {
    static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

/// Case 28, for scopes: the user's thread-local is dropped after ours, or before.
#[test]
#[cfg(target_os = "linux")]
fn a_scope_in_a_thread_locals_destructor_works() {
    within(PATIENCE * 2, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        for round in 0..20 {
            let runs = Arc::new(AtomicUsize::new(0));
            let at_the_end = AtTheEnd { pool: Arc::clone(&pool), runs: Arc::clone(&runs) };
            let pool = Arc::clone(&pool);
            let thread = thread::spawn(move || {
                // The later a thread-local is first used, the earlier it is dropped.
                let early = round % 2 == 0;
                if early {
                    AT_THE_END.set(None);
                }
                pool.scope(|s| s.spawn(|| 1).join().unwrap());
                pool.spawn(|| 1).join().unwrap();
                let gate = Gate::default();
                pool.scope(|s| {
                    let handle = start_elsewhere(&pool, s, &gate, || ());
                    gate.open();
                    handle.join().unwrap();
                });
                AT_THE_END.set(Some(at_the_end));
            });
            thread.join().unwrap();
            assert_eq!(runs.load(Ordering::SeqCst), 1_201);
        }
    });
}

/// Threads spawn on a scope and end before their closures have run, or while they run.
#[test]
fn threads_end_while_their_closures_are_away() {
    within(PATIENCE, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for _ in 0..20 {
                let runs = AtomicUsize::new(0);
                pool.scope(|s| {
                    for _ in 0..5 {
                        thread::scope(|threads| {
                            threads.spawn(|| {
                                for number in 0..500_u64 {
                                    let handle = s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                                    if number % 7 == 0 {
                                        handle.join().unwrap();
                                    }
                                }
                            });
                        });
                    }
                });
                assert_eq!(runs.into_inner(), 2_500);
            }
        }
    });
}

/// The threads of a pool end only after everything spawned on them is done, and what they took is
/// freed.
#[test]
fn pools_end_right_after_their_scopes() {
    within(PATIENCE, || {
        for round in 0..200 {
            let pool = WorkerPool::with_workers(1 + round % 4).unwrap();
            let runs = AtomicUsize::new(0);
            pool.scope(|s| {
                for _ in 0..100 {
                    s.spawn(|| {
                        s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                    });
                }
            });
            drop(pool);
            assert_eq!(runs.into_inner(), 100);
        }
    });
}
