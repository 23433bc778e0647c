//! Maps over iterators, with a window of items in flight: what comes out, and when each item is
//! pulled.

mod ends;
mod pools;
#[cfg(feature = "stream")]
mod streams;
mod tries;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::{TaskError, WorkerPool};

use crate::support::{Drops, Gate, PATIENCE, within};

fn pool() -> WorkerPool {
    WorkerPool::with_workers(2).unwrap()
}

/// An iterator that is not `Send`, and a counter of the items pulled from it.
fn source<I: Iterator>(items: I) -> (impl Iterator<Item = I::Item>, Rc<Cell<usize>>) {
    let pulled = Rc::new(Cell::new(0));
    let count = Rc::clone(&pulled);
    (items.inspect(move |_| count.set(count.get() + 1)), pulled)
}

#[test]
fn results_come_in_the_order_of_the_items() {
    within(PATIENCE, || {
        let pool = pool();
        for count in [0, 1, 2, 100, 3_000] {
            for window in [0, 1, 2, 7, 5_000] {
                let results = pool.map_ordered(0..count, window, |n| n * 2);
                let results: Vec<u32> = results.map(Result::unwrap).collect();
                assert_eq!(results, (0..count).map(|n| n * 2).collect::<Vec<_>>());
            }
        }
    });
}

#[test]
fn unordered_results_come_once_each() {
    within(PATIENCE, || {
        let pool = pool();
        for count in [0, 1, 2, 100, 3_000] {
            for window in [0, 1, 2, 7, 5_000] {
                let results = pool.map_unordered(0..count, window, |n| n * 2);
                let mut results: Vec<u32> = results.map(Result::unwrap).collect();
                results.sort_unstable();
                assert_eq!(results, (0..count).map(|n| n * 2).collect::<Vec<_>>());
            }
        }
    });
}

/// The first item's task ends last.
#[test]
fn a_slow_item_holds_back_the_ordered_ones_only() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let slow_first = |gate: &Gate| {
            let gate = gate.clone();
            move |n| {
                if n == 0 {
                    gate.wait();
                }
                n
            }
        };
        let mut results = pool.map_unordered(0..100, 3, slow_first(&gate)).map(Result::unwrap);
        let mut others: Vec<i32> = results.by_ref().take(99).collect();
        others.sort_unstable();
        assert_eq!(others, (1..100).collect::<Vec<_>>());
        gate.open();
        assert_eq!(results.next(), Some(0));
        assert_eq!(results.next(), None);

        let (gate, done) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let (slow, counted) = (slow_first(&gate), Arc::clone(&done));
        let open = gate.clone();
        let results = pool.map_ordered(0..100, 3, move |n| {
            let n = slow(n);
            // The last task that the window admits opens the gate.
            if counted.fetch_add(1, Ordering::SeqCst) == 1 {
                open.open();
            }
            n
        });
        assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        assert_eq!(done.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn no_more_than_the_window_is_in_flight() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(4).unwrap();
        for window in [0, 1, 2, 5, 50] {
            for ordered in [true, false] {
                let taken = Rc::new(Cell::new(0));
                let (mut pulled, count) = (0, Rc::clone(&taken));
                let items = (0..500).inspect(move |_| {
                    pulled += 1;
                    assert!(pulled - count.get() <= window.max(1), "{pulled} {window}");
                });
                let results: &mut dyn Iterator<Item = Result<i32, TaskError>> = if ordered {
                    &mut pool.map_ordered(items, window, |n| n)
                } else {
                    &mut pool.map_unordered(items, window, |n| n)
                };
                for result in results {
                    result.unwrap();
                    taken.set(taken.get() + 1);
                }
                assert_eq!(taken.get(), 500);
            }
        }
    });
}

#[test]
fn the_window_is_filled_while_nothing_has_finished() {
    within(PATIENCE, || {
        let pool = pool();
        for ordered in [true, false] {
            let gate = Gate::default();
            let (wait, open) = (gate.clone(), gate.clone());
            // Opened when the window is full. If it never filled, the first wait would never end.
            let items = (1..=20).inspect(move |n| {
                if *n == 10 {
                    open.open();
                }
            });
            let wait = move |n| {
                wait.wait();
                n
            };
            let sum: i32 = if ordered {
                pool.map_ordered(items, 10, wait).map(Result::unwrap).sum()
            } else {
                pool.map_unordered(items, 10, wait).map(Result::unwrap).sum()
            };
            assert_eq!(sum, 210);
        }
    });
}

#[test]
fn nothing_is_pulled_before_it_is_asked_for() {
    within(PATIENCE, || {
        let pool = pool();
        let (items, pulled) = source(0..100);
        let mut results = pool.map_ordered(items, 4, |n| n);
        assert_eq!((pulled.get(), results.size_hint()), (0, (100, Some(100))));
        assert_eq!(results.next().unwrap().unwrap(), 0);
        assert!((1..=4).contains(&pulled.get()));
        assert_eq!(results.size_hint(), (99, Some(99)));
        drop(results);
        assert!(pulled.get() <= 4);

        let (items, pulled) = source(0..100);
        let mut results = pool.map_unordered(items, 4, |n| n);
        assert_eq!((pulled.get(), results.size_hint()), (0, (100, Some(100))));
        results.next().unwrap().unwrap();
        assert!((1..=4).contains(&pulled.get()));
        assert_eq!(results.size_hint(), (99, Some(99)));
    });
}

/// The window is never full, and the source never ends.
#[test]
fn what_is_there_comes_before_the_window_is_full() {
    within(PATIENCE, || {
        let pool = pool();
        assert_eq!(pool.map_ordered(0.., usize::MAX, |n: u64| n).next().unwrap().unwrap(), 0);
        pool.map_unordered(0.., usize::MAX, |n: u64| n).next().unwrap().unwrap();
    });
}

#[test]
fn an_endless_source_needs_constant_memory() {
    within(PATIENCE, || {
        let pool = pool();
        for ordered in [true, false] {
            let made = Rc::new(Cell::new(0));
            let drops = Drops::default();
            let (count, dropped) = (Rc::clone(&made), drops.clone());
            let items = std::iter::repeat_with(move || {
                count.set(count.get() + 1);
                assert!(count.get() - dropped.count() <= 8, "values are kept");
                dropped.token()
            });
            let results: &mut dyn Iterator<Item = _> = if ordered {
                &mut pool.map_ordered(items, 8, |token| token)
            } else {
                &mut pool.map_unordered(items, 8, |token| token)
            };
            results.take(20_000).for_each(|token| drop(token.unwrap()));
            assert!(made.get() >= 20_000);
        }
    });
}
