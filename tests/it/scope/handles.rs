//! A handle gives its closure's result once. Whether it is joined, dropped or forgotten, nothing is
//! lost or dropped twice.

use std::mem;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use corepool::WorkerPool;
use corepool::parallel::ScopedHandle;

use super::{everywhere, start_elsewhere};
use crate::support::{Dropping, Drops, Gate, PATIENCE, occupy, until, within};

#[test]
fn what_nobody_started_is_run_in_place_by_who_joins() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let test = || {
            let here = thread::current().id();
            let order = Mutex::new(Vec::new());
            pool.scope(|s| {
                let handles = [0, 1, 2].map(|number| {
                    let order = &order;
                    s.spawn(move || {
                        order.lock().unwrap().push(number);
                        (number, thread::current().id())
                    })
                });
                for (number, handle) in handles.into_iter().enumerate().rev() {
                    assert!(!handle.is_finished());
                    assert_eq!(handle.join().unwrap(), (number, here));
                }
            });
            assert_eq!(order.into_inner().unwrap(), [2, 1, 0]);
        };
        let busy = occupy(&pool, 1);
        test();
        busy.release();
        pool.install(test);
    });
}

#[test]
fn what_has_ended_elsewhere_gives_its_result() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..50 {
            pool.scope(|s| {
                let gate = Gate::default();
                let handle = start_elsewhere(&pool, s, &gate, || vec![7]);
                assert!(!handle.is_finished());
                assert_eq!(format!("{handle:?}"), "ScopedHandle { is_finished: false }");
                gate.open();
                until(|| handle.is_finished());
                assert_eq!(handle.join().unwrap(), [7]);
            });
        }
    });
}

/// The gate is opened when the kernel reports that this thread sleeps.
#[test]
#[cfg(target_os = "linux")]
fn who_joins_what_runs_elsewhere_sleeps_until_it_has_ended() {
    use crate::support::{thread_number, until_asleep};
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..20 {
            let test = || {
                let gate = Gate::default();
                let joiner = thread_number();
                pool.scope(|s| {
                    let handle = start_elsewhere(&pool, s, &gate, || vec![8]);
                    thread::scope(|threads| {
                        threads.spawn(|| {
                            until_asleep(joiner);
                            gate.open();
                        });
                        assert_eq!(handle.join().unwrap(), [8]);
                    });
                });
            };
            test();
            pool.install(test);
        }
    });
}

/// Each thread waits for its own closure, which another thread runs.
#[test]
fn many_threads_wait_for_one_another_s_closures_in_one_scope() {
    within(PATIENCE * 2, || {
        let pool = WorkerPool::with_workers(8).unwrap();
        let sum = AtomicUsize::new(0);
        pool.scope(|s| {
            for _ in 0..20 {
                s.spawn(|| {
                    let handles = [(); 20].map(|()| s.spawn(|| super::work(super::SOME_TIME)));
                    for handle in handles {
                        handle.join().unwrap();
                        sum.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 400);
    });
}

/// When the handle is joined or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Early,
    Running,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Joined,
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    ByPanic,
}

/// Counters for one closure.
#[derive(Default)]
struct Counted {
    runs: AtomicUsize,
    captures: Drops,
    results: Drops,
}

impl Counted {
    fn closure(&self, ends: Ends) -> impl FnOnce() -> Dropping + Send + '_ {
        let captured = self.captures.token();
        move || {
            self.runs.fetch_add(1, Ordering::SeqCst);
            let result = self.results.token();
            let _captured = captured;
            match ends {
                Ends::Well => result,
                Ends::ByPanic => resume_unwind(Box::new(result)),
            }
        }
    }

    fn use_up(&self, handle: ScopedHandle<'_, Dropping>, what: What, ends: Ends) {
        match what {
            What::Joined => {
                let result = handle.join();
                assert_eq!(result.is_err(), ends == Ends::ByPanic);
                assert_eq!((self.captures.count(), self.results.count()), (1, 0));
            }
            What::Dropped => drop(handle),
        }
    }

    fn assert_once(&self) {
        let counts =
            (self.runs.load(Ordering::SeqCst), self.captures.count(), self.results.count());
        assert_eq!(counts, (1, 1, 1), "runs, dropped captures, dropped results");
    }
}

fn one_case(pool: &WorkerPool, when: When, what: What, ends: Ends) {
    let counted = Counted::default();
    let gate = Gate::default();
    let scope = || {
        pool.scope(|s| match when {
            When::Early => counted.use_up(s.spawn(counted.closure(ends)), what, ends),
            When::Running => {
                let handle = start_elsewhere(pool, s, &gate, counted.closure(ends));
                if what == What::Joined {
                    gate.open();
                    counted.use_up(handle, what, ends);
                } else {
                    drop(handle);
                    gate.open();
                }
            }
            When::Done => {
                let handle = start_elsewhere(pool, s, &gate, counted.closure(ends));
                gate.open();
                until(|| handle.is_finished());
                counted.use_up(handle, what, ends);
            }
        });
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scope));
    let is_told_here = ends == Ends::ByPanic && what == What::Dropped;
    match result {
        Ok(()) => assert!(!is_told_here, "{when:?}: nobody was told"),
        Err(payload) => {
            assert!(is_told_here, "{when:?}: told twice");
            assert!(payload.is::<Dropping>());
        }
    }
    counted.assert_once();
}

#[test]
fn everything_is_dropped_once_whenever_the_handle_is_used() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..10 {
            for when in [When::Early, When::Running, When::Done] {
                for what in [What::Joined, What::Dropped] {
                    for ends in [Ends::Well, Ends::ByPanic] {
                        one_case(&pool, when, what, ends);
                        pool.install(|| one_case(&pool, when, what, ends));
                    }
                }
            }
        }
    });
}

#[test]
fn a_joined_result_outlives_the_scope() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let drops = Drops::default();
            let result = pool.scope(|s| s.spawn(|| drops.token()).join().unwrap());
            assert_eq!(drops.count(), 0);
            drop(result);
            assert_eq!(drops.count(), 1);
        });
    });
}

/// Case 61. The closures run and drop what they captured; only their results are leaked.
#[test]
fn a_forgotten_handle_at_worst_leaks() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let (captures, results) = (Drops::default(), Drops::default());
            pool.scope(|s| {
                for _ in 0..100 {
                    let captured = captures.token();
                    let results = &results;
                    let handle = s.spawn(move || {
                        drop(captured);
                        results.token()
                    });
                    mem::forget(handle);
                }
                s.spawn(|| mem::forget(s.spawn(|| captures.token())));
            });
            assert_eq!((captures.count(), results.count()), (100, 0));
        });
    });
}

#[test]
fn a_handle_may_be_joined_in_another_closure_of_the_thread_that_spawned() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let sum = pool.scope(|s| {
                let handle = s.spawn(|| {
                    let inner = s.spawn(|| 5);
                    let later = s.spawn(|| s.spawn(|| 6).join().unwrap());
                    let joins = |inner: ScopedHandle<'_, i32>| inner.join().unwrap();
                    joins(inner) + later.join().unwrap()
                });
                handle.join().unwrap()
            });
            assert_eq!(sum, 11);
        });
    });
}

#[test]
fn an_outer_scopes_handle_may_be_joined_while_an_inner_one_is_open() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let sum = pool.scope(|outer| {
                let handle = outer.spawn(|| 7);
                let kept = outer.spawn(|| 8);
                let inside = pool.scope(|inner| {
                    let own = inner.spawn(|| 9);
                    own.join().unwrap() + handle.join().unwrap()
                });
                inside + kept.join().unwrap()
            });
            assert_eq!(sum, 24);
        });
    });
}
