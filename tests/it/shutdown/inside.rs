//! A pool that is ended by its own tasks, by their destructors, or by the wakers that they trigger.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use corepool::{TaskError, WorkerPool};

use crate::held::{hold, hold_all};
use crate::support::{PATIENCE, until, within};

/// A pool whose workers report when they exit.
fn telling(workers: usize) -> (Arc<WorkerPool>, mpsc::Receiver<usize>) {
    let (told, exits) = mpsc::channel();
    let pool = WorkerPool::builder()
        .workers(workers)
        .on_worker_exit(move |worker| {
            // Some tests no longer listen.
            let _told = told.send(worker.id.index());
        })
        .build()
        .unwrap();
    (Arc::new(pool), exits)
}

/// Waits until all workers have exited and no sender is left.
fn expect_exits(exits: &mpsc::Receiver<usize>, workers: usize) {
    let mut exited: Vec<_> = exits.iter().collect();
    exited.sort_unstable();
    assert_eq!(exited, (0..workers).collect::<Vec<_>>());
}

#[test]
fn a_task_shuts_its_own_pool_down() {
    within(PATIENCE, || {
        let (pool, exits) = telling(2);
        let inner = Arc::clone(&pool);
        let task = pool.spawn(move || {
            let before = corepool::spawn(|| 1);
            inner.shutdown();
            inner.shutdown();
            let after = corepool::spawn(|| 2);
            (before.join().is_ok(), matches!(after.join(), Err(TaskError::Rejected(_))))
        });
        assert_eq!(task.join().unwrap(), (true, true));
        pool.shutdown();
        drop(pool);
        expect_exits(&exits, 2);
    });
}

#[test]
fn two_tasks_shut_their_pool_down_at_once() {
    within(PATIENCE, || {
        for _ in 0..200 {
            let (pool, exits) = telling(2);
            let tasks: Vec<_> = (0..2)
                .map(|_| {
                    let pool = Arc::clone(&pool);
                    pool.clone().spawn(move || pool.shutdown())
                })
                .collect();
            pool.shutdown();
            for task in tasks {
                // The second task may have been spawned after the first one had closed the pool.
                assert!(matches!(task.join(), Ok(()) | Err(TaskError::Rejected(_))));
            }
            drop(pool);
            expect_exits(&exits, 2);
        }
    });
}

#[test]
fn a_timed_shutdown_inside_a_task_reports_at_once() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let task = pool.task().name("the closer").spawn(move || {
            let queued = corepool::spawn(|| 7);
            (inner.shutdown_timeout(Duration::MAX), queued)
        });
        let (report, queued) = task.join().unwrap();
        assert_eq!(report.cancelled, 0);
        let names: Vec<_> = report.abandoned.iter().map(|left| left.task.as_str()).collect();
        assert_eq!(names, ["the closer"]);
        assert!(!report.is_clean());
        assert_eq!(queued.join().unwrap(), 7, "what was accepted still runs");
    });
}

#[test]
fn the_last_owner_may_be_a_task() {
    within(PATIENCE, || {
        for workers in [1, 2, 4] {
            let (pool, exits) = telling(workers);
            let (gate, wait) = mpsc::channel::<()>();
            let inner = Arc::clone(&pool);
            let last = pool.spawn(move || {
                let _released = wait.recv();
                // The drop inside the worker must not wait for this very worker.
                drop(inner);
                1
            });
            let behind: Vec<_> = (0..100).map(|n| pool.spawn(move || n)).collect();
            drop(pool);
            drop(gate);
            assert_eq!(last.join().unwrap(), 1);
            let sum: usize = behind.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 4950, "what was accepted still runs");
            expect_exits(&exits, workers);
        }
    });
}

#[test]
fn a_pool_owned_by_its_queued_tasks_only_ends_when_they_have_run() {
    within(PATIENCE, || {
        let (pool, exits) = telling(2);
        let held = hold_all(&pool);
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let pool = Arc::clone(&pool);
                pool.clone().spawn(move || pool.workers().len() + n)
            })
            .collect();
        let gone = Arc::downgrade(&pool);
        drop(pool);
        held.into_iter().for_each(crate::held::Held::release);
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), 2 + n);
        }
        expect_exits(&exits, 2);
        assert_eq!(gone.strong_count(), 0);
    });
}

#[test]
fn a_result_that_owns_the_pool_may_be_dropped_on_its_worker() {
    within(PATIENCE, || {
        let (pool, exits) = telling(2);
        let (gate, wait) = mpsc::channel::<()>();
        let inner = Arc::clone(&pool);
        let task = pool.spawn(move || {
            let _released = wait.recv();
            inner
        });
        drop(pool);
        task.detach();
        drop(gate);
        expect_exits(&exits, 2);
    });
}

#[test]
fn what_only_workers_own_does_not_keep_the_pool_alive() {
    thread_local! {
        static KEPT: RefCell<Option<(Weak<WorkerPool>, Sender<()>)>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        let (pool, exits) = telling(2);
        let (kept, alive) = mpsc::channel::<()>();
        for _ in 0..2 {
            let (weak, kept) = (Arc::downgrade(&pool), kept.clone());
            pool.spawn(move || KEPT.set(Some((weak, kept)))).join().unwrap();
        }
        drop(kept);
        drop(pool);
        assert_eq!(alive.recv(), Err(mpsc::RecvError), "the thread-locals are gone");
        expect_exits(&exits, 2);
    });
}

#[test]
fn workers_thread_locals_may_own_the_pool_until_it_is_closed() {
    thread_local! {
        static KEPT: RefCell<Option<Arc<WorkerPool>>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        for _ in 0..50 {
            let (pool, exits) = telling(2);
            let held = hold(&pool);
            let one = Arc::clone(&pool);
            pool.spawn(move || KEPT.set(Some(one))).join().unwrap();
            let two = Arc::clone(&pool);
            let other = pool.spawn(move || KEPT.set(Some(two)));
            held.release();
            other.join().unwrap();
            pool.close();
            // The last owners are now in destructors of the workers' threads, after the workers
            // have left.
            let gone = Arc::downgrade(&pool);
            drop(pool);
            expect_exits(&exits, 2);
            until(|| gone.strong_count() == 0);
        }
    });
}

#[test]
fn a_destructor_of_a_workers_thread_local_may_use_any_pool() {
    struct Calls(Arc<WorkerPool>, Sender<(bool, bool, bool)>);
    impl Drop for Calls {
        fn drop(&mut self) {
            let own = matches!(self.0.spawn(|| 1).join(), Err(TaskError::Rejected(_)));
            let free = corepool::spawn(|| 2).join().is_ok_and(|two| two == 2);
            self.0.shutdown();
            self.1.send((own, free, self.0.is_current())).unwrap();
        }
    }
    thread_local! {
        static CALLS: RefCell<Option<Calls>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (told, hears) = mpsc::channel();
        let calls = Calls(Arc::clone(&pool), told);
        pool.spawn(move || CALLS.set(Some(calls))).join().unwrap();
        pool.shutdown();
        assert_eq!(hears.recv(), Ok((true, true, false)));
    });
}

#[test]
fn a_cancelled_tasks_destructor_may_spawn_and_close() {
    struct Acts(Arc<WorkerPool>, Sender<bool>);
    impl Drop for Acts {
        fn drop(&mut self) {
            let refused = matches!(self.0.spawn(|| 1).join(), Err(TaskError::Rejected(_)));
            self.0.close();
            self.1.send(refused).unwrap();
        }
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let held = hold(&pool);
        let (told, hears) = mpsc::channel();
        let acts = Acts(Arc::clone(&pool), told);
        let queued = pool.spawn(move || drop(acts));
        let report = pool.shutdown_timeout(Duration::ZERO);
        assert_eq!(report.cancelled, 1);
        assert!(matches!(queued.join(), Err(TaskError::Cancelled)));
        assert_eq!(hears.recv(), Ok(true));
        held.release();
    });
}

/// Counts its wakes, and drops what it owns at the first wake.
struct Owner(std::sync::Mutex<Option<Arc<WorkerPool>>>, AtomicUsize);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        let pool = self.0.lock().unwrap().take();
        drop(pool);
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_may_drop_the_last_owner() {
    within(PATIENCE, || {
        let (pool, exits) = telling(2);
        let (gate, wait) = mpsc::channel::<()>();
        let mut task = pool.spawn(move || {
            let _released = wait.recv();
        });
        let owner = Arc::new(Owner(std::sync::Mutex::new(Some(pool)), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&owner));
        let poll = Future::poll(std::pin::Pin::new(&mut task), &mut Context::from_waker(&waker));
        assert!(matches!(poll, Poll::Pending));
        drop(gate);
        expect_exits(&exits, 2);
        assert!(task.is_finished());
        task.join().unwrap();
        assert_eq!(owner.1.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn wakers_fire_while_the_pool_is_dropped() {
    within(PATIENCE, || {
        for round in 0..500 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let mut tasks: Vec<_> = (0..round % 20).map(|n| pool.spawn(move || n)).collect();
            let owner = Arc::new(Owner(std::sync::Mutex::new(None), AtomicUsize::new(0)));
            let waker = Waker::from(Arc::clone(&owner));
            let mut cx = Context::from_waker(&waker);
            let dropper = thread::spawn(move || drop(pool));
            let mut pending = 0;
            let mut ready = 0;
            tasks.retain_mut(|task| match Future::poll(std::pin::Pin::new(task), &mut cx) {
                Poll::Pending => {
                    pending += 1;
                    true
                }
                Poll::Ready(result) => {
                    result.unwrap();
                    ready += 1;
                    false
                }
            });
            dropper.join().unwrap();
            assert_eq!(pending + ready, round % 20);
            assert_eq!(owner.1.load(Ordering::SeqCst), pending, "each waker fired once");
            assert!(tasks.iter().all(corepool::TaskHandle::is_finished));
        }
    });
}
