//! The second half (closure) of a join really runs elsewhere when a worker is hungry (searching for
//! work) and the call is worth it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{LONG, quiet, until_free, work};
use crate::support::{Gate, PATIENCE, until, within};

/// The first half continues only when the second has begun, and then takes long, so both must run
/// at once.
fn both_at_once() {
    let begun = Gate::default();
    let here = thread::current().id();
    let (a, b) = corepool::join_context(
        |cx| {
            begun.wait();
            work(LONG);
            (cx.has_moved(), thread::current().id())
        },
        |cx| {
            begun.open();
            work(LONG);
            (cx.has_moved(), thread::current().id())
        },
    );
    assert_eq!(a, (false, here), "the first half stays");
    assert!(b.0 && b.1 != here, "the second half has moved");
}

#[test]
fn a_workers_first_join_is_shared() {
    within(PATIENCE, || {
        for workers in [2, 4] {
            let pool = quiet(workers);
            pool.install(|| {
                until_free(&pool, workers - 1);
                both_at_once();
            });
        }
    });
}

#[test]
fn a_guests_first_join_is_shared() {
    within(PATIENCE, || {
        let pool = quiet(2);
        let begun = Gate::default();
        let second = || {
            begun.open();
            pool.is_current()
        };
        let ((), on_worker) = pool.join(|| begun.wait(), second);
        assert!(on_worker);
    });
}

#[test]
fn a_heavy_join_is_shared_again_and_again() {
    within(PATIENCE, || {
        let pool = quiet(2);
        pool.install(|| {
            for _ in 0..100 {
                until_free(&pool, 1);
                both_at_once();
            }
        });
    });
}

#[test]
fn a_heavy_join_is_shared_among_and_after_small_ones() {
    within(PATIENCE, || {
        let pool = quiet(2);
        pool.install(|| {
            for round in 0..20 {
                for n in 0..5_000_u64 {
                    assert_eq!(corepool::join(|| n + 1, || n + 2), (n + 1, n + 2));
                }
                let inside = corepool::join(|| round % 2 == 0, || round % 3 == 0).0;
                until_free(&pool, 1);
                if inside {
                    corepool::join(both_at_once, || ());
                } else {
                    both_at_once();
                }
            }
        });
    });
}

/// One closure type for light and heavy work.
fn of_one_type(heavy: bool) -> bool {
    let busy = move || {
        if heavy {
            work(LONG);
        }
    };
    corepool::join_context(
        |_| busy(),
        |cx| {
            busy();
            cx.has_moved()
        },
    )
    .1
}

#[test]
fn a_join_that_was_small_before_and_is_heavy_now_is_shared_soon() {
    within(PATIENCE, || {
        let pool = quiet(2);
        pool.install(|| {
            for _ in 0..5 {
                (0..10_000).for_each(|_| {
                    of_one_type(false);
                });
                until(|| of_one_type(true));
                // It stays that way, because now the call is known to be heavy.
                let moved = (0..50).filter(|_| of_one_type(true)).count();
                assert!(moved > 0, "never again");
            }
        });
    });
}

/// The same for a guest (a thread from outside), whose calls each start afresh.
#[test]
fn a_guests_join_that_was_small_before_and_is_heavy_now_is_shared_soon() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for _ in 0..5 {
            let call = |heavy| pool.join(|| of_one_type(heavy), || of_one_type(heavy));
            (0..10_000).for_each(|_| {
                call(false);
            });
            let on_worker = AtomicBool::new(false);
            until(|| {
                pool.join(
                    || call(true),
                    || {
                        on_worker.fetch_or(pool.is_current(), Ordering::SeqCst);
                        call(true)
                    },
                );
                on_worker.load(Ordering::SeqCst)
            });
        }
    });
}

/// A worker that searches when the call begins, and goes to sleep while the half is offered, is
/// woken anyway.
#[test]
fn a_worker_that_is_just_lying_down_takes_the_second_half() {
    within(PATIENCE * 2, || {
        let pool = quiet(2);
        pool.install(|| {
            for _ in 0..2_000 {
                // From now on the worker is about to sleep, if it does not sleep already.
                until_free(&pool, 1);
                let begun = Gate::default();
                corepool::join(
                    || {
                        begun.wait();
                        work(LONG / 5);
                    },
                    || {
                        begun.open();
                        work(LONG / 5);
                    },
                );
            }
        });
    });
}

/// A worker that finishes its task comes at once to help with a call that began earlier.
#[test]
fn who_becomes_free_while_a_heavy_half_runs_takes_the_other() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for _ in 0..20 {
            let (gate, begun) = (Gate::default(), Gate::default());
            let running = AtomicUsize::new(0);
            pool.install(|| {
                let held = gate.clone();
                let (starting, started) = std::sync::mpsc::channel();
                let other = corepool::spawn(move || {
                    starting.send(()).unwrap();
                    held.wait();
                });
                started.recv().unwrap();
                // No worker is hungry when the call begins.
                corepool::join(
                    || {
                        gate.open();
                        begun.wait();
                        work(LONG);
                    },
                    || {
                        running.fetch_add(1, Ordering::SeqCst);
                        begun.open();
                        work(LONG);
                    },
                );
                other.join().unwrap();
            });
            assert_eq!(running.into_inner(), 1);
        }
    });
}
