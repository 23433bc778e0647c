//! A control group that grants less time than there are cores: the pool has fewer workers, does not
//! pin them, and wastes no time.

use std::env;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corepool::{Pinning, WorkerPool};

use crate::child;
use crate::cores::{mask, refuse};
use crate::groups::Group;

const QUOTA: &str = "COREPOOL_TEST_QUOTA";
/// A quota of one core, in microseconds as the kernel counts it.
const PERIOD: usize = 100_000;

/// The time that the group grants per period; `None` if there is no limit.
fn quota() -> Option<usize> {
    env::var(QUOTA).unwrap().parse().ok()
}

/// Checks the number and the cores of workers against what this process is granted.
fn expect_workers(granted: usize) {
    let all = mask();
    let expected = all.len().min(granted);
    let pool = WorkerPool::new().unwrap();
    assert_eq!(pool.worker_count(), expected);
    let mut cores: Vec<_> = pool.workers().iter().filter_map(|worker| worker.core).collect();
    cores.sort_unstable();
    if expected == all.len() {
        assert_eq!(cores, all, "each worker has a core");
    } else {
        assert!(cores.is_empty(), "a thread with time left may run on any core: {cores:?}");
        assert_eq!(pool.spawn(mask).join().unwrap(), all);
    }
    let many = WorkerPool::with_workers(all.len() + 2).unwrap();
    let pinned = many.workers().iter().filter(|worker| worker.core.is_some()).count();
    assert_eq!(pinned, if expected == all.len() { all.len() + 2 } else { 0 });
    let physical = WorkerPool::builder().workers_per_physical_core().build().unwrap();
    assert!((1..=expected).contains(&physical.worker_count()));
    // Cores that are named explicitly are used anyway.
    let named = WorkerPool::builder().workers(1).pinning(Pinning::Cores(vec![all[0]]));
    assert_eq!(named.build().unwrap().workers()[0].core, Some(all[0]));
    assert_eq!(WorkerPool::global().worker_count(), expected);
    assert_eq!(corepool::spawn(|| 1).join().unwrap(), 1);
}

/// Case 72.
#[test]
fn a_quota_says_how_many_workers_there_are_and_whether_they_are_pinned() {
    if child::is_child() {
        return expect_workers(quota().map_or(usize::MAX, |quota| quota.div_ceil(PERIOD)));
    }
    let Some(group) = Group::new("cpu", "counted") else { return };
    for quota in ["50000", "100000", "150000", "none"] {
        group.set("cpu.cfs_quota_us", if quota == "none" { "-1" } else { quota });
        let ended = child::run_again(|command| {
            group.adopt(command);
            command.env(QUOTA, quota);
        });
        ended.expect_success();
    }
}

/// Case 72. A wrong count costs speed, but the pool is built.
#[test]
fn a_quota_that_cannot_be_read_is_none() {
    if child::is_child() {
        refuse(&[libc::SYS_openat, libc::SYS_open]);
        return expect_workers(usize::MAX);
    }
    let Some(group) = Group::new("cpu", "unread") else { return };
    group.set("cpu.cfs_quota_us", "50000");
    child::run_again(|command| group.adopt(command)).expect_success();
}

/// Case 72. The quota of a group also limits all groups below it.
#[test]
fn the_quota_of_an_outer_group_counts() {
    if child::is_child() {
        return expect_workers(1);
    }
    let Some(outer) = Group::new("cpu", "outer") else { return };
    outer.set("cpu.cfs_quota_us", "50000");
    let inner = outer.below("inner");
    child::run_again(|command| inner.adopt(command)).expect_success();
    // A quota that is tighter than the outer one also counts; one that is wider does not.
    for (quota, outer_quota) in [("50000", "100000"), ("40000", "50000")] {
        outer.set("cpu.cfs_quota_us", outer_quota);
        inner.set("cpu.cfs_quota_us", quota);
        child::run_again(|command| inner.adopt(command)).expect_success();
        inner.set("cpu.cfs_quota_us", "-1");
    }
    drop(inner);
}

/// The CPU time of this process on all cores.
fn used() -> Duration {
    // SAFETY: all zeros is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: `usage` is a local variable, valid for writes.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(failed, 0);
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap())
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Computes for some microseconds.
fn compute(seed: u64) -> u64 {
    (0..5_000).fold(seed, |sum, n| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(n)))
}

fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return compute(n).min(1) * n;
    }
    let (a, b) = corepool::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
}

/// A fixed amount of work of every kind: single round trips, bursts, tasks that wait for tasks,
/// fork-join, scopes.
fn work(pool: &WorkerPool) {
    for round in 0..500 {
        assert_eq!(pool.spawn(move || round).join().unwrap(), round);
    }
    let tasks: Vec<_> = (0..1_000).map(|n| pool.spawn(move || compute(n))).collect();
    let _sum = tasks.into_iter().fold(0, |sum, task| sum ^ task.join().unwrap());
    let nested: Vec<_> = (0..100)
        .map(|n| pool.spawn(move || corepool::spawn(move || compute(n)).join().unwrap()))
        .collect();
    let _sum = nested.into_iter().fold(0, |sum, task| sum ^ task.join().unwrap());
    assert_eq!(pool.install(|| fibonacci(14)), 377);
    let sum = AtomicU64::new(0);
    for _ in 0..10 {
        pool.scope(|scope| {
            for n in 0..64 {
                let sum = &sum;
                drop(scope.spawn(move || sum.fetch_add(compute(n) & 1, Ordering::Relaxed)));
            }
        });
    }
}

/// What the work costs on a pool of this size, once it is warm.
fn cost(workers: usize) -> Duration {
    let pool = WorkerPool::with_workers(workers).unwrap();
    work(&pool);
    let before = used();
    work(&pool);
    used() - before
}

/// Case 72: no worker spins for a result while the worker that computes it has no turn.
#[test]
fn many_workers_on_half_a_core_waste_none_of_its_time() {
    if child::is_child() {
        let few = (0..2).map(|_| cost(1)).max().unwrap();
        let many = (0..2).map(|_| cost(64)).min().unwrap();
        println!("64 workers: {many:?}, 1 worker: {few:?}");
        assert!(many < 4 * few, "64 workers: {many:?}, 1 worker: {few:?}");
        return;
    }
    let Some(group) = Group::new("cpu", "half") else { return };
    group.set("cpu.cfs_quota_us", "50000");
    let ended = child::run_again(|command| group.adopt(command));
    ended.expect_success();
    println!("{}", ended.said);
}
