//! Panics in the body, in closures and in drops: all closures end first, and one payload comes out.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem, thread};

use corepool::WorkerPool;

use super::{everywhere, start_elsewhere};
use crate::support::{Bomb, Drops, Gate, PATIENCE, until, within};

/// A panic that the panic hook does not report.
fn planned<T: Send + 'static>(payload: T) -> ! {
    resume_unwind(Box::new(payload))
}

/// The payload with which the closure panicked.
#[track_caller]
fn payload_of<P: 'static, R>(closure: impl FnOnce() -> R) -> P {
    match catch_unwind(AssertUnwindSafe(closure)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => *payload.downcast().expect("the payload is the one that was thrown"),
    }
}

/// Case 8.
#[test]
fn a_bodys_panic_waits_for_the_closures() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let runs = AtomicUsize::new(0);
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    for _ in 0..1_000 {
                        s.spawn(|| {
                            s.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                        });
                    }
                    planned(7_u32);
                })
            });
            assert_eq!((payload, runs.into_inner()), (7, 1_000));
        });
    });
}

/// Case 8, with a closure that runs elsewhere and reads what the body borrowed.
#[test]
fn a_bodys_panic_waits_for_what_runs_elsewhere() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..50 {
            let (gate, words) = (Gate::default(), vec![String::from("borrowed")]);
            let mut seen = String::new();
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    drop(start_elsewhere(&pool, s, &gate, || seen = words.concat()));
                    s.spawn(|| gate.open());
                    planned(7_u32);
                })
            });
            assert_eq!((payload, seen.as_str()), (7, "borrowed"));
        }
    });
}

#[test]
fn a_closures_panic_comes_out_after_all_have_run() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for bad in [0, 1, 50, 99] {
                let runs = AtomicUsize::new(0);
                let payload: usize = payload_of(|| {
                    pool.scope(|s| {
                        for number in 0..100 {
                            let runs = &runs;
                            s.spawn(move || {
                                if number == bad {
                                    planned(number);
                                }
                                runs.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                    })
                });
                assert_eq!((payload, runs.into_inner()), (bad, 99));
            }
            // The pool still works as before.
            assert_eq!(pool.scope(|s| s.spawn(|| 5).join().unwrap()), 5);
        });
    });
}

/// Case 6: one payload comes out, the others are dropped and everything runs first, even if the
/// drops panic.
#[test]
fn of_many_panics_one_comes_out() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let (runs, payloads) = (AtomicUsize::new(0), Drops::default());
            let payload: Bomb = payload_of(|| {
                pool.scope(|s| {
                    for _ in 0..20 {
                        s.spawn(|| {
                            runs.fetch_add(1, Ordering::Relaxed);
                            planned(payloads.bomb())
                        });
                    }
                })
            });
            assert_eq!((runs.into_inner(), payloads.count()), (20, 19));
            mem::forget(payload);
        });
    });
}

#[test]
fn the_bodys_panic_goes_before_the_closures() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let payloads = Drops::default();
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    s.spawn(|| planned(payloads.bomb()));
                    s.spawn(|| planned(payloads.bomb()));
                    planned(7_u32);
                })
            });
            assert_eq!((payload, payloads.count()), (7, 2));
        });
    });
}

#[test]
fn a_panic_that_was_joined_does_not_come_out_again() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let value = pool.scope(|s| {
                let handles = [1, 2, 3].map(|number: u32| s.spawn(move || planned(number)));
                for (number, handle) in (1_u32..).zip(handles) {
                    let panic: Result<(), _> = handle.join();
                    let payload = panic.unwrap_err().into_panic().unwrap().into_inner();
                    assert_eq!(payload.downcast_ref(), Some(&number));
                }
                8
            });
            assert_eq!(value, 8);
        });
    });
}

#[test]
fn a_panic_elsewhere_that_was_joined_does_not_come_out_again() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..50 {
            pool.scope(|s| {
                let gate = Gate::default();
                let handle = start_elsewhere(&pool, s, &gate, || -> () { planned("told here") });
                gate.open();
                if round % 2 == 0 {
                    until(|| handle.is_finished());
                }
                assert_eq!(handle.join().unwrap_err().to_string(), "the task panicked: told here");
            });
        }
    });
}

#[test]
fn a_dropped_handles_panic_comes_out_of_the_scope() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..50 {
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    let gate = Gate::default();
                    let handle = start_elsewhere(&pool, s, &gate, || -> () { planned(7_u32) });
                    gate.open();
                    if round % 2 == 0 {
                        until(|| handle.is_finished());
                    }
                    drop(handle);
                })
            });
            assert_eq!(payload, 7);
        }
    });
}

/// Case 61. The payload is leaked with the handle, so another payload takes its place.
#[test]
fn a_panic_whose_forgotten_handle_at_worst_leaks_is_not_lost() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let payload: &str =
                payload_of(|| pool.scope(|s| mem::forget(s.spawn(|| -> () { planned(7_u32) }))));
            assert!(payload.contains("forgotten"), "{payload}");
            // A panic that was reported takes precedence.
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    mem::forget(s.spawn(|| -> () { planned(7_u32) }));
                    s.spawn(|| -> () { planned(8_u32) });
                })
            });
            assert_eq!(payload, 8);
        });
    });
}

#[test]
fn a_panic_goes_through_nested_scopes() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let runs = AtomicUsize::new(0);
            let payload: u32 = payload_of(|| {
                pool.scope(|outer| {
                    outer.spawn(|| {
                        pool.scope(|inner| {
                            inner.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                            inner.spawn(|| -> () { planned(7_u32) });
                            inner.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                            outer.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                        });
                        runs.fetch_add(100, Ordering::Relaxed);
                    });
                    outer.spawn(|| runs.fetch_add(1, Ordering::Relaxed));
                })
            });
            assert_eq!((payload, runs.into_inner()), (7, 4));
        });
    });
}

#[test]
fn a_panic_comes_out_of_joins_loops_and_other_pools_inside_closures() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let other = WorkerPool::with_workers(2).unwrap();
            let payload: u32 = payload_of(|| {
                pool.scope(|s| drop(s.spawn(|| pool.join(|| (), || -> () { planned(1_u32) }))))
            });
            assert_eq!(payload, 1);
            let payload: u32 = payload_of(|| {
                pool.scope(|s| drop(s.spawn(|| pool.for_each(0..100, |_| planned(2_u32)))))
            });
            assert_eq!(payload, 2);
            let payload: u32 = payload_of(|| {
                let strays = || pool.scope(|s| other.install(|| drop(s.spawn(|| stray(3_u32)))));
                strays();
            });
            assert_eq!(payload, 3);
        });
    });
}

fn stray(payload: u32) {
    planned(payload)
}

/// Cases 3 and 4. A capture's drop belongs to the closure's run; a result's drop belongs to no
/// closure.
#[test]
fn panics_in_drops_are_contained() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let drops = Drops::default();
            // No thread takes these results.
            pool.scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| drops.bomb());
                }
            });
            assert_eq!(drops.count(), 10);
            let joined = pool.scope(|s| {
                let handles = [(); 4].map(|()| {
                    let captured = drops.bomb();
                    s.spawn(move || drop(captured))
                });
                handles.map(|handle| handle.join().map_err(|error| error.to_string()))
            });
            assert_eq!(drops.count(), 14);
            assert!(
                joined
                    .iter()
                    .all(|end| *end == Err(String::from("the task panicked: a bomb was dropped")))
            );
        });
    });
}

#[test]
fn a_result_that_panics_when_its_handle_is_dropped_is_contained() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..20 {
            let drops = Drops::default();
            pool.scope(|s| {
                let gate = Gate::default();
                let handle = start_elsewhere(&pool, s, &gate, || drops.bomb());
                gate.open();
                until(|| handle.is_finished());
                drop(handle);
            });
            assert_eq!(drops.count(), 1);
        }
    });
}

/// The scope's own result is dropped while a closure's panic propagates. Two panics at once would
/// abort the process.
#[test]
fn the_bodys_result_may_panic_when_it_is_dropped() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let drops = Drops::default();
            let payload: u32 = payload_of(|| {
                pool.scope(|s| {
                    s.spawn(|| -> () { planned(7_u32) });
                    drops.bomb()
                })
            });
            assert_eq!((payload, drops.count()), (7, 1));
        });
    });
}

/// Opens a scope when it is dropped.
struct Late<'p>(&'p WorkerPool, &'p AtomicUsize);

impl Drop for Late<'_> {
    fn drop(&mut self) {
        assert!(thread::panicking());
        let Self(pool, count) = *self;
        let inside = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|s| {
                for _ in 0..100 {
                    s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                }
                s.spawn(|| -> () { planned("inside") });
                assert!(s.spawn(|| -> () { planned("joined") }).join().is_err());
            });
        }));
        assert!(inside.is_err());
    }
}

/// Case 13, for scopes: code that runs in a destructor while the thread unwinds may panic and be
/// caught.
#[test]
fn a_scope_may_be_opened_while_the_thread_unwinds() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let count = AtomicUsize::new(0);
            let payload: u32 = payload_of(|| {
                let _late = Late(pool, &count);
                planned(7_u32)
            });
            assert_eq!((payload, count.into_inner()), (7, 100));
        });
    });
}
