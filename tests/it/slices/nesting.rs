//! Loops in loops, in joins, in scopes and in tasks, on one pool or two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::WorkerPool;

use super::{WORKERS, everywhere};
use crate::support::{PATIENCE, within};

#[test]
fn loops_in_loops() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            let table = pool.map(0..100_u64, |row| pool.map(0..100_u64, |column| row * column));
            for (row, columns) in (0_u64..).zip(&table) {
                assert!(columns.iter().copied().eq((0..100).map(|column| row * column)));
            }
            let sum = pool.map_reduce(
                &table,
                |row| corepool::map_reduce(row, |n| *n, |a, b| a + b).unwrap(),
                |a, b| a + b,
            );
            assert_eq!(sum, Some(4_950 * 4_950));
            let mut table = table;
            pool.for_each_mut(&mut table, |row| pool.for_each_mut(row, |n| *n += 1));
            assert_eq!((table[0][0], table[99][99]), (1, 9_802));
        });
    });
}

#[test]
fn joins_and_scopes_in_loops_and_loops_in_those() {
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            let sums = pool.map(0..200_u64, |n| {
                let (a, b) = pool.join(
                    || pool.map_reduce(0..n, |i| i, |a, b| a + b).unwrap_or(0),
                    || pool.scope(|s| s.spawn(move || n).join().unwrap()),
                );
                a + b
            });
            assert!(sums.into_iter().eq((0..200).map(|n| n * (n + 1) / 2)));
            let total = AtomicUsize::new(0);
            pool.scope(|s| {
                for _ in 0..20 {
                    s.spawn(|| {
                        pool.for_each(0..100, |n| {
                            total.fetch_add(n, Ordering::Relaxed);
                        });
                    });
                }
            });
            assert_eq!(total.into_inner(), 20 * 4_950);
        });
    });
}

#[test]
fn sorting_by_loops_and_joins() {
    fn sort(pool: &WorkerPool, numbers: &mut [u32]) {
        if numbers.len() < 2 {
            return;
        }
        let (left, right) = numbers.split_at_mut(numbers.len() / 2);
        pool.join(|| sort(pool, left), || sort(pool, right));
        let (left, right) = (left.to_vec(), right.to_vec());
        let (mut a, mut b) = (left.into_iter().peekable(), right.into_iter());
        let mut next = b.next();
        for place in numbers {
            *place = match (a.peek(), next) {
                (Some(x), Some(y)) if *x > y => std::mem::replace(&mut next, b.next()).unwrap_or(y),
                (Some(_), _) => a.next().expect("it was seen"),
                (None, _) => std::mem::replace(&mut next, b.next()).expect("there are as many"),
            };
        }
    }
    within(PATIENCE * 2, || {
        everywhere(|pool| {
            let mut rows: Vec<Vec<u32>> = (0..20_u64)
                .map(|seed| {
                    let mut random = fastrand::Rng::with_seed(seed);
                    (0..300).map(|_| random.u32(..1_000)).collect()
                })
                .collect();
            pool.for_each_mut(&mut rows, |row| sort(pool, row));
            assert!(rows.iter().all(|row| row.is_sorted()));
        });
    });
}

#[test]
fn two_pools_loop_inside_one_another() {
    within(PATIENCE * 2, || {
        for workers in WORKERS {
            let [one, other] = [(); 2].map(|()| WorkerPool::with_workers(workers).unwrap());
            let rows = one.map(0..20_u64, |a| {
                other.map(0..20_u64, |b| one.map_reduce(0..20_u64, |c| a * b * c, |x, y| x + y))
            });
            for (a, row) in (0_u64..).zip(rows) {
                assert!(row.into_iter().eq((0..20).map(|b| Some(a * b * 190))));
            }
        }
    });
}

#[test]
fn tasks_loop_while_loops_spawn_tasks() {
    within(PATIENCE * 2, || {
        for workers in WORKERS {
            let pool = Arc::new(WorkerPool::with_workers(workers).unwrap());
            let tasks: Vec<_> = (0..20_u64)
                .map(|n| {
                    let inside = Arc::clone(&pool);
                    pool.spawn(move || {
                        let values = corepool::map(0..50_u64, |i| inside.spawn(move || i * n));
                        values.into_iter().map(|task| task.join().unwrap()).sum::<u64>()
                    })
                })
                .collect();
            for (n, task) in (0_u64..).zip(tasks) {
                assert_eq!(task.join().unwrap(), n * 1_225);
            }
        }
    });
}
