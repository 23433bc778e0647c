//! A pool with nothing to do does nothing, and one task wakes one worker.
#![cfg(target_os = "linux")]

use std::fs;
use std::hint;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use corepool::metrics::WorkerState;
use corepool::{Dispatch, Pinning, WorkerPool};

use crate::support::{PATIENCE, thread_number, until, until_asleep, within};

/// The kernel's thread IDs of the workers.
fn threads(pool: &WorkerPool) -> Vec<libc::pid_t> {
    let workers = pool.workers().len();
    let all = Arc::new(Barrier::new(workers));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let all = Arc::clone(&all);
            pool.spawn(move || {
                all.wait();
                thread_number()
            })
        })
        .collect();
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

/// Waits until every worker is parked and its thread sleeps in the kernel.
fn until_quiet(pool: &WorkerPool, threads: &[libc::pid_t]) {
    until(|| pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
    threads.iter().for_each(|&thread| until_asleep(thread));
}

/// How long a thread has been on a core so far.
fn time_on_core(thread: libc::pid_t) -> Duration {
    let facts = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(facts.split_whitespace().next().unwrap().parse().unwrap())
}

/// How often a thread was put on a core, for any reason.
fn switches(thread: libc::pid_t) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let counts: Vec<u64> = status
        .lines()
        .filter(|line| line.contains("voluntary_ctxt_switches:"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), 2, "voluntary and not");
    counts.iter().sum()
}

#[test]
fn an_idle_pool_never_gets_a_core() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(4).dispatch(dispatch).build().unwrap();
            let threads = threads(&pool);
            until_quiet(&pool, &threads);
            let before: Vec<_> = threads.iter().map(|&thread| switches(thread)).collect();
            let busy: Vec<_> = pool.workers().iter().map(|worker| worker.busy_time).collect();
            // This sleep synchronises nothing. It is the time in which nothing may happen: a longer
            // or shorter one changes what the test notices, not what is right.
            thread::sleep(Duration::from_millis(300));
            let after: Vec<_> = threads.iter().map(|&thread| switches(thread)).collect();
            assert_eq!(after, before, "{dispatch:?}");
            assert!(pool.workers().iter().map(|worker| worker.busy_time).eq(busy));
        }
    });
}

#[test]
fn one_task_wakes_one_worker_once() {
    within(PATIENCE, || {
        for workers in [1, 2, 4] {
            // If workers were pinned, one that does not get its core would have another one woken
            // in its place.
            let builder = WorkerPool::builder().workers(workers).pinning(Pinning::None);
            let pool = builder.build().unwrap();
            let threads = threads(&pool);
            until_quiet(&pool, &threads);
            let start = pool.metrics();
            for n in 1..=200 {
                pool.spawn(|| ()).join().unwrap();
                until(|| pool.metrics().parks >= start.parks + n);
                until_quiet(&pool, &threads);
                let now = pool.metrics();
                assert_eq!((now.wakes - start.wakes, now.parks - start.parks), (n, n));
            }
        }
    });
}

#[test]
fn a_task_dealt_wakes_its_own_worker_only() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(3).dispatch(Dispatch::RoundRobin).build().unwrap();
        let threads = threads(&pool);
        until_quiet(&pool, &threads);
        let wakes = pool.metrics().wakes;
        for turn in 0..30 {
            let before: Vec<_> = threads.iter().map(|&thread| switches(thread)).collect();
            let index = pool.spawn(thread_number).join().unwrap();
            let runner = threads.iter().position(|&thread| thread == index).unwrap();
            until_quiet(&pool, &threads);
            for (other, &thread) in threads.iter().enumerate().filter(|(other, _)| *other != runner)
            {
                assert_eq!(switches(thread), before[other], "turn {turn}");
            }
            assert_eq!(pool.metrics().wakes, wakes + turn + 1);
        }
    });
}

#[test]
fn a_burst_wakes_each_worker_at_most_once_while_it_lasts() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(4).unwrap();
        let threads = threads(&pool);
        until_quiet(&pool, &threads);
        let before = pool.metrics();
        // All workers are needed at once, so none goes back to sleep before the last one is woken.
        let all = Arc::new(Barrier::new(4));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let all = Arc::clone(&all);
                pool.spawn(move || {
                    all.wait();
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        until_quiet(&pool, &threads);
        let after = pool.metrics();
        assert!(after.wakes - before.wakes >= 4, "{after}");
        assert_eq!(after.parks - before.parks, after.wakes - before.wakes, "nobody slept in vain");
    });
}

/// A worker must check now and then whether the thread has left any work, but less and less often.
#[test]
fn a_thread_that_computes_alone_inside_a_call_costs_the_sleepers_next_to_nothing() {
    const SPAN: Duration = Duration::from_secs(1);
    // Under the test tools, which watch or disturb each access, a check takes many times as long.
    const MOST: u32 = if cfg!(any(corepool_chaos, corepool_tsan)) { 5 } else { 100 };
    within(PATIENCE, || {
        for workers in [2, 16] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let threads = threads(&pool);
            until_quiet(&pool, &threads);
            // This runs on a thread that is not a worker, so its time does not count.
            let compute = || {
                let start = Instant::now();
                while start.elapsed() < SPAN {
                    hint::spin_loop();
                }
            };
            let before: Duration = threads.iter().map(|&thread| time_on_core(thread)).sum();
            pool.join(compute, || ());
            let spent =
                threads.iter().map(|&thread| time_on_core(thread)).sum::<Duration>() - before;
            println!("{workers} workers: {spent:?}");
            assert!(spent < SPAN / MOST, "{workers} workers: {spent:?} in {SPAN:?}");
        }
    });
}
