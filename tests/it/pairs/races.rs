//! Completing, dropping, cancelling and joining at once, on several threads.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use corepool::handle::{Completer, pair};
use corepool::{TaskError, TaskHandle, WorkerPool};

use crate::support::{Dropping, Drops, PATIENCE, within};

const ROUNDS: usize = 2_000;

fn end(completer: Completer<Dropping>, drops: &Drops, way: usize) {
    match way % 4 {
        0 => completer.complete(drops.token()),
        1 => completer.settle(Err(TaskError::Cancelled)),
        2 => drop(completer),
        _ => {
            // Whatever comes first, the handle's cancel or not.
            let value = drops.token();
            if completer.is_cancelled() { drop(completer) } else { completer.complete(value) }
        }
    }
}

/// Returns whether the handle gave a value.
fn take(mut handle: TaskHandle<Dropping>, way: usize) -> bool {
    match way % 7 {
        0 => handle.join().is_ok(),
        1 => pollster::block_on(handle).is_ok(),
        2 => {
            let limit = Duration::from_nanos(way as u64 % 20_000);
            handle.join_timeout(limit).is_some_and(|result| result.is_ok())
        }
        3 => {
            handle.cancel();
            handle.join().is_ok()
        }
        4 => {
            drop(handle.cancel_on_drop());
            false
        }
        5 => {
            handle.then(drop).detach();
            false
        }
        _ => handle.try_join().is_some_and(|result| result.is_ok()),
    }
}

#[test]
fn a_completer_against_its_handle() {
    within(PATIENCE, || {
        let drops = Drops::default();
        let start = Barrier::new(2);
        let (to_other, from_here) = std::sync::mpsc::channel::<(Completer<Dropping>, usize)>();
        thread::scope(|scope| {
            scope.spawn(|| {
                for (completer, round) in from_here {
                    start.wait();
                    end(completer, &drops, round / 7);
                }
            });
            for round in 0..ROUNDS {
                let (completer, handle) = pair();
                to_other.send((completer, round)).unwrap();
                start.wait();
                take(handle, round);
            }
            drop(to_other);
        });
        WorkerPool::global().drain();
        let made = (0..ROUNDS).filter(|round| matches!(round / 7 % 4, 0 | 3)).count();
        assert_eq!(drops.count(), made, "each value was dropped once");
    });
}

#[test]
fn a_canceller_beside_the_completer_and_the_joiner() {
    within(PATIENCE, || {
        let drops = Drops::default();
        for round in 0..ROUNDS / 4 {
            let (completer, handle) = pair();
            let start = Barrier::new(3);
            thread::scope(|scope| {
                let (start, drops, handle) = (&start, &drops, &handle);
                scope.spawn(move || {
                    start.wait();
                    end(completer, drops, round);
                });
                scope.spawn(move || {
                    start.wait();
                    assert!(!handle.cancel());
                });
                start.wait();
                let _either = handle.is_finished();
            });
            assert!(handle.is_finished());
            match handle.join() {
                Ok(_value) => assert!(matches!(round % 4, 0 | 3)),
                Err(error) => assert_eq!(error.is_cancelled(), round % 4 == 1),
            }
        }
    });
}

/// Tasks on all workers wait for pairs that other tasks complete. There is a spare worker for each.
#[test]
fn tasks_wait_for_what_other_tasks_complete() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 4] {
            let pool = WorkerPool::builder().workers(workers).spare_workers(20).build().unwrap();
            for _ in 0..20 {
                let (completers, handles): (Vec<_>, Vec<_>) = (0..20).map(|_| pair()).unzip();
                let waiting: Vec<_> =
                    handles.into_iter().map(|handle| pool.spawn(|| handle.join())).collect();
                let completing: Vec<_> = completers
                    .into_iter()
                    .enumerate()
                    .map(|(n, completer)| pool.spawn(move || completer.complete(n)))
                    .collect();
                for (n, task) in waiting.into_iter().enumerate() {
                    assert_eq!(task.join().unwrap().unwrap(), n);
                }
                completing.into_iter().for_each(|task| task.join().unwrap());
            }
        }
    });
}
