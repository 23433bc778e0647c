//! Signals that hit workers: their sleep and their tasks continue, and a process that is asked to
//! end does.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use corepool::cancel::CancelReason;
use corepool::{CancelToken, WorkerPool};

use crate::child;

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Counts the signal, and lets it interrupt system calls.
fn handle(signal: libc::c_int) {
    // SAFETY: all zeros is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // No `SA_RESTART`: every blocking call of the workers returns with `EINTR`.
    action.sa_flags = 0;
    // SAFETY: the handler only adds to an atomic, which is allowed in a signal handler.
    let failed = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

fn terminate_this_process() {
    let own = libc::pid_t::try_from(std::process::id()).unwrap();
    // SAFETY: `kill` has no preconditions.
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
                // SAFETY: `pthread_self` has no preconditions.
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
                        // SAFETY: the pool is alive, so its threads are too.
                        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                    }
                    thread::yield_now();
                }
            });
            // Until ten thousand signals have hit: single tasks, so that workers sleep in between,
            // and bursts.
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
        let parked = || pool.workers()[0].state == corepool::metrics::WorkerState::Parked;
        while !parked() {
            thread::yield_now();
        }
        let before = parks();
        for handled in 1..=200 {
            // SAFETY: the pool is alive, so its threads are too.
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
        let runs = Arc::new(Barrier::new(2));
        let begins = Arc::clone(&runs);
        let task = pool.spawn_with(move |cx: &corepool::TaskContext| {
            begins.wait();
            while !cx.is_cancelled() {
                thread::yield_now();
            }
            sees.store(true, Ordering::SeqCst);
        });
        runs.wait();
        terminate_this_process();
        while HANDLED.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        assert!(!task.cancel(), "it runs, so it is only asked to end");
        pool.shutdown();
        assert!(cancelled.load(Ordering::SeqCst));
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// What `Ctrl-Z` and `fg` do: all threads stop where they are, in a sleep, a spin or a lock, and
/// then continue.
#[test]
fn a_process_that_is_stopped_and_continued_goes_on() {
    if child::is_child() {
        let own = std::process::id();
        let pool = WorkerPool::builder().workers(2).queue_capacity(8).build().unwrap();
        // No helper thread, only a shell. It stops this process 40 times, and each time waits until
        // the process has really stopped.
        let script = "n=0; while [ $n -lt 40 ]; do kill -STOP $0 || exit 1; \
            until grep -q '^State:.T' /proc/$0/status; do :; done; kill -CONT $0; n=$((n+1)); done";
        let mut stops =
            Command::new("/bin/sh").args(["-c", script, &own.to_string()]).spawn().unwrap();
        let mut rounds = 0_u64;
        let ended = loop {
            assert_eq!(pool.spawn(move || rounds).join().unwrap(), rounds);
            let tasks: Vec<_> = (0..20_u64).map(|n| pool.spawn(move || n)).collect();
            let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 190);
            assert_eq!(pool.map_reduce(0..100_u64, |n| n, |a, b| a + b), Some(4_950));
            CancelToken::with_timeout(Duration::from_micros(100)).wait();
            rounds += 1;
            if let Some(ended) = stops.try_wait().unwrap() {
                break ended;
            }
        };
        assert!(ended.success(), "{ended}");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// A deadline that passes while the process is stopped has passed when it continues, and a queued
/// task is not lost.
#[test]
fn a_limit_that_passes_while_the_process_is_stopped_has_passed() {
    if child::is_child() {
        let own = std::process::id();
        let pool = WorkerPool::with_workers(1).unwrap();
        let token = CancelToken::with_timeout(Duration::from_millis(300));
        let queued = pool.task().cancel_token(&token).spawn(|| 1);
        let script = "kill -STOP $0; until grep -q '^State:.T' /proc/$0/status; do :; done; \
            sleep 0.5; kill -CONT $0";
        let stops = Command::new("/bin/sh").args(["-c", script, &own.to_string()]).status();
        assert!(stops.unwrap().success());
        assert_eq!(token.wait(), CancelReason::DeadlinePassed);
        // The task ran before, or it is cancelled: never both, and never neither.
        let _settled = queued.join();
        assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// A shutdown requested by a signal, in a program that only takes note of signals.
#[test]
fn sigterm_in_the_middle_of_work_ends_it_in_good_order() {
    if child::is_child() {
        handle(libc::SIGTERM);
        let pool = WorkerPool::builder().workers(2).queue_capacity(16).build().unwrap();
        let (mut accepted, mut done) = (0_u64, 0_u64);
        let mut tasks = VecDeque::new();
        while HANDLED.load(Ordering::Relaxed) == 0 {
            let signals = accepted == 5_000;
            tasks.push_back(pool.spawn(move || {
                if signals {
                    terminate_this_process();
                }
                1
            }));
            accepted += 1;
            if tasks.len() > 100 {
                done += tasks.pop_front().unwrap().join().unwrap();
            }
        }
        pool.close();
        done += tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>();
        pool.shutdown();
        assert_eq!(done, accepted, "what was accepted has run");
        assert!(accepted > 5_000);
        return;
    }
    child::run_again(|_| {}).expect_success();
}
