//! The system refuses threads: at build this is a clean error; at a respawn it is reported and
//! tried again.

use std::error::Error;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corepool::cancel::CancelReason;
use corepool::{
    BuildError, CancelToken, Pinning, PoolEvent, TaskContext, TaskError, TaskHandle, WorkerPool,
};

use crate::child::{self, Ended};
use crate::skip::skip;

/// How many threads this process has.
pub(super) fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until this process has that many threads, and all ended threads are gone for the kernel
/// too.
fn until_threads(count: usize) {
    // A joined thread is listed a moment longer, and a listing may skip other threads meanwhile. So
    // a single right count proves little.
    let mut right = 0;
    while right < 20 {
        right = if threads() == count { right + 1 } else { 0 };
        thread::yield_now();
    }
}

/// Becomes a user without other processes, because the limit counts all threads of a user and does
/// not apply to root.
pub(super) fn become_somebody() {
    let user = 20_000 + std::process::id() % 40_000;
    // SAFETY: `setuid` has no preconditions.
    let failed = unsafe { libc::setuid(user) };
    assert_eq!(failed, 0, "root may become anybody");
}

/// Allows this many threads in total; existing threads beyond the limit stay.
pub(super) fn allow_threads(count: usize) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a local variable, valid for writes.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit) };
    assert_eq!(failed, 0);
    // The hard limit stays, because only root may raise it again.
    limit.rlim_cur = libc::rlim_t::try_from(count).unwrap();
    // SAFETY: `limit` is a local variable, valid for reads.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) };
    assert_eq!(failed, 0);
}

/// In the child: continues as a user whose threads can be limited.
fn in_child() -> bool {
    if child::is_child() {
        become_somebody();
        return true;
    }
    false
}

/// In the parent: runs the test again in a child, if that can become another user.
fn expect_success() {
    // SAFETY: `geteuid` has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return skip("only root can become a user whose threads are counted alone");
    }
    let ended: Ended = child::run_again(|_| {});
    ended.expect_success();
}

/// A pool whose threads are the last that this process gets.
fn last_pool(workers: usize) -> WorkerPool {
    let before = threads();
    let pool = WorkerPool::with_workers(workers).unwrap();
    until_threads(before + workers);
    allow_threads(before + workers);
    pool
}

fn end_worker(pool: &WorkerPool) -> TaskHandle<()> {
    pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() })
}

#[test]
fn a_thread_refused_at_build_is_a_clean_error() {
    if in_child() {
        let before = threads();
        for more in [0, 1, 5] {
            until_threads(before);
            allow_threads(before + more);
            let (started, exited) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (start, exit) = (Arc::clone(&started), Arc::clone(&exited));
            let error = WorkerPool::builder()
                .workers(16)
                .on_worker_start(move |_| {
                    start.fetch_add(1, Ordering::SeqCst);
                })
                .on_worker_exit(move |_| {
                    exit.fetch_add(1, Ordering::SeqCst);
                })
                .build()
                .unwrap_err();
            let BuildError::Thread { worker, workers, .. } = &error else { panic!("{error}") };
            assert_eq!((worker.index(), *workers), (more, 16));
            assert_eq!(started.load(Ordering::SeqCst), more);
            assert_eq!(exited.load(Ordering::SeqCst), more, "the earlier ones are joined");
            assert_eq!((Arc::strong_count(&started), Arc::strong_count(&exited)), (1, 1));
            let text = error.to_string();
            assert!(text.contains(&format!("worker {more} of 16")), "{text}");
            assert!(text.contains(&error.source().unwrap().to_string()), "{text}");
        }
        until_threads(before);
        return;
    }
    expect_success();
}

#[test]
fn refused_once_and_allowed_later() {
    if in_child() {
        allow_threads(threads() + 1);
        assert!(WorkerPool::with_workers(3).is_err());
        allow_threads(1000);
        let pool = WorkerPool::with_workers(3).unwrap();
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        return;
    }
    expect_success();
}

#[test]
fn the_global_pool_is_refused_once_and_made_later() {
    if in_child() {
        allow_threads(threads());
        let refused = panic::catch_unwind(AssertUnwindSafe(|| corepool::spawn(|| 1).detach()));
        let message = refused.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("global pool") && message.contains("worker 0 of"), "{message}");
        allow_threads(1000);
        assert_eq!(corepool::spawn(|| 2).join().unwrap(), 2);
        return;
    }
    expect_success();
}

#[test]
fn a_refused_respawn_is_told_and_tried_again() {
    if in_child() {
        let pool = last_pool(1);
        let mut events = pool.events();
        assert!(matches!(end_worker(&pool).join(), Err(TaskError::Lost)));
        let waits = pool.spawn(|| 7);
        let mut refusals = 0;
        let mut rests = Vec::new();
        while refusals < 3 {
            if let PoolEvent::RespawnRefused { worker, retry_in, why } = events.next().unwrap() {
                assert_eq!(worker.index(), 0);
                assert!(!why.is_empty());
                rests.push(retry_in);
                refusals += 1;
            }
        }
        assert!(rests.is_sorted() && rests[0] < rests[2], "it backs off: {rests:?}");
        assert!(!waits.is_finished());
        allow_threads(1000);
        assert_eq!(waits.join().unwrap(), 7);
        let respawned =
            |event: &PoolEvent| matches!(event, PoolEvent::WorkerRespawned { generation: 1, .. });
        assert!(events.by_ref().any(|event| respawned(&event)));
        assert_eq!(pool.workers()[0].generation, 1);
        return;
    }
    expect_success();
}

#[test]
fn others_work_on_while_a_respawn_is_refused() {
    if in_child() {
        let pool = last_pool(2);
        assert!(end_worker(&pool).join().is_err());
        let tasks: Vec<_> = (0..1000).map(|n| pool.spawn(move || n)).collect();
        assert!(tasks.into_iter().all(|task| task.join().is_ok()));
        return;
    }
    expect_success();
}

#[test]
fn a_pool_closed_while_a_respawn_is_refused_settles_what_it_has() {
    if in_child() {
        for spawns in [0, 1, 100] {
            let before = threads();
            let pool = last_pool(1);
            assert!(end_worker(&pool).join().is_err());
            let left: Vec<_> = (0..spawns).map(|n| pool.spawn(move || n)).collect();
            pool.shutdown();
            assert!(
                left.into_iter().all(|task| matches!(task.join(), Err(TaskError::Rejected(_))))
            );
            let metrics = pool.metrics();
            assert_eq!((metrics.rejected, metrics.queue_depth), (spawns, 0), "{metrics}");
            drop(pool);
            allow_threads(1000);
            until_threads(before);
        }
        return;
    }
    expect_success();
}

/// Shuts its pool down on drop, as a closure does that owns the last `Arc` of a pool.
struct ShutsDown(Arc<WorkerPool>);

impl Drop for ShutsDown {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

#[test]
fn a_task_left_behind_may_shut_the_pool_down_in_its_drop() {
    if in_child() {
        let pool = Arc::new(last_pool(1));
        assert!(end_worker(&pool).join().is_err());
        let guard = ShutsDown(Arc::clone(&pool));
        let left = pool.spawn(move || drop(guard));
        // The last worker gets no successor, and drops the closure on its way out. A `shutdown`
        // there would wait for this very thread.
        pool.close();
        assert!(matches!(left.join(), Err(TaskError::Rejected(_))));
        pool.shutdown();
        return;
    }
    expect_success();
}

/// In a process of its own, because 4096 ending threads starve all other threads for a while. Here
/// they do not end, but sleep until the process ends.
#[test]
fn the_most_workers_possible_are_a_pool() {
    if child::is_child() {
        let pool = WorkerPool::builder()
            .workers(4096)
            .pinning(Pinning::None)
            .stack_size(64 << 10)
            .build()
            .unwrap();
        let tasks: Vec<_> = (0..20_000_u64).map(|n| pool.spawn(move || n)).collect();
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 19_999 * 10_000);
        assert!(pool.workers().iter().map(|worker| worker.id.index()).eq(0..4096));
        std::mem::forget(pool);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_deadline_whose_thread_is_refused_comes_when_another_is_granted() {
    if in_child() {
        allow_threads(threads());
        let refused = CancelToken::with_timeout(Duration::from_millis(1));
        assert!(!refused.wait_timeout(Duration::from_millis(20)), "nobody is there to ring");
        allow_threads(1000);
        let granted = CancelToken::with_timeout(Duration::from_secs(3600));
        assert_eq!(refused.wait(), CancelReason::DeadlinePassed);
        assert!(!granted.is_cancelled());
        return;
    }
    expect_success();
}
