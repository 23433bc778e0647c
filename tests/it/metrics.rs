//! Every counter moves as its documentation says, and the counters add up when the pool is quiet.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, Metrics, Pinning, TaskContext, WhenFull, WorkerPool};

use crate::held::{Held, hold, hold_all};
use crate::support::{PATIENCE, until, within};

fn throw() {
    std::panic::resume_unwind(Box::new("thrown"));
}

/// Checks that every spawned task ended in exactly one way.
#[track_caller]
fn assert_adds_up(metrics: &Metrics) {
    let ended = metrics.completed
        + metrics.panicked
        + metrics.cancelled
        + metrics.expired
        + metrics.rejected
        + metrics.lost;
    assert_eq!(metrics.spawned, ended, "{metrics}");
    assert_eq!(metrics.queue_depth, 0, "{metrics}");
}

#[test]
fn a_new_pool_has_done_nothing() {
    let pool = WorkerPool::with_workers(3).unwrap();
    let metrics = pool.metrics();
    assert_adds_up(&metrics);
    assert_eq!((metrics.spawned, metrics.stolen, metrics.events_dropped), (0, 0, 0));
    assert_eq!((metrics.waiting_for_room, metrics.workers.len()), (0, 3));
    assert!(metrics.wait_time.is_none() && metrics.run_time.is_none());
}

#[test]
fn each_outcome_has_its_counter() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(1).dispatch(dispatch).build().unwrap();
            for n in 0..7 {
                pool.spawn(move || n).join().unwrap();
            }
            for _ in 0..3 {
                pool.spawn(throw).join().unwrap_err();
            }
            let held = hold_all(&pool);
            for _ in 0..5 {
                assert!(pool.spawn(|| 1).cancel());
            }
            held.into_iter().for_each(Held::release);
            pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() }).join().unwrap_err();
            pool.spawn(|| 1).join().unwrap();
            pool.close();
            for _ in 0..4 {
                pool.spawn(|| 1).join().unwrap_err();
            }
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.completed, metrics.panicked), (9, 3), "{metrics}");
            assert_eq!((metrics.cancelled, metrics.lost), (5, 1), "{metrics}");
            assert_eq!((metrics.rejected, metrics.expired), (4, 0), "{metrics}");
            assert_adds_up(&metrics);
        }
    });
}

#[test]
fn refusals_of_a_full_pool_are_counted() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(1)
            .queue_capacity(1)
            .when_full(WhenFull::Reject)
            .build()
            .unwrap();
        let held = hold_all(&pool);
        let queued = pool.spawn(|| 1);
        pool.spawn(|| 2).join().unwrap_err();
        assert!(pool.try_spawn(|| 3).unwrap_err().is_full());
        assert!(pool.try_reserve().unwrap_err().is_full());
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.rejected, metrics.queue_depth), (5, 3, 1));
        held.into_iter().for_each(Held::release);
        queued.join().unwrap();
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn refusals_of_a_closed_pool_are_counted_whichever_way_they_came() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.shutdown();
        pool.spawn(|| 1).join().unwrap_err();
        pool.try_spawn(|| 2).unwrap_err();
        pool.try_reserve().unwrap_err();
        pollster::block_on(pool.reserve()).unwrap_err();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.rejected), (4, 4), "{metrics}");
    });
}

#[test]
fn what_a_caller_runs_and_what_is_displaced_is_counted() {
    within(PATIENCE, || {
        for (policy, completed, rejected) in
            [(WhenFull::CallerRuns, 4, 0), (WhenFull::DropOldest, 2, 2)]
        {
            let pool = WorkerPool::builder()
                .workers(1)
                .queue_capacity(1)
                .when_full(policy)
                .build()
                .unwrap();
            let held = hold_all(&pool);
            let tasks: Vec<_> = (0..3).map(|n| pool.spawn(move || n)).collect();
            held.into_iter().for_each(Held::release);
            let values = tasks.into_iter().filter_map(|task| task.join().ok()).count();
            let metrics = pool.metrics();
            assert_eq!((metrics.completed, metrics.rejected), (completed, rejected), "{metrics}");
            assert_eq!(values as u64 + 1, completed, "{metrics}");
            assert_adds_up(&metrics);
        }
    });
}

#[test]
fn queue_depth_is_exact_while_workers_are_busy() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(2).dispatch(dispatch).build().unwrap();
            let held = hold_all(&pool);
            let mut tasks = Vec::new();
            for depth in 1..=300 {
                tasks.push(pool.spawn(|| ()));
                assert_eq!(pool.metrics().queue_depth, depth);
            }
            for (gone, task) in tasks.iter().step_by(2).enumerate() {
                assert!(task.cancel());
                assert_eq!(pool.metrics().queue_depth, 299 - gone);
            }
            held.into_iter().for_each(Held::release);
            let ran = tasks.into_iter().filter_map(|task| task.join().ok()).count();
            assert_eq!(ran, 150);
            pool.shutdown();
            assert_adds_up(&pool.metrics());
            assert_eq!(pool.metrics().cancelled, 150);
        }
    });
}

#[test]
fn those_who_want_room_are_counted() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        let held = hold_all(&pool);
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.spawn(|| 1).join())).collect();
            until(|| pool.metrics().waiting_for_room == 3);
            held.into_iter().for_each(Held::release);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
        assert_eq!(pool.metrics().waiting_for_room, 0);
        assert_adds_up(&pool.metrics());
    });
}

#[test]
fn a_task_taken_from_anothers_queue_is_stolen() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let outer = pool.spawn(|| {
            let (done, wait) = mpsc::channel();
            for _ in 0..10 {
                let done = done.clone();
                corepool::spawn(move || done.send(()).unwrap()).detach();
            }
            // There is no join, because that would run them in place. The other worker must take
            // them.
            (0..10).for_each(|_| wait.recv().unwrap());
        });
        outer.join().unwrap();
        pool.shutdown();
        let metrics = pool.metrics();
        assert!((1..=10).contains(&metrics.stolen), "{metrics}");
        let stolen: u64 = metrics.workers.iter().map(|worker| worker.stolen).sum();
        assert_eq!(stolen, metrics.stolen);
        assert_eq!(metrics.completed, 11);
        assert_adds_up(&metrics);
    });
}

#[test]
fn dealt_tasks_are_never_stolen_and_fall_evenly() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(3).dispatch(Dispatch::RoundRobin).build().unwrap();
        let tasks: Vec<_> = (0..300).map(|n| pool.spawn(move || n)).collect();
        assert!(tasks.into_iter().all(|task| task.join().is_ok()));
        let metrics = pool.metrics();
        assert_eq!(metrics.stolen, 0);
        let shares: Vec<_> = metrics.workers.iter().map(|worker| worker.tasks_run).collect();
        assert_eq!(shares, [100, 100, 100]);
    });
}

#[test]
fn the_workers_shares_make_up_the_whole() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let tasks: Vec<_> = (0..2000)
            .map(|n| {
                pool.spawn(move || {
                    if n % 10 == 0 {
                        throw()
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| drop(task.join()));
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.panicked), (1800, 200));
        let run: u64 = metrics.workers.iter().map(|worker| worker.tasks_run).sum();
        assert_eq!(run, 2000);
        let parks: u64 = metrics.workers.iter().map(|worker| worker.parks).sum();
        assert_eq!(parks, metrics.parks);
        assert!(metrics.workers.iter().map(|worker| worker.id.index()).eq(0..3));
        let infos = pool.workers();
        assert!(
            infos
                .iter()
                .zip(&metrics.workers)
                .all(|(info, share)| info.tasks_run == share.tasks_run)
        );
        assert_adds_up(&metrics);
    });
}

#[test]
fn a_task_run_in_place_counts_once() {
    within(PATIENCE, || {
        let ours = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&ours);
        let outer = ours
            .spawn(move || (0..50).map(|n| inner.spawn(move || n).join().unwrap()).sum::<i32>());
        assert_eq!(outer.join().unwrap(), 1225);
        assert_eq!(ours.metrics().completed, 51);
        let held = hold(&ours);
        let foreign = ours.spawn(throw);
        let other = WorkerPool::with_workers(1).unwrap();
        assert!(other.spawn(move || foreign.join().is_err()).join().unwrap());
        held.release();
        assert_eq!(other.metrics().completed, 1, "what ran there was not its own");
        ours.shutdown();
        let metrics = ours.metrics();
        assert_eq!((metrics.completed, metrics.panicked), (52, 1), "{metrics}");
        assert_adds_up(&metrics);
    });
}

#[test]
fn many_cancellers_are_counted_exactly() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let start = Barrier::new(4);
        let cancelled: usize = thread::scope(|scope| {
            let canceller = |_| {
                scope.spawn(|| {
                    start.wait();
                    (0..20_000).filter(|&n| pool.spawn(move || n).cancel()).count()
                })
            };
            let cancellers: Vec<_> = (0..4).map(canceller).collect();
            cancellers.into_iter().map(|canceller| canceller.join().unwrap()).sum()
        });
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.cancelled, cancelled as u64);
        assert_eq!(metrics.completed, 80_000 - cancelled as u64);
        assert_adds_up(&metrics);
    });
}

#[test]
fn times_are_recorded_when_asked() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).record_timing(true).build().unwrap();
        let held = hold_all(&pool);
        let queued = pool.spawn(|| 1);
        let spin = Duration::from_millis(5);
        // The queued task waits at least as long as this thread sleeps. That is a lower bound, so
        // the sleep synchronises nothing.
        thread::sleep(spin);
        held.into_iter().for_each(Held::release);
        queued.join().unwrap();
        pool.spawn(throw).join().unwrap_err();
        let metrics = pool.metrics();
        let (wait, run) = (metrics.wait_time.unwrap(), metrics.run_time.unwrap());
        assert_eq!((wait.count(), run.count()), (3, 3));
        assert!(wait.max() >= spin && run.max() >= spin, "{wait:?} {run:?}");
        assert_eq!(wait.quantile(1.0), wait.max());
        assert!(wait.quantile(0.0) <= wait.quantile(0.5));
        assert!(wait.quantile(0.5) <= wait.quantile(0.99));
        let cancelled = pool.spawn(|| 1);
        let waited = if cancelled.cancel() { 3 } else { 4 };
        pool.shutdown();
        assert_eq!(
            pool.metrics().wait_time.unwrap().count(),
            waited,
            "cancelled ones do not count"
        );
    });
}

#[test]
fn the_table_shows_every_number() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(2)
            .pinning(Pinning::None)
            .record_timing(true)
            .build()
            .unwrap();
        for n in 0..17 {
            pool.spawn(move || n).join().unwrap();
        }
        pool.spawn(throw).join().unwrap_err();
        let table = pool.metrics().to_string();
        let row = |name: &str| {
            let line = table.lines().find(|line| line.trim_start().starts_with(name));
            line.unwrap_or_else(|| panic!("no row {name} in\n{table}")).split_whitespace()
        };
        for (name, count) in [("spawned", "18"), ("completed", "17"), ("panicked", "1")] {
            assert_eq!(row(name).nth(1), Some(count), "{table}");
        }
        for name in ["cancelled", "expired", "rejected", "lost", "wait", "run", "worker"] {
            assert!(row(name).count() > 1, "{table}");
        }
        for name in ["queued now", "want room", "stolen", "parks", "wakes", "events lost"] {
            assert!(table.contains(name), "no {name} in\n{table}");
        }
        assert!(!table.ends_with('\n'));
        let plain = WorkerPool::with_workers(1).unwrap().metrics().to_string();
        assert!(!plain.contains("p99"), "no times where none are recorded: {plain}");
    });
}
