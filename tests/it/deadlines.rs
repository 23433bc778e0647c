//! Deadlines of tasks: a late task (one that missed its time to start) never runs and says so, and
//! a task whose time has run out is asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use corepool::cancel::CancelReason;
use corepool::{CancelToken, TaskError, WhenFull, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, within};

const SOON: Duration = Duration::from_millis(5);

#[test]
fn a_task_that_is_late_says_so_at_its_time_though_no_worker_looks() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let begun = Instant::now();
        let late = pool.task().start_within(SOON).spawn(move || drop(token));
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        assert!(begun.elapsed() >= SOON, "not before its time");
        assert_eq!(drops.count(), 1, "what it held is free");
        let awaited = pool.task().start_within(SOON).spawn(|| ());
        assert!(matches!(pollster::block_on(awaited), Err(TaskError::Expired)));
        busy.release();
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.expired, metrics.queue_depth), (3, 2, 0));
    });
}

#[test]
fn a_task_that_starts_in_time_is_left_alone_afterwards() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let task = pool.task().start_within(SOON).spawn_with(|cx| {
            std::thread::sleep(3 * SOON);
            cx.is_cancelled()
        });
        match task.join() {
            Ok(asked_to_stop) => assert!(!asked_to_stop),
            // The machine was too busy to start the task in time.
            Err(error) => assert!(matches!(error, TaskError::Expired)),
        }
    });
}

#[test]
fn a_deadline_that_has_passed_settles_at_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let late = pool.task().start_by(Instant::now()).spawn(|| ());
        assert!(late.is_finished());
        let far = pool.task().start_within(Duration::MAX).spawn(|| 1);
        assert_eq!(far.join().unwrap(), 1);
    });
}

#[test]
fn a_wait_for_room_ends_at_the_deadline() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        let busy = occupy(&pool, 1);
        let late = pool.task().start_within(SOON).spawn(|| ());
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        let token = CancelToken::with_timeout(SOON);
        let stopped = pool.task().cancel_token(&token).spawn(|| ());
        assert!(stopped.join().unwrap_err().is_cancelled());
        assert_eq!(pool.metrics().waiting_for_room, 0);
        busy.release();
    });
}

#[test]
fn the_time_to_run_counts_from_the_start() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let task = pool.task().run_for(SOON).spawn_with(|cx| {
            let at_the_start = cx.is_cancelled() || cx.cancel_reason().is_some();
            while !cx.is_cancelled() {
                std::hint::spin_loop();
            }
            (at_the_start, Instant::now(), cx.cancel_reason(), cx.check().is_err())
        });
        std::thread::sleep(3 * SOON);
        let released = Instant::now();
        busy.release();
        let (at_the_start, stopped, reason, stops) = task.join().unwrap();
        assert!(!at_the_start && stops);
        assert!(stopped.duration_since(released) >= SOON);
        assert_eq!(reason, Some(CancelReason::DeadlinePassed));
    });
}

#[test]
fn a_task_that_ends_in_time_leaves_no_alarm_behind() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let token = CancelToken::new();
        for _ in 0..1_000 {
            let hour = Duration::from_secs(3_600);
            let task = pool.task().run_for(hour).start_within(hour).cancel_token(&token);
            task.spawn(|| ()).join().unwrap();
        }
        token.cancel();
        pool.spawn(|| ()).join().unwrap();
    });
}

#[test]
fn who_runs_its_own_task_because_the_queue_is_full_keeps_to_the_same_rules() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(1)
            .queue_capacity(0)
            .when_full(WhenFull::CallerRuns)
            .build()
            .unwrap();
        let busy = occupy(&pool, 1);
        let late = pool.task().start_by(Instant::now()).spawn(|| ());
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        let token = CancelToken::new();
        let stopped = pool.task().run_for(SOON).cancel_token(&token).spawn_with(|cx| {
            while !cx.is_cancelled() {
                std::hint::spin_loop();
            }
            cx.cancel_reason()
        });
        assert_eq!(stopped.join().unwrap(), Some(CancelReason::DeadlinePassed));
        assert!(!token.is_cancelled(), "the time concerns this task alone");
        busy.release();
    });
}

#[test]
fn a_token_cancels_what_waits_and_stops_what_runs() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let token = CancelToken::new();
        let (running, started) = mpsc::channel();
        let runs = pool.task().cancel_token(&token).spawn_with(move |cx| {
            running.send(()).unwrap();
            while !cx.is_cancelled() {
                std::hint::spin_loop();
            }
            cx.cancel_reason()
        });
        started.recv().unwrap();
        let drops = Drops::default();
        let queued: Vec<_> = (0..100)
            .map(|_| {
                let held = drops.token();
                pool.task().cancel_token(&token).spawn(move || drop(held))
            })
            .collect();
        token.cancel_because("the client has gone");
        assert_eq!(drops.count(), 100, "what they held is free at once");
        for task in queued {
            assert!(task.is_finished());
            assert!(task.join().unwrap_err().is_cancelled());
        }
        assert_eq!(runs.join().unwrap(), Some(CancelReason::Because("the client has gone".into())));
        let born_late = pool.task().cancel_token(&token).spawn(|| ());
        assert!(born_late.join().unwrap_err().is_cancelled());
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.cancelled, metrics.queue_depth), (102, 101, 0));
    });
}

#[test]
fn handles_dropped_awaited_and_cancelled_meet_the_end_of_a_token() {
    within(6 * PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..if cfg!(any(corepool_chaos, corepool_tsan)) { 200 } else { 2_000 } {
            let token = CancelToken::new();
            let ran = Arc::new(AtomicBool::new(false));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    let task = pool.task().cancel_token(&token);
                    task.spawn(move || ran.store(true, Ordering::Relaxed))
                })
                .collect();
            let canceller = std::thread::spawn(move || {
                for _ in 0..round % 100 {
                    std::hint::spin_loop();
                }
                token.cancel();
            });
            for (number, task) in tasks.into_iter().enumerate() {
                match number {
                    0 => drop(task),
                    1 => drop(pollster::block_on(task)),
                    2 => {
                        task.cancel();
                        let _either = task.join();
                    }
                    _ => match task.join() {
                        Ok(()) => assert!(ran.load(Ordering::Relaxed)),
                        Err(error) => assert!(error.is_cancelled()),
                    },
                }
            }
            canceller.join().unwrap();
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.spawned, metrics.completed + metrics.cancelled);
        assert_eq!(metrics.queue_depth, 0);
    });
}

#[test]
fn a_token_that_ends_inside_its_own_task_leaves_that_alone() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            let drops = Drops::default();
            for _ in 0..100 {
                let token = CancelToken::new();
                let (own, held) = (token.clone(), drops.token());
                // The task runs in place, from the worker's own queue, so this thread has both
                // references to it.
                let task = inner.task().cancel_token(&token).spawn(move || {
                    own.cancel();
                    held
                });
                drop(task.join().unwrap());
            }
            drops.count()
        });
        assert_eq!(outer.join().unwrap(), 100, "each is dropped once");
        assert_eq!(pool.metrics().cancelled, 0);
    });
}

/// The task waits in the worker's own queue, so the thread that waits for it has both references to
/// it, but not the token.
#[test]
fn a_token_ends_while_a_task_that_is_tied_to_it_is_run_in_place() {
    within(6 * PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let drops = Drops::default();
        let rounds = if cfg!(any(corepool_chaos, corepool_tsan)) { 300 } else { 3_000 };
        for round in 0..rounds {
            let token = CancelToken::new();
            let (inner, tied, held) = (Arc::clone(&pool), token.clone(), drops.token());
            let (starting, started) = mpsc::channel();
            let outer = pool.spawn(move || {
                let task = inner.task().cancel_token(&tied).spawn(move || {
                    for _ in 0..200 {
                        std::hint::spin_loop();
                    }
                    held
                });
                starting.send(()).unwrap();
                task.join().map(drop)
            });
            started.recv().unwrap();
            for _ in 0..round % 100 {
                std::hint::spin_loop();
            }
            token.cancel();
            if let Err(error) = outer.join().unwrap() {
                assert!(error.is_cancelled());
            }
            assert_eq!(drops.count(), round + 1);
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.spawned, 2 * rounds as u64);
        assert_eq!(metrics.spawned, metrics.completed + metrics.cancelled);
        assert_eq!(metrics.queue_depth, 0);
    });
}

#[test]
fn a_task_without_any_time_is_told_that_its_time_is_over() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let task = pool.task().run_for(Duration::ZERO).spawn_with(|cx| cx.cancel_reason());
        assert_eq!(task.join().unwrap(), Some(CancelReason::DeadlinePassed));
    });
}

#[test]
fn the_time_to_start_is_no_reason_to_stop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (starting, started) = mpsc::channel();
        let start_by = Instant::now() + Duration::from_millis(200);
        let task = pool.task().start_by(start_by).spawn_with(move |cx| {
            starting.send(()).unwrap();
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
            cx.cancel_reason()
        });
        // Fails if the machine was too busy to start the task. Then there is nothing to check.
        if started.recv().is_ok() {
            CancelToken::with_deadline(start_by + SOON).wait();
            task.cancel();
            assert_eq!(task.join().unwrap(), Some(CancelReason::Asked));
        }
    });
}

#[test]
fn a_task_is_to_finish_by_its_end_and_does_not_start_after_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (starting, started) = mpsc::channel();
        let end = Instant::now() + SOON;
        let reason = move |cx: &corepool::TaskContext| {
            let _listened = starting.send(());
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
            cx.cancel_reason()
        };
        let task = pool.task().finish_by(end).spawn_with(reason);
        // Fails if the machine was too busy to start the task. Then there is nothing to check.
        if started.recv().is_ok() {
            let queued = pool.task().finish_by(end).spawn(|| unreachable!("the first one runs"));
            assert_eq!(task.join().unwrap(), Some(CancelReason::DeadlinePassed));
            assert!(Instant::now() >= end);
            assert!(matches!(queued.join(), Err(TaskError::Expired)));
        }
        let late = pool.task().finish_by(end).spawn(|| ());
        assert!(matches!(late.join(), Err(TaskError::Expired)));
    });
}

#[test]
fn the_earlier_of_two_times_counts() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (now, later) = (Instant::now(), Instant::now() + PATIENCE);
        for task in
            [pool.task().start_by(now).finish_by(later), pool.task().start_by(later).finish_by(now)]
        {
            assert!(matches!(task.spawn(|| ()).join(), Err(TaskError::Expired)));
        }
        let both = pool.task().start_by(later).finish_by(later).run_for(PATIENCE);
        assert!(!both.spawn_with(|cx| cx.is_cancelled()).join().unwrap());
    });
}

/// If the pool said that it is full, the caller would try again with a task that can no longer run.
#[test]
fn a_task_that_is_too_late_is_told_so_by_a_full_pool_too() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool = builder.when_full(WhenFull::Reject).build().unwrap();
        let busy = occupy(&pool, 1);
        let waits = pool.spawn(|| 1);
        assert!(pool.try_spawn(|| 2).is_err_and(|error| error.is_full()));
        let late = pool.task().start_by(Instant::now()).try_spawn(|| 3).expect("a handle");
        assert!(matches!(late.join(), Err(TaskError::Expired)));
        let token = CancelToken::new();
        token.cancel();
        let gone = pool.task().cancel_token(&token).try_spawn(|| 4).expect("a handle");
        assert!(matches!(gone.join(), Err(TaskError::Cancelled)));
        busy.release();
        assert_eq!(waits.join().unwrap(), 1);
    });
}
