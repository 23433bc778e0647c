//! A shutdown with a limit is on time and reports exactly what was left.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use corepool::metrics::WorkerState;
use corepool::{TaskError, WorkerId, WorkerPool};

use crate::held::{Held, hold, hold_all, hold_named};
use crate::support::{PATIENCE, until, within};

/// Long enough for a few tasks to end within it on any machine.
const LONG: Duration = Duration::from_millis(1500);
const SHORT: Duration = Duration::from_millis(10);

#[test]
fn a_clean_shutdown_is_reported_as_such() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let queued: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
        let failing = pool.spawn(|| -> () { std::panic::resume_unwind(Box::new("not a value")) });
        let report = thread::scope(|scope| {
            let ending = scope.spawn(|| pool.shutdown_timeout(Duration::MAX));
            until(|| pool.is_closed());
            held.into_iter().for_each(Held::release);
            ending.join().unwrap()
        });
        assert!(report.is_clean());
        assert_eq!((report.completed, report.cancelled, report.abandoned.len()), (12, 0, 0));
        assert_eq!(report.to_string(), "12 completed, 0 cancelled");
        assert!(queued.into_iter().all(|task| task.join().is_ok()));
        assert!(failing.join().unwrap_err().is_panicked());
        assert!(pool.workers().iter().all(|worker| worker.state == WorkerState::Exited));
    });
}

#[test]
fn what_is_stuck_is_named_and_what_waits_is_cancelled() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let stuck = hold_named(&pool, "the stuck one");
        let (gate, nameless) = hold_by_type(&pool);
        let queued: Vec<_> = (0..70).map(|n| pool.spawn(move || n)).collect();
        let report = pool.shutdown_timeout(SHORT);
        assert_eq!((report.completed, report.cancelled), (0, 70));
        assert!(!report.is_clean());
        let mut names: Vec<_> = report.abandoned.iter().map(|left| left.task.as_str()).collect();
        names.sort_unstable_by_key(|name| *name != "the stuck one");
        assert_eq!(names[0], "the stuck one");
        assert!(names[1].contains("shutdown::timed::hold_by_type"), "{names:?}");
        let mut ids: Vec<_> = report.abandoned.iter().map(|left| left.worker).collect();
        ids.sort_unstable();
        assert_eq!(ids, [WorkerId::from(0), WorkerId::from(1)]);
        let text = report.to_string();
        assert!(text.contains("70 cancelled") && text.contains("the stuck one"), "{text}");
        for task in queued {
            assert!(matches!(task.join(), Err(TaskError::Cancelled)));
        }
        assert_eq!(pool.metrics().cancelled, 70);
        assert_eq!(pool.metrics().queue_depth, 0);
        drop(gate);
        nameless.join().unwrap();
        stuck.release();
    });
}

/// Keeps a worker busy with a task that has no name except its type's.
fn hold_by_type(pool: &WorkerPool) -> (mpsc::Sender<()>, corepool::TaskHandle<()>) {
    let (gate, wait) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let task = pool.spawn(move || {
        running.send(()).unwrap();
        let _released = wait.recv();
    });
    runs.recv().unwrap();
    (gate, task)
}

#[test]
fn what_ends_in_time_is_counted_beside_what_does_not() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.spawn(|| "before the shutdown, so not counted").join().unwrap();
        let stuck = hold_named(&pool, "stuck");
        let held = hold(&pool);
        let queued: Vec<_> = (0..5).map(|n| pool.spawn(move || n)).collect();
        let report = thread::scope(|scope| {
            let ending = scope.spawn(|| pool.shutdown_timeout(LONG));
            until(|| pool.is_closed());
            held.release();
            ending.join().unwrap()
        });
        assert_eq!((report.completed, report.cancelled, report.abandoned.len()), (6, 0, 1));
        assert_eq!(report.abandoned[0].task, "stuck");
        assert!(queued.into_iter().all(|task| task.join().is_ok()));
        stuck.release();
    });
}

#[test]
fn the_thread_of_a_stuck_task_ends_with_it() {
    within(PATIENCE, || {
        let (told, exits) = mpsc::channel();
        let pool = WorkerPool::builder()
            .workers(2)
            .on_worker_exit(move |worker| told.send(worker.id.index()).unwrap())
            .build()
            .unwrap();
        let stuck = hold(&pool);
        let report = pool.shutdown_timeout(SHORT);
        assert_eq!(report.abandoned.len(), 1);
        let idle = exits.recv().unwrap();
        assert_eq!(report.abandoned[0].worker.index(), 1 - idle);
        assert_eq!(exits.try_recv(), Err(mpsc::TryRecvError::Empty));
        stuck.release();
        assert_eq!(exits.recv(), Ok(1 - idle));
        assert!(pool.shutdown_timeout(Duration::MAX).is_clean());
    });
}

#[test]
fn a_second_timed_shutdown_reports_what_is_left_then() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let stuck = hold_named(&pool, "stuck");
        let queued = pool.spawn(|| 1);
        for cancelled in [1, 0] {
            let report = pool.shutdown_timeout(SHORT);
            assert_eq!((report.cancelled, report.abandoned.len()), (cancelled, 1));
        }
        assert!(queued.join().unwrap_err().is_cancelled());
        stuck.release();
    });
}

#[test]
fn timed_shutdowns_at_once_share_the_work() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let stuck = hold(&pool);
        let queued: Vec<_> = (0..500).map(|n| pool.spawn(move || n)).collect();
        let cancelled: u64 = thread::scope(|scope| {
            let enders: Vec<_> =
                (0..3).map(|_| scope.spawn(|| pool.shutdown_timeout(SHORT).cancelled)).collect();
            enders.into_iter().map(|ender| ender.join().unwrap()).sum()
        });
        assert_eq!(cancelled, 500, "each is cancelled and counted once");
        assert!(queued.into_iter().all(|task| task.join().unwrap_err().is_cancelled()));
        stuck.release();
    });
}

struct Blocks(Receiver<()>);

impl Drop for Blocks {
    fn drop(&mut self) {
        let _released = self.0.recv();
    }
}

thread_local! {
    static BLOCKS: RefCell<Option<Blocks>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_local_that_blocks_does_not_hold_up_a_timed_shutdown() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (gate, wait) = mpsc::channel();
        pool.spawn(move || BLOCKS.set(Some(Blocks(wait)))).join().unwrap();
        let (reported, report) = mpsc::channel();
        let ending = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || reported.send(pool.shutdown_timeout(SHORT)).unwrap())
        };
        // Hundreds of times the limit: only a shutdown that forgot its limit takes that long.
        let report = report.recv_timeout(SHORT * 300);
        drop(gate);
        ending.join().unwrap();
        assert!(report.is_ok(), "it waits for a destructor beyond its limit");
    });
}

#[test]
fn a_shutdown_waits_for_the_workers_thread_locals() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (gate, wait) = mpsc::channel();
        let (ended, ends) = mpsc::channel::<()>();
        thread_local! {
            /// Blocks when it is dropped. The sender is dropped afterwards, which signals the end.
            static TELLS: RefCell<Option<(Blocks, mpsc::Sender<()>)>> =
                const { RefCell::new(None) };
        }
        pool.spawn(move || TELLS.set(Some((Blocks(wait), ended)))).join().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                until(|| pool.workers()[0].state == WorkerState::Exited);
                drop(gate);
            });
            pool.shutdown();
            assert_eq!(ends.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        });
    });
}

#[test]
fn a_destructor_of_a_workers_thread_local_does_not_wait_for_its_own_thread() {
    struct Ends(Arc<WorkerPool>, mpsc::Sender<bool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            let report = self.0.shutdown_timeout(Duration::MAX);
            self.1.send(report.is_clean()).unwrap();
        }
    }
    thread_local! {
        static ENDS: RefCell<Option<Ends>> = const { RefCell::new(None) };
    }
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (told, hears) = mpsc::channel();
        let ends = Ends(Arc::clone(&pool), told);
        pool.spawn(move || ENDS.set(Some(ends))).join().unwrap();
        pool.close();
        assert_eq!(hears.recv(), Ok(true));
    });
}
