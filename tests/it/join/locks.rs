//! A closure may hold a lock across a fork-join call: what its thread runs meanwhile never wants
//! that lock.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use corepool::WorkerPool;

use super::{LONG, work};
use crate::support::{PATIENCE, within};

thread_local! {
    /// Whether a frame of the calling thread holds the mutex.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// How the work done under a held lock is split.
#[derive(Debug, Clone, Copy)]
enum Split {
    Join,
    Scope,
    Map,
    All,
}

const SPLITS: [Split; 4] = [Split::Join, Split::Scope, Split::Map, Split::All];

/// Does some work in parts that want no lock.
fn parts(pool: &WorkerPool, split: Split, depth: u32) -> u32 {
    if depth == 0 {
        work(LONG / 50);
        return 1;
    }
    let next = depth - 1;
    match split {
        Split::Join => {
            let (a, b) = pool.join(|| parts(pool, split, next), || parts(pool, split, next));
            a + b
        }
        Split::Scope => {
            let sum = AtomicU32::new(0);
            pool.scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| sum.fetch_add(parts(pool, split, next), Ordering::Relaxed));
                }
            });
            sum.into_inner()
        }
        Split::Map => pool.map(0..2_u32, |_| parts(pool, split, next)).into_iter().sum(),
        Split::All => {
            let how = SPLITS[depth as usize % 3];
            let (a, b) = pool.join(|| parts(pool, how, next), || parts(pool, split, next));
            a + b
        }
    }
}

/// Takes the lock and holds it while other threads help with the work done under it.
fn hold_across(pool: &WorkerPool, mutex: &Mutex<u64>, split: Split) {
    assert!(!HOLDS.get(), "this runs on the stack of who holds the mutex");
    let mut count = mutex.lock().unwrap();
    HOLDS.set(true);
    assert_eq!(parts(pool, split, 3), 8);
    *count += 1;
    HOLDS.set(false);
}

/// Case 36. Tasks, parts of other calls, and guests (threads from outside) all want the lock.
#[test]
fn a_lock_may_be_held_across_a_fork_join_call_while_others_want_it() {
    within(PATIENCE * 3, || {
        for (workers, split) in [1, 2, 8].into_iter().flat_map(|n| SPLITS.map(|split| (n, split))) {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let mutex = Arc::new(Mutex::new(0));
            let tasks: Vec<_> = (0..30)
                .map(|_| {
                    let (pool, mutex) = (Arc::downgrade(&pool), Arc::clone(&mutex));
                    let inside = pool.upgrade().unwrap();
                    inside.spawn(move || {
                        let pool = pool.upgrade().unwrap();
                        let hold = || hold_across(&pool, &mutex, split);
                        corepool::join(hold, hold);
                    })
                })
                .collect();
            thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        for _ in 0..5 {
                            let hold = || hold_across(&pool, &mutex, split);
                            pool.join(hold, hold);
                            pool.for_each(0..2_u32, |_| hold());
                            pool.scope(|s| {
                                s.spawn(hold);
                                s.spawn(hold);
                            });
                            pool.install(hold);
                        }
                    });
                }
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(*mutex.lock().unwrap(), 60 + 3 * 5 * 7);
        }
    });
}

/// All items of a loop want one lock, and each joins while it holds the lock. The loop's other
/// items are not part of those joins.
#[test]
fn an_item_of_a_loop_may_hold_a_lock_that_all_its_items_want() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let mutex = Mutex::new(0);
            for split in SPLITS {
                let item = |_| hold_across(&pool, &mutex, split);
                pool.install(|| pool.for_each(0..40_u32, item));
                pool.for_each(0..40_u32, item);
                pool.scope(|s| {
                    for n in 0..40 {
                        let item = &item;
                        s.spawn(move || item(n));
                    }
                });
            }
            assert_eq!(*mutex.lock().unwrap(), 4 * 120);
        }
    });
}
