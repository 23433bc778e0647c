//! A permit is room for one task: it is given in order, lasts until its task is over or it is
//! dropped, and its task is neither refused as too much nor delayed.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corepool::errors::{Closed, Refusal, ReserveError};
use corepool::{CancelToken, Permit, Priority, TaskError, TaskHandle, WhenFull, WorkerPool};

use crate::support::{PATIENCE, occupy, until, within};

const POLICIES: [WhenFull; 4] =
    [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];

fn bounded(workers: usize, capacity: usize, policy: WhenFull) -> WorkerPool {
    let builder = WorkerPool::builder().workers(workers).queue_capacity(capacity);
    builder.when_full(policy).build().unwrap()
}

/// All permits that the pool gives now.
fn all_permits(pool: &WorkerPool) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| pool.try_reserve().ok()).take(1_000).collect()
}

type Reserving<'a> = Pin<Box<dyn Future<Output = Result<Permit<'a>, Closed>> + Send + 'a>>;

fn poll<'a>(future: &mut Reserving<'a>) -> Poll<Result<Permit<'a>, Closed>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn given<'a>(future: &mut Reserving<'a>) -> Permit<'a> {
    let Poll::Ready(Ok(permit)) = poll(future) else { panic!("it is its turn") };
    permit
}

/// A future that stands in line.
fn in_line(pool: &WorkerPool) -> Reserving<'_> {
    let before = pool.metrics().waiting_for_room;
    let mut future: Reserving<'_> = Box::pin(pool.reserve());
    assert!(poll(&mut future).is_pending());
    assert_eq!(pool.metrics().waiting_for_room, before + 1);
    future
}

fn rejected<T>(task: TaskHandle<T>, reason: Refusal) -> bool {
    matches!(task.join(), Err(TaskError::Rejected(why)) if why == reason)
}

#[test]
fn there_are_as_many_as_there_is_room_under_every_policy() {
    within(PATIENCE, || {
        for policy in POLICIES {
            for (workers, capacity) in [(1, 0), (1, 3), (2, 0), (2, 5)] {
                let pool = bounded(workers, capacity, policy);
                let permits = all_permits(&pool);
                assert_eq!(permits.len(), workers + capacity);
                assert_eq!(pool.try_reserve().unwrap_err(), ReserveError::Full);
                assert!(pool.try_spawn(|| ()).unwrap_err().is_full(), "they take up the room");
                let tasks =
                    permits.into_iter().enumerate().map(|(n, permit)| permit.spawn(move || n));
                for (n, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
                    assert_eq!(task.join().unwrap(), n);
                }
                pool.drain();
                assert_eq!(all_permits(&pool).len(), workers + capacity, "each came back once");
            }
        }
    });
}

#[test]
fn a_dropped_permit_and_a_dropped_builder_give_the_place_back() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        for _ in 0..10 {
            drop(pool.try_reserve().unwrap());
            drop(pool.try_reserve().unwrap().task().name("never spawned"));
        }
        let permit = pool.try_reserve().unwrap();
        let mut next = in_line(&pool);
        drop(permit);
        assert!(pool.try_reserve().unwrap_err().is_full(), "the place was handed on");
        assert_eq!(given(&mut next).spawn(|| 1).join().unwrap(), 1);
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.completed, metrics.rejected), (2, 1, 1));
    });
}

#[test]
fn waiters_are_served_in_order_with_threads_between_them() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        let permit = pool.try_reserve().unwrap();
        let (mut first, left, mut second) = (in_line(&pool), in_line(&pool), in_line(&pool));
        let (mut fourth, last) = thread::scope(|scope| {
            let third = scope.spawn(|| pool.spawn(|| 3).join().unwrap());
            until(|| pool.metrics().waiting_for_room == 4);
            let mut fourth = in_line(&pool);
            drop(left);
            drop(permit);
            let permit = given(&mut first);
            assert!(poll(&mut second).is_pending() && poll(&mut fourth).is_pending());
            drop(permit);
            let permit = given(&mut second);
            assert!(!third.is_finished() && poll(&mut fourth).is_pending());
            assert_eq!(permit.spawn(|| 2).join().unwrap(), 2);
            (fourth, third.join().unwrap())
        });
        assert_eq!(last, 3);
        assert_eq!(pollster::block_on(&mut fourth).unwrap().spawn(|| 4).join().unwrap(), 4);
        assert_eq!(pool.metrics().waiting_for_room, 0);
    });
}

#[test]
fn a_future_that_is_dropped_with_its_place_hands_it_on() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        let permit = pool.try_reserve().unwrap();
        let (first, mut second) = (in_line(&pool), in_line(&pool));
        drop(permit);
        assert!(poll(&mut second).is_pending());
        drop(first);
        assert_eq!(given(&mut second).spawn(|| 2).join().unwrap(), 2);
    });
}

/// The user races the future with whatever should end the wait.
#[test]
fn a_token_ends_a_wait_that_is_raced_with_it() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        let _permit = pool.try_reserve().unwrap();
        let token = CancelToken::with_timeout(Duration::from_millis(5));
        let ended = pollster::block_on(async {
            let (mut reserving, mut ended) = (pin!(pool.reserve()), pin!(token.cancelled()));
            std::future::poll_fn(|cx| match reserving.as_mut().poll(cx) {
                Poll::Ready(permit) => Poll::Ready(permit.is_err()),
                Poll::Pending => ended.as_mut().poll(cx).map(|_reason| true),
            })
            .await
        });
        assert!(ended && pool.metrics().waiting_for_room == 0);
    });
}

#[test]
fn a_close_in_between_settles_the_task_as_rejected() {
    within(PATIENCE, || {
        for capacity in [None, Some(3)] {
            let builder = WorkerPool::builder().workers(1);
            let pool = match capacity {
                Some(capacity) => builder.queue_capacity(capacity).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let reserve = || pool.try_reserve().unwrap();
            let permits = [reserve(), reserve(), reserve(), reserve()];
            pool.close();
            let [plain, with, described, tried] = permits;
            assert!(rejected(plain.spawn(|| ()), Refusal::Closed));
            assert!(rejected(with.spawn_with(|_| ()), Refusal::Closed));
            let described = described.task().name("late").priority(Priority::High).spawn(|| ());
            assert!(rejected(described, Refusal::Closed));
            let refused = tried.task().try_spawn(|| 5).unwrap_err();
            assert!(refused.is_closed() && refused.into_inner()() == 5);
            assert_eq!(pool.try_reserve().unwrap_err(), ReserveError::Closed);
            assert_eq!(pollster::block_on(pool.reserve()).unwrap_err(), Closed);
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.rejected), (6, 6), "{metrics}");
        }
    });
}

#[test]
fn a_close_sends_those_in_line_away_and_counts_them() {
    within(PATIENCE, || {
        let pool = bounded(1, 0, WhenFull::Block);
        let permit = pool.try_reserve().unwrap();
        let (mut polled, dropped) = (in_line(&pool), in_line(&pool));
        pool.close();
        assert!(matches!(poll(&mut polled), Poll::Ready(Err(Closed))));
        drop(dropped);
        drop(permit);
        let metrics = pool.metrics();
        assert_eq!(
            (metrics.spawned, metrics.rejected),
            (1, 1),
            "a dropped future asked for nothing"
        );
        pool.shutdown();
    });
}

/// A worker that waited for its own pool would wait for itself. With a permit too, its task runs
/// in the worker, and deep in a chain it is queued over capacity.
#[test]
fn a_task_of_the_full_pool_reserves_without_waiting() {
    within(PATIENCE, || {
        for policy in POLICIES {
            let pool = Arc::new(bounded(1, 0, policy));
            let inside = Arc::clone(&pool);
            let outer = pool.spawn(move || {
                assert!(inside.try_reserve().unwrap_err().is_full());
                let permit = pollster::block_on(inside.reserve()).unwrap();
                let here = permit.spawn(|| thread::current().id());
                assert!(here.is_finished(), "it ran in `spawn`");
                assert_eq!(here.join().unwrap(), thread::current().id());
                let permit = pollster::block_on(inside.reserve()).unwrap();
                let late = permit.task().start_by(Instant::now()).spawn(|| ());
                assert!(matches!(late.join(), Err(TaskError::Expired)));
                // The thread that spawns may be another one, which has nothing to wait for.
                let permit = pollster::block_on(inside.reserve()).unwrap();
                let elsewhere = thread::scope(|scope| {
                    scope.spawn(|| permit.spawn(|| thread::current().id())).join().unwrap()
                });
                assert!(!elsewhere.is_finished(), "it is queued");
                elsewhere.join().unwrap()
            });
            outer.join().unwrap();
            pool.drain();
            assert_eq!(all_permits(&pool).len(), 1);
        }
    });
}

#[test]
fn a_wait_that_began_elsewhere_ends_inside_a_task_of_the_full_pool() {
    within(PATIENCE, || {
        static POOL: OnceLock<WorkerPool> = OnceLock::new();
        let pool = POOL.get_or_init(|| bounded(1, 0, WhenFull::Block));
        let permit = pool.try_reserve().unwrap();
        let waits = in_line(pool);
        let inside = permit.spawn(move || pollster::block_on(waits).is_ok());
        assert!(inside.join().unwrap());
    });
}

#[test]
fn its_task_may_have_options() {
    within(PATIENCE, || {
        let pool = bounded(1, 2, WhenFull::Reject);
        let busy = occupy(&pool, 1);
        let [low, high] = [(); 2].map(|()| pool.try_reserve().unwrap());
        let (telling, told) = mpsc::channel();
        let also = telling.clone();
        let low = low.task().priority(Priority::Low).spawn(move || also.send("low").unwrap());
        let high =
            high.task().priority(Priority::High).spawn(move || telling.send("high").unwrap());
        assert!(pool.try_reserve().is_err());
        busy.release();
        assert!(low.join().is_ok() && high.join().is_ok());
        assert_eq!(told.iter().collect::<Vec<_>>(), ["high", "low"]);

        let token = CancelToken::new();
        let task = pool.try_reserve().unwrap().task().cancel_token(&token);
        token.cancel();
        assert!(matches!(task.spawn(|| ()).join(), Err(TaskError::Cancelled)));
        let late = pool.try_reserve().unwrap().task().start_by(Instant::now());
        assert!(matches!(late.try_spawn(|| ()).unwrap().join(), Err(TaskError::Expired)));
        let named = pool.try_reserve().unwrap().task().name("a name");
        let panicked = named.spawn_with(|_| panic!("no luck")).join();
        assert!(panicked.is_err_and(|error: TaskError| error.to_string().contains("a name")));
        pool.drain();
        assert_eq!(all_permits(&pool).len(), 3);
    });
}

#[test]
fn a_placed_task_gives_the_place_back_at_once() {
    within(PATIENCE, || {
        let pool = bounded(2, 0, WhenFull::Block);
        let busy = occupy(&pool, 1);
        let permit = pool.try_reserve().unwrap();
        assert!(pool.try_reserve().is_err());
        let placed = permit.task().on_worker(0);
        let again = pool.try_reserve().expect("the placed task needs no room");
        let placed = placed.spawn_with(|cx| cx.worker().map(|worker| worker.index()));
        drop(again);
        busy.release();
        assert_eq!(placed.join().unwrap(), Some(0));
    });
}

#[test]
fn without_a_bound_there_is_always_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut permits: Vec<_> = (0..1_000).map(|_| pool.try_reserve().unwrap()).collect();
        permits.extend((0..10).map(|_| pollster::block_on(pool.reserve()).unwrap()));
        let tasks: Vec<_> = permits.into_iter().map(|permit| permit.spawn(|| 1)).collect();
        busy.release();
        assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>(), 1_010);
        assert_eq!(pool.metrics().spawned, 1_011);
    });
}

/// Under `DropOldest` a permit's task is as old as its spawn, and a permit itself is not displaced.
#[test]
fn a_permit_is_not_displaced() {
    within(PATIENCE, || {
        let pool = bounded(1, 1, WhenFull::DropOldest);
        let busy = occupy(&pool, 1);
        let permit = pool.try_reserve().unwrap();
        assert!(rejected(pool.spawn(|| ()), Refusal::Full), "nothing waits that could be dropped");
        let oldest = permit.spawn(|| ());
        let newest = pool.spawn(|| 2);
        assert!(rejected(oldest, Refusal::Displaced));
        busy.release();
        assert_eq!(newest.join().unwrap(), 2);
    });
}
