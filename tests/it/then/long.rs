//! Chains of 200,000 links need no stack, whatever happens to them.

use std::cell::RefCell;
use std::sync::mpsc::{self, Sender};
use std::thread;

use corepool::{CancelToken, TaskError, TaskHandle, WorkerPool};

use crate::support::{Busy, Drops, PATIENCE, occupy, within};

const LINKS: u64 = if cfg!(any(corepool_chaos, corepool_tsan)) { 20_000 } else { 200_000 };

fn chain(first: TaskHandle<u64>) -> TaskHandle<u64> {
    let mut end = first;
    for _ in 0..LINKS {
        end = end.then(|n| n + 1);
    }
    end
}

#[test]
fn it_runs() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        assert_eq!(chain(pool.spawn(|| 0)).join().unwrap(), LINKS);
    });
}

#[test]
fn it_fails() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let end = chain(pool.spawn(|| std::panic::resume_unwind(Box::new("at the bottom"))));
        busy.release();
        assert!(end.join().unwrap_err().is_panicked());
        pool.shutdown();
        assert_eq!(pool.metrics().panicked, LINKS + 1);
    });
}

#[test]
fn it_is_cancelled_from_its_end() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let token = drops.token();
        let end = chain(pool.spawn(move || {
            drop(token);
            0
        }));
        assert!(end.cancel());
        assert_eq!(drops.count(), 1);
        busy.release();
        pool.shutdown();
        assert_eq!(pool.metrics().cancelled, LINKS + 1);
    });
}

#[test]
fn it_is_refused() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1).build().unwrap();
        let busy = occupy(&pool, 1);
        let end = chain(pool.spawn(|| 0));
        let report = pool.shutdown_timeout(std::time::Duration::from_millis(1));
        assert!(report.cancelled >= 1);
        busy.release();
        assert!(matches!(end.join(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn it_is_dropped_and_runs_all_the_same() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        drop(chain(pool.spawn(|| 0)));
        busy.release();
        pool.shutdown();
        assert_eq!(pool.metrics().completed, LINKS + 2);
    });
}

#[test]
fn a_task_on_a_pool_of_one_worker_waits_for_it() {
    within(3 * PATIENCE, || {
        let pool = std::sync::Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = std::sync::Arc::clone(&pool);
        let sum = pool.spawn(move || chain(inner.spawn(|| 0)).join().unwrap());
        assert_eq!(sum.join().unwrap(), LINKS);
        let inner = std::sync::Arc::clone(&pool);
        let awaited = pool.spawn(move || pollster::block_on(chain(inner.spawn(|| 0))).unwrap());
        assert_eq!(awaited.join().unwrap(), LINKS);
    });
}

/// Cancels the first task of a chain when it is dropped, and reports how the chain's last task
/// ended.
struct Cancels(CancelToken, Option<TaskHandle<u64>>, Sender<TaskError>, Option<Busy>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.cancel();
        self.3 = None;
        let end = self.1.take().unwrap().join();
        self.2.send(end.unwrap_err()).unwrap();
    }
}

thread_local! {
    static LAST: RefCell<Option<Cancels>> = const { RefCell::new(None) };
}

#[test]
fn it_fails_where_thread_locals_are_gone() {
    within(3 * PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (said, told) = mpsc::channel();
        let busy = occupy(&pool, 1);
        let make = || {
            let token = CancelToken::new();
            let end = chain(pool.task().cancel_token(&token).spawn(|| 0));
            (token, end)
        };
        let ((token, end), (early, early_end)) = (make(), make());
        let ends = thread::spawn(move || {
            // The first thread-local of this thread, so the last to be destroyed.
            LAST.set(Some(Cancels(token, Some(end), said, Some(busy))));
            // This creates the pool's thread-locals, which will be gone when `LAST` is destroyed.
            early.cancel();
            drop(early_end);
        });
        assert!(told.recv().unwrap().is_cancelled());
        ends.join().unwrap();
    });
}
