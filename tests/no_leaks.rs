//! What a pool takes it gives back: threads, file descriptors, memory. Each in a child process.
#![cfg(target_os = "linux")]

mod child;

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corepool::{Builder, CancelToken, Dispatch, TaskContext, WorkerPool};

/// How many threads and file descriptors this process has.
fn holdings() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until this process holds just that: a thread that was joined is listed a moment longer.
fn until_holdings(wanted: (usize, usize)) {
    while holdings() != wanted {
        thread::yield_now();
    }
}

/// The memory that this process really has, in KiB.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    // SAFETY: no preconditions.
    pages * usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap() / 1024
}

/// One pool's life, with some of everything.
fn live(workers: usize) {
    let describe: Builder = WorkerPool::builder()
        .workers(workers)
        .queue_capacity(8)
        .record_timing(true)
        .dispatch(if workers % 2 == 0 { Dispatch::FreeWorker } else { Dispatch::RoundRobin });
    let pool = describe.build().unwrap();
    let events = pool.events();
    let shared = Arc::new(workers);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let shared = Arc::clone(&shared);
            pool.task().name("one of many").spawn(move || *shared)
        })
        .collect();
    let _early_enough = tasks[3].cancel();
    let value = pollster::block_on(pool.spawn_async(|| 1)).unwrap();
    assert_eq!(value.join().unwrap(), 1);
    drop(pool);
    drop(tasks);
    assert_eq!(Arc::strong_count(&shared), 1);
    assert!(events.iter().count() > workers);
}

#[test]
fn a_pool_gives_back_its_threads_and_descriptors() {
    if child::is_child() {
        // What the process makes once and keeps, such as the table of pools.
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

#[test]
fn many_pools_leave_no_memory_behind() {
    if child::is_child() {
        let before = holdings();
        for n in 0..300 {
            live(1 + n % 3);
        }
        let warm = resident();
        for n in 0..2_000 {
            live(1 + n % 3);
        }
        // Half a kibibyte a pool would be noticed; the allocator's own ups and downs are smaller.
        let grown = resident().saturating_sub(warm);
        assert!(grown < 1024, "{grown} KiB more than {warm} KiB");
        until_holdings(before);
        return;
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
        // 300,000 tasks; 16 bytes for each would be noticed.
        let grown = resident().saturating_sub(warm);
        assert!(grown < 4096, "{grown} KiB more than {warm} KiB");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Counts its drop, which comes with the end of its thread.
struct Leaves(Arc<AtomicUsize>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static LEAVES: RefCell<Option<Leaves>> = const { RefCell::new(None) };
}

/// A shutdown joins every thread, though one is just being replaced.
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
            // Sometimes the shutdown comes first, sometimes the end.
            if fastrand::bool() {
                assert!(ended.join().is_err());
            }
        }
        pool.shutdown();
        assert_eq!(left.load(Ordering::SeqCst), came.load(Ordering::SeqCst));
    }
}

/// The names of this process's threads, as the kernel has them.
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
            assert_eq!(timers(), 1);
            // Called off long before their time, they keep the thread no longer.
            drop(far);
            until_holdings(before);
            assert_eq!(timers(), 0);
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}
