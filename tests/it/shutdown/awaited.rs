//! A shutdown that is awaited: it blocks no thread, wakes every waiter, and leaves no waker behind.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use corepool::metrics::WorkerState;
use corepool::shutdown::UntilShutdown;
use corepool::{TaskContext, TaskError, WorkerPool};

use super::counted;
use crate::held::{Held, hold, hold_all};
use crate::support::{PATIENCE, until, within};

/// Counts its wakes, and unparks the thread that made it.
struct Alarm {
    wakes: AtomicUsize,
    owner: Thread,
}

impl Alarm {
    fn new() -> (Arc<Self>, Waker) {
        let alarm = Arc::new(Self { wakes: AtomicUsize::new(0), owner: thread::current() });
        (Arc::clone(&alarm), Waker::from(alarm))
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.owner.unpark();
    }
}

fn poll(future: &mut UntilShutdown, waker: &Waker) -> Poll<()> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls after each wake until the future is ready. Returns how many wakes that took.
fn wait(future: &mut UntilShutdown, alarm: &Alarm, waker: &Waker) -> usize {
    let mut seen = alarm.wakes();
    let before = seen;
    while poll(future, waker).is_pending() {
        while alarm.wakes() == seen {
            thread::park();
        }
        seen = alarm.wakes();
    }
    seen - before
}

fn all_exited(pool: &WorkerPool) -> bool {
    pool.workers().iter().all(|worker| worker.state == WorkerState::Exited)
}

/// Stores a value in a thread-local of the calling worker. Its drop waits for the gate and then
/// sends a message.
fn linger(wait: Receiver<()>, told: Sender<()>) {
    struct Lingers(Receiver<()>, Sender<()>);
    impl Drop for Lingers {
        fn drop(&mut self) {
            let _opened = self.0.recv();
            // Some tests no longer listen.
            let _heard = self.1.send(());
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<Lingers>> = const { RefCell::new(None) };
    }
    KEPT.set(Some(Lingers(wait, told)));
}

#[test]
fn it_runs_what_was_accepted() {
    within(PATIENCE, || {
        for workers in 1..=3 {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let ran = counted(&pool, 500);
            pollster::block_on(pool.shutdown_async());
            assert_eq!(ran.load(Ordering::Relaxed), 500);
            assert!(all_exited(&pool));
        }
    });
}

#[test]
fn the_call_closes_and_the_future_only_waits() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let ending = pool.shutdown_async();
        assert!(pool.is_closed());
        assert!(matches!(pool.spawn(|| 1).join(), Err(TaskError::Rejected(_))));
        drop(ending);
        held.release();
    });
}

#[test]
fn it_is_pending_until_the_tasks_have_run() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let ran = counted(&pool, 50);
        let (alarm, waker) = Alarm::new();
        let mut ending = pool.shutdown_async();
        for _ in 0..3 {
            assert!(poll(&mut ending, &waker).is_pending());
        }
        assert_eq!((alarm.wakes(), ran.load(Ordering::Relaxed)), (0, 0));
        held.into_iter().for_each(Held::release);
        // One wake for the last worker, one when joining the threads begins, and one when it ends.
        assert!((1..=3).contains(&wait(&mut ending, &alarm, &waker)));
        assert_eq!(ran.load(Ordering::Relaxed), 50);
        assert!(all_exited(&pool));
        assert!(poll(&mut ending, &waker).is_ready(), "it stays ready");
        drop(waker);
        // The thread that woke us may still hold the waker.
        until(|| Arc::strong_count(&alarm) == 1);
    });
}

#[test]
fn the_last_polls_waker_is_woken_and_no_other() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let ((first, early), (last, late)) = (Alarm::new(), Alarm::new());
        let mut ending = pool.shutdown_async();
        assert!(poll(&mut ending, &early).is_pending());
        assert!(poll(&mut ending, &late).is_pending());
        drop(early);
        assert_eq!(Arc::strong_count(&first), 1);
        held.release();
        wait(&mut ending, &last, &late);
        assert_eq!(first.wakes(), 0);
    });
}

#[test]
fn several_at_once_are_all_woken() {
    within(PATIENCE, || {
        for _ in 0..200 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let ran = counted(&pool, 50);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        pollster::block_on(pool.shutdown_async());
                        assert_eq!(ran.load(Ordering::Relaxed), 50);
                        assert!(all_exited(&pool));
                    });
                }
                pool.shutdown();
                assert_eq!(ran.load(Ordering::Relaxed), 50);
            });
        }
    });
}

#[test]
fn two_in_one_task_are_woken_by_their_own_wakers() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let (one, two) = (Alarm::new(), Alarm::new());
        let mut endings = [pool.shutdown_async(), pool.shutdown_async()];
        assert!(poll(&mut endings[0], &one.1).is_pending());
        assert!(poll(&mut endings[1], &two.1).is_pending());
        held.into_iter().for_each(Held::release);
        wait(&mut endings[0], &one.0, &one.1);
        wait(&mut endings[1], &two.0, &two.1);
        assert!(one.0.wakes() > 0 && two.0.wakes() > 0);
    });
}

#[test]
fn what_the_threads_own_destructors_take_is_waited_for_without_blocking() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (told, hears) = mpsc::channel();
        pool.spawn(move || linger(opened, told)).join().unwrap();
        let (alarm, waker) = Alarm::new();
        let mut endings = [pool.shutdown_async(), pool.shutdown_async()];
        until(|| all_exited(&pool));
        for _ in 0..100 {
            assert!(endings.iter_mut().all(|ending| poll(ending, &waker).is_pending()));
            thread::yield_now();
        }
        drop(gate);
        for ending in &mut endings {
            wait(ending, &alarm, &waker);
            assert!(poll(ending, &waker).is_ready());
        }
        assert_eq!(hears.try_recv(), Ok(()), "the destructor has run");
    });
}

#[test]
fn dropped_part_way_it_leaves_nothing_behind() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let ran = counted(&pool, 50);
        let (alarm, waker) = Alarm::new();
        let mut ending = pool.shutdown_async();
        assert!(poll(&mut ending, &waker).is_pending());
        drop(ending);
        drop(waker);
        assert_eq!(Arc::strong_count(&alarm), 1);
        held.into_iter().for_each(Held::release);
        drop(pool);
        assert_eq!((ran.load(Ordering::Relaxed), alarm.wakes()), (50, 0));
    });
}

#[test]
fn dropped_while_threads_are_joined_the_pool_waits_for_the_rest() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (told, hears) = mpsc::channel();
        pool.spawn(move || linger(opened, told)).join().unwrap();
        let mut ending = pool.shutdown_async();
        until(|| all_exited(&pool));
        // The threads are handed to a joining thread, now or a moment later.
        for _ in 0..100 {
            assert!(poll(&mut ending, Waker::noop()).is_pending());
            thread::yield_now();
        }
        drop(ending);
        let dropper = thread::spawn(move || {
            drop(pool);
            hears.try_recv()
        });
        drop(gate);
        assert_eq!(dropper.join().unwrap(), Ok(()));
    });
}

#[test]
fn it_outlives_its_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let (alarm, waker) = Alarm::new();
        let mut ending = pool.shutdown_async();
        assert!(poll(&mut ending, &waker).is_pending());
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert_eq!(report.abandoned.len(), 1);
        // The pool was given up, so this drop waits for nothing.
        drop(pool);
        assert!(poll(&mut ending, &waker).is_pending());
        held.release();
        wait(&mut ending, &alarm, &waker);
    });
}

#[test]
fn inside_a_task_it_is_ready_at_once() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let task = pool.spawn(move || {
            let before = corepool::spawn(|| 1);
            pollster::block_on(inner.shutdown_async());
            let after = corepool::spawn(|| 2);
            (before.join().is_ok(), matches!(after.join(), Err(TaskError::Rejected(_))))
        });
        assert_eq!(task.join().unwrap(), (true, true));
        pollster::block_on(pool.shutdown_async());
        assert!(all_exited(&pool));
    });
}

#[test]
fn made_outside_and_polled_inside_it_is_ready_too() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let (give, given) = mpsc::channel::<UntilShutdown>();
        let task = pool.spawn(move || pollster::block_on(given.recv().unwrap()));
        let mut ending = pool.shutdown_async();
        let (alarm, waker) = Alarm::new();
        assert!(poll(&mut ending, &waker).is_pending());
        give.send(ending).unwrap();
        held.release();
        task.join().unwrap();
        drop(waker);
        assert_eq!(Arc::strong_count(&alarm), 1);
    });
}

#[test]
fn on_a_pool_that_has_ended_it_is_ready_at_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.shutdown();
        assert!(poll(&mut pool.shutdown_async(), Waker::noop()).is_ready());
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.close();
        pollster::block_on(pool.shutdown_async());
        assert!(poll(&mut pool.shutdown_async(), Waker::noop()).is_ready());
        assert!(all_exited(&pool));
    });
}

#[test]
fn a_worker_that_was_replaced_is_waited_for() {
    within(PATIENCE, || {
        for _ in 0..20 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
            let ran = counted(&pool, 50);
            pollster::block_on(pool.shutdown_async());
            assert!(ended.join().is_err());
            assert_eq!(ran.load(Ordering::Relaxed), 50);
            assert!(all_exited(&pool));
        }
    });
}

/// Panics when it is woken.
struct Trap(Sender<()>);

impl Wake for Trap {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
        panic!("a waker panicked on purpose");
    }
}

#[test]
fn a_waker_that_panics_takes_no_wake_from_the_others() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let held = hold(&pool);
        let (sprung, hears) = mpsc::channel();
        let trap = Waker::from(Arc::new(Trap(sprung)));
        let (alarm, waker) = Alarm::new();
        let mut endings = [pool.shutdown_async(), pool.shutdown_async()];
        assert!(poll(&mut endings[0], &trap).is_pending());
        assert!(poll(&mut endings[1], &waker).is_pending());
        held.release();
        wait(&mut endings[1], &alarm, &waker);
        assert_eq!(hears.recv(), Ok(()));
        assert!(poll(&mut endings[0], Waker::noop()).is_ready());
    });
}

/// Polls the future on the thread that wakes it, as some executors do.
struct PollsInPlace(std::sync::Mutex<UntilShutdown>, Sender<bool>);

impl Wake for PollsInPlace {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let ready = poll(&mut self.0.lock().unwrap(), &waker).is_ready();
        self.1.send(ready).unwrap();
    }
}

#[test]
fn a_waker_may_poll_in_place() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let (told, hears) = mpsc::channel();
        let task = Arc::new(PollsInPlace(std::sync::Mutex::new(pool.shutdown_async()), told));
        let waker = Waker::from(Arc::clone(&task));
        assert!(poll(&mut task.0.lock().unwrap(), &waker).is_pending());
        held.into_iter().for_each(Held::release);
        while !hears.recv().unwrap() {}
    });
}

#[test]
fn a_destructor_of_a_workers_thread_local_may_wait_for_it() {
    struct Ends(Arc<WorkerPool>, Sender<()>);
    impl Drop for Ends {
        fn drop(&mut self) {
            // Not through pollster, which needs a thread-local of its own.
            let (alarm, waker) = Alarm::new();
            wait(&mut self.0.shutdown_async(), &alarm, &waker);
            self.1.send(()).unwrap();
        }
    }
    thread_local! {
        static ENDS: RefCell<Option<Ends>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        for round in 0..100 {
            let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
            let (told, hears) = mpsc::channel();
            let held = hold(&pool);
            for held in [Some(held), None] {
                let ends = Ends(Arc::clone(&pool), told.clone());
                pool.spawn(move || ENDS.set(Some(ends))).join().unwrap();
                drop(held);
            }
            drop(told);
            match round % 3 {
                0 => pollster::block_on(pool.shutdown_async()),
                1 => pool.shutdown(),
                _ => pool.close(),
            }
            assert!(hears.iter().count() >= 1);
        }
    });
}
