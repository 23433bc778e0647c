//! Threads that the crate starts later inherit nothing from the thread that happens to start them.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use corepool::{CancelToken, WorkerPool, blocking};

use crate::child;
use crate::support::{thread_number, until};

/// What a thread inherits from the thread that starts it.
#[derive(Debug, PartialEq)]
struct Heritage {
    niceness: i32,
    policy: i32,
    blocked: u64,
}

fn heritage_of(thread: libc::pid_t) -> Option<Heritage> {
    let read = |file| fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
    let stat = read("stat")?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let status = read("status")?;
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    Some(Heritage {
        // The fields after the name are numbered from 3.
        niceness: fields[19 - 3].parse().ok()?,
        policy: fields[41 - 3].parse().ok()?,
        blocked: u64::from_str_radix(blocked.trim(), 16).ok()?,
    })
}

fn own_heritage() -> Heritage {
    heritage_of(thread_number()).unwrap()
}

/// Gives the calling thread properties that no other thread should inherit.
fn go_astray(signal: libc::c_int) {
    let own = thread_number();
    // SAFETY: `setpriority` has no preconditions.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, own.unsigned_abs(), 10) };
    assert_eq!(failed, 0);
    // SAFETY: all zeros is a valid signal set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a local variable, valid for writes.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    // SAFETY: `set` is a local variable, valid for reads; the old mask may be null.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Returns whether this was allowed.
fn go_real_time() -> bool {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: `priority` is a local variable, valid for reads.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) == 0 }
}

/// Only a thread that may raise its priority can undo an inherited niceness.
fn may_undo_niceness() -> bool {
    std::thread::spawn(|| {
        let own = thread_number().unsigned_abs();
        // SAFETY: `getpriority` has no preconditions.
        let before = unsafe { libc::getpriority(libc::PRIO_PROCESS, own) };
        // SAFETY: `setpriority` has no preconditions.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, own, 19) };
        // SAFETY: `setpriority` has no preconditions.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, own, before) == 0 }
    })
    .join()
    .unwrap()
}

/// What a spare worker's thread inherits when the worker that starts it has run `astray` before.
fn spare_of(astray: impl FnOnce() + Send + 'static) -> Heritage {
    let pool =
        std::sync::Arc::new(WorkerPool::builder().workers(1).spare_workers(1).build().unwrap());
    let own = std::sync::Arc::clone(&pool);
    let task = pool.spawn(move || {
        astray();
        let (tell, told) = mpsc::channel();
        own.spawn(move || tell.send(own_heritage())).detach();
        blocking(|| told.recv().unwrap())
    });
    task.join().unwrap()
}

#[test]
fn a_spare_worker_takes_after_the_thread_that_built_the_pool() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    let own = own_heritage();
    let mut spare = spare_of(|| go_astray(libc::SIGUSR1));
    if !may_undo_niceness() {
        spare.niceness = own.niceness;
    }
    assert_eq!(spare, own);
    let spare = spare_of(|| {
        go_real_time();
    });
    assert_eq!(spare, own);
}

#[test]
fn so_does_the_next_thread_of_a_worker() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    let own = own_heritage();
    let pool = WorkerPool::with_workers(1).unwrap();
    let ends = pool.spawn_with(|cx| {
        go_astray(libc::SIGUSR1);
        cx.end_worker();
    });
    assert!(ends.join().is_err());
    let mut next = pool.spawn(own_heritage).join().unwrap();
    if !may_undo_niceness() {
        next.niceness = own.niceness;
    }
    assert_eq!(next, own);
}

/// Finds a thread by its name.
fn thread_named(name: &str) -> libc::pid_t {
    let mut found = None;
    until(|| {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        found = threads
            .filter_map(|thread| thread.ok())
            .find(|thread| {
                let comm = fs::read_to_string(thread.path().join("comm"));
                comm.is_ok_and(|comm| comm.trim() == name)
            })
            .and_then(|thread| thread.file_name().to_str()?.parse().ok());
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn the_timer_takes_after_the_first_thread_and_hears_no_signals() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    let first = heritage_of(libc::pid_t::try_from(std::process::id()).unwrap()).unwrap();
    let pool = WorkerPool::with_workers(1).unwrap();
    let may_undo = may_undo_niceness();
    let token = pool.spawn(|| {
        go_astray(libc::SIGUSR1);
        go_real_time();
        CancelToken::with_timeout(Duration::from_secs(3600))
    });
    let _far = token.join().unwrap();
    let timer = thread_named("corepool-timer");
    let blocks = |heritage: &Heritage, signal: i32| (heritage.blocked >> (signal - 1)) & 1 == 1;
    until(|| heritage_of(timer).is_some_and(|timer| blocks(&timer, libc::SIGTERM)));
    let timer = heritage_of(timer).unwrap();
    assert_eq!(timer.policy, first.policy);
    assert!(!may_undo || timer.niceness == first.niceness, "{timer:?}");
    assert!(!blocks(&timer, libc::SIGSEGV), "a fault is told where it happens");
    let mask = |thread: libc::pid_t| {
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned()
    };
    let process = libc::pid_t::try_from(std::process::id()).unwrap();
    assert_eq!(mask(thread_named("corepool-timer")), mask(process));
}
