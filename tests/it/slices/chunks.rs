//! Loops by chunks, and with indices: each chunk comes once, the last one may be shorter, and
//! changes are made in place.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{WorkerPool, chunks, chunks_mut, indexed};

use super::{everywhere, panics, work};
use crate::support::{PATIENCE, occupy, within};

const LENGTHS: [usize; 6] = [0, 1, 7, 8, 9, 3_000];
const SIZES: [usize; 6] = [1, 2, 8, 1_000, 3_001, usize::MAX];

#[test]
fn chunks_are_those_of_the_slice() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let items: Vec<usize> = (0..len).collect();
                for size in SIZES {
                    let expected: Vec<&[usize]> = items.chunks(size).collect();
                    assert_eq!(pool.map(chunks(&items, size), |chunk| chunk), expected);
                    let sum = pool.map_reduce(
                        chunks(&items, size),
                        |c| c.iter().sum::<usize>(),
                        |a, b| a + b,
                    );
                    assert_eq!(sum.unwrap_or(0), len * len.saturating_sub(1) / 2);
                }
            }
        });
    });
}

#[test]
fn each_chunk_is_changed_once() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for len in LENGTHS {
                for size in SIZES {
                    let mut items = vec![0; len];
                    let count = AtomicUsize::new(0);
                    pool.for_each(indexed(chunks_mut(&mut items, size)), |(n, chunk)| {
                        count.fetch_add(1, Ordering::Relaxed);
                        chunk.iter_mut().for_each(|item| *item += n + 1);
                    });
                    assert_eq!(count.into_inner(), len.div_ceil(size));
                    assert!(items.into_iter().eq((0..len).map(|n| n / size + 1)));
                }
            }
        });
    });
}

/// The chunks borrow from the slice, not from the loop.
#[test]
fn chunks_outlive_the_loop() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut items = vec![1; 100];
            let mut halves = pool.map(chunks_mut(&mut items, 50), |half| half);
            halves[1][0] = 7;
            assert_eq!((items[49], items[50]), (1, 7));
        });
    });
}

#[test]
fn numbers_stand_beside_their_items() {
    within(PATIENCE, || {
        everywhere(|pool| {
            for len in LENGTHS {
                let items: Vec<String> = (0..len).map(|n| n.to_string()).collect();
                let is_right = pool.map(indexed(&items), |(n, item)| n.to_string() == *item);
                assert!(is_right.len() == len && is_right.into_iter().all(|is_right| is_right));
                let twice = pool.map(indexed(indexed(5..5 + len)), |(a, (b, c))| (a, b, c));
                assert!(twice.into_iter().eq((0..len).map(|n| (n, n, n + 5))));
                let mut numbers = vec![0; len];
                pool.for_each_mut_indexed(&mut numbers, |n, number| *number += n);
                pool.install(|| {
                    corepool::for_each_mut_indexed(&mut numbers, |n, number| *number += n);
                });
                assert!(numbers.into_iter().eq((0..len).map(|n| n * 2)));
            }
        });
    });
}

#[test]
fn chunks_of_items_without_a_size() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut units = [(); 1_000];
            let lengths = pool.map(chunks(&units, 300), <[()]>::len);
            assert_eq!(lengths, [300, 300, 300, 100]);
            let lengths = pool.map(chunks_mut(&mut units, usize::MAX), |chunk| chunk.len());
            assert_eq!(lengths, [1_000]);
        });
        // Enough items that the end of a chunk would overflow.
        let pool = WorkerPool::with_workers(1).unwrap();
        let many = vec![(); usize::MAX];
        let lengths = pool.map(chunks(&many, usize::MAX / 2 + 1), <[()]>::len);
        assert_eq!(lengths, [usize::MAX / 2 + 1, usize::MAX / 2]);
    });
}

/// A chunk is an item: other threads take chunks while one thread is held up in its own.
#[test]
fn a_slow_chunk_holds_up_no_other() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let mut items = vec![0_u32; 64];
        let ran = AtomicUsize::new(0);
        pool.for_each(indexed(chunks_mut(&mut items, 4)), |(n, chunk)| {
            if n == 0 {
                // All others: 15 of 16.
                crate::support::until(|| ran.load(Ordering::SeqCst) == 15);
            }
            chunk.fill(1);
            ran.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(items, [1; 64]);
    });
}

#[test]
fn a_panic_in_a_chunk_comes_out() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut items = vec![0; 1_000];
            let seen = Mutex::new(Vec::new());
            let run = panics(|| {
                pool.for_each(indexed(chunks_mut(&mut items, 10)), |(n, _)| {
                    seen.lock().unwrap().push(n);
                    if n == 40 {
                        std::panic::resume_unwind(Box::new("the fortieth"));
                    }
                });
            });
            assert_eq!(run, "the fortieth");
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each once: {seen:?}");
        });
    });
}

#[test]
fn a_chunk_of_no_items_is_refused() {
    let mut items = [1, 2, 3];
    assert_eq!(panics(|| drop(chunks(&items, 0))), "the size of a chunk must be at least 1, not 0");
    assert_eq!(
        panics(|| drop(chunks_mut(&mut items, 0))),
        "the size of a chunk must be at least 1, not 0"
    );
    assert_eq!(format!("{:?}", chunks(&items, 2)), "Chunks { items: 3, size: 2 }");
    assert_eq!(format!("{:?}", chunks_mut(&mut items, 2)), "ChunksMut { items: 3, size: 2 }");
}

/// While all workers are busy the calling thread does all of it, as a guest.
#[test]
fn a_guest_goes_through_chunks_alone() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let busy = occupy(&pool, 2);
        let mut items = vec![0; 500];
        pool.for_each(chunks_mut(&mut items, 7), |chunk| {
            work(Duration::from_micros(1));
            chunk.fill(3);
        });
        assert_eq!(items, [3; 500]);
        busy.release();
    });
}
