//! Cancelling: a queued task never runs, a running task is asked to stop, and never both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use corepool::cancel::Cancelled;
use corepool::{TaskError, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, until, within};

#[test]
fn a_queued_task_never_runs_and_is_settled_and_gone_at_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let task = pool.spawn(move || {
            let _token = token;
            unreachable!("it was cancelled before it started")
        });
        assert_eq!(pool.metrics().queue_depth, 1);
        assert!(task.cancel());
        assert_eq!(drops.count(), 1);
        assert!(task.is_finished());
        assert_eq!(pool.metrics().queue_depth, 0);
        assert!(!task.cancel(), "only one call keeps it from running");
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
        busy.release();
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.completed, metrics.cancelled), (2, 1, 1));
        assert_eq!((metrics.panicked, metrics.queue_depth), (0, 0));
    });
}

#[test]
fn a_running_task_sees_the_wish_and_keeps_its_result() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (starting, started) = mpsc::channel();
        let task = pool.spawn_with(move |cx| {
            let before = (cx.is_cancelled(), cx.check());
            starting.send(()).unwrap();
            until(|| cx.is_cancelled());
            (before, cx.check())
        });
        started.recv().unwrap();
        assert!(!task.cancel(), "it is too late to keep it from running");
        let (before, after) = task.join().expect("its result stays its own");
        assert_eq!(before, (false, Ok(())));
        assert!(matches!(after, Err(Cancelled)), "a value, not a name for whatever comes");
        assert_eq!(pool.metrics().cancelled, 0);
    });
}

#[test]
fn a_settled_task_is_not_changed_by_a_cancel() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let task = pool.spawn(|| 5);
        until(|| task.is_finished());
        assert!(!task.cancel());
        assert_eq!(task.join().unwrap(), 5);
    });
}

/// Case 53.
#[test]
fn a_cancel_that_races_the_start_settles_exactly_one_way() {
    within(PATIENCE * 3, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let (rounds, at_once) = (2_000, 50);
        let (mut cancelled, mut completed) = (0_u64, 0_u64);
        for round in 0..rounds {
            let runs = Arc::new(AtomicUsize::new(0));
            let drops = Drops::default();
            let tasks: Vec<_> = (0..at_once)
                .map(|_| {
                    let (runs, token) = (Arc::clone(&runs), drops.token());
                    pool.spawn(move || {
                        runs.fetch_add(1, Ordering::SeqCst);
                        drop(token);
                    })
                })
                .collect();
            // The rounds cancel from alternating ends, because a worker takes tasks from the front.
            let said: Vec<_> = match round % 2 {
                0 => tasks.iter().map(corepool::TaskHandle::cancel).collect(),
                _ => {
                    let mut said: Vec<_> = tasks.iter().rev().map(|task| task.cancel()).collect();
                    said.reverse();
                    said
                }
            };
            let mut ran = 0;
            for (task, kept_from_running) in tasks.into_iter().zip(said) {
                match task.join() {
                    Ok(()) => {
                        assert!(!kept_from_running);
                        ran += 1;
                    }
                    Err(TaskError::Cancelled) => assert!(kept_from_running),
                    Err(other) => panic!("neither ran nor cancelled: {other}"),
                }
            }
            assert_eq!(runs.load(Ordering::SeqCst), ran);
            assert_eq!(drops.count(), at_once);
            completed += ran as u64;
            cancelled += (at_once - ran) as u64;
        }
        assert!(completed > 0 && cancelled > 0, "no race: {completed} ran, {cancelled} did not");
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.cancelled), (completed, cancelled));
    });
}

/// Case 53.
#[test]
fn of_two_cancels_at_once_one_keeps_the_task_from_running() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        let start = Arc::new(Barrier::new(2));
        let (hand_over, handed) = mpsc::channel::<Arc<corepool::TaskHandle<()>>>();
        let (answer, answers) = mpsc::channel();
        let begin = Arc::clone(&start);
        let other = thread::spawn(move || {
            for task in handed {
                begin.wait();
                answer.send(task.cancel()).unwrap();
            }
        });
        for _ in 0..2_000 {
            let drops = Drops::default();
            let token = drops.token();
            let task = Arc::new(pool.spawn(move || drop(token)));
            hand_over.send(Arc::clone(&task)).unwrap();
            start.wait();
            let mine = task.cancel();
            assert!(mine != answers.recv().unwrap(), "exactly one of the two");
            assert_eq!(drops.count(), 1);
            assert!(task.is_finished());
        }
        drop(hand_over);
        other.join().unwrap();
    });
}

/// Case 53.
#[test]
fn a_cancel_that_races_the_handles_drop_and_the_run_counts_every_task_once() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let drops = Drops::default();
        let rounds = 5_000;
        let (hand_over, handed) = mpsc::channel::<Arc<corepool::TaskHandle<()>>>();
        let other = thread::spawn(move || handed.into_iter().filter(|task| task.cancel()).count());
        for _ in 0..rounds {
            let token = drops.token();
            let task = Arc::new(pool.spawn(move || drop(token)));
            hand_over.send(Arc::clone(&task)).unwrap();
            drop(task);
        }
        drop(hand_over);
        let cancelled = other.join().unwrap() as u64;
        pool.shutdown();
        assert_eq!(drops.count(), rounds);
        let metrics = pool.metrics();
        assert_eq!((metrics.cancelled, metrics.completed), (cancelled, rounds as u64 - cancelled));
    });
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Case 17.
#[test]
fn a_cancelled_closures_drop_may_spawn_cancel_and_look_around() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let busy = occupy(&pool, 1);
        let other = Arc::new(pool.spawn(|| unreachable!("cancelled by the other's drop")));
        let (spawned, spawns) = mpsc::channel();
        let (inside, victim) = (Arc::clone(&pool), Arc::clone(&other));
        let last_wish = OnDrop(move || {
            assert!(victim.cancel());
            assert_eq!(inside.workers().len(), 1);
            assert_eq!(
                inside.metrics().cancelled,
                1,
                "the victim; its own task is not settled yet"
            );
            spawned.send(inside.spawn(|| 5)).unwrap();
        });
        let task = pool.spawn(move || drop(last_wish));
        assert!(task.cancel());
        assert!(other.is_finished() && task.is_finished());
        busy.release();
        assert_eq!(spawns.recv().expect("the drop ran to its end").join().unwrap(), 5);
    });
}

/// Case 17: one cancel leads to the next through the drops of two hundred closures.
#[test]
fn a_chain_of_cancels_runs_through_closures_drops() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let _busy = occupy(&pool, 1);
        let drops = Drops::default();
        let mut last = None;
        for _ in 0..200 {
            let next: Option<corepool::TaskHandle<()>> = last.take();
            let token = drops.token();
            let wish = OnDrop(move || assert!(next.as_ref().is_none_or(|next| next.cancel())));
            last = Some(pool.spawn(move || drop((wish, token))));
        }
        assert!(last.unwrap().cancel());
        assert_eq!(drops.count(), 200);
        assert_eq!((pool.metrics().cancelled, pool.metrics().queue_depth), (200, 0));
    });
}

/// Case 17.
#[test]
fn a_cancelled_closures_drop_may_wake_who_awaits_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        for _ in 0..500 {
            // A sender that is dropped unsent wakes the thread that awaits its receiver.
            let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
            let waiter = thread::spawn(move || pollster::block_on(receiver));
            let task = pool.spawn(move || sender.send(()));
            drop(task.cancel_on_drop());
            waiter.join().unwrap().expect_err("it was never sent");
        }
    });
}

#[test]
fn spawn_and_cancel_in_a_loop_leaves_what_really_waits() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let live: Vec<_> = (0..100)
            .map(|n| {
                for _ in 0..200 {
                    assert!(pool.spawn(|| unreachable!("it is cancelled")).cancel());
                }
                let live = pool.spawn(move || n);
                assert_eq!(pool.metrics().queue_depth, n + 1);
                live
            })
            .collect();
        busy.release();
        for (n, task) in live.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.cancelled, metrics.completed), (20_000, 101));
        assert_eq!((metrics.spawned, metrics.queue_depth), (20_101, 0));
    });
}

#[test]
fn a_bounded_pool_counts_cancelled_tasks_out() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(2).build().unwrap();
        let busy = occupy(&pool, 1);
        for _ in 0..500 {
            let tasks = [pool.try_spawn(|| ()).unwrap(), pool.try_spawn(|| ()).unwrap()];
            assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
            assert!(tasks.iter().all(corepool::TaskHandle::cancel));
        }
        busy.release();
    });
}
