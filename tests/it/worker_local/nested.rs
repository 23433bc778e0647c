//! A use inside a use gets another value, however it comes about; both values are kept.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use corepool::{WorkerLocal, WorkerPool};

use super::numbered;
use crate::support::{PATIENCE, within};

#[test]
fn a_call_in_a_call_gets_another_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, made) = numbered();
        for _ in 0..3 {
            let local = Arc::clone(&local);
            let nested = move || {
                local.with(|outer| (*outer, local.with(|inner| *inner), local.with(|again| *again)))
            };
            assert_eq!(pool.spawn(nested).join().unwrap(), (0, 1, 1));
        }
        assert_eq!(made.load(Ordering::SeqCst), 2);
        let mut drained = local.drain();
        drained.sort_unstable();
        assert_eq!(drained, [0, 1]);
    });
}

#[test]
fn so_it_is_on_a_thread_that_is_no_worker() {
    let (local, _) = numbered();
    let nested = || local.with(|outer| (*outer, local.with(|inner| *inner)));
    assert_eq!((nested(), nested()), ((0, 1), (0, 1)));
}

#[test]
fn as_many_are_made_as_were_in_use_at_a_time() {
    fn descend(local: &WorkerLocal<usize>, depth: usize) {
        if depth > 0 {
            local.with(|_| descend(local, depth - 1));
        }
    }
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, made) = numbered();
        for _ in 0..3 {
            let local = Arc::clone(&local);
            pool.spawn(move || descend(&local, 100)).join().unwrap();
        }
        assert_eq!(made.load(Ordering::SeqCst), 100);
        assert_eq!(local.drain().len(), 100);
    });
}

#[test]
fn a_task_that_is_run_in_place_gets_another_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, _) = numbered();
        let used = Arc::clone(&local);
        let both = pool.spawn(move || {
            used.with(|outer| {
                let used = Arc::clone(&used);
                let inner = corepool::spawn(move || used.with(|inner| *inner));
                (*outer, inner.join().unwrap())
            })
        });
        assert_eq!(both.join().unwrap(), (0, 1));
    });
}

#[test]
fn the_maker_may_use_its_own_local() {
    within(PATIENCE, || {
        let made = Cell::new(0);
        thread_local! {
            static DEPTH: Cell<usize> = const { Cell::new(0) };
        }
        static LOCAL: std::sync::LazyLock<WorkerLocal<usize>> = std::sync::LazyLock::new(|| {
            WorkerLocal::new(|| {
                let depth = DEPTH.replace(DEPTH.get() + 1);
                if depth < 3 { LOCAL.with(|inner| *inner + 1) } else { 0 }
            })
        });
        made.set(LOCAL.with(|value| *value));
        assert_eq!(made.get(), 3);
        let mut drained = LOCAL.drain();
        drained.sort_unstable();
        assert_eq!(drained, [0, 1, 2, 3]);
    });
}

/// Marks itself as in use; it must not be shared.
#[derive(Debug, Default)]
struct Flag(Cell<bool>);

impl Flag {
    fn used<R>(&self, during: impl FnOnce() -> R) -> R {
        assert!(!self.0.replace(true), "two have the same value");
        let result = during();
        assert!(self.0.replace(false));
        result
    }
}

/// Adds up the numbers below `numbers`. The work grows along the range, and the local is in use all
/// the while.
fn skewed(pool: &WorkerPool, local: &WorkerLocal<Flag>, numbers: u64, depth: u32) -> u64 {
    let work = |number: u64| {
        local.with(|flag| {
            flag.used(|| {
                for step in 0..number * number / 8 {
                    std::hint::black_box(step);
                }
                if depth == 0 {
                    return number;
                }
                let halves = || (number / 2, number - number / 2);
                let (left, right) = corepool::join(
                    || local.with(|flag| flag.used(|| halves().0)),
                    || local.with(|flag| flag.used(|| halves().1)),
                );
                skewed(pool, local, number, depth - 1) + left + right
            })
        })
    };
    let sums =
        if depth == 0 { corepool::map(0..numbers, work) } else { pool.map(0..numbers, work) };
    sums.into_iter().sum()
}

#[test]
fn no_two_have_the_same_value_in_skewed_fork_join() {
    const NUMBERS: u64 = 80;
    let triangle = |numbers: u64| numbers * numbers.saturating_sub(1) / 2;
    let expected: u64 = (0..NUMBERS).map(|number| number + triangle(number)).sum();
    for workers in [1, 2, 8] {
        within(PATIENCE, move || {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let local = Arc::new(WorkerLocal::new(Flag::default));
            for _ in 0..5 {
                assert_eq!(skewed(&pool, &local, NUMBERS, 1), expected, "as a guest");
                let (inner, used) = (Arc::clone(&pool), Arc::clone(&local));
                let inside = pool.spawn(move || skewed(&inner, &used, NUMBERS, 1));
                assert_eq!(inside.join().unwrap(), expected, "inside a task");
            }
            assert!(local.drain().iter().all(|flag| !flag.0.get()));
        });
    }
}
