//! One core, a waiter that the system prefers, and a worker that has what it waits for. The waiter
//! must sleep, or neither makes progress.

use std::hint::black_box;
use std::io;
use std::mem;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use corepool::WorkerPool;

use crate::child;
use crate::cores::{confined, mask};
use crate::skip::skip;

/// Gives the calling thread precedence over all other threads on its core until it sleeps.
pub(crate) fn become_urgent() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sched_param`.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: `parameters` is a local variable; 0 means the calling thread.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the calling thread give way to all others.
fn become_patient() {
    // SAFETY: this call takes only numbers; 0 means the calling thread.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    assert_eq!(failed, 0);
}

/// The CPU time of the calling thread.
fn used() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a local variable, valid for writes.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Computes for a few milliseconds, or less in an optimized build.
fn compute() {
    let sum = (0..400_000_u64).fold(1, |sum: u64, n| black_box(sum.wrapping_mul(31) ^ n));
    black_box(sum);
}

/// In the parent: checks whether this machine allows urgent threads, and runs the test in a child
/// on one core.
fn on_one_core() {
    let allowed = std::thread::spawn(become_urgent).join().unwrap();
    if let Err(error) = allowed {
        return skip(&format!("no thread may be urgent here: {error}"));
    }
    child::run_again(|command| confined(command, mask()[0])).expect_success();
}

fn patient_pool(workers: usize) -> WorkerPool {
    let builder = WorkerPool::builder().workers(workers);
    builder.on_worker_start(|_| become_patient()).build().unwrap()
}

/// Asserts that the waiter did not use much CPU time since then. A thread that spins uses all of
/// it. How long the work takes also depends on what else the core has to do, because the worker
/// gives way to that.
#[track_caller]
fn expect_asleep(waited: Duration, since: Instant) {
    let time = since.elapsed();
    assert!(waited < time / 4, "it used {waited:?} of its core to wait for {time:?}");
}

/// Case 76.
#[test]
fn an_urgent_thread_that_joins_a_patient_workers_task_sleeps() {
    if child::is_child() {
        let pool = patient_pool(2);
        become_urgent().unwrap();
        let (before, start) = (used(), Instant::now());
        (0..20).for_each(|_| pool.spawn(compute).join().unwrap());
        expect_asleep(used() - before, start);
        return;
    }
    on_one_core();
}

/// Case 76. The waiter is a worker. It waits for the half of its call that the other worker has
/// taken.
#[test]
fn an_urgent_worker_that_waits_for_a_patient_ones_half_sleeps() {
    if child::is_child() {
        let builder =
            WorkerPool::builder().workers(2).on_worker_start(|worker| match worker.id.index() {
                0 => become_urgent().unwrap(),
                _ => become_patient(),
            });
        let pool = builder.build().unwrap();
        let calls = || {
            let mut waited = Duration::ZERO;
            for _ in 0..20 {
                let both = Arc::new(Barrier::new(2));
                let second = Arc::clone(&both);
                let (before, ()) = corepool::join(
                    move || {
                        // Sleeps until the other worker has begun its half.
                        both.wait();
                        used()
                    },
                    move || {
                        second.wait();
                        compute()
                    },
                );
                waited += used() - before;
            }
            waited
        };
        let start = Instant::now();
        let waited = pool.task().on_worker(0).spawn(calls).join().unwrap();
        expect_asleep(waited, start);
        return;
    }
    on_one_core();
}

/// Case 76. Patient workers empty a full queue. A thread that gets no turn may hold one of the
/// locks inside.
#[test]
fn an_urgent_thread_gets_through_a_crowd_of_patient_workers() {
    if child::is_child() {
        let builder = WorkerPool::builder().workers(4).queue_capacity(2);
        let pool = builder.on_worker_start(|_| become_patient()).build().unwrap();
        become_urgent().unwrap();
        let (before, start) = (used(), Instant::now());
        let tasks: Vec<_> = (0..40).map(|_| pool.spawn(compute)).collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        expect_asleep(used() - before, start);
        // And many short tasks, whose locks change hands all the time.
        let tasks: Vec<_> = (0..5_000_u64).map(|n| pool.spawn(move || n)).collect();
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 4_999 * 2_500);
        return;
    }
    on_one_core();
}
