//! Which items can be looped over and which results can come out: no `Default`, no `Clone`, any
//! size.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::WorkerPool;

use super::everywhere;
use crate::support::{Drops, PATIENCE, within};

/// Has neither `Default` nor `Clone`.
#[derive(Debug, PartialEq, Eq)]
struct Plain(String);

impl Plain {
    fn new(number: usize) -> Self {
        Self(number.to_string())
    }
}

fn plain(count: usize) -> Vec<Plain> {
    (0..count).map(Plain::new).collect()
}

#[test]
fn slices_and_what_borrows_as_one() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let vector = plain(1_000);
            let expected: Vec<usize> = vector.iter().map(|plain| plain.0.len()).collect();
            let boxed: Box<[Plain]> = plain(1_000).into();
            let array: [Plain; 1_000] = std::array::from_fn(Plain::new);
            let len = |plain: &Plain| plain.0.len();
            assert_eq!(pool.map(&vector, len), expected);
            assert_eq!(pool.map(&vector[..], len), expected);
            assert_eq!(pool.map(vector.as_slice(), len), expected);
            assert_eq!(pool.map(&boxed, len), expected);
            assert_eq!(pool.map(&*boxed, len), expected);
            assert_eq!(pool.map(&array, len), expected);
            assert_eq!(pool.map(&array[200..800], len), expected[200..800]);
            assert_eq!(pool.map(&[[1, 2], [3, 4]], |pair| pair[0] * pair[1]), [2, 12]);
            let sum: usize = expected.iter().sum();
            assert_eq!(pool.map_reduce(&vector, len, |a, b| a + b), Some(sum));
            assert_eq!(pool.map_reduce(&boxed, len, |a, b| a + b), Some(sum));
            assert_eq!(pool.map_reduce(&array, len, |a, b| a + b), Some(sum));
            let seen = AtomicUsize::new(0);
            let see = |plain: &Plain| {
                seen.fetch_add(len(plain), Ordering::Relaxed);
            };
            pool.for_each(&vector, see);
            pool.for_each(&boxed, see);
            pool.for_each(&array, see);
            assert_eq!(seen.into_inner(), 3 * sum);
        });
    });
}

#[test]
fn what_borrows_as_a_slice_may_be_changed() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut vector = plain(1_000);
            let mut boxed: Box<[Plain]> = plain(1_000).into();
            let mut array: [Plain; 1_000] = std::array::from_fn(Plain::new);
            let change = |plain: &mut Plain| plain.0.push('!');
            pool.for_each_mut(&mut vector, change);
            pool.for_each_mut(&mut boxed, change);
            pool.for_each_mut(&mut array, change);
            let expected = |n: usize| Plain(format!("{n}!"));
            assert!(vector.iter().eq(&(0..1_000).map(expected).collect::<Vec<_>>()));
            assert!(boxed.iter().eq(&vector) && array.iter().eq(&vector));
            pool.for_each_mut(&mut vector[500..], change);
            assert_eq!((&vector[499], vector[500].0.as_str()), (&expected(499), "500!!"));
        });
    });
}

#[test]
fn results_may_borrow_from_the_items() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let items = plain(1_000);
            let texts: Vec<&str> = pool.map(&items, |plain| plain.0.as_str());
            assert!(texts.iter().zip(&items).all(|(text, plain)| *text == plain.0));
            let longest = pool.map_reduce(&items, |plain| &plain.0, std::cmp::max);
            assert_eq!(longest.map(String::as_str), Some("999"));
        });
    });
}

#[test]
fn results_without_default_and_clone() {
    within(PATIENCE, || {
        everywhere(|pool| {
            assert_eq!(pool.map(0..1_000, Plain::new), plain(1_000));
            let join = |Plain(a), Plain(b)| Plain(format!("{a},{b}"));
            let joined = pool.map_reduce(0..100, Plain::new, join);
            let expected: Vec<_> = (0..100).map(|n: usize| n.to_string()).collect();
            assert_eq!(joined, Some(Plain(expected.join(","))));
        });
    });
}

/// A zero-sized type that counts its drops.
struct Nothing;

static NOTHINGS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Nothing {
    fn drop(&mut self) {
        NOTHINGS.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn items_and_results_of_no_size() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let count = AtomicUsize::new(0);
            let mut units = [(); 5_000];
            assert_eq!(pool.map(&units, |()| ()).len(), 5_000);
            let see = || {
                count.fetch_add(1, Ordering::Relaxed);
            };
            pool.for_each(&units, |()| see());
            pool.for_each_mut(&mut units, |()| see());
            assert_eq!(pool.map_reduce(&units, |()| (), |(), ()| ()), Some(()));
            assert_eq!(count.into_inner(), 10_000);
            let before = NOTHINGS.load(Ordering::SeqCst);
            let nothings = pool.map(0..5_000, |_| Nothing);
            assert_eq!((nothings.len(), NOTHINGS.load(Ordering::SeqCst)), (5_000, before));
            drop(nothings);
            assert_eq!(NOTHINGS.load(Ordering::SeqCst), before + 5_000);
        });
    });
}

/// Case 65.
#[test]
fn items_and_results_of_any_size_and_alignment() {
    #[repr(align(128))]
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Lines(u8);
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            let large = pool.map(0..500, |n| [n; 1_000]);
            assert!(large.iter().enumerate().all(|(n, row)| *row == [n; 1_000]));
            let mut aligned = pool.map(&large, |row| Lines(row[999] as u8));
            pool.for_each_mut(&mut aligned, |lines| lines.0 = lines.0.wrapping_add(1));
            for (n, lines) in aligned.iter().enumerate() {
                assert_eq!(
                    (lines.0, (&raw const *lines).addr() % 128),
                    ((n as u8).wrapping_add(1), 0)
                );
            }
            let most = pool.map_reduce(&large, |row| *row, |a, b| if a[0] < b[0] { b } else { a });
            assert!(most == Some([499; 1_000]));
        });
    });
}

#[test]
fn results_are_dropped_once_and_not_before() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let drops = Drops::default();
            let tokens = pool.map(0..2_000, |_| drops.token());
            assert_eq!((tokens.len(), drops.count()), (2_000, 0));
            let last = pool.map_reduce(0..2_000, |_| drops.token(), |_, later| later);
            assert_eq!(drops.count(), 1_999);
            drop((tokens, last));
            assert_eq!(drops.count(), 4_000);
        });
    });
}

/// The two halves of a stolen part need not have neighbours; the results are in their places
/// anyway.
#[test]
fn each_item_is_the_one_that_stands_there() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(8).unwrap();
        let mut places: Vec<usize> = vec![0; 3_000];
        let first = places.as_ptr().addr();
        pool.for_each_mut(&mut places, |place| {
            super::work(std::time::Duration::from_micros(1));
            *place = ((&raw const *place).addr() - first) / size_of::<usize>();
        });
        assert!(places.into_iter().eq(0..3_000));
        let seen = Mutex::new(HashSet::new());
        let addresses = pool.map(0..3_000, |n| {
            let is_new = seen.lock().unwrap().insert(n);
            (n, is_new)
        });
        assert!(addresses.into_iter().eq((0..3_000).map(|n| (n, true))));
    });
}
