//! Sets of tasks: every result comes out once, when its task finishes, and what becomes of the
//! rest.

mod ends;
mod inside;
mod many;
mod order;
#[cfg(feature = "stream")]
mod streams;
mod waiting;

use std::cell::Cell;
use std::collections::HashSet;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{TaskError, TaskHandle, TaskSet, WorkerPool};

use crate::support::{Gate, PATIENCE, occupy, until, within};

fn pool() -> WorkerPool {
    WorkerPool::with_workers(2).unwrap()
}

/// Spawns a task that does not end before the gate is opened.
fn held<T: Send + 'static>(pool: &WorkerPool, gate: &Gate, value: T) -> TaskHandle<T> {
    let gate = gate.clone();
    pool.spawn(move || {
        gate.wait();
        value
    })
}

fn is_panic<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Panicked(panic)) if panic.message() == "planned")
}

#[test]
fn every_result_comes_out_once() {
    within(PATIENCE, || {
        for count in [0, 1, 2, 3, 100, 3_000] {
            let pool = pool();
            let mut set: TaskSet<usize> = (0..count).map(|n| pool.spawn(move || n)).collect();
            let mut seen = HashSet::new();
            for left in (0..count).rev() {
                assert!(seen.insert(set.next().unwrap().unwrap()));
                assert_eq!((set.len(), set.is_empty()), (left, left == 0));
                assert_eq!(set.size_hint(), (left, Some(left)));
            }
            assert!(set.next().is_none() && set.try_next().is_none());
            assert_eq!(seen.len(), count);
        }
    });
}

#[test]
fn results_come_as_their_tasks_finish() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(4).unwrap();
        let gates: Vec<_> = (0..3).map(|_| Gate::default()).collect();
        let mut set: TaskSet<usize> =
            gates.iter().enumerate().map(|(n, gate)| held(&pool, gate, n)).collect();
        for n in [2, 0, 1] {
            assert!(set.try_next().is_none());
            gates[n].open();
            assert_eq!(set.next().unwrap().unwrap(), n);
        }
        assert!(set.next().is_none());
    });
}

/// Finished tasks come out in the order in which they settled, even if the set has grown meanwhile.
#[test]
fn those_that_finish_while_nobody_looks_come_in_that_order() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        // There is one worker, so tasks settle as they run; but it may take a later one first.
        let order = Arc::new(AtomicUsize::new(0));
        let mut set = TaskSet::new();
        for _ in 0..100 {
            let order = Arc::clone(&order);
            set.push(pool.spawn(move || order.fetch_add(1, Ordering::SeqCst)));
            assert!(set.try_next().is_none());
        }
        busy.release();
        pool.shutdown();
        let results: Vec<usize> = set.map(Result::unwrap).collect();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn more_can_be_pushed_at_any_time() {
    within(PATIENCE, || {
        let pool = pool();
        let mut set = TaskSet::default();
        assert!(set.next().is_none());
        set.push(pool.spawn(|| 10_u32));
        let mut sum = 0;
        while let Some(result) = set.next() {
            let n = result.unwrap();
            sum += n;
            if n > 0 {
                set.extend([pool.spawn(move || n - 1), pool.spawn(|| 0)]);
            }
        }
        assert_eq!(sum, 55);
        // A set can also grow after its end.
        set.push(pool.spawn(|| 7));
        assert_eq!(set.next().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_panic_is_one_result_among_others() {
    within(PATIENCE, || {
        let pool = pool();
        let task = |n: u32| {
            pool.spawn(move || {
                if n % 3 == 0 {
                    panic::resume_unwind(Box::new("planned"));
                }
                n
            })
        };
        let set: TaskSet<u32> = (0..30).map(task).collect();
        let (good, bad): (Vec<_>, Vec<_>) = set.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (20, 10));
        assert!(bad.iter().all(is_panic));
    });
}

#[test]
fn a_time_limit_loses_nothing() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1), held(&pool, &gate, 2)]);
        for limit in [Duration::ZERO, Duration::from_millis(5)] {
            assert!(set.next_timeout(limit).is_none());
            assert_eq!(set.len(), 2, "both are still to come");
        }
        gate.open();
        let first = set.next_timeout(PATIENCE).unwrap().unwrap();
        let second = set.next_timeout(Duration::MAX).unwrap().unwrap();
        assert_eq!(first + second, 3);
        assert!(set.is_empty() && set.next_timeout(Duration::ZERO).is_none());
        assert!(set.next_timeout(Duration::MAX).is_none(), "an empty set is not waited for");
    });
}

#[test]
fn what_has_finished_is_there_at_once() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let done = pool.spawn(|| 2);
        until(|| done.is_finished());
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1), done]);
        assert_eq!(set.next_timeout(Duration::ZERO).unwrap().unwrap(), 2);
        gate.open();
        until(|| set.try_next().is_some_and(|result| result.unwrap() == 1));
    });
}

#[test]
#[should_panic(expected = "the handle was used after its result was taken")]
fn a_spent_handle_is_refused() {
    let pool = pool();
    let mut handle = pool.spawn(|| ());
    pollster::block_on(&mut handle).unwrap();
    TaskSet::new().push(handle);
}

#[test]
fn a_set_goes_where_its_values_may_go() {
    fn goes<X: Send + Unpin>(_: X) {}
    let pool = pool();
    // The values are not `Sync`, and the set does not require it.
    goes(TaskSet::from_iter([pool.spawn(|| Cell::new(1))]));
    let set = TaskSet::<u32>::new();
    assert_eq!(format!("{set:?}"), "TaskSet { len: 0, .. }");
}

#[test]
fn each_result_says_which_task_it_was() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let mut set = TaskSet::new();
        let ids: Vec<_> = (0..50_u64).map(|n| set.push(pool.spawn(move || n))).collect();
        assert_eq!(ids.iter().map(|id| id.number()).collect::<Vec<_>>(), Vec::from_iter(0..50));
        while let Some((id, result)) = set.next_with_id() {
            assert_eq!(result.unwrap(), id.number());
        }
        // Seats (places in the set) are reused, numbers are not.
        let next = set.push(pool.spawn(|| panic::resume_unwind(Box::new("planned"))));
        assert_eq!(next.number(), 50);
        let (id, result) = pollster::block_on(set.next_async_with_id()).unwrap();
        assert_eq!((id, result.is_err()), (next, true));
        assert!(set.next_with_id().is_none() && set.try_next_with_id().is_none());
    });
}

#[test]
fn each_result_of_a_batch_and_of_a_broadcast_says_which_task_it_was() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for items in [1, 7, 5_000_u64] {
            let mut set = pool.spawn_batch((0..items).map(|n| move || n));
            let single = set.push(pool.spawn(move || items));
            assert_eq!(single.number(), items);
            let mut seen = HashSet::new();
            while let Some((id, result)) = set.next_with_id() {
                assert_eq!(result.unwrap(), id.number());
                assert!(seen.insert(id));
            }
            assert_eq!(seen.len() as u64, items + 1);
        }
        let mut workers = pool.broadcast(|worker| worker.id.index() as u64);
        while let Some((id, result)) = workers.next_with_id() {
            assert_eq!(result.unwrap(), id.number());
        }
    });
}
