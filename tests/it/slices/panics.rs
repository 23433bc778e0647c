//! A panic in a loop: each result is dropped once, running items end first, and one payload comes
//! out.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::WorkerPool;
use fastrand::Rng;

use super::{WORKERS, everywhere, work};
use crate::support::{Bomb, Dropping, Drops, PATIENCE, within};

/// The items' panic payload: the number of the item, and a token.
type Payload = (usize, Dropping);

/// Counts what a loop makes. Each result and each payload has a token.
#[derive(Default)]
struct Counted {
    runs: AtomicUsize,
    made: AtomicUsize,
    drops: Drops,
}

impl Counted {
    fn token(&self) -> Dropping {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.drops.token()
    }

    /// Runs one item, which panics if it is bad.
    fn item(&self, number: usize, is_bad: bool) -> Dropping {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let token = self.token();
        if is_bad {
            let payload: Payload = (number, token);
            resume_unwind(Box::new(payload));
        }
        token
    }

    /// Checks that the loop panicked with one of these items, and returns which one.
    #[track_caller]
    fn expect_panic<R>(&self, run: impl FnOnce() -> R) -> usize {
        let payload = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(_) => panic!("it did not panic"),
            Err(payload) => *payload.downcast::<Payload>().expect("the payload of an item"),
        };
        assert_eq!(self.drops.count() + 1, self.made.load(Ordering::SeqCst), "but the payload");
        payload.0
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[test]
fn results_are_dropped_once_whichever_item_panics() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in 1..20 {
                for bad in 0..len {
                    let counted = Counted::default();
                    let item = |n| counted.item(n, n == bad);
                    assert_eq!(counted.expect_panic(|| pool.map(0..len, item)), bad);
                    assert!(counted.runs() <= len);
                    let counted = Counted::default();
                    let item = |n| counted.item(n, n == bad);
                    let reduce = |a, _| a;
                    let run = || pool.map_reduce(0..len, item, reduce);
                    assert_eq!(counted.expect_panic(run), bad);
                    let counted = Counted::default();
                    let item = |n| drop(counted.item(n, n == bad));
                    assert_eq!(counted.expect_panic(|| pool.for_each(0..len, item)), bad);
                }
            }
        });
    });
}

#[test]
fn a_changed_slice_is_whole_after_a_panic() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for bad in [0, 1, 50, 99] {
                let counted = Counted::default();
                let mut items: Vec<_> = (0..100).map(|n| (n, counted.token())).collect();
                let change = |item: &mut (usize, Dropping)| {
                    item.1 = counted.item(item.0, item.0 == bad);
                };
                let payload =
                    catch_unwind(AssertUnwindSafe(|| pool.for_each_mut(&mut items, change)));
                assert_eq!(payload.unwrap_err().downcast::<Payload>().unwrap().0, bad);
                assert!(items.iter().map(|item| item.0).eq(0..100));
                drop(items);
                assert_eq!(counted.drops.count(), counted.made.load(Ordering::SeqCst));
            }
        });
    });
}

/// On one thread items run in order.
#[test]
fn what_has_not_begun_does_not_begin() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.install(|| {
            for bad in [0, 1, 2, 500, 999] {
                let counted = Counted::default();
                let item = |n| counted.item(n, n == bad);
                assert_eq!(counted.expect_panic(|| pool.map(0..1_000, item)), bad);
                assert_eq!(counted.runs(), bad + 1);
            }
        });
    });
}

/// On many threads the others stop soon: far fewer than all items run.
#[test]
fn a_panic_stops_the_other_threads() {
    within(PATIENCE * 3, || {
        for workers in [2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let counted = Counted::default();
            let len = 1_000_000;
            let run = || {
                pool.map(0..len, |n| {
                    work(Duration::from_micros(10));
                    counted.item(n, n == 1_000)
                })
            };
            assert_eq!(counted.expect_panic(run), 1_000);
            assert!(counted.runs() < len / 2, "{} items were run", counted.runs());
        }
    });
}

#[test]
fn results_are_dropped_once_when_random_items_panic() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let mut random = Rng::with_seed(workers as u64);
            for _ in 0..60 {
                let len = random.usize(1..3_000);
                let slow = random.u64(0..4);
                let bad: Vec<_> = (0..random.usize(1..5)).map(|_| random.usize(..len)).collect();
                let counted = Counted::default();
                let item = |n| {
                    work(Duration::from_micros(slow));
                    counted.item(n, bad.contains(&n))
                };
                let outside = random.bool();
                let run = || match outside {
                    true => drop(pool.map(0..len, item)),
                    false => drop(pool.install(|| corepool::map_reduce(0..len, item, |_, b| b))),
                };
                assert!(bad.contains(&counted.expect_panic(run)));
            }
        }
    });
}

#[test]
fn a_reduction_that_panics_drops_what_it_had() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for bad in [0, 1, 10, 400] {
                let counted = Counted::default();
                let reductions = AtomicUsize::new(0);
                let reduce = |a: Dropping, b: Dropping| {
                    drop(b);
                    if reductions.fetch_add(1, Ordering::SeqCst) == bad {
                        let payload: Payload = (bad, counted.token());
                        resume_unwind(Box::new(payload));
                    }
                    a
                };
                let run = || pool.map_reduce(0..500, |n| counted.item(n, false), reduce);
                assert_eq!(counted.expect_panic(run), bad);
            }
        });
    });
}

/// A zero-sized type that counts its drops. All its results lie at one address.
struct Nothing;

static NOTHINGS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Nothing {
    fn drop(&mut self) {
        NOTHINGS.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn results_of_no_size_are_dropped_once() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for bad in [0, 1, 700, 1_999] {
                NOTHINGS.store(0, Ordering::SeqCst);
                let made = AtomicUsize::new(0);
                let run = || {
                    pool.map(0..2_000, |n| {
                        if n == bad {
                            resume_unwind(Box::new("bad"));
                        }
                        made.fetch_add(1, Ordering::SeqCst);
                        Nothing
                    })
                };
                assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
                assert_eq!(NOTHINGS.load(Ordering::SeqCst), made.into_inner());
            }
        });
    });
}

/// All payloads except one are dropped, although their drops panic.
#[test]
fn payloads_may_panic_when_they_are_dropped() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let (drops, made) = (Drops::default(), AtomicUsize::new(0));
            let run = || {
                pool.for_each(0..1_000, |n| {
                    work(Duration::from_micros(2));
                    if n % 10 == 9 {
                        made.fetch_add(1, Ordering::SeqCst);
                        resume_unwind(Box::new(drops.bomb()));
                    }
                });
            };
            let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            let payload = payload.downcast::<Bomb>().expect("one of the payloads");
            assert_eq!(drops.count() + 1, made.into_inner());
            std::mem::forget(payload);
            // The pool still works as before.
            assert_eq!(pool.map(0..3, |n| n), [0, 1, 2]);
        });
    });
}

#[test]
fn results_whose_drops_panic_are_dropped_all_the_same() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let make = |number: usize| {
            if number == 5 {
                resume_unwind(Box::new("no luck"));
            }
            drops.bomb()
        };
        let ended = catch_unwind(AssertUnwindSafe(|| pool.map(0..10_usize, make)));
        assert_eq!(*ended.unwrap_err().downcast::<&str>().unwrap(), "no luck");
        assert_eq!(drops.count(), 5);
    });
}
