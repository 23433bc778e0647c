//! Scopes in scopes, closures that spawn, joins and loops in closures: all of them find their
//! scope.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use corepool::{Scope, WorkerPool};

use super::{WORKERS, everywhere, until_taken};
use crate::support::{PATIENCE, within};

/// Spawns two closures of the next depth.
fn grow<'scope, 'env>(s: &'scope Scope<'scope, 'env>, depth: u32, leaves: &'scope AtomicUsize) {
    if depth == 0 {
        leaves.fetch_add(1, Ordering::Relaxed);
    } else {
        s.spawn(move || grow(s, depth - 1, leaves));
        s.spawn(move || grow(s, depth - 1, leaves));
    }
}

#[test]
fn closures_spawn_closures_that_spawn() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let leaves = AtomicUsize::new(0);
            pool.scope(|s| grow(s, 12, &leaves));
            assert_eq!(leaves.into_inner(), 1 << 12);
        });
    });
}

/// Like [`grow`], but joins what it spawned.
fn count<'scope, 'env>(s: &'scope Scope<'scope, 'env>, depth: u32) -> usize {
    if depth == 0 {
        return 1;
    }
    let left = s.spawn(move || count(s, depth - 1));
    let right = s.spawn(move || count(s, depth - 1));
    // Joins the older closure first at some depths, and the newer one first at others.
    let (first, second) = if depth % 2 == 0 { (left, right) } else { (right, left) };
    first.join().unwrap() + second.join().unwrap()
}

#[test]
fn closures_join_what_they_spawned() {
    within(PATIENCE, || {
        everywhere(|pool| {
            assert_eq!(pool.scope(|s| count(s, 12)), 1 << 12);
        });
    });
}

#[test]
fn scopes_nest_deep() {
    fn nested(pool: &WorkerPool, depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let mut below = 0;
        pool.scope(|s| {
            s.spawn(|| below = nested(pool, depth - 1));
        });
        below + 1
    }
    within(PATIENCE, || {
        everywhere(|pool| assert_eq!(nested(pool, 100), 100));
    });
}

#[test]
fn the_outer_scope_takes_closures_while_an_inner_one_is_open() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let seen = Mutex::new(Vec::new());
            let note = |number: u32| seen.lock().unwrap().push(number);
            pool.scope(|outer| {
                pool.scope(|inner| {
                    for number in 0..100 {
                        outer.spawn(move || note(2 * number));
                        inner.spawn(move || note(2 * number + 1));
                    }
                });
                let seen = seen.lock().unwrap();
                assert_eq!(seen.iter().filter(|number| *number % 2 == 1).count(), 100);
            });
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..200));
        });
    });
}

#[test]
fn an_inner_scopes_closures_spawn_on_the_outer_one() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let (inside, outside) = (AtomicUsize::new(0), AtomicUsize::new(0));
            pool.scope(|outer| {
                for _ in 0..10 {
                    outer.spawn(|| {
                        pool.scope(|inner| {
                            for _ in 0..50 {
                                inner.spawn(|| {
                                    inside.fetch_add(1, Ordering::Relaxed);
                                    outer.spawn(|| outside.fetch_add(1, Ordering::Relaxed));
                                });
                            }
                        });
                    });
                }
            });
            assert_eq!((inside.into_inner(), outside.into_inner()), (500, 500));
        });
    });
}

/// Both halves spawn, and the second half certainly on another thread, because the halves wait for
/// each other.
#[test]
fn both_halves_of_a_join_spawn() {
    within(PATIENCE, || {
        for _ in 0..20 {
            let pool = &WorkerPool::with_workers(2).unwrap();
            let runs = AtomicUsize::new(0);
            let run = || runs.fetch_add(1, Ordering::Relaxed);
            let test = || {
                pool.scope(|s| {
                    let half = || {
                        let first = s.spawn(run);
                        s.spawn(run);
                        first.join().unwrap();
                        s.spawn(|| drop(s.spawn(run)));
                    };
                    let here = AtomicUsize::new(0);
                    let meet = || {
                        here.fetch_add(1, Ordering::SeqCst);
                        until_taken(pool, || here.load(Ordering::SeqCst) == 2);
                        half();
                        thread::current().id()
                    };
                    let (a, b) = pool.join(meet, meet);
                    assert_ne!(a, b);
                    // Also in closures, which may themselves have moved to another thread.
                    s.spawn(move || pool.join(half, half));
                    s.spawn(move || pool.join(half, || pool.join(half, half)));
                });
            };
            test();
            pool.install(test);
            assert_eq!(runs.into_inner(), 2 * 7 * 3);
        }
    });
}

#[test]
fn a_loops_items_spawn_on_the_scope_around_it() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let runs = AtomicUsize::new(0);
            pool.scope(|s| {
                s.spawn(|| {
                    pool.for_each(0..1_000_u32, |number| {
                        let handle = s.spawn(move || number);
                        if number % 3 == 0 {
                            assert_eq!(handle.join().unwrap(), number);
                        }
                        s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                    });
                });
                let doubled = pool.map(0..1_000_u32, |n| s.spawn(move || 2 * n).join().unwrap());
                assert!(doubled.into_iter().eq((0..1_000).map(|n| 2 * n)));
            });
            assert_eq!(runs.into_inner(), 1_000);
        });
    });
}

#[test]
fn joins_and_loops_run_inside_closures() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let sums = Mutex::new(Vec::new());
            pool.scope(|s| {
                for n in 0..40_u64 {
                    let sums = &sums;
                    s.spawn(move || {
                        let (a, b) = corepool::join(
                            || corepool::map_reduce(0..n, |i| i, |a, b| a + b).unwrap_or(0),
                            || corepool::scope(|s| s.spawn(move || n).join().unwrap()),
                        );
                        sums.lock().unwrap().push((n, a + b));
                    });
                }
            });
            let mut sums = sums.into_inner().unwrap();
            sums.sort_unstable();
            assert!(sums.into_iter().eq((0..40).map(|n| (n, n * (n + 1) / 2))));
        });
    });
}

/// What a guest or worker of another pool spawns still reaches its own scope, although the scope
/// has no list at hand there.
#[test]
fn closures_spawn_from_inside_another_pools_calls() {
    within(PATIENCE, || {
        for workers in WORKERS {
            let [own, other] = [(); 2].map(|()| WorkerPool::with_workers(workers).unwrap());
            let runs = AtomicUsize::new(0);
            let run = || runs.fetch_add(1, Ordering::Relaxed);
            let test = || {
                own.scope(|s| {
                    other.install(|| {
                        s.spawn(run).join().unwrap();
                        s.spawn(run);
                    });
                    other.scope(|t| {
                        t.spawn(|| drop(s.spawn(run)));
                        s.spawn(|| drop(s.spawn(run)));
                    });
                    s.spawn(|| {
                        other.join(|| drop(s.spawn(run)), || drop(s.spawn(run)));
                    });
                    other.for_each(0..10, |_| drop(s.spawn(run)));
                });
            };
            test();
            own.install(test);
            other.install(test);
            assert_eq!(runs.into_inner(), 3 * 16);
        }
    });
}

#[test]
fn threads_of_their_own_spawn_on_a_scope() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let runs = AtomicUsize::new(0);
            let run = || runs.fetch_add(1, Ordering::Relaxed);
            pool.scope(|s| {
                thread::scope(|threads| {
                    for _ in 0..4 {
                        threads.spawn(|| {
                            for number in 0..50 {
                                let handle = s.spawn(run);
                                match number % 3 {
                                    0 => drop(handle.join().unwrap()),
                                    1 => drop(handle),
                                    _ => drop(s.spawn(|| drop(s.spawn(run)))),
                                }
                            }
                        });
                    }
                });
                s.spawn(|| {
                    thread::scope(|threads| drop(threads.spawn(|| s.spawn(run).join().unwrap())));
                });
            });
            // 16 of the 50 spawn one more closure, which spawns another.
            assert_eq!(runs.into_inner(), 4 * (50 + 16) + 1);
        });
    });
}

#[test]
fn a_task_opens_scopes_and_a_scope_spawns_tasks() {
    within(PATIENCE, || {
        for workers in WORKERS {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let inside = Arc::clone(&pool);
            let sum = pool.spawn(move || {
                let sum = AtomicUsize::new(0);
                corepool::scope(|s| {
                    for number in 0..100 {
                        let (pool, sum) = (&inside, &sum);
                        s.spawn(move || {
                            let task = pool.spawn(move || number);
                            sum.fetch_add(task.join().unwrap(), Ordering::Relaxed);
                        });
                    }
                });
                sum.into_inner()
            });
            assert_eq!(sum.join().unwrap(), 4_950);
        }
    });
}
