//! Loops that may fail: the earliest error comes out whichever thread ran what, and items that have
//! not begun do not begin.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{WorkerPool, chunks, chunks_mut, indexed};

use super::{LENGTHS, everywhere, panics, work};
use crate::support::{Drops, PATIENCE, occupy, until, within};

#[test]
fn without_an_error_they_are_as_the_plain_ones() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let doubled = pool.try_map(0..len, |n| Ok::<_, ()>(n * 2));
                assert!(doubled.unwrap().into_iter().eq((0..len).map(|n| n * 2)));
                let seen = AtomicUsize::new(0);
                let see = |_| {
                    seen.fetch_add(1, Ordering::Relaxed);
                    Ok::<(), String>(())
                };
                assert_eq!(pool.try_for_each(0..len, see), Ok(()));
                assert_eq!(pool.install(|| corepool::try_for_each(0..len, see)), Ok(()));
                assert_eq!(seen.load(Ordering::Relaxed), 2 * len);
                let inside = || corepool::try_map(&[1, 2, 3], |n| Ok::<_, ()>(*n));
                assert_eq!(pool.install(inside), Ok(vec![1, 2, 3]));
            }
        });
    });
}

/// Every item from a certain one on fails, and all items before it run.
#[test]
fn the_error_is_the_earliest() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            for len in [1, 2, 8, 9, 17, 1_000, 20_000] {
                for first in [0, 1, len / 2, len - 1] {
                    let first = first.min(len - 1);
                    let seen: Vec<_> = (0..len).map(|_| AtomicUsize::new(0)).collect();
                    let item = |n: usize| {
                        seen[n].fetch_add(1, Ordering::Relaxed);
                        if n >= first { Err(n) } else { Ok(()) }
                    };
                    assert_eq!(pool.try_for_each(0..len, item), Err(first));
                    assert_eq!(pool.try_map(0..len, item), Err(first));
                    let seen: Vec<_> = seen.into_iter().map(AtomicUsize::into_inner).collect();
                    assert!(seen[..=first].iter().all(|seen| *seen == 2), "{len} {first}");
                    assert!(seen[first..].iter().all(|seen| *seen <= 2), "{len} {first}");
                }
            }
        });
    });
}

/// A later item fails while an earlier one still runs, and then the earlier one fails too.
#[test]
fn an_earlier_error_wins_though_it_comes_later() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let has_failed = AtomicBool::new(false);
        let item = |n: usize| match n {
            0 => {
                until(|| has_failed.load(Ordering::SeqCst));
                Err(n)
            }
            _ => {
                has_failed.store(true, Ordering::SeqCst);
                Err(n)
            }
        };
        for len in [2, 8, 9, 1_000] {
            has_failed.store(false, Ordering::SeqCst);
            assert_eq!(pool.try_for_each(0..len, item), Err(0));
            has_failed.store(false, Ordering::SeqCst);
            assert_eq!(pool.try_map(0..len, |n| item(n).map(|()| n)), Err(0));
        }
    });
}

/// The first of very many fails. If the others were skipped one by one, this would take minutes.
#[test]
fn an_error_ends_the_loop() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let ran = AtomicUsize::new(0);
            let item = |n: u64| {
                ran.fetch_add(1, Ordering::Relaxed);
                if n < 100 { Ok(()) } else { Err(n) }
            };
            assert_eq!(pool.try_for_each(0..1 << 40, item), Err(100));
            // Each thread may have begun some part of the range before it learned of the error.
            assert!(ran.into_inner() < 1 << 30);
        });
    });
}

/// While no other thread takes part, nothing behind the failed item begins.
#[test]
fn a_guest_alone_stops_where_a_plain_loop_does() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 2);
        for len in [4, 8, 9, 10_000] {
            let ran = AtomicUsize::new(0);
            let item = |n: usize| {
                ran.fetch_add(1, Ordering::Relaxed);
                work(Duration::from_micros(1));
                if n == len / 2 { Err("half") } else { Ok(n) }
            };
            assert_eq!(pool.try_map(0..len, item), Err("half"));
            assert_eq!(ran.into_inner(), len / 2 + 1);
        }
        busy.release();
    });
}

#[test]
fn results_and_errors_are_dropped_once() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            for len in [1, 8, 9, 1_000] {
                for first in [0, len / 2, len - 1] {
                    let (drops, made) = (Drops::default(), AtomicUsize::new(0));
                    let item = |n| {
                        made.fetch_add(1, Ordering::SeqCst);
                        let token = drops.token();
                        if n >= first { Err((n, token)) } else { Ok(token) }
                    };
                    let error = pool.try_map(0..len, item).map(drop).unwrap_err();
                    assert_eq!(error.0, first);
                    assert_eq!(drops.count() + 1, made.load(Ordering::SeqCst));
                    drop(error);
                    assert_eq!(drops.count(), made.load(Ordering::SeqCst));
                }
            }
        });
    });
}

/// Results that are not wanted are dropped, and the panics of their drops are discarded.
#[test]
fn results_that_panic_in_their_drop_hide_no_error() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let drops = Drops::default();
            let item = |n: usize| if n < 20 { Ok(drops.bomb()) } else { Err(n) };
            assert_eq!(pool.try_map(0..40, item).map(|bombs| bombs.len()), Err(20));
            assert_eq!(drops.count(), 20);
        });
    });
}

#[test]
fn a_panic_comes_out_of_a_loop_that_may_fail() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for len in [1, 8, 9, 1_000] {
                let (drops, made) = (Drops::default(), AtomicUsize::new(0));
                let item = |n: usize| {
                    if n == len / 2 {
                        std::panic::resume_unwind(Box::new("half"));
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                    // Only items behind the one that panics fail.
                    if n > len / 2 { Err(drops.token()) } else { Ok(drops.token()) }
                };
                assert_eq!(panics(|| drop(pool.try_map(0..len, item))), "half");
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
                let each = |n| item(n).map(drop);
                assert_eq!(panics(|| drop(pool.try_for_each(0..len, each))), "half");
            }
        });
    });
}

#[test]
fn all_kinds_of_items_may_fail() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut bytes: Vec<u8> = (0..200).collect();
            let check = |chunk: &[u8]| if chunk[0] < 100 { Ok(chunk.len()) } else { Err(chunk[0]) };
            assert_eq!(pool.try_map(chunks(&bytes[..90], 40), check), Ok(vec![40, 40, 10]));
            assert_eq!(pool.try_map(chunks(&bytes, 40), check), Err(120));
            let change = |(n, chunk): (usize, &mut [u8])| {
                chunk.fill(n as u8);
                if n == 3 { Err(n) } else { Ok(()) }
            };
            assert_eq!(pool.try_for_each(indexed(chunks_mut(&mut bytes, 10)), change), Err(3));
            assert_eq!((bytes[29], bytes[39]), (2, 3));
            assert_eq!(pool.try_map(&[] as &[u8], |n| Err::<(), _>(*n)), Ok(vec![]));
        });
    });
}

#[test]
fn an_error_leaves_inner_loops_alone() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let rows = pool.map(0..20_usize, |row| {
                pool.try_map(0..50_usize, |n| if n == row * 2 { Err(n) } else { Ok(n) })
            });
            for (row, result) in rows.into_iter().enumerate() {
                assert_eq!(result, Err(row * 2));
            }
        });
    });
}
