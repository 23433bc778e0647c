//! A handle from `handle::pair` can do what the handle of a task can do, and is settled once by
//! its completer.

mod races;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use corepool::cancel::CancelReason;
use corepool::errors::{PanicPayload, Refusal};
use corepool::handle::{self, Completer, pair};
use corepool::promise;
use corepool::{PoolEvent, TaskError, TaskHandle, TaskSet, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, within};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::<Count>::default();
    (Arc::clone(&count), Waker::from(count))
}

/// Completes on another thread, after a moment.
fn soon<T: Send + 'static>(completer: Completer<T>, value: T) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        completer.complete(value);
    })
}

#[test]
fn it_is_joined_before_and_after_it_is_settled() {
    within(PATIENCE, || {
        let (completer, handle) = pair();
        completer.complete("early");
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), "early");
        let (completer, handle) = pair();
        let other = soon(completer, "late");
        assert_eq!(handle.join().unwrap(), "late");
        other.join().unwrap();
    });
}

#[test]
fn it_is_awaited_and_looked_at_and_joined_with_a_time_limit() {
    within(PATIENCE, || {
        let (completer, handle) = pair();
        let other = soon(completer, 1);
        assert_eq!(pollster::block_on(handle).unwrap(), 1);
        other.join().unwrap();
        let (completer, mut handle) = pair();
        assert!(handle.try_join().is_none() && !handle.is_finished());
        assert!(handle.join_timeout(Duration::from_millis(1)).is_none());
        let other = soon(completer, 2);
        assert_eq!(handle.join_timeout(PATIENCE).unwrap().unwrap(), 2);
        assert!(handle.is_finished(), "it is spent");
        other.join().unwrap();
    });
}

#[test]
fn a_dropped_completer_loses_it_and_wakes_what_waits() {
    within(PATIENCE, || {
        let (completer, handle) = pair::<u8>();
        drop(completer);
        assert!(matches!(handle.join(), Err(TaskError::Lost)));
        let (completer, handle) = pair::<u8>();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            drop(completer);
        });
        assert!(matches!(handle.join(), Err(TaskError::Lost)));
        other.join().unwrap();
    });
}

#[test]
fn it_is_settled_with_any_error() {
    within(PATIENCE, || {
        let failed = WorkerPool::with_workers(1).unwrap();
        let panic = || {
            failed
                .task()
                .name("far away")
                .spawn(|| -> u8 { std::panic::resume_unwind(Box::new("no luck")) })
        };
        let (completer, handle) = pair();
        completer.settle(panic().join());
        match handle.join() {
            Err(TaskError::Panicked(panic)) => {
                assert_eq!((panic.message(), panic.task()), ("no luck", Some("far away")));
            }
            other => panic!("{other:?}"),
        }
        for error in [
            TaskError::Cancelled,
            TaskError::Expired,
            TaskError::Rejected(Refusal::Full),
            TaskError::Rejected(Refusal::Displaced),
            TaskError::Lost,
        ] {
            let said = format!("{error:?}");
            let (completer, handle) = pair::<u8>();
            completer.settle(Err(error));
            assert_eq!(format!("{:?}", handle.join().unwrap_err()), said);
        }
    });
}

#[test]
fn a_cancel_asks_the_completer_which_decides() {
    within(PATIENCE, || {
        let (mut completer, handle) = pair();
        let ((first, first_waker), (last, last_waker)) = (counting(), counting());
        assert!(completer.poll_cancelled(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(completer.poll_cancelled(&mut Context::from_waker(&last_waker)).is_pending());
        assert_eq!(Arc::strong_count(&first), 2, "the replaced waker is dropped");
        let cancelled = completer.cancelled();
        assert!(!completer.is_cancelled());
        assert!(!handle.cancel() && !handle.cancel(), "it is kept from nothing");
        assert!(completer.is_cancelled() && completer.cancel_token().is_cancelled());
        assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
        let poll = completer.poll_cancelled(&mut Context::from_waker(Waker::noop()));
        assert_eq!(poll, Poll::Ready(CancelReason::Asked));
        assert_eq!(pollster::block_on(cancelled), CancelReason::Asked);
        assert!(!handle.is_finished());
        completer.complete(5);
        assert_eq!(handle.join().unwrap(), 5, "it gave a value all the same");

        let (completer, handle) = pair();
        completer.complete(6);
        assert!(!handle.cancel(), "too late");
        assert_eq!(handle.join().unwrap(), 6);
    });
}

#[test]
fn a_dropped_handle_asks_only_if_it_was_told_to() {
    within(PATIENCE, || {
        let (completer, handle) = pair::<u8>();
        drop(handle);
        assert!(!completer.is_cancelled());
        let (completer, handle) = pair::<u8>();
        handle.cancel_on_drop().detach();
        assert!(!completer.is_cancelled());
        let (completer, handle) = pair::<u8>();
        let waiting = thread::spawn({
            let cancelled = completer.cancelled();
            move || pollster::block_on(cancelled)
        });
        drop(handle.cancel_on_drop());
        assert_eq!(waiting.join().unwrap(), CancelReason::Asked);
        drop(completer);
    });
}

#[test]
fn a_value_that_nobody_takes_is_dropped_and_its_panic_stays_there() {
    within(PATIENCE, || {
        let drops = Drops::default();
        let (completer, handle) = pair();
        drop(handle);
        completer.complete(drops.token());
        assert_eq!(drops.count(), 1);
        let (completer, handle) = pair();
        completer.complete(drops.token());
        drop(handle);
        assert_eq!(drops.count(), 2);
        let (completer, handle) = pair();
        drop(handle);
        completer.complete(drops.bomb());
        let (completer, handle) = pair();
        completer.complete(drops.bomb());
        drop(handle);
        assert_eq!(drops.count(), 4);
    });
}

#[test]
fn the_last_waker_is_woken_once() {
    within(PATIENCE, || {
        let ((first, first_waker), (last, last_waker)) = (counting(), counting());
        let (completer, mut handle) = pair();
        let mut poll = |waker: &Waker| Pin::new(&mut handle).poll(&mut Context::from_waker(waker));
        assert!(poll(&first_waker).is_pending() && poll(&last_waker).is_pending());
        assert_eq!(Arc::strong_count(&first), 2, "the replaced waker is dropped");
        completer.complete(8);
        assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
        assert!(matches!(poll(Waker::noop()), Poll::Ready(Ok(8))));
    });
}

#[test]
fn continuations_run_on_the_callers_pool() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (completer, handle) = pair();
        let inside = Arc::clone(&pool);
        let end = pool.spawn(move || {
            handle.then(move |n: u32| (n, inside.is_current())).then(|(n, here)| (n + 1, here))
        });
        let end = end.join().unwrap();
        completer.complete(1);
        assert_eq!(end.join().unwrap(), (2, true), "the worker of the pool ran it");

        // Elsewhere it is the global pool.
        let (completer, handle) = pair::<u32>();
        let end = handle.then(|n| (n, WorkerPool::global().is_current()));
        let other = soon(completer, 4);
        assert_eq!(end.join().unwrap(), (4, true));
        other.join().unwrap();
    });
}

/// `finally` passes on what came before it. That a task before it was lost says nothing about the
/// worker that runs it.
#[test]
fn what_finally_passes_on_ends_no_worker() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let events = pool.events();
        let behind_a_pair = pool.spawn(|| {
            let (completer, handle) = pair::<u32>();
            let end = handle.finally(|| ());
            drop(completer);
            end
        });
        assert!(matches!(behind_a_pair.join().unwrap().join(), Err(TaskError::Lost)));
        let in_place = pool.spawn(|| {
            let (completer, handle) = pair::<u32>();
            drop(completer);
            matches!(handle.finally(|| ()).join(), Err(TaskError::Lost))
        });
        assert!(in_place.join().unwrap());
        let ends = pool.spawn_with(|cx| -> u32 { cx.end_worker() });
        assert!(matches!(ends.finally(|| ()).finally(|| ()).join(), Err(TaskError::Lost)));
        drop(pool);
        let is_new = |event: &PoolEvent| matches!(event, PoolEvent::WorkerRespawned { .. });
        assert_eq!(events.into_iter().filter(is_new).count(), 1, "one task ended its worker");
    });
}

#[test]
fn recover_and_finally_follow_it_and_a_cancel_reaches_it_from_behind() {
    within(PATIENCE, || {
        let (completer, handle) = pair::<u32>();
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&ran);
        let end = handle.recover(|error| u32::from(error.is_cancelled())).finally(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        drop(completer);
        assert_eq!((end.join().unwrap(), ran.load(Ordering::SeqCst)), (0, 1));

        let (completer, handle) = pair::<u32>();
        let end = handle.then(|n| n + 1).then(|n| n + 1);
        assert!(end.cancel(), "the last closure is kept from running");
        assert!(completer.is_cancelled());
        assert!(end.join().unwrap_err().is_cancelled());
        completer.complete(1);

        let (completer, handle) = pair::<u32>();
        let end = handle.finally(|| ());
        assert!(!end.cancel() && completer.is_cancelled());
        completer.complete(9);
        assert_eq!(end.join().unwrap(), 9);
    });
}

#[test]
fn promises_and_sets_take_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (completer, handle) = pair();
        let mut all = promise::all([handle, pool.spawn(|| 2)]);
        assert!(all.join_timeout(Duration::from_millis(1)).is_none());
        completer.complete(1);
        assert_eq!(all.join().unwrap(), [1, 2]);

        let (slow, first) = pair::<u32>();
        let (quick, second) = pair();
        let race = promise::race([first, second]).cancel_on_drop();
        quick.complete(3);
        assert_eq!(race.join().unwrap(), 3);
        assert!(slow.is_cancelled());

        let mut set = TaskSet::new();
        let (completers, ids): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let (completer, handle) = pair();
                (completer, set.push(handle))
            })
            .unzip();
        assert!(set.try_next().is_none() && set.len() == 3);
        for (n, completer) in completers.into_iter().enumerate().rev() {
            completer.complete(n);
        }
        assert_eq!(set.next_with_id().map(|(id, n)| (id, n.unwrap())), Some((ids[2], 2)));
        assert_eq!(set.next_timeout(PATIENCE).unwrap().unwrap(), 1);
        assert_eq!(pollster::block_on(set.next_async()).unwrap().unwrap(), 0);

        let (completer, handle) = pair::<u32>();
        let set = TaskSet::from_iter([handle]);
        set.cancel_all();
        assert!(completer.is_cancelled());
    });
}

/// The only worker waits for what a queued task completes, so it has to lend its core.
#[test]
fn a_task_that_waits_for_it_lends_its_core() {
    within(PATIENCE, || {
        for way in 0..4 {
            let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
            let inside = Arc::clone(&pool);
            let outer = pool.spawn(move || {
                let (completer, mut handle) = pair();
                inside.spawn(move || completer.complete(way)).detach();
                match way {
                    0 => handle.join(),
                    1 => handle.join_timeout(PATIENCE).unwrap(),
                    2 => TaskSet::from_iter([handle]).next().unwrap(),
                    _ => handle.then(|n| n).join(),
                }
            });
            assert_eq!(outer.join().unwrap().unwrap(), way);
        }
    });
}

/// Such a handle is waited for by tasks of a pool, across a chain as well, while the pool ends.
#[test]
fn the_end_of_a_pool_does_not_wait_for_it() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (completer, handle) = pair::<u32>();
        let behind = pool.spawn(move || handle.then(|n| n + 1)).join().unwrap();
        pool.drain();
        pool.cancel_all();
        pool.shutdown();
        assert!(!completer.is_cancelled() && !behind.is_finished(), "it belongs to no pool");
        completer.complete(1);
        assert!(matches!(behind.join(), Err(TaskError::Rejected(Refusal::Closed))));
        let (completer, handle) = pair::<u32>();
        let (told, hears) = mpsc::channel();
        let pool = WorkerPool::with_workers(1).unwrap();
        let behind = pool.spawn(move || handle.finally(move || told.send(()).unwrap()));
        let behind = behind.join().unwrap();
        drop(pool);
        completer.complete(2);
        assert_eq!(behind.join().unwrap(), 2);
        hears.recv().unwrap();
    });
}

#[test]
fn it_waits_beside_a_busy_pool_and_is_no_task_of_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let before = pool.metrics().spawned;
        let (completer, handle) = handle::pair();
        completer.complete(3);
        assert_eq!(handle.join().unwrap(), 3);
        assert_eq!(pool.metrics().spawned, before);
        busy.release();
    });
}

#[test]
fn both_halves_go_where_a_value_may_go() {
    const fn free<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    const fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    free::<Completer<std::cell::Cell<u8>>>();
    unwind_safe::<Completer<std::cell::Cell<u8>>>();
    assert_eq!(size_of::<TaskHandle<[u8; 100]>>(), size_of::<usize>());
    let (completer, handle) = pair::<PanicPayload>();
    assert_eq!(format!("{completer:?}"), "Completer { is_cancelled: false, .. }");
    assert_eq!(format!("{handle:?}"), "TaskHandle { is_finished: false }");
}
