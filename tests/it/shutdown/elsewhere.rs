//! A thread that is not a worker settles a task, because it cancelled the task's token or made
//! room: the pool does not end before that.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corepool::{CancelToken, TaskError, TaskHandle, WhenFull, WorkerPool};

use crate::held::hold;
use crate::support::{self, PATIENCE, until, within};

/// Its drop reports that it has begun, then waits to be let go.
struct Lingers {
    begun: mpsc::Sender<()>,
    go: Receiver<()>,
}

impl Drop for Lingers {
    fn drop(&mut self) {
        self.begun.send(()).unwrap();
        assert!(self.go.recv().is_err(), "the sender is dropped");
    }
}

/// A pool whose only task is being settled by a separate thread, which is in the middle of dropping
/// the task's closure.
struct Settled {
    pool: WorkerPool,
    task: TaskHandle<()>,
    canceller: JoinHandle<()>,
    go: mpsc::Sender<()>,
}

fn settling() -> Settled {
    let pool = WorkerPool::with_workers(1).unwrap();
    let held = hold(&pool);
    let token = CancelToken::new();
    let (closure, has_begun, go) = lingering();
    let task = pool.task().cancel_token(&token).spawn(closure);
    let canceller = thread::spawn(move || token.cancel());
    has_begun.recv().unwrap();
    held.release();
    Settled { pool, task, canceller, go }
}

/// Lets the drop continue after a moment, from a separate thread.
fn release_soon(go: mpsc::Sender<()>) -> JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        drop(go);
    })
}

fn expect_settled(pool: &WorkerPool, mut task: TaskHandle<()>) {
    let result = task.try_join().expect("at the end of its pool every task is settled");
    assert!(matches!(result, Err(TaskError::Cancelled)));
    let metrics = pool.metrics();
    assert_eq!((support::ended(&metrics), metrics.cancelled), (metrics.spawned, 1));
}

#[test]
fn a_shutdown_waits_until_a_claimed_task_is_settled() {
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let releaser = release_soon(go);
        pool.shutdown();
        expect_settled(&pool, task);
        canceller.join().unwrap();
        releaser.join().unwrap();
    });
}

/// The workers may have left when the continuation's turn comes. Then the thread that settles the
/// task before it settles the continuation too.
#[test]
fn a_shutdown_waits_until_a_claimed_tasks_continuation_is_settled() {
    struct TakesItsTime;
    impl Drop for TakesItsTime {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(30));
        }
    }
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let slow = TakesItsTime;
        let mut behind = task.then(move |()| drop(slow));
        let releaser = release_soon(go);
        pool.shutdown();
        let result = behind.try_join().expect("at the end of its pool every task is settled");
        assert!(result.is_err());
        canceller.join().unwrap();
        releaser.join().unwrap();
    });
}

#[test]
fn a_drop_waits_until_a_claimed_task_is_settled() {
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let releaser = release_soon(go);
        drop(pool);
        assert!(task.is_finished());
        canceller.join().unwrap();
        releaser.join().unwrap();
    });
}

#[test]
fn a_shutdown_with_a_limit_gives_up_a_claimed_task() {
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let begun = Instant::now();
        let limit = Duration::from_millis(20);
        assert!(pool.shutdown_timeout(limit).is_clean(), "no task ran, and none was in a queue");
        assert!(begun.elapsed() >= limit);
        assert!(!task.is_finished());
        // This drop does not wait either.
        drop(pool);
        drop(go);
        canceller.join().unwrap();
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn a_shutdown_with_a_long_limit_waits_until_a_claimed_task_is_settled() {
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let releaser = release_soon(go);
        pool.shutdown_timeout(PATIENCE);
        expect_settled(&pool, task);
        canceller.join().unwrap();
        releaser.join().unwrap();
    });
}

#[test]
fn who_awaits_the_shutdown_waits_until_a_claimed_task_is_settled() {
    within(PATIENCE, || {
        let Settled { pool, task, canceller, go } = settling();
        let releaser = release_soon(go);
        let (one, other) = (pool.shutdown_async(), pool.shutdown_async());
        pollster::block_on(one);
        expect_settled(&pool, task);
        pollster::block_on(other);
        canceller.join().unwrap();
        releaser.join().unwrap();
    });
}

/// If the end of the pool waited for the claimed task here, it would wait for itself.
#[test]
fn a_claimed_closure_may_end_its_pool_in_its_drop() {
    struct Ends(Option<Arc<WorkerPool>>, u32);
    impl Drop for Ends {
        fn drop(&mut self) {
            let pool = self.0.take().unwrap();
            match self.1 {
                0 => pool.shutdown(),
                1 => assert!(pool.shutdown_timeout(PATIENCE).is_clean()),
                2 => pollster::block_on(pool.shutdown_async()),
                _ => drop(pool),
            }
        }
    }
    within(PATIENCE, || {
        for way in 0..4 {
            let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
            let held = hold(&pool);
            let token = CancelToken::new();
            let tasks = [0, 1].map(|_| {
                let ends = Ends(Some(Arc::clone(&pool)), way);
                pool.task().cancel_token(&token).spawn(move || {
                    let _ends = ends;
                    unreachable!("it is cancelled before it starts")
                })
            });
            drop(pool);
            let releaser = thread::spawn(move || {
                thread::sleep(Duration::from_millis(1));
                held.release();
            });
            token.cancel();
            releaser.join().unwrap();
            assert!(tasks.iter().all(TaskHandle::is_finished));
        }
    });
}

/// One shutdown waits for the claimed task, and the drop of that task's closure waits for the other
/// shutdown.
#[test]
fn a_claimed_closure_may_end_its_pool_though_another_thread_does_so_too() {
    struct Ends(Arc<WorkerPool>, mpsc::Sender<()>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
            until(|| self.0.is_closed());
            thread::sleep(Duration::from_millis(5));
            self.0.shutdown();
        }
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let held = hold(&pool);
        let (token, (begun, has_begun)) = (CancelToken::new(), mpsc::channel());
        let ends = Ends(Arc::clone(&pool), begun);
        let task = pool.task().cancel_token(&token).spawn(move || {
            let _ends = ends;
            unreachable!("it is cancelled before it starts")
        });
        let canceller = thread::spawn(move || token.cancel());
        has_begun.recv().unwrap();
        held.release();
        pool.shutdown();
        assert!(task.is_finished());
        canceller.join().unwrap();
    });
}

/// A closure that lingers in its drop.
fn lingering() -> (impl FnOnce() + Send + 'static, Receiver<()>, mpsc::Sender<()>) {
    let ((begun, has_begun), (go, waits)) = (mpsc::channel(), mpsc::channel());
    let lingers = Lingers { begun, go: waits };
    let closure = move || {
        let _lingers = lingers;
        unreachable!("it never starts")
    };
    (closure, has_begun, go)
}

#[test]
fn a_shutdown_waits_until_who_made_room_has_refused_the_oldest() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool = Arc::new(pool.when_full(WhenFull::DropOldest).build().unwrap());
        let held = hold(&pool);
        let (closure, has_begun, go) = lingering();
        let mut oldest = pool.spawn(closure);
        let other = Arc::clone(&pool);
        let submitter = thread::spawn(move || other.spawn(|| ()));
        has_begun.recv().unwrap();
        held.release();
        let releaser = release_soon(go);
        pool.shutdown();
        let result = oldest.try_join().expect("at the end of its pool every task is settled");
        assert!(matches!(result, Err(TaskError::Rejected(_))));
        let _late_or_not = submitter.join().unwrap().join();
        releaser.join().unwrap();
    });
}

#[test]
fn a_shutdown_waits_until_one_that_gave_up_has_cancelled_what_waited() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let held = hold(&pool);
        let (closure, has_begun, go) = lingering();
        let mut waits = pool.spawn(closure);
        let other = Arc::clone(&pool);
        let impatient = thread::spawn(move || other.shutdown_timeout(Duration::from_millis(1)));
        has_begun.recv().unwrap();
        held.release();
        let releaser = release_soon(go);
        pool.shutdown();
        let result = waits.try_join().expect("at the end of its pool every task is settled");
        assert!(matches!(result, Err(TaskError::Cancelled)));
        assert_eq!(impatient.join().unwrap().cancelled, 1);
        releaser.join().unwrap();
    });
}

/// The pool's only task is queued, and a separate thread cancels it: by its handle, or by the set
/// that contains it.
fn cancelling(set: bool) -> (WorkerPool, JoinHandle<()>, mpsc::Sender<()>) {
    let pool = WorkerPool::with_workers(1).unwrap();
    let held = hold(&pool);
    let (closure, has_begun, go) = lingering();
    let canceller = if set {
        let tasks = pool.spawn_batch([closure]);
        thread::spawn(move || tasks.cancel_all())
    } else {
        let task = pool.spawn(closure);
        thread::spawn(move || assert!(task.cancel()))
    };
    has_begun.recv().unwrap();
    held.release();
    (pool, canceller, go)
}

fn expect_one_cancelled(pool: &WorkerPool) {
    let metrics = pool.metrics();
    assert_eq!((support::ended(&metrics), metrics.cancelled), (metrics.spawned, 1));
}

#[test]
fn a_shutdown_and_a_drain_wait_until_a_cancelled_task_is_settled() {
    within(PATIENCE, || {
        for (set, ends) in [(false, false), (false, true), (true, false), (true, true)] {
            let (pool, canceller, go) = cancelling(set);
            let releaser = release_soon(go);
            if ends {
                pool.shutdown();
            } else {
                pool.drain();
            }
            expect_one_cancelled(&pool);
            canceller.join().unwrap();
            releaser.join().unwrap();
        }
    });
}
