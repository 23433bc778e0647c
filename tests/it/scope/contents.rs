//! Closures and results of any size and alignment are placed correctly and freed once. Case 65.

use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::WorkerPool;

use super::everywhere;
use crate::support::{Dropping, Drops, PATIENCE, within};

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// A capture or a result with recognizable content.
trait Filled: Copy + Send + Sync + 'static {
    fn filled(byte: u8) -> Self;
    fn is_filled(&self, byte: u8) -> bool;
}

impl<const N: usize> Filled for [u8; N] {
    fn filled(byte: u8) -> Self {
        [byte; N]
    }

    fn is_filled(&self, byte: u8) -> bool {
        self.iter().all(|other| *other == byte)
    }
}

impl Filled for Line {
    fn filled(byte: u8) -> Self {
        Self([byte; 64])
    }

    fn is_filled(&self, byte: u8) -> bool {
        self.0.is_filled(byte) && (&raw const *self).addr() % 64 == 0
    }
}

impl Filled for Page {
    fn filled(byte: u8) -> Self {
        Self([byte; 4096])
    }

    fn is_filled(&self, byte: u8) -> bool {
        self.0.is_filled(byte) && (&raw const *self).addr() % 4096 == 0
    }
}

impl Filled for u128 {
    fn filled(byte: u8) -> Self {
        Self::from_ne_bytes([byte; 16])
    }

    fn is_filled(&self, byte: u8) -> bool {
        *self == Self::filled(byte) && (&raw const *self).addr() % align_of::<Self>() == 0
    }
}

/// Spawns several closures with this capture and this result. Joins them early, late, or not at
/// all.
fn pass<C: Filled, R: Filled>(pool: &WorkerPool) {
    let drops = Drops::default();
    let runs = AtomicUsize::new(0);
    pool.scope(|s| {
        let mut kept = Vec::new();
        for number in 0..40_u8 {
            let (capture, token, runs) = (C::filled(number), drops.token(), &runs);
            let handle = s.spawn(move || {
                assert!(capture.is_filled(number));
                runs.fetch_add(1, Ordering::Relaxed);
                (R::filled(number), token)
            });
            match number % 4 {
                0 => expect::<R>(handle.join().unwrap(), number),
                1 => drop(handle),
                _ => kept.push((number, handle)),
            }
        }
        for (number, handle) in kept.into_iter().rev().step_by(2) {
            expect::<R>(handle.join().unwrap(), number);
        }
    });
    assert_eq!((runs.into_inner(), drops.count()), (40, 40));
}

#[track_caller]
fn expect<R: Filled>((result, _token): (R, Dropping), number: u8) {
    assert!(result.is_filled(number));
}

fn pass_with<C: Filled>(pool: &WorkerPool) {
    pass::<C, [u8; 0]>(pool);
    pass::<C, [u8; 1]>(pool);
    pass::<C, u128>(pool);
    pass::<C, Line>(pool);
    pass::<C, Page>(pool);
    // With the closure's head, these sizes lie on both sides of the largest size that a chunk
    // takes.
    pass::<C, [u8; 980]>(pool);
    pass::<C, [u8; 1_008]>(pool);
    pass::<C, [u8; 1_040]>(pool);
    pass::<C, [u8; 40_000]>(pool);
}

#[test]
fn contents_of_any_size_and_alignment_lie_right() {
    within(PATIENCE * 3, || {
        for workers in [1, 2] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let test = || {
                pass_with::<[u8; 0]>(&pool);
                pass_with::<[u8; 3]>(&pool);
                pass_with::<u128>(&pool);
                pass_with::<Line>(&pool);
                pass_with::<[u8; 984]>(&pool);
                pass_with::<[u8; 1_024]>(&pool);
                pass_with::<[u8; 40_000]>(&pool);
            };
            test();
            pool.install(test);
        }
    });
}

#[test]
fn a_closure_of_no_size_and_a_result_of_none() {
    within(PATIENCE, || {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        RUNS.store(0, Ordering::SeqCst);
        everywhere(|pool| {
            pool.scope(|s| {
                for number in 0..100 {
                    let handle = s.spawn(|| {
                        RUNS.fetch_add(1, Ordering::SeqCst);
                    });
                    if number % 3 == 0 {
                        handle.join().unwrap();
                    }
                }
            });
        });
        assert_eq!(RUNS.load(Ordering::SeqCst), 4 * 3 * 100);
    });
}

/// Closures of many sizes in one scope, so that one chunk holds pieces of all sizes side by side.
#[test]
fn contents_of_many_sizes_lie_side_by_side() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let all_good = AtomicUsize::new(0);
            let good = &all_good;
            macro_rules! spawn_sizes {
                ($s:ident, $number:ident: $($size:literal)*) => { $(
                    let contents = [$number; $size];
                    $s.spawn(move || {
                        let is_good = contents.is_filled($number);
                        good.fetch_add(usize::from(is_good), Ordering::Relaxed);
                    });
                )* };
            }
            pool.scope(|s| {
                for number in 0..100_u8 {
                    spawn_sizes!(s, number: 1 7 16 40 100 333 900 1_000 1_100);
                }
            });
            assert_eq!(all_good.into_inner(), 900);
        });
    });
}
