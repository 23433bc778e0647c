//! Ranges of every integer type: empty, at both ends of the type, and as long as the type is wide.

use std::ops::{Range, RangeInclusive};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use corepool::WorkerPool;

use super::everywhere;
use crate::support::{PATIENCE, within};

/// Loops over each of the ranges in every way, and compares with the standard library's own loop.
/// There is one function for each kind of range, so that each loop is compiled once for all ranges
/// of that kind.
macro_rules! check {
    ($pool:ident, $kind:ty, $integer:ident: $($range:expr,)*) => {{
        fn check(pool: &WorkerPool, range: $kind) {
            let expected: Vec<$integer> = range.clone().collect();
            assert_eq!(pool.map(range.clone(), |n| n), expected, "{range:?}");
            let seen = Mutex::new(Vec::new());
            pool.for_each(range.clone(), |n| seen.lock().unwrap().push(n));
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, expected, "{range:?}");
            let sum = pool.map_reduce(range.clone(), |n| i128::from(n as i64), |a, b| a + b);
            let expected_sum = expected.iter().map(|n| i128::from(*n as i64)).reduce(|a, b| a + b);
            assert_eq!(sum, expected_sum, "{range:?}");
            let last = pool.map_reduce(range.clone(), |n| n, |_, last| last);
            assert_eq!(last, expected.last().copied(), "{range:?}");
        }
        for range in [$($range),*] {
            check($pool, range);
        }
    }};
}

macro_rules! test_of {
    ($($name:ident: $integer:ident,)*) => { $(
        #[test]
        #[expect(clippy::reversed_empty_ranges, reason = "that they are empty is what is tested")]
        fn $name() {
            const MIN: $integer = $integer::MIN;
            const MAX: $integer = $integer::MAX;
            const MIDDLE: $integer = MIN.midpoint(MAX);
            within(PATIENCE, || {
                everywhere(|pool| {
                    check!(pool, Range<$integer>, $integer:
                        0..0, 5..5, 5..3, MAX..MIN, MIN..MIN, MAX..MAX,
                        0..1, MIN..MIN + 1, MAX - 1..MAX,
                        0..100, MIN..MIN + 100, MAX - 100..MAX, MIDDLE - 50..MIDDLE + 50,
                    );
                    check!(pool, RangeInclusive<$integer>, $integer:
                        0..=0, 5..=3, MAX..=MIN, MIN..=MIN, MAX..=MAX,
                        0..=99, MIN..=MIN + 99, MAX - 99..=MAX, MIDDLE - 50..=MIDDLE + 50,
                    );
                });
            });
        }
    )* };
}

test_of! {
    ranges_of_u8: u8,
    ranges_of_u16: u16,
    ranges_of_u32: u32,
    ranges_of_u64: u64,
    ranges_of_usize: usize,
    ranges_of_i8: i8,
    ranges_of_i16: i16,
    ranges_of_i32: i32,
    ranges_of_i64: i64,
    ranges_of_isize: isize,
}

#[test]
fn whole_types_of_a_range() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            check!(pool, Range<u8>, u8: u8::MIN..u8::MAX,);
            check!(pool, RangeInclusive<u8>, u8: u8::MIN..=u8::MAX,);
            check!(pool, Range<i8>, i8: i8::MIN..i8::MAX, -1..1,);
            check!(pool, RangeInclusive<i8>, i8: i8::MIN..=i8::MAX, -3..=3,);
            check!(pool, Range<u16>, u16: u16::MIN..u16::MAX,);
            check!(pool, RangeInclusive<u16>, u16: u16::MIN..=u16::MAX,);
            check!(pool, Range<i16>, i16: i16::MIN..i16::MAX,);
            check!(pool, RangeInclusive<i16>, i16: i16::MIN..=i16::MAX,);
        });
    });
}

/// As in the standard library's loops, a literal range takes the type that is asked for.
#[test]
fn the_function_says_which_integers_are_meant() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let words = ["which", "integers", "are", "meant"];
        assert_eq!(pool.map(0..4, |n| words[n].len()), [5, 8, 3, 5]);
        assert_eq!(pool.map(0..=3, |n: u8| n), [0_u8, 1, 2, 3]);
        assert_eq!(pool.map_reduce(-2..2, |n| n, |a: i64, b| a * b), Some(0));
        pool.for_each(0..4, |n| assert!(n < words.len()));
        pool.for_each(0..4, |n| assert!(n * n < 10));
    });
}

#[test]
fn a_range_that_was_used_up_has_no_items() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let mut range = 3..=5_u8;
            assert!(range.by_ref().eq(3..=5));
            assert_eq!(pool.map(range.clone(), |n| n), []);
            let mut range = 250..=255_u8;
            assert_eq!(range.nth(3), Some(253));
            assert_eq!(pool.map(range.clone(), |n| n), [254, 255]);
        });
    });
}

#[test]
fn a_range_with_more_items_than_can_be_counted_is_refused() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let refused = |call: &dyn Fn()| catch_unwind(AssertUnwindSafe(call)).is_err();
        assert!(refused(&|| pool.for_each(0..=u64::MAX, |_| unreachable!())));
        assert!(refused(&|| pool.for_each(i64::MIN..=i64::MAX, |_| unreachable!())));
        assert!(refused(&|| drop(pool.map(i64::MIN..i64::MAX, |_| -> u8 { unreachable!() }))));
        assert!(refused(&|| drop(pool.map(0..u64::MAX, |n| n))));
        // A zero-sized result needs no room, so here the item's panic ends the loop.
        assert!(refused(&|| drop(
            pool.map(0..u64::MAX, |_| std::panic::resume_unwind(Box::new(0)))
        )));
    });
}
