//! Threads that take time to end: which calls wait for them and which do not.

use std::cell::RefCell;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use corepool::WorkerPool;

use crate::support::{PATIENCE, within};

/// Delays the end of its thread until it is let go.
struct Lingers(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Drop for Lingers {
    fn drop(&mut self) {
        let _told = self.0.send(());
        let _gone_on = self.1.recv();
    }
}

thread_local! {
    static LINGERS: RefCell<Option<Lingers>> = const { RefCell::new(None) };
}

#[test]
fn of_two_shutdowns_at_once_each_returns_when_the_threads_have_ended() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (ends, is_ending) = mpsc::channel();
        let (go, waits) = mpsc::channel();
        let lingers = Lingers(ends, waits);
        pool.spawn(move || LINGERS.set(Some(lingers))).join().unwrap();
        let shutdown = || {
            let (pool, (done, is_done)) = (Arc::clone(&pool), mpsc::channel());
            std::thread::spawn(move || {
                pool.shutdown();
                done.send(()).unwrap();
            });
            is_done
        };
        let first = shutdown();
        is_ending.recv().unwrap();
        let early = Duration::from_millis(300);
        assert!(first.recv_timeout(early).is_err(), "the thread is still there");
        let second = shutdown();
        assert!(second.recv_timeout(early).is_err(), "the thread is still there");
        drop(go);
        first.recv().unwrap();
        second.recv().unwrap();
    });
}

#[test]
fn a_drop_does_not_wait_for_threads_that_a_timed_shutdown_left_behind() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (ends, is_ending) = mpsc::channel();
        let (go, waits) = mpsc::channel();
        let lingers = Lingers(ends, waits);
        pool.spawn(move || LINGERS.set(Some(lingers))).join().unwrap();
        let report = pool.shutdown_timeout(Duration::from_millis(300));
        assert!(report.is_clean());
        is_ending.recv().unwrap();
        drop(pool);
        drop(go);
    });
}
