//! `install` runs a closure on a worker while its caller waits: it always works, at once where that
//! is possible, and never waits forever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, WhenFull, WorkerPool};

use crate::held::{hold, hold_all};
use crate::support::{Drops, Gate, PATIENCE, until, within};
#[cfg(target_os = "linux")]
use crate::support::{thread_number, until_asleep};

fn named(name: &'static str, workers: usize) -> WorkerPool {
    let builder = WorkerPool::builder().workers(workers);
    builder.thread_name(move |id| format!("{name}-{id}")).build().unwrap()
}

fn here() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn a_thread_from_outside_has_it_run_on_a_worker() {
    within(PATIENCE, || {
        let pool = named("inst", 2);
        for n in 0..1_000 {
            let borrowed = [n; 10];
            let (name, current, sum) =
                pool.install(|| (here(), pool.is_current(), borrowed.iter().sum::<i32>()));
            assert!(name.starts_with("inst-") && current, "{name}");
            assert_eq!(sum, 10 * n);
        }
        assert_eq!((pool.metrics().spawned, pool.metrics().completed), (1_000, 1_000));
    });
}

#[test]
fn inside_it_stays_on_the_thread() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(3).dispatch(dispatch).build().unwrap();
            pool.install(|| {
                let outer = thread::current().id();
                for _ in 0..100 {
                    let inner = pool.install(|| pool.install(|| thread::current().id()));
                    assert_eq!(inner, outer);
                }
            });
            let there = pool.install(|| {
                let (a, b) = pool.join(
                    || pool.install(|| thread::current().id()) == thread::current().id(),
                    || pool.install(|| thread::current().id()) == thread::current().id(),
                );
                a && b
            });
            assert!(there);
        }
    });
}

#[test]
fn free_functions_inside_use_its_pool() {
    within(PATIENCE, || {
        let pool = named("free", 2);
        pool.install(|| {
            let begun = Gate::default();
            let names = corepool::join(
                || {
                    begun.wait();
                    here()
                },
                || {
                    begun.open();
                    here()
                },
            );
            assert!(names.0.starts_with("free-") && names.1.starts_with("free-"), "{names:?}");
            assert!(corepool::spawn(here).join().unwrap().starts_with("free-"));
            assert_eq!(corepool::map(0..100, |n| n).len(), 100);
        });
    });
}

#[test]
fn many_threads_may_install_at_once() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let count = AtomicUsize::new(0);
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        for _ in 0..500 {
                            let own = pool.install(|| {
                                corepool::join(|| 1, || count.fetch_add(1, Ordering::Relaxed)).0
                            });
                            assert_eq!(own, 1);
                        }
                    });
                }
            });
            assert_eq!(count.into_inner(), 2_000);
        }
    });
}

#[test]
fn after_the_end_of_the_pool_the_caller_runs_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let caller = thread::current().id();
        pool.shutdown();
        let drops = Drops::default();
        let token = drops.token();
        let ran_on = pool.install(move || {
            drop(token);
            thread::current().id()
        });
        assert_eq!((ran_on, drops.count()), (caller, 1));
        assert_eq!(pool.install(|| corepool::join(|| 1, || 2)), (1, 2));
    });
}

#[test]
fn a_pool_that_is_closed_meanwhile_runs_it_once_all_the_same() {
    within(PATIENCE * 2, || {
        for round in 0..300 {
            let pool = WorkerPool::with_workers(1 + round % 3).unwrap();
            let runs = AtomicUsize::new(0);
            thread::scope(|s| {
                s.spawn(|| match round % 3 {
                    0 => pool.close(),
                    1 => pool.shutdown(),
                    _ => drop(pool.shutdown_timeout(Duration::from_micros(50))),
                });
                for n in 0..20 {
                    assert_eq!(pool.install(|| runs.fetch_add(1, Ordering::SeqCst)), n);
                }
            });
            assert_eq!(runs.into_inner(), 20);
        }
    });
}

/// Installs a closure from a new thread on a pool whose workers are busy. Returns when the closure
/// is in the queue.
fn queued<'s, R: Send + 's>(
    s: &'s thread::Scope<'s, '_>,
    pool: &'s WorkerPool,
    work: impl FnOnce() -> R + Send + 's,
) -> thread::ScopedJoinHandle<'s, R> {
    let before = pool.metrics().queue_depth;
    #[cfg(target_os = "linux")]
    let (told, caller) = mpsc::channel();
    let thread = s.spawn(move || {
        #[cfg(target_os = "linux")]
        told.send(thread_number()).unwrap();
        pool.install(work)
    });
    until(|| pool.metrics().queue_depth == before + 1);
    // The closure is counted a moment before it is in the queue, and then its caller sleeps.
    #[cfg(target_os = "linux")]
    until_asleep(caller.recv().unwrap());
    thread
}

/// A closure that a shutdown leaves in the queue at its deadline is not lost: its caller runs it.
#[test]
fn a_shutdown_by_the_clock_leaves_it_to_the_caller() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        thread::scope(|s| {
            let caller = queued(s, &pool, || thread::current().id());
            let report = pool.shutdown_timeout(Duration::from_millis(10));
            assert_eq!((report.cancelled, report.abandoned.len()), (1, 1));
            let caller_id = caller.thread().id();
            assert_eq!(caller.join().unwrap(), caller_id);
        });
        held.release();
    });
}

#[test]
fn its_panic_comes_out() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let throw = || -> u32 { resume_unwind(Box::new("installed")) };
        let caught = |call: &dyn Fn() -> u32| {
            let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            assert_eq!(*payload.downcast::<&str>().unwrap(), "installed");
        };
        for _ in 0..50 {
            caught(&|| pool.install(throw));
            caught(&|| pool.install(|| pool.install(throw)));
            caught(&|| pool.install(|| corepool::join(|| 1, throw).1));
        }
        pool.close();
        caught(&|| pool.install(throw));
        let metrics = pool.metrics();
        assert_eq!(metrics.panicked, 0, "it is told to the caller: {metrics}");
    });
}

#[test]
fn it_needs_no_room() {
    within(PATIENCE, || {
        let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns];
        for policy in policies {
            let builder = WorkerPool::builder().workers(1).queue_capacity(0).when_full(policy);
            let pool = builder.build().unwrap();
            let held = hold(&pool);
            assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
            thread::scope(|s| {
                let callers = [(); 3].map(|()| s.spawn(|| pool.install(|| pool.is_current())));
                until(|| pool.metrics().queue_depth == 3);
                held.release();
                assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
            });
            // Nor do the closures give back a place that they did not have.
            let held = hold(&pool);
            assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
            held.release();
        }
    });
}

#[test]
fn what_is_displaced_as_the_oldest_runs_on_the_caller() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool = builder.when_full(WhenFull::DropOldest).build().unwrap();
        let held = hold_all(&pool);
        thread::scope(|s| {
            let caller = queued(s, &pool, || pool.is_current());
            // It takes no place, so dropping it makes no room, and the next oldest goes too.
            let second = pool.spawn(|| "second");
            let third = pool.spawn(|| "third");
            assert!(!caller.join().unwrap(), "it was the oldest");
            held.into_iter().for_each(crate::held::Held::release);
            assert!(second.join().is_err());
            assert_eq!(third.join().unwrap(), "third");
        });
    });
}

#[test]
fn a_worker_of_another_pool_does_not_wait_for_ever() {
    within(PATIENCE, || {
        let (one, other) = (Arc::new(named("one", 1)), Arc::new(named("other", 1)));
        let held = hold(&other);
        let inside = Arc::clone(&other);
        // The other pool's only worker is busy, so the closure runs on this thread, as a guest (a
        // thread from outside) of that pool.
        let name = one.spawn(move || inside.install(|| (here(), corepool::join(|| 1, || 2))));
        let (name, sum) = name.join().unwrap();
        assert_eq!(sum, (1, 2));
        assert!(name.starts_with("one-"), "{name}");
        held.release();
        until(|| {
            // A worker of the other pool runs it if one comes first.
            one.install(|| other.install(here)).starts_with("other-")
        });
    });
}

/// An installed closure may borrow, and its caller leaves its frame as soon as the closure is done.
#[test]
fn it_touches_nothing_of_its_caller_when_it_is_done() {
    within(PATIENCE * 2, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for n in 0..5_000_u64 {
            let frame = [n; 64];
            let drops = Drops::default();
            let token = drops.token();
            let (sum, inner) = pool.install(|| (frame.iter().sum::<u64>(), token));
            assert_eq!((sum, drops.count()), (64 * n, 0));
            drop(inner);
            assert_eq!(drops.count(), 1);
        }
    });
}

#[test]
fn it_runs_before_what_was_queued_later_and_waits_for_what_was_queued_before() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        // Only two at a time: of three, the worker would take one along, and it may sometimes check
        // the shared queue first.
        for is_first in [true, false] {
            let held = hold(&pool);
            let (sender, receiver) = mpsc::channel();
            let note = |what: &'static str| {
                let sender = sender.clone();
                move || sender.send(what).unwrap()
            };
            thread::scope(|s| {
                if is_first {
                    queued(s, &pool, note("installed"));
                }
                pool.spawn(note("spawned")).detach();
                if !is_first {
                    queued(s, &pool, note("installed"));
                }
                held.release();
            });
            let order: Vec<_> = receiver.iter().take(2).collect();
            let sides = [["spawned", "installed"], ["installed", "spawned"]];
            assert_eq!(order, sides[usize::from(is_first)]);
        }
    });
}
