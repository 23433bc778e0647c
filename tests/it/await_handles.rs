//! A handle is a future: any executor can await it, drop it before it is ready, or give it another
//! waker.

mod wakers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use corepool::{TaskError, TaskHandle, WorkerPool};

use crate::random::setting;
use crate::support::{Drops, PATIENCE, occupy, until, within};

/// Counts its wakes and reports each one on a channel.
struct Bell {
    rings: AtomicUsize,
    told: Sender<()>,
}

impl Bell {
    fn new() -> (Arc<Self>, Receiver<()>) {
        let (told, heard) = mpsc::channel();
        (Arc::new(Self { rings: AtomicUsize::new(0), told }), heard)
    }

    fn rings(&self) -> usize {
        self.rings.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        // The send fails when the test no longer listens.
        let _heard = self.told.send(());
    }
}

fn poll<T>(task: &mut TaskHandle<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    Pin::new(task).poll(&mut Context::from_waker(waker))
}

/// A minimal executor: it polls whenever the bell has rung.
fn run<F: Future>(future: F) -> F::Output {
    let (bell, rung) = Bell::new();
    let waker = Waker::from(bell);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        rung.recv().expect("the waker lives as long as this does");
    }
}

#[test]
fn pollster_awaits_a_value_a_panic_and_a_refusal() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        pollster::block_on(async {
            for n in 0..1_000 {
                assert_eq!(pool.spawn(move || n).await.unwrap(), n);
            }
            let panicked = pool.spawn(|| -> u8 { panic!("no value") }).await;
            assert!(panicked.unwrap_err().is_panicked());
            pool.close();
            assert!(matches!(pool.spawn(|| 1).await, Err(TaskError::Rejected(_))));
        });
    });
}

#[test]
fn a_hand_written_executor_awaits_one_after_another() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let sum = run(async {
            let mut sum = 0;
            for n in 0..2_000 {
                sum += pool.spawn(move || n).await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 1_999_000);
    });
}

#[test]
fn the_last_waker_wins() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (first, _) = Bell::new();
        let (second, _) = Bell::new();
        let (last, rung) = Bell::new();
        for bell in [&first, &second, &first, &last] {
            assert!(poll(&mut task, &Waker::from(Arc::clone(bell))).is_pending());
        }
        busy.release();
        rung.recv().unwrap();
        let Poll::Ready(result) = poll(&mut task, Waker::noop()) else {
            panic!("it was woken before it was settled")
        };
        assert_eq!(result.unwrap(), 5);
        pool.shutdown();
        assert_eq!((first.rings(), second.rings(), last.rings()), (0, 0, 1));
    });
}

#[test]
fn a_waker_registered_many_times_is_woken_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (bell, rung) = Bell::new();
        let waker = Waker::from(Arc::clone(&bell));
        for _ in 0..100 {
            assert!(poll(&mut task, &waker).is_pending());
        }
        busy.release();
        rung.recv().unwrap();
        pool.shutdown();
        assert_eq!(bell.rings(), 1);
        assert_eq!(task.join().unwrap(), 5);
    });
}

#[test]
fn a_cancelled_task_wakes_who_awaits_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (bell, _rung) = Bell::new();
        let waker = Waker::from(Arc::clone(&bell));
        assert!(poll(&mut task, &waker).is_pending());
        assert!(task.cancel());
        assert_eq!(bell.rings(), 1);
        let Poll::Ready(result) = poll(&mut task, &waker) else {
            panic!("it is settled when it is cancelled")
        };
        assert!(result.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_future_polled_once_can_still_be_joined() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for round in 0..1_000 {
            let mut task = pool.spawn(move || round);
            let (bell, _rung) = Bell::new();
            match poll(&mut task, &Waker::from(bell)) {
                Poll::Ready(result) => assert_eq!(result.unwrap(), round),
                Poll::Pending => assert_eq!(task.join().unwrap(), round),
            }
        }
    });
}

#[test]
fn a_future_that_has_given_its_result_panics_when_polled_again() {
    let polled = within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut task = pool.spawn(|| 5);
        assert_eq!(pollster::block_on(&mut task).unwrap(), 5);
        assert!(task.is_finished());
        assert!(!task.cancel());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut task, Waker::noop())))
    });
    assert!(polled.is_err());
}

/// Case 54.
#[test]
fn a_future_dropped_mid_wait_while_its_result_arrives_loses_and_doubles_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let (bell, rung) = Bell::new();
        let rounds = 20_000;
        for round in 0..rounds {
            let token = drops.token();
            let mut task = pool.spawn(move || token);
            let polled = poll(&mut task, &Waker::from(Arc::clone(&bell)));
            for _ in 0..round % 200 {
                std::hint::spin_loop();
            }
            drop(polled);
            drop(task);
        }
        pool.shutdown();
        assert_eq!(drops.count(), rounds);
        assert_eq!(Arc::strong_count(&bell), 1, "every waker was dropped");
        assert!(bell.rings() <= rounds && rung.try_iter().count() == bell.rings());
    });
}

/// Case 57. Set `COREPOOL_ROUNDS` for more rounds.
#[test]
fn a_hundred_thousand_polls_and_wakes_leak_no_waker() {
    let rounds: u32 = setting("COREPOOL_ROUNDS").unwrap_or(100_000);
    within(PATIENCE, move || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (bell, _rung) = Bell::new();
        let waker = Waker::from(Arc::clone(&bell));
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        for _ in 0..rounds {
            assert!(poll(&mut task, &waker).is_pending());
        }
        assert!(Arc::strong_count(&bell) <= 3, "ours, the waker's, and the one registered");
        busy.release();
        until(|| task.is_finished());
        for _ in 0..rounds {
            waker.wake_by_ref();
        }
        let tasks: Vec<_> = (0..10_000)
            .map(|n| {
                let mut task = pool.spawn(move || n);
                let ready = poll(&mut task, &waker).is_ready();
                (!ready).then_some(task)
            })
            .collect();
        pool.shutdown();
        drop((tasks, task, waker));
        assert_eq!(Arc::strong_count(&bell), 1);
    });
}

/// A single-threaded runtime, as a small service would use.
fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn tokio_on_one_thread_awaits_many_handles() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let sum: u64 = tokio().block_on(async {
            let lanes = (0..8_u64).map(|lane| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    let mut sum = 0;
                    for n in 0..100 {
                        sum += pool.spawn(move || lane * n).await.unwrap();
                    }
                    sum
                })
            });
            let mut sum = 0;
            for lane in lanes.collect::<Vec<_>>() {
                sum += lane.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, (0..8).sum::<u64>() * (0..100).sum::<u64>());
    });
}

#[test]
fn a_select_that_a_timer_wins_takes_its_queued_task_with_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let timed_out = tokio().block_on(async {
            let task = pool.spawn(|| unreachable!("its future was dropped")).cancel_on_drop();
            // The timer must win: the task cannot, because its worker is busy.
            tokio::select! {
                result = task => result.is_err(),
                () = tokio::time::sleep(Duration::from_millis(5)) => true,
            }
        });
        assert!(timed_out);
        assert_eq!((pool.metrics().cancelled, pool.metrics().queue_depth), (1, 0));
        busy.release();
        pool.shutdown();
        assert_eq!(pool.metrics().panicked, 0);
    });
}

#[test]
fn a_select_that_a_timer_wins_asks_its_running_task_to_stop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (starting, started) = mpsc::channel();
        let (stopping, stopped) = mpsc::channel();
        let timed_out = tokio().block_on(async {
            let task = pool.spawn_with(move |cx| {
                starting.send(()).unwrap();
                until(|| cx.is_cancelled());
                stopping.send(()).unwrap();
            });
            started.recv().unwrap();
            tokio::time::timeout(Duration::from_millis(5), task.cancel_on_drop()).await
        });
        assert!(timed_out.is_err());
        stopped.recv().expect("it saw the wish");
    });
}

#[test]
fn a_select_that_the_task_wins_gives_its_value() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let value = tokio().block_on(async {
            let task = pool.spawn(|| 5).cancel_on_drop();
            tokio::time::timeout(Duration::from_secs(3_600), task).await
        });
        assert_eq!(value.unwrap().unwrap(), 5);
        assert_eq!(pool.metrics().cancelled, 0);
    });
}
