//! A half (closure) of a join that panics: the other half ends first, nothing is dropped twice, and
//! the pool keeps working.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use corepool::{TaskError, WorkerPool};

use super::{LONG, expected, fibonacci, quiet, until_free, work};
use crate::support::{Drops, Gate, PATIENCE, occupy, until, within};

fn throw<T>(what: &'static str) -> T {
    resume_unwind(Box::new(what))
}

/// Returns what the closure panics with.
#[track_caller]
fn caught<R>(closure: impl FnOnce() -> R) -> &'static str {
    let result = catch_unwind(AssertUnwindSafe(closure));
    let payload = result.err().expect("the call panics");
    *payload.downcast::<&'static str>().expect("with what was thrown")
}

/// Runs the test wherever a join may be called: on a worker, on a guest (a thread from outside),
/// and where another worker is there to take something.
fn everywhere(test: impl Fn() + Send + Sync) {
    let alone = quiet(1);
    let two = quiet(2);
    for _ in 0..3 {
        alone.install(&test);
        alone.join(&test, || ());
        two.install(&test);
        two.join(&test, || ());
        two.join(|| (), &test);
        assert_eq!(alone.install(|| fibonacci(10)) + two.install(|| fibonacci(10)), 110);
    }
}

/// Runs the test on a worker while another one sleeps. So a first half that waits for the second
/// waits for one that has moved.
fn with_a_thief(test: impl Fn() + Send + Sync) {
    let pool = quiet(2);
    for _ in 0..50 {
        pool.install(|| {
            until_free(&pool, 1);
            test();
        });
    }
    assert_eq!(pool.install(|| fibonacci(15)), expected(15));
}

#[test]
fn a_second_half_that_has_not_begun_is_dropped_once_and_never_runs() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        // The only other worker is busy, so what is offered comes back.
        let _busy = occupy(&pool, 1);
        pool.install(|| {
            for _ in 0..200 {
                let drops = Drops::default();
                let (ran, captured) = (AtomicBool::new(false), drops.token());
                let payload = caught(|| {
                    corepool::join(
                        || throw::<()>("the first half"),
                        || {
                            ran.store(true, Ordering::SeqCst);
                            drop(captured);
                        },
                    )
                });
                assert_eq!(payload, "the first half");
                assert_eq!((ran.into_inner(), drops.count()), (false, 1));
            }
        });
    });
}

#[test]
fn captures_that_panic_in_their_drop_do_not_hide_the_first_halfs_panic() {
    within(PATIENCE, || {
        everywhere(|| {
            let drops = Drops::default();
            let (token, bomb) = (drops.token(), drops.bomb());
            let payload = caught(|| {
                let captures = (token, bomb);
                // If the closure runs anyway, the bomb panics in the second half.
                corepool::join(|| throw::<()>("the first half"), || drop(captures))
            });
            assert_eq!((payload, drops.count()), ("the first half", 2));
        });
    });
}

/// Case 7.
#[test]
fn the_unwind_of_the_first_half_waits_for_the_second_one_that_runs_elsewhere() {
    within(PATIENCE, || {
        with_a_thief(|| {
            let (begun, thrown) = (Gate::default(), Gate::default());
            let (ended, drops) = (AtomicBool::new(false), Drops::default());
            let payload = caught(|| {
                let borrowed = vec![String::from("alive"); 100];
                let token = drops.token();
                corepool::join(
                    || {
                        begun.wait();
                        thrown.open();
                        throw::<()>("the first half")
                    },
                    || {
                        begun.open();
                        thrown.wait();
                        work(LONG / 4);
                        assert!(borrowed.iter().all(|word| word == "alive"));
                        ended.store(true, Ordering::SeqCst);
                        token
                    },
                )
            });
            assert_eq!(payload, "the first half");
            assert!(ended.into_inner(), "it still ran when the call was left");
            assert_eq!(drops.count(), 1, "the result that nobody gets is dropped");
        });
    });
}

#[test]
fn a_result_or_payload_that_nobody_gets_may_panic_in_its_drop() {
    within(PATIENCE, || {
        for as_payload in [false, true] {
            with_a_thief(|| {
                let (begun, drops) = (Gate::default(), Drops::default());
                let bomb = drops.bomb();
                let payload = caught(|| {
                    corepool::join(
                        || {
                            begun.wait();
                            throw::<()>("the first half")
                        },
                        || {
                            begun.open();
                            if as_payload { resume_unwind(Box::new(bomb)) } else { bomb }
                        },
                    )
                });
                assert_eq!((payload, drops.count()), ("the first half", 1));
            });
        }
    });
}

#[test]
fn the_second_halfs_panic_comes_out_where_it_ran_here() {
    within(PATIENCE, || {
        everywhere(|| {
            let drops = Drops::default();
            let payload = caught(|| corepool::join(|| drops.token(), || throw::<()>("the second")));
            assert_eq!((payload, drops.count()), ("the second", 1));
        });
    });
}

#[test]
fn the_second_halfs_panic_comes_out_after_the_first_half_has_ended() {
    within(PATIENCE, || {
        with_a_thief(|| {
            let (thrown, drops) = (Gate::default(), Drops::default());
            let ended = AtomicBool::new(false);
            let payload = caught(|| {
                corepool::join(
                    || {
                        thrown.wait();
                        work(LONG / 4);
                        ended.store(true, Ordering::SeqCst);
                        drops.token()
                    },
                    || {
                        thrown.open();
                        throw::<()>("the second")
                    },
                )
            });
            assert_eq!((payload, ended.into_inner(), drops.count()), ("the second", true, 1));
        });
    });
}

#[test]
fn if_both_halves_panic_the_firsts_payload_comes_out() {
    within(PATIENCE, || {
        with_a_thief(|| {
            let begun = Gate::default();
            let payload = caught(|| {
                corepool::join(
                    || {
                        begun.wait();
                        throw::<()>("the first")
                    },
                    || {
                        begun.open();
                        throw::<()>("the second")
                    },
                )
            });
            assert_eq!(payload, "the first");
        });
        everywhere(|| {
            let both = || corepool::join(|| throw::<()>("the first"), || throw::<()>("the second"));
            assert_eq!(caught(both), "the first");
        });
    });
}

/// A tree in which one leaf panics. Every token is dropped, whether its leaf ran or not.
fn tree(drops: &Drops, made: &AtomicUsize, depth: u32, bad: u32) -> usize {
    let token = drops.token();
    made.fetch_add(1, Ordering::SeqCst);
    if depth == 0 {
        if bad == 0 {
            throw::<()>("a leaf");
        }
        drop(token);
        return 1;
    }
    let half = 1 << (depth - 1);
    let other = drops.token();
    made.fetch_add(1, Ordering::SeqCst);
    let (a, b) = corepool::join(
        move || {
            let _token = token;
            tree(drops, made, depth - 1, bad)
        },
        move || {
            let _token = other;
            tree(drops, made, depth - 1, bad.wrapping_sub(half))
        },
    );
    a + b
}

#[test]
fn a_panic_deep_in_a_tree_comes_out_and_everything_is_dropped_once() {
    within(PATIENCE * 3, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for bad in [0, 1, 31, 32, 100, 255] {
                let (drops, made) = (Drops::default(), AtomicUsize::new(0));
                let bad_tree = || caught(|| tree(&drops, &made, 8, bad));
                assert_eq!(pool.install(bad_tree), "a leaf");
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
                assert_eq!(pool.join(bad_tree, bad_tree), ("a leaf", "a leaf"));
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
                assert_eq!(pool.install(|| tree(&drops, &made, 8, 256)), 256);
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
            }
        }
    });
}

#[test]
fn a_tasks_handle_tells_of_a_panic_inside_its_joins() {
    within(PATIENCE, || {
        for workers in [1, 2] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for first in [true, false] {
                let task = pool.spawn(move || {
                    let inner = || {
                        corepool::join(|| (), || ());
                    };
                    match first {
                        true => corepool::join(|| throw::<()>("in a task"), inner),
                        false => corepool::join(inner, || throw::<()>("in a task")),
                    }
                });
                let Err(TaskError::Panicked(panic)) = task.join() else { panic!("it panicked") };
                assert_eq!(panic.message(), "in a task");
            }
            assert_eq!(pool.spawn(|| fibonacci(15)).join().unwrap(), expected(15));
            assert_eq!(pool.metrics().panicked, 2);
        }
    });
}

/// A thread that unwinds out of a first half waits for the second half, which has nothing to do
/// with the panic. No part of the second half may run on a thread that is panicking, because guards
/// of all kinds check for that in their drop.
#[test]
fn no_part_of_the_second_half_runs_on_a_thread_that_unwinds() {
    fn leaves(depth: u32, seen: &Mutex<Vec<bool>>) {
        if depth == 0 {
            work(LONG / 10);
            seen.lock().unwrap().push(thread::panicking());
        } else {
            corepool::join(|| leaves(depth - 1, seen), || leaves(depth - 1, seen));
        }
    }
    within(PATIENCE, || {
        with_a_thief(|| {
            let (begun, seen) = (Gate::default(), Mutex::new(Vec::new()));
            let payload = caught(|| {
                corepool::join(
                    || {
                        begun.wait();
                        throw::<()>("the first half")
                    },
                    || {
                        begun.open();
                        leaves(5, &seen);
                    },
                )
            });
            assert_eq!(payload, "the first half");
            assert_eq!(seen.into_inner().unwrap(), [false; 32]);
        });
    });
}

#[test]
fn a_panicking_guest_leaves_the_pool_in_order() {
    within(PATIENCE, || {
        let pool = quiet(2);
        for _ in 0..100 {
            let begun = Gate::default();
            let payload = caught(|| {
                pool.join(
                    || throw::<()>("on a guest"),
                    || {
                        begun.open();
                        work(LONG / 10);
                    },
                )
            });
            assert_eq!(payload, "on a guest");
            assert_eq!(pool.join(|| fibonacci(10), || fibonacci(11)), (55, 89));
        }
    });
}

/// A first half panics while its second half runs and panics as well, over and over. Nothing
/// accumulates.
#[test]
fn panics_on_both_sides_leave_no_thread_and_no_memory_behind() {
    within(PATIENCE * 2, || {
        let pool = quiet(2);
        let alive = Arc::new(());
        let moved = AtomicUsize::new(0);
        until(|| {
            for _ in 0..200 {
                let (one, two) = (Arc::clone(&alive), Arc::clone(&alive));
                let count = &moved;
                caught(|| {
                    pool.join(
                        || {
                            let _one = one;
                            work(LONG / 20);
                            throw::<()>("one")
                        },
                        || {
                            let _two = two;
                            count.fetch_add(1, Ordering::SeqCst);
                            throw::<()>("two")
                        },
                    )
                });
                assert_eq!(Arc::strong_count(&alive), 1);
            }
            moved.load(Ordering::SeqCst) > 20
        });
    });
}
