//! Closures and results of all sizes and kinds pass through `join`, by value and by reference, and
//! are dropped once.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{LONG, quiet, work};
use crate::support::{Drops, PATIENCE, until, within};

/// Calls joins whose second halves (closures) stay, and then joins whose second halves may move,
/// until some have moved.
///
/// The test calls one of its two arguments in each half.
fn here_and_elsewhere(test: impl Fn(&(dyn Fn() + Sync), &(dyn Fn() + Sync)) + Send + Sync) {
    let pool = quiet(2);
    pool.install(|| {
        (0..20).for_each(|_| test(&|| (), &|| ()));
        let (owner, moved) = (thread::current().id(), AtomicUsize::new(0));
        until(|| {
            let begun = AtomicBool::new(false);
            let first = || {
                let start = Instant::now();
                until(|| begun.load(Ordering::SeqCst) || start.elapsed() > LONG);
            };
            let second = || {
                begun.store(true, Ordering::SeqCst);
                moved.fetch_add(usize::from(thread::current().id() != owner), Ordering::SeqCst);
                work(LONG / 2);
            };
            test(&first, &second);
            moved.load(Ordering::SeqCst) > 20
        });
    });
}

#[repr(align(256))]
#[derive(Clone, Copy)]
struct Aligned(u8);

impl Aligned {
    fn value(&self) -> u8 {
        assert_eq!((&raw const *self).addr() % 256, 0, "it lies where its type wants it");
        self.0
    }
}

#[test]
fn closures_and_results_may_have_any_size_and_alignment() {
    within(PATIENCE, || {
        here_and_elsewhere(|first, second| {
            corepool::join(first, second);
            let aligned = Aligned(7);
            let (a, b) = corepool::join(
                || {
                    first();
                    Aligned(aligned.value())
                },
                move || {
                    second();
                    Aligned(aligned.value() + 1)
                },
            );
            assert_eq!((a.value(), b.value()), (7, 8));
            // Not larger, because a debug build moves it through a dozen frames.
            let large = [3_u8; 8 << 10];
            let (_, sum) = corepool::join(first, move || {
                second();
                (large, large.iter().map(|&byte| u64::from(byte)).sum::<u64>())
            });
            assert_eq!((sum.0[100], sum.1), (3, 3 * (8 << 10)));
            // A large closure with an empty result, and the other way round.
            let ((), ()) = corepool::join(first, move || {
                second();
                assert_eq!(large[8_000], 3);
            });
            let ((), big) = corepool::join(first, || {
                second();
                [5_u64; 1_000]
            });
            assert_eq!(big[999], 5);
        });
    });
}

#[test]
fn captures_and_results_are_dropped_once() {
    within(PATIENCE, || {
        here_and_elsewhere(|first, second| {
            let drops = Drops::default();
            let tokens = [(); 2].map(|()| drops.token());
            let [captured, returned] = tokens;
            let (a, b) = corepool::join(
                || {
                    first();
                    drops.token()
                },
                || {
                    second();
                    drop(captured);
                    returned
                },
            );
            assert_eq!(drops.count(), 1);
            drop(a);
            drop(b);
            assert_eq!(drops.count(), 3);
        });
    });
}

#[test]
fn halves_may_change_what_they_borrow() {
    within(PATIENCE, || {
        here_and_elsewhere(|first, second| {
            let mut numbers = vec![0; 100];
            let (left, right) = numbers.split_at_mut(50);
            let words = [String::from("left"), String::from("right")];
            let [one, two] = words;
            let ((), moved) = corepool::join(
                || {
                    first();
                    left.fill(one.len());
                },
                move || {
                    second();
                    right.fill(two.len());
                    two
                },
            );
            assert_eq!((numbers[0], numbers[99], moved.as_str()), (4, 5, "right"));
        });
    });
}

/// A value that is `Send` but not `Sync` goes in by value. One that is neither stays inside.
#[test]
fn halves_may_hold_what_other_threads_may_not_see() {
    within(PATIENCE, || {
        here_and_elsewhere(|first, second| {
            let (one, two) = (Cell::new(1), Cell::new(2));
            let (a, b) = corepool::join(
                move || {
                    first();
                    one.set(one.get() + 10);
                    one
                },
                move || {
                    second();
                    let inside = Rc::new(two.get());
                    let again = Rc::clone(&inside);
                    two.set(*inside + *again);
                    two
                },
            );
            assert_eq!((a.get(), b.get()), (11, 4));
        });
    });
}

/// Every join of a wide tree runs each of its halves once.
#[test]
fn every_half_runs_exactly_once() {
    fn count(low: usize, high: usize, counts: &[AtomicUsize]) {
        if high - low == 1 {
            counts[low].fetch_add(1, Ordering::Relaxed);
            if low % 64 == 0 {
                work(LONG / 100);
            }
            return;
        }
        let middle = low.midpoint(high);
        corepool::join(|| count(low, middle, counts), || count(middle, high, counts));
    }
    within(PATIENCE * 2, || {
        for workers in super::WORKERS {
            let pool = quiet(workers);
            for _ in 0..5 {
                let counts: Vec<_> = (0..20_000).map(|_| AtomicUsize::new(0)).collect();
                pool.install(|| count(0, counts.len(), &counts));
                pool.join(|| count(0, 10_000, &counts), || count(10_000, 20_000, &counts));
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 2));
            }
        }
    });
}
