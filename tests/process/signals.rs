//! Signals that hit workers: their sleep goes on, their tasks go on, and who asked to end the process does.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use corepool::WorkerPool;

use crate::child;

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Has the signal counted, and interrupt system calls.
fn handle(signal: libc::c_int) {
    // SAFETY: zeros are a valid description of a handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // No SA_RESTART: every blocking call of the workers comes back with EINTR.
    action.sa_flags = 0;
    // SAFETY: the handler only adds to an atomic, which is allowed in a handler.
    let failed = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

fn terminate_this_process() {
    let own = libc::pid_t::try_from(std::process::id()).unwrap();
    // SAFETY: no preconditions.
    let failed = unsafe { libc::kill(own, libc::SIGTERM) };
    assert_eq!(failed, 0);
}

fn worker_threads(pool: &WorkerPool) -> Vec<libc::pthread_t> {
    let workers = pool.workers().len();
    let all = Arc::new(Barrier::new(workers));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let all = Arc::clone(&all);
            pool.spawn(move || {
                all.wait();
                // SAFETY: no preconditions.
                unsafe { libc::pthread_self() }
            })
        })
        .collect();
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

#[test]
fn a_storm_of_signals_changes_nothing() {
    if child::is_child() {
        handle(libc::SIGUSR1);
        let pool = WorkerPool::builder().workers(2).queue_capacity(4).build().unwrap();
        let threads = worker_threads(&pool);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for &thread in &threads {
                        // SAFETY: the pool lives, so its threads do.
                        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                    }
                    thread::yield_now();
                }
            });
            // Until ten thousand have hit: one at a time so that workers sleep between, and bursts.
            let mut rounds = 0_u64;
            while rounds < 2_000 || HANDLED.load(Ordering::Relaxed) < 10_000 {
                assert_eq!(pool.spawn(move || rounds).join().unwrap(), rounds);
                let tasks: Vec<_> = (0..10).map(|n| pool.spawn(move || n)).collect();
                let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
                assert_eq!(sum, 45);
                rounds += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
        let metrics = pool.metrics();
        assert_eq!((metrics.lost, metrics.panicked, metrics.rejected), (0, 0, 0));
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_signal_without_a_task_does_not_start_one() {
    if child::is_child() {
        handle(libc::SIGUSR1);
        let pool = WorkerPool::with_workers(1).unwrap();
        let threads = worker_threads(&pool);
        let parks = || pool.metrics().parks;
        let parked = || pool.workers()[0].state == corepool::WorkerState::Parked;
        while !parked() {
            thread::yield_now();
        }
        let before = parks();
        for handled in 1..=200 {
            // SAFETY: the pool lives, so its threads do.
            unsafe { libc::pthread_kill(threads[0], libc::SIGUSR1) };
            while HANDLED.load(Ordering::Relaxed) < handled {
                thread::yield_now();
            }
        }
        assert!(parked());
        assert_eq!(parks(), before, "it slept on");
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn sigterm_ends_the_process_as_it_would_without_a_pool() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let endless = pool.spawn(|| {
            loop {
                thread::park();
            }
        });
        terminate_this_process();
        return drop(endless.join());
    }
    let ended = child::run_again(|_| {});
    let status = ended.status.expect("the child hangs");
    assert_eq!(status.signal(), Some(libc::SIGTERM), "{}", ended.said);
}

#[test]
fn a_signal_handler_thread_can_shut_the_pool_down() {
    if child::is_child() {
        handle(libc::SIGTERM);
        let pool = WorkerPool::with_workers(2).unwrap();
        let cancelled = Arc::new(AtomicBool::new(false));
        let sees = Arc::clone(&cancelled);
        let task = pool.spawn_with(move |cx: &corepool::TaskContext| {
            while !cx.is_cancelled() {
                thread::yield_now();
            }
            sees.store(true, Ordering::SeqCst);
        });
        terminate_this_process();
        while HANDLED.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let queued = !task.cancel();
        pool.shutdown();
        assert_eq!(cancelled.load(Ordering::SeqCst), queued);
        return;
    }
    child::run_again(|_| {}).expect_success();
}
