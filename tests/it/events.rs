//! Pool events come in order, and a listener that never listens delays no thread.

mod listener;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use corepool::events::{Events, ExitReason};
use corepool::{Pinning, PoolEvent, TaskContext, WhenFull, WorkerId, WorkerPool};

use crate::held::{Held, hold_all};
use crate::support::{PATIENCE, until, within};

fn unpinned(workers: usize) -> corepool::PoolBuilder {
    WorkerPool::builder().workers(workers).pinning(Pinning::None)
}

/// Panics without running the panic hook.
fn throw(message: &'static str) {
    std::panic::resume_unwind(Box::new(message));
}

fn next(events: &mut Events) -> PoolEvent {
    events.next_timeout(PATIENCE).expect("an event")
}

fn end_worker(pool: &WorkerPool) {
    let task = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
    assert!(task.join().is_err());
}

fn place(events: &[PoolEvent], wanted: impl Fn(&PoolEvent) -> bool) -> usize {
    events.iter().position(wanted).unwrap_or_else(|| panic!("it is missing in {events:?}"))
}

#[test]
fn a_pools_life_is_told_in_order() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let mut events = pool.events();
        let worker = WorkerId::from(0);
        let online = |generation| PoolEvent::WorkerOnline { worker, generation, core: None };
        let exited = |generation, reason| PoolEvent::WorkerExited { worker, generation, reason };
        assert_eq!(next(&mut events), online(0));
        assert!(pool.task().name("unlucky").spawn(|| throw("bad luck")).join().is_err());
        let message = "bad luck".to_owned();
        let task = "unlucky".to_owned();
        let panicked = PoolEvent::TaskPanicked { worker: Some(worker), task, message };
        assert_eq!(next(&mut events), panicked);
        end_worker(&pool);
        assert_eq!(next(&mut events), exited(0, ExitReason::EndedByTask));
        // The new thread may be faster than the thread that reports the respawn.
        let mut both = [next(&mut events), next(&mut events)];
        both.sort_unstable_by_key(|event| matches!(event, PoolEvent::WorkerOnline { .. }));
        assert_eq!(both, [PoolEvent::WorkerRespawned { worker, generation: 1 }, online(1)]);
        drop(pool);
        let mut both: Vec<_> = events.collect();
        both.sort_unstable_by_key(|event| *event != PoolEvent::Closed);
        assert_eq!(both, [PoolEvent::Closed, exited(1, ExitReason::Shutdown)]);
    });
}

#[test]
fn closing_is_told_before_the_exits_it_brings_about() {
    within(PATIENCE, || {
        for _ in 0..300 {
            let pool = unpinned(1).build().unwrap();
            let events = pool.events();
            drop(pool);
            let told: Vec<_> = events.collect();
            let closed = place(&told, |event| *event == PoolEvent::Closed);
            let exited = place(&told, |event| matches!(event, PoolEvent::WorkerExited { .. }));
            assert!(closed < exited, "{told:?}");
        }
    });
}

#[test]
fn a_respawn_is_told_before_what_the_new_thread_does() {
    within(PATIENCE, || {
        for _ in 0..100 {
            let pool = unpinned(1).build().unwrap();
            end_worker(&pool);
            let events = pool.events();
            drop(pool);
            let told: Vec<_> = events.collect();
            let respawned =
                place(&told, |event| matches!(event, PoolEvent::WorkerRespawned { .. }));
            let later = |event: &PoolEvent| {
                matches!(
                    event,
                    PoolEvent::WorkerOnline { generation: 1, .. }
                        | PoolEvent::WorkerExited { generation: 1, .. }
                )
            };
            assert!(respawned < place(&told, later), "{told:?}");
        }
    });
}

#[test]
fn a_panic_is_told_though_nobody_has_the_handle() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let mut events = pool.events();
        assert!(matches!(next(&mut events), PoolEvent::WorkerOnline { .. }));
        pool.spawn(|| throw("unseen")).detach();
        let PoolEvent::TaskPanicked { worker, task, message } = next(&mut events) else { panic!() };
        assert_eq!((worker, message.as_str()), (Some(WorkerId::from(0)), "unseen"));
        assert!(task.contains("events::a_panic_is_told"), "{task}");
    });
}

#[test]
fn a_panic_in_the_caller_names_no_worker() {
    within(PATIENCE, || {
        let pool = unpinned(1).queue_capacity(0).when_full(WhenFull::CallerRuns).build().unwrap();
        let held = hold_all(&pool);
        let mut events = pool.events();
        assert!(pool.task().name("mine").spawn(|| throw("here")).join().is_err());
        let panicked = |event: &PoolEvent| matches!(event, PoolEvent::TaskPanicked { .. });
        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        let PoolEvent::TaskPanicked { worker, task, message } = &told[place(&told, panicked)]
        else {
            unreachable!("it was looked for")
        };
        assert_eq!((*worker, task.as_str(), message.as_str()), (None, "mine", "here"));
        drop(held);
    });
}

#[test]
fn each_event_is_a_line_for_a_log() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let events = pool.events();
        pool.task().name("row 3").spawn(|| throw("no luck")).join().unwrap_err();
        end_worker(&pool);
        drop(pool);
        let lines: Vec<_> = events.map(|event| event.to_string()).collect();
        for line in [
            "worker 0 is online, not pinned",
            "the task \"row 3\" panicked on worker 0: no luck",
            "worker 0 ended: a task ended its thread",
            "worker 0 has a new thread, number 1",
            "the pool was closed",
            "worker 0 ended: the pool was closed and nothing was left to do",
        ] {
            assert!(lines.iter().any(|told| told == line), "no {line:?} in {lines:#?}");
        }
    });
}

#[test]
fn hooks_that_panic_are_told() {
    within(PATIENCE, || {
        let pool = unpinned(2)
            .on_worker_start(|worker| {
                if worker.generation > 0 {
                    throw("start again");
                }
            })
            .on_worker_exit(|_| throw("exit"))
            .build()
            .unwrap();
        end_worker(&pool);
        until(|| pool.workers().iter().any(|worker| worker.generation == 1));
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1, "the worker serves all the same");
        let events = pool.events();
        drop(pool);
        let hook = |event| match event {
            PoolEvent::HookPanicked { message, .. } => Some(message),
            _ => None,
        };
        let mut messages: Vec<_> = events.filter_map(hook).collect();
        messages.sort_unstable();
        assert_eq!(messages, ["exit", "exit", "exit", "start again"]);
    });
}

#[test]
fn each_listener_hears_everything() {
    within(PATIENCE, || {
        let pool = unpinned(2).build().unwrap();
        let early = pool.events();
        pool.spawn(|| throw("one")).join().unwrap_err();
        let late = pool.events();
        let gone = pool.events();
        drop(gone);
        pool.spawn(|| throw("two")).join().unwrap_err();
        drop(pool);
        let early: Vec<_> = early.collect();
        assert_eq!(early, late.collect::<Vec<_>>(), "the past comes first");
        assert_eq!(early.len(), 2 + 2 + 1 + 2);
    });
}

#[test]
fn a_late_listener_hears_the_recent_past_of_a_long_one() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let panics = 2000;
        for n in 0..panics {
            let name = n.to_string();
            pool.task().name(name).spawn(|| throw("again")).join().unwrap_err();
        }
        let events = pool.events();
        drop(pool);
        let number = |event| match event {
            PoolEvent::TaskPanicked { task, .. } => task.parse::<usize>().ok(),
            _ => None,
        };
        let heard: Vec<_> = events.filter_map(number).collect();
        assert!(!heard.is_empty() && heard.len() < panics, "memory is bounded");
        assert!(heard.iter().copied().eq(panics - heard.len()..panics), "the most recent ones");
    });
}

#[test]
fn a_listener_that_never_listens_holds_nobody_up() {
    within(PATIENCE, || {
        let pool = unpinned(2).build().unwrap();
        let deaf = pool.events();
        let panics = 6000_u64;
        let tasks: Vec<_> = (0..panics).map(|_| pool.spawn(|| throw("unheard"))).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap_err().is_panicked()));
        let metrics = pool.metrics();
        assert_eq!(metrics.panicked, panics);
        let heard = deaf.receiver().len() as u64;
        assert!(heard < panics, "memory is bounded");
        assert_eq!(heard + metrics.events_dropped, panics + 2, "each is heard or counted");
        drop(pool);
        assert!(deaf.count() as u64 >= heard);
    });
}

fn edges(events: &mut Events) -> Vec<PoolEvent> {
    let edge = |event: &PoolEvent| matches!(event, PoolEvent::QueueFull | PoolEvent::QueueDrained);
    std::iter::from_fn(|| events.try_next()).filter(edge).collect()
}

#[test]
fn a_full_queue_is_told_once_until_it_drains() {
    within(PATIENCE, || {
        let pool = unpinned(1).queue_capacity(3).when_full(WhenFull::Reject).build().unwrap();
        let mut events = pool.events();
        for _ in 0..3 {
            let held = hold_all(&pool);
            let queued: Vec<_> = (0..3).map(|n| pool.spawn(move || n)).collect();
            assert_eq!(edges(&mut events), [], "full, but nobody was sent away");
            for _ in 0..5 {
                assert!(pool.spawn(|| 9).join().is_err());
            }
            assert_eq!(edges(&mut events), [PoolEvent::QueueFull]);
            // One of four places is free. That is less than half, so there is no event, and none
            // when the place is taken again.
            assert!(queued[0].cancel());
            let again = pool.try_spawn(|| 10).unwrap();
            assert!(pool.try_spawn(|| 11).is_err());
            assert_eq!(edges(&mut events), []);
            held.into_iter().for_each(Held::release);
            assert_eq!(again.join().unwrap(), 10);
            assert_eq!(edges(&mut events), [PoolEvent::QueueDrained]);
        }
    });
}

/// Four threads find the pool full at the same time, and also at the moment when it drains.
#[test]
fn full_and_drained_alternate_when_many_find_it_full() {
    const ROUNDS: usize = 6000;
    within(PATIENCE, || {
        let pool = unpinned(2).queue_capacity(2).when_full(WhenFull::Reject).build().unwrap();
        let mut events = pool.events();
        let turn = Barrier::new(4);
        let burst = || {
            turn.wait();
            let tasks: Vec<_> = (0..6).map(|n| pool.spawn(move || n)).collect();
            // Some of them are refused, and the events report that.
            tasks.into_iter().for_each(|task| drop(task.join()));
        };
        let told: Vec<_> = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..ROUNDS).for_each(|_| burst()));
            }
            // The fourth thread also listens, often enough to miss no event.
            let told = (0..ROUNDS).map(|_| {
                burst();
                edges(&mut events)
            });
            told.collect::<Vec<_>>().concat()
        });
        pool.shutdown();
        let told = [told, edges(&mut events)].concat();
        assert_eq!(pool.metrics().events_dropped, 0);
        assert!(told.len() > 1, "it was full and drained, or this shows nothing");
        let alike = told.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(alike, 0, "{} edges, and this many came twice in a row", told.len());
        assert_eq!(told.last(), Some(&PoolEvent::QueueDrained), "an empty pool is told as full");
    });
}

#[test]
fn closing_is_told_once() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let events = pool.events();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| pool.close());
            }
        });
        pool.shutdown();
        drop(pool.shutdown_timeout(Duration::ZERO));
        drop(pool);
        assert_eq!(events.filter(|event| *event == PoolEvent::Closed).count(), 1);
    });
}

#[test]
fn a_rest_between_two_threads_is_told_and_ends_when_a_task_waits() {
    within(PATIENCE, || {
        let pool = unpinned(1).build().unwrap();
        let mut events = pool.events();
        // Each rest (the delay before a respawn) is twice as long as the previous one, up to a
        // second. Each task waits for the next thread.
        for _ in 0..8 {
            end_worker(&pool);
        }
        let rest = loop {
            end_worker(&pool);
            let told = events.by_ref().find_map(|event| match event {
                PoolEvent::RespawnDelayed { rest, deaths, .. } if deaths > 8 => Some(rest),
                _ => None,
            });
            let begins = Instant::now();
            pool.spawn(|| ()).join().unwrap();
            let rest = told.unwrap();
            if begins.elapsed() < rest / 4 {
                break rest;
            }
        };
        assert!(rest >= Duration::from_millis(640));
        // Closing the pool also ends a rest.
        end_worker(&pool);
        pool.shutdown();
    });
}
