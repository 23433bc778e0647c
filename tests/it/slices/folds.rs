//! Folds into few values: every item is used once and in order, and there is one initial value for
//! each run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::WorkerPool;

use super::{LENGTHS, everywhere, panics, work};
use crate::support::{Dropping, Drops, PATIENCE, occupy, within};

#[test]
fn a_fold_has_every_item_once() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let add = |mut set: BTreeSet<usize>, n| {
                    assert!(set.insert(n));
                    set
                };
                let merge = |mut left: BTreeSet<usize>, mut right: BTreeSet<usize>| {
                    let together = left.len() + right.len();
                    left.append(&mut right);
                    assert_eq!(left.len(), together);
                    left
                };
                assert!(pool.fold(0..len, BTreeSet::new, add, merge).into_iter().eq(0..len));
            }
        });
    });
}

/// Joining texts is associative, and shows which texts were neighbours and in which order.
#[test]
fn a_fold_keeps_the_order() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            for len in [0, 1, 2, 8, 9, 2_000_u32] {
                let push = |text: String, n: u32| {
                    // Long enough for other threads to take a share.
                    work(Duration::from_micros(1));
                    text + &format!("{n} ")
                };
                let merge = |left: String, right: String| left + &right;
                let expected: String = (0..len).map(|n| format!("{n} ")).collect();
                assert_eq!(pool.fold(0..len, String::new, push, merge), expected);
                let inside = || corepool::fold(0..len, String::new, push, merge);
                assert_eq!(pool.install(inside), expected);
            }
        });
    });
}

/// No worker takes a part, so there is one run.
#[test]
fn a_guest_alone_begins_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 2);
        let begun = AtomicUsize::new(0);
        let begin = || {
            begun.fetch_add(1, Ordering::Relaxed);
            0_u64
        };
        let sum = pool.fold(0..10_000_u64, begin, |a, b| a + b, |a, b| a + b);
        assert_eq!((sum, begun.into_inner()), (49_995_000, 1));
        busy.release();
    });
}

#[test]
fn without_items_it_is_the_identity() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let fold = |_: &str, _: &u8| unreachable!("there is no item");
            assert_eq!(pool.fold(&[], || "nothing", fold, |a, _| a), "nothing");
        });
    });
}

#[test]
fn a_panic_in_a_fold_drops_what_was_gathered() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            for (len, bad) in [(1, 0), (8, 3), (500, 0), (500, 250), (500, 499)] {
                for place in ["identity", "fold", "merge"] {
                    let (drops, made) = (Drops::default(), AtomicUsize::new(0));
                    let begin = || {
                        let count = made.fetch_add(1, Ordering::SeqCst);
                        if place == "identity" && count == 0 {
                            made.fetch_sub(1, Ordering::SeqCst);
                            std::panic::resume_unwind(Box::new("identity"));
                        }
                        drops.token()
                    };
                    let fold = |token: Dropping, n: usize| {
                        if place == "fold" && n == bad {
                            std::panic::resume_unwind(Box::new("fold"));
                        }
                        token
                    };
                    let merge = |left: Dropping, _right: Dropping| {
                        if place == "merge" {
                            std::panic::resume_unwind(Box::new("merge"));
                        }
                        left
                    };
                    let run = || drop(pool.fold(0..len, begin, fold, merge));
                    if place == "merge" && len == 1 {
                        run();
                    } else if place != "merge" {
                        assert_eq!(panics(run), place);
                    } else if let Err(payload) =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
                    {
                        // There is something to merge only if another thread took a part.
                        assert_eq!(payload.downcast_ref(), Some(&"merge"));
                    }
                    assert_eq!(drops.count(), made.load(Ordering::SeqCst), "{place} {len} {bad}");
                }
            }
        });
    });
}
