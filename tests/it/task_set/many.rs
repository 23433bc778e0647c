//! Sets of very many tasks, and sets that are used for a long time: each task costs the same.

use std::sync::{Arc, Mutex, mpsc};

use corepool::{TaskError, TaskSet, WorkerPool};

use super::pool;
use crate::support::{PATIENCE, occupy, within};

#[test]
fn a_hundred_thousand_of_which_the_last_finishes_first() {
    within(PATIENCE * 2, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let handles: Vec<_> = (0..100_000_u64).map(|n| pool.spawn(move || n)).collect();
        assert!(handles.last().unwrap().cancel());
        let mut set = TaskSet::from_iter(handles);
        assert!(matches!(set.next(), Some(Err(TaskError::Cancelled))));
        assert!(set.try_next().is_none());
        busy.release();
        let mut sum = 0;
        for result in &mut set {
            sum += result.unwrap();
        }
        assert_eq!(sum, 99_999 * 99_998 / 2);
        // The set has freed the memory of all those tasks and works like a new one.
        set.extend((0..3_000).map(|n| pool.spawn(move || n)));
        assert_eq!(set.map(Result::unwrap).sum::<u64>(), 3_000 * 2_999 / 2);
    });
}

/// Tasks finish one after another, and those pushed last finish first. If each wait looked at all
/// tasks that are left, this would not end in time.
#[test]
fn what_has_not_finished_is_not_looked_at_again() {
    within(PATIENCE * 3, || {
        const MANY: usize = 30_000;
        let pool = WorkerPool::with_workers(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let state = Arc::new(Mutex::new((wait, 0)));
        let task = || {
            let state = Arc::clone(&state);
            pool.spawn(move || {
                let (wait, ran) = &mut *state.lock().unwrap();
                wait.recv().unwrap();
                *ran += 1;
                *ran
            })
        };
        let handles: Vec<_> = (0..MANY).map(|_| task()).collect();
        let mut set: TaskSet<usize> = handles.into_iter().rev().collect();
        for n in 1..=MANY {
            assert!(set.try_next().is_none());
            go.send(()).unwrap();
            assert_eq!(set.next().unwrap().unwrap(), n);
        }
    });
}

/// Seats (places in the set) pass from task to task while the wakers of earlier tasks are still
/// being woken.
#[test]
fn a_few_at_a_time_for_long() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 4] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for width in [1, 2, 5] {
                let mut set: TaskSet<u64> = (0..width).map(|n| pool.spawn(move || n)).collect();
                let mut sum = 0;
                for n in width..5_000 {
                    sum += match n % 3 {
                        0 => set.next().unwrap().unwrap(),
                        1 => pollster::block_on(set.next_async()).unwrap().unwrap(),
                        _ => loop {
                            if let Some(result) = set.try_next() {
                                break result.unwrap();
                            }
                        },
                    };
                    set.push(pool.spawn(move || n));
                }
                assert_eq!(set.len(), width as usize);
                sum += set.map(Result::unwrap).sum::<u64>();
                assert_eq!(sum, 5_000 * 4_999 / 2);
            }
        }
    });
}

#[test]
fn a_set_grows_while_tasks_finish() {
    within(PATIENCE * 2, || {
        let pool = pool();
        let mut set = TaskSet::new();
        let (mut sum, mut taken) = (0, 0);
        for n in 0..20_000_u64 {
            set.push(pool.spawn(move || n));
            if n % 4 == 0 {
                if let Some(result) = set.try_next() {
                    sum += result.unwrap();
                    taken += 1;
                }
            }
        }
        assert_eq!(set.len() + taken, 20_000);
        sum += set.map(Result::unwrap).sum::<u64>();
        assert_eq!(sum, 20_000 * 19_999 / 2);
    });
}
