//! A pool gives back what it takes: threads, file descriptors, memory. Each test runs in a child
//! process.
#![cfg(target_os = "linux")]

mod child;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::{CancelToken, Dispatch, PoolBuilder, TaskContext, WorkerPool};

/// How many threads and file descriptors this process has.
fn holdings() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until this process holds exactly this much, because a joined thread is listed a moment
/// longer.
fn until_holdings(wanted: (usize, usize)) {
    while holdings() != wanted {
        thread::yield_now();
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    // SAFETY: `sysconf` has no preconditions.
    pages * usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap() / 1024
}

/// The life of one pool, with a bit of everything.
fn live(workers: usize) {
    let describe: PoolBuilder = WorkerPool::builder()
        .workers(workers)
        .queue_capacity(8)
        .record_timing(true)
        .dispatch(if workers % 2 == 0 { Dispatch::FreeWorker } else { Dispatch::RoundRobin });
    let pool = describe.build().unwrap();
    let mut events = pool.events();
    let shared = Arc::new(workers);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let shared = Arc::clone(&shared);
            pool.task().name("one of many").spawn(move || *shared)
        })
        .collect();
    let _early_enough = tasks[3].cancel();
    let permit = pollster::block_on(pool.reserve()).unwrap();
    assert_eq!(permit.spawn(|| 1).join().unwrap(), 1);
    drop(pool.try_reserve());
    drop(pool);
    drop(tasks);
    assert_eq!(Arc::strong_count(&shared), 1);
    assert!(events.by_ref().count() > workers);
}

#[test]
fn a_pool_gives_back_its_threads_and_descriptors() {
    if child::is_child() {
        // Warms up what the process makes once and keeps, such as the table of pools.
        live(1);
        let before = holdings();
        for workers in 1..=8 {
            live(workers);
            until_holdings(before);
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_pool_that_gave_up_gives_back_its_threads_when_the_task_ends() {
    if child::is_child() {
        live(1);
        let before = holdings();
        let pool = WorkerPool::with_workers(2).unwrap();
        let (gate, wait) = mpsc::channel::<()>();
        let (running, runs) = mpsc::channel();
        let stuck = pool.spawn(move || {
            running.send(()).unwrap();
            let _released = wait.recv();
        });
        runs.recv().unwrap();
        let report = pool.shutdown_timeout(Duration::from_millis(5));
        assert_eq!(report.abandoned.len(), 1);
        until_holdings((before.0 + 1, before.1));
        drop(gate);
        stuck.join().unwrap();
        until_holdings(before);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_build_that_fails_leaves_nothing() {
    if child::is_child() {
        live(1);
        let before = holdings();
        for bad in 0..4 {
            let failed = WorkerPool::builder().workers(4).on_worker_start(move |worker| {
                if worker.id.index() == bad {
                    std::panic::resume_unwind(Box::new("will not"));
                }
            });
            assert!(failed.build().is_err());
            until_holdings(before);
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn replaced_workers_give_back_their_threads() {
    if child::is_child() {
        live(1);
        let before = holdings();
        let pool = WorkerPool::with_workers(2).unwrap();
        let own = (before.0 + 2, before.1);
        until_holdings(own);
        for _ in 0..4 {
            let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
            assert!(ended.join().is_err());
            until_holdings(own);
        }
        drop(pool);
        until_holdings(before);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// The life of a pool that does almost nothing.
fn live_shortly(workers: usize) {
    let pool = WorkerPool::with_workers(workers).unwrap();
    assert_eq!(pool.spawn(move || workers).join().unwrap(), workers);
}

/// How many pools are made; `COREPOOL_POOLS=10000000` runs case 26 in full, in some hours.
fn how_many_pools() -> usize {
    env::var("COREPOOL_POOLS").map_or(2_000, |count| count.parse().expect("a number of pools"))
}

/// Makes pools and checks what they leave behind; prints the progress from time to time.
fn live_many(count: usize) {
    let before = holdings();
    // The first pools warm up what the allocator and the system keep.
    (0..300).for_each(|n| live(1 + n % 3));
    let warm = resident();
    let begun = Instant::now();
    let mut told = begun;
    for n in 1..=count {
        // A full life takes several times as long, so with very many pools only some have one.
        let live = if count <= 10_000 || n % 8 == 0 { live } else { live_shortly };
        live(1 + n % 3);
        if n % 1_000 == 0 || n == count {
            // Half a KiB per pool would be noticed in the first checks, and some bytes per pool in
            // the last ones; the allocator's own variation is smaller.
            let grown = resident().saturating_sub(warm);
            assert!(grown < 1024, "{grown} KiB more than {warm} KiB after {n} pools");
            until_holdings(before);
            if told.elapsed() > Duration::from_secs(60) || n == count {
                told = Instant::now();
                let seconds = begun.elapsed().as_secs_f64();
                let rate = n as f64 / seconds;
                println!(
                    "{n} pools in {seconds:.0} s, {rate:.0} a second; {grown} KiB grown, {before:?} threads and files"
                );
            }
        }
    }
}

/// Case 26.
#[test]
fn many_pools_leave_no_memory_behind() {
    // A count set by hand takes as long as it takes, and its output should be visible. So it runs
    // in this process, if this is the only test.
    if child::is_child() || env::var_os("COREPOOL_POOLS").is_some() {
        return live_many(how_many_pools());
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn many_tasks_leave_no_memory_behind() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let round = || {
            for n in 0..20_000_u64 {
                let task = pool.task().name("x").spawn(move || [n; 4]);
                match n % 4 {
                    0 => task.detach(),
                    1 => assert!(task.cancel() || task.is_finished() || task.join().is_ok()),
                    2 => drop(task.cancel_on_drop()),
                    _ => assert_eq!(task.join().unwrap(), [n; 4]),
                }
            }
            pool.spawn(|| ()).join().unwrap();
            while pool.metrics().queue_depth > 0 {
                thread::yield_now();
            }
        };
        (0..5).for_each(|_| round());
        let warm = resident();
        (0..15).for_each(|_| round());
        // 300,000 tasks; a leak of 16 bytes per task would be noticed.
        let grown = resident().saturating_sub(warm);
        assert!(grown < 4096, "{grown} KiB more than {warm} KiB");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Counts its drop, which happens when its thread ends.
struct Leaves(Arc<AtomicUsize>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Takes a while to drop, so a shutdown that does not wait for the thread returns earlier.
struct Slow;

impl Drop for Slow {
    fn drop(&mut self) {
        // A sleep that synchronises nothing. A shorter one would only hide more mistakes.
        thread::sleep(Duration::from_millis(50));
    }
}

thread_local! {
    /// Dropped in this order.
    static LEAVES_SLOWLY: RefCell<Option<(Slow, Leaves)>> = const { RefCell::new(None) };
    static LEAVES: RefCell<Option<Leaves>> = const { RefCell::new(None) };
}

/// A shutdown joins every thread, even while a thread is being replaced.
#[test]
fn a_shutdown_joins_threads_that_are_just_being_replaced() {
    for _ in 0..400 {
        let (came, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (comes, leaves) = (Arc::clone(&came), Arc::clone(&left));
        let pool = WorkerPool::builder()
            .workers(2)
            .on_worker_start(move |_| {
                comes.fetch_add(1, Ordering::SeqCst);
                LEAVES.set(Some(Leaves(Arc::clone(&leaves))));
            })
            .build()
            .unwrap();
        for _ in 0..2 {
            let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
            // Sometimes the shutdown comes first, sometimes the end of the worker.
            if fastrand::bool() {
                assert!(ended.join().is_err());
            }
        }
        pool.shutdown();
        assert_eq!(left.load(Ordering::SeqCst), came.load(Ordering::SeqCst));
    }
}

/// Case 29. A shutdown also waits for the threads of spare workers, until their thread-locals are
/// dropped.
#[test]
fn a_shutdown_waits_for_the_thread_locals_of_spare_workers() {
    for resting in [false, true] {
        let left = Arc::new(AtomicUsize::new(0));
        let pool = Arc::new(WorkerPool::builder().workers(1).spare_workers(1).build().unwrap());
        let (gate, wait) = mpsc::channel::<()>();
        let waits = pool.spawn(move || corepool::blocking(|| wait.recv().is_err()));
        let leaves = Leaves(Arc::clone(&left));
        let on_spare = pool.spawn(move || {
            LEAVES_SLOWLY.set(Some((Slow, leaves)));
            thread::current().name().map(str::to_owned)
        });
        assert_eq!(on_spare.join().unwrap().as_deref(), Some("corepool-1"), "a spare worker");
        if resting {
            drop(gate);
            assert!(waits.join().unwrap());
            pool.shutdown();
        } else {
            // The lender still waits when the pool is closed, so the spare worker stands in for it
            // to the end.
            pool.close();
            drop(gate);
            pool.shutdown();
            assert!(waits.join().unwrap());
        }
        assert_eq!(left.load(Ordering::SeqCst), 1, "its destructors have run, resting: {resting}");
    }
}

/// The names of this process's threads, according to the kernel.
fn thread_names() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    threads.filter_map(|thread| name(thread.unwrap())).map(|name| name.trim().to_owned()).collect()
}

fn timers() -> usize {
    thread_names().iter().filter(|name| *name == "corepool-timer").count()
}

#[test]
fn deadlines_share_one_thread_that_ends_and_nothing_else_starts_it() {
    if child::is_child() {
        let before = holdings();
        let token = CancelToken::new();
        let past = CancelToken::with_timeout(Duration::ZERO);
        assert!(!token.child().wait_timeout(Duration::from_millis(1)) && past.is_cancelled());
        token.cancel();
        assert_eq!(timers(), 0);
        for _ in 0..2 {
            let far: Vec<_> = (1..100)
                .map(|n| CancelToken::with_timeout(Duration::from_secs(n * 1_000)))
                .collect();
            CancelToken::with_timeout(Duration::from_millis(1)).wait();
            // A thread that the timer has just started inherits the timer's name until it sets its
            // own.
            while timers() > 1 {
                thread::yield_now();
            }
            assert_eq!(timers(), 1);
            // The deadlines are called off long before their time, so they keep the timer's thread
            // no longer.
            drop(far);
            until_holdings(before);
            assert_eq!(timers(), 0);
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn listeners_that_are_gone_hold_no_memory_though_nothing_happens() {
    if !child::is_child() {
        return child::run_again(|_| {}).expect_success();
    }
    let pool = WorkerPool::with_workers(1).unwrap();
    drop(pool.events());
    let before = resident();
    for _ in 0..500 {
        assert!(pool.events().try_next().is_some(), "the recent past comes first");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16_000, "{grown} KiB more");
}
