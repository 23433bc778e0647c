//! The system refuses the thread of a spare worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use corepool::metrics::WorkerState;
use corepool::{WorkerPool, blocking};

use crate::child;
use crate::support::{PATIENCE, until, within};
use crate::threads::{allow_threads, become_somebody, threads};

#[test]
fn close_does_not_block_though_a_spare_workers_thread_is_refused() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    become_somebody();
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).spare_workers(1).build().unwrap();
        let (go, waits) = mpsc::channel::<()>();
        let (lends, is_lending) = mpsc::channel();
        let lender = pool.spawn(move || {
            blocking(|| {
                lends.send(()).unwrap();
                assert!(waits.recv().is_err(), "the sender is dropped");
            });
        });
        is_lending.recv().unwrap();
        allow_threads(1);
        let queued = pool.spawn(|| 7);
        pool.close();
        drop(go);
        lender.join().unwrap();
        assert_eq!(queued.join().unwrap(), 7);
    });
}

#[test]
fn a_refused_thread_does_not_hide_that_nobody_searches() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    become_somebody();
    within(PATIENCE, || {
        let (name_it, may_name) = mpsc::channel::<()>();
        let may_name = Mutex::new(may_name);
        let names = Arc::new(AtomicBool::new(false));
        let is_naming = Arc::clone(&names);
        let name = move |id: corepool::WorkerId| {
            if id.index() == 2 {
                // The submitter's thread is about to start a spare worker's thread, and takes its
                // time.
                names.store(true, Ordering::SeqCst);
                may_name.lock().unwrap().recv().unwrap();
            }
            format!("w{id}")
        };
        let builder = WorkerPool::builder().workers(2).spare_workers(1).thread_name(name);
        let pool = Arc::new(builder.build().unwrap());
        let (sender, receiver) = mpsc::channel();
        let (lends, is_lending) = mpsc::channel();
        let lender = pool.task().on_worker(0).spawn(move || {
            blocking(|| {
                lends.send(()).unwrap();
                receiver.recv().unwrap()
            })
        });
        is_lending.recv().unwrap();
        let (go, waits) = mpsc::channel::<()>();
        let (inside, is_inside) = mpsc::channel();
        let busy = pool.task().on_worker(1).spawn(move || {
            inside.send(()).unwrap();
            assert!(waits.recv().is_err(), "the sender is dropped");
        });
        is_inside.recv().unwrap();
        let inner = Arc::clone(&pool);
        let submitter = thread::spawn(move || inner.spawn(|| ()).join().unwrap());
        until(|| is_naming.load(Ordering::SeqCst));
        // Now the other worker runs the queued tasks, and goes to sleep.
        let parks = pool.metrics().workers[1].parks;
        drop(go);
        busy.join().unwrap();
        until(|| pool.metrics().workers[1].parks > parks);
        until(|| pool.workers()[1].state == WorkerState::Parked);
        // A worker still counts as searching, so this wakes no worker.
        pool.spawn(move || sender.send(1).unwrap()).detach();
        allow_threads(1);
        name_it.send(()).unwrap();
        assert_eq!(lender.join().unwrap(), 1);
        submitter.join().unwrap();
        assert!(threads() > 2);
    });
}

/// Waiting for the threads with a time limit, or without blocking, takes a thread. Nothing is lost
/// without one: the other threads end by themselves.
#[test]
fn a_pool_ends_though_there_is_no_thread_to_wait_for_the_others_in() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    become_somebody();
    within(PATIENCE, || {
        let pools = [0, 1].map(|_| WorkerPool::with_workers(1).unwrap());
        allow_threads(1);
        let tasks = [0, 1].map(|n| pools[n].spawn(move || n));
        assert!(pools[0].shutdown_timeout(PATIENCE).is_clean());
        pollster::block_on(pools[1].shutdown_async());
        for (n, mut task) in tasks.into_iter().enumerate() {
            assert_eq!(task.try_join().expect("it ran before its pool ended").unwrap(), n);
        }
        drop(pools);
    });
}
