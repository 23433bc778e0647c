//! How maps end: with their source, with a panic, when they are dropped, or with the pool.

use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corepool::{TaskError, WorkerPool};

use super::{pool, source};
use crate::support::{Drops, Gate, PATIENCE, occupy, within};

type Results<'a> = Box<dyn Iterator<Item = Result<u32, TaskError>> + 'a>;

/// Both kinds of map over the same source.
fn both<'a, I: Iterator<Item = u32> + 'a>(
    pool: &WorkerPool,
    window: usize,
    items: impl Fn() -> I,
    function: impl Fn(u32) -> u32 + Send + Sync + Clone + 'static,
) -> [Results<'a>; 2] {
    [
        Box::new(pool.map_ordered(items(), window, function.clone())),
        Box::new(pool.map_unordered(items(), window, function)),
    ]
}

/// Yields `count` items, then `None`, and then panics.
fn brittle(count: u32) -> impl Iterator<Item = u32> {
    let mut asked = 0;
    iter::from_fn(move || {
        asked += 1;
        assert!(asked <= count + 1, "asked again after its end");
        (asked <= count).then_some(asked)
    })
}

#[test]
fn a_source_that_has_ended_is_not_asked_again() {
    within(PATIENCE, || {
        let pool = pool();
        for count in [0, 1, 5, 20] {
            for mut results in both(&pool, 8, || brittle(count), |n| n) {
                assert_eq!(results.by_ref().count(), count as usize);
                assert!(results.next().is_none() && results.next().is_none());
            }
        }
    });
}

#[test]
fn a_source_that_has_ended_is_dropped() {
    within(PATIENCE, || {
        let (pool, drops) = (pool(), Drops::default());
        let token = drops.token();
        let items = (0..3).inspect(move |_| {
            let _kept = &token;
        });
        let mut results = pool.map_ordered(items, 10, |n| n);
        while results.next().is_some() {}
        assert_eq!(drops.count(), 1);
        drop(results);
    });
}

#[test]
fn a_task_that_panics_is_one_result_among_others() {
    within(PATIENCE, || {
        let pool = pool();
        let function = |n| {
            if n % 3 == 0 {
                panic::resume_unwind(Box::new("planned"));
            }
            n
        };
        for results in both(&pool, 4, || 0..30, function) {
            let (good, bad): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
            assert_eq!((good.len(), bad.len()), (20, 10));
            assert!(bad.iter().all(|result| matches!(result, Err(TaskError::Panicked(panic)) if panic.message() == "planned")));
        }
        let at: Vec<bool> = pool.map_ordered(0..9, 4, function).map(|n| n.is_err()).collect();
        assert_eq!(at, [true, false, false].repeat(3));
    });
}

#[test]
fn a_panic_of_the_source_goes_through_and_nothing_is_lost() {
    within(PATIENCE, || {
        let pool = pool();
        let items = || {
            (0..20).inspect(|n| {
                if n % 7 == 3 {
                    panic::resume_unwind(Box::new("the source"));
                }
            })
        };
        for mut results in both(&pool, 4, items, |n| n) {
            let (mut seen, mut panics) = (Vec::new(), 0);
            loop {
                match panic::catch_unwind(AssertUnwindSafe(|| results.next())) {
                    Ok(Some(result)) => seen.push(result.unwrap()),
                    Ok(None) => break,
                    Err(payload) => {
                        assert_eq!(payload.downcast_ref(), Some(&"the source"));
                        panics += 1;
                    }
                }
            }
            seen.sort_unstable();
            let without: Vec<u32> = (0..20).filter(|n| n % 7 != 3).collect();
            assert_eq!((seen, panics), (without, 3));
        }
    });
}

#[test]
fn a_source_that_always_panics_keeps_no_result_back() {
    within(PATIENCE, || {
        let pool = pool();
        let items = || {
            (0..).inspect(|n| {
                if *n >= 3 {
                    panic::resume_unwind(Box::new("the source"));
                }
            })
        };
        for mut results in both(&pool, 10, items, |n| n) {
            let (mut seen, mut panics) = (0, 0);
            while seen < 3 {
                match panic::catch_unwind(AssertUnwindSafe(|| results.next())) {
                    Ok(result) => seen += result.map_or(0, |_| 1),
                    Err(_) => panics += 1,
                }
                assert!(panics <= 3, "each result comes before the source is asked again");
            }
            panic::catch_unwind(AssertUnwindSafe(|| results.next())).unwrap_err();
        }
    });
}

#[test]
fn a_map_that_is_dropped_pulls_no_more_and_cancels_what_is_queued() {
    within(PATIENCE, || {
        for ordered in [true, false] {
            let pool = WorkerPool::with_workers(1).unwrap();
            let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
            let (wait, count) = (gate.clone(), Arc::clone(&ran));
            let (items, pulled) = source(0..1_000);
            let has_first = AtomicBool::new(false);
            // After the item whose result is taken, the next one holds the worker, whichever item
            // that is.
            let function = move |n| {
                count.fetch_add(1, Ordering::SeqCst);
                if has_first.load(Ordering::SeqCst) {
                    wait.wait();
                } else if n == 0 || !ordered {
                    has_first.store(true, Ordering::SeqCst);
                }
            };
            if ordered {
                let mut results = pool.map_ordered(items, 10, function);
                results.next().unwrap().unwrap();
            } else {
                let mut results = pool.map_unordered(items, 10, function);
                results.next().unwrap().unwrap();
            }
            let (was_pulled, had_run) = (pulled.get(), ran.load(Ordering::SeqCst));
            gate.open();
            pool.shutdown();
            assert!(was_pulled <= 10);
            assert_eq!(pulled.get(), was_pulled);
            // One more if the worker just started it.
            assert!(ran.load(Ordering::SeqCst) <= had_run + 1, "{had_run}, then {ran:?}");
        }
    });
}

#[test]
fn every_item_and_value_is_dropped_once() {
    within(PATIENCE, || {
        for taken in [0, 1, 50, 100] {
            for ordered in [true, false] {
                let (pool, drops) = (pool(), Drops::default());
                let items: Vec<_> = (0..100).map(|_| drops.token()).collect();
                let mut results: Box<dyn Iterator<Item = _>> = if ordered {
                    Box::new(pool.map_ordered(items, 8, |token| token))
                } else {
                    Box::new(pool.map_unordered(items, 8, |token| token))
                };
                assert_eq!(results.by_ref().take(taken).count(), taken);
                // What was pulled but not taken is dropped below with the map, and with its pool.
                assert!(drops.count() >= taken);
                pool.close();
                let left: Vec<_> = results.collect();
                assert_eq!(left.len(), 100 - taken);
                drop(left);
                assert_eq!(drops.count(), 100);
            }
        }
    });
}

#[test]
fn of_a_closed_pool_what_was_accepted_comes_and_the_rest_is_refused() {
    within(PATIENCE, || {
        for kind in 0..2 {
            let pool = pool();
            let mut results = both(&pool, 4, || 0.., |n| n).into_iter().nth(kind).unwrap();
            assert!(results.by_ref().take(10).all(|result| result.is_ok()));
            pool.close();
            // These begin with what was in flight. How much that was depends on the speed of the
            // workers.
            let rest: Vec<_> = results.take(20).collect();
            let good = rest.iter().filter(|result| result.is_ok()).count();
            let refused =
                rest.iter().filter(|result| matches!(result, Err(TaskError::Rejected(_))));
            assert!(good <= 4);
            assert_eq!(good + refused.count(), 20);
        }
    });
}

#[test]
fn a_pool_that_is_shut_down_under_a_map_settles_all_that_is_in_flight() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let gate = Gate::default();
        let wait = gate.clone();
        let items = (0..20).inspect(move |_| wait.open());
        let results = pool.map_unordered(items, 5, |n| n);
        // This thread asks the map, and another one shuts the pool down as soon as something is in
        // flight.
        let closer = thread::spawn(move || {
            gate.wait();
            pool.shutdown_timeout(Duration::ZERO)
        });
        let results: Vec<_> = results.collect();
        closer.join().unwrap();
        drop(busy);
        assert_eq!(results.len(), 20);
        let unrun = |result| matches!(result, Err(TaskError::Cancelled | TaskError::Rejected(_)));
        assert!(results.into_iter().all(unrun));
    });
}
