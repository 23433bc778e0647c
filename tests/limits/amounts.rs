//! Limits on address space, descriptors and stacks lead to an error or a clear abort, never to a
//! hang.

use std::env;
use std::fs;
use std::mem;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{BuildError, CancelToken, TaskContext, WorkerPool, promise};

use crate::child;

const MIB: u64 = 1 << 20;

/// Sets a limit of this process, at most to its hard limit.
fn limit(which: libc::__rlimit_resource_t, value: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a local variable, valid for writes.
    let failed = unsafe { libc::getrlimit(which, &raw mut limit) };
    assert_eq!(failed, 0);
    limit.rlim_cur = value.min(limit.rlim_max);
    // SAFETY: `limit` is a local variable, valid for reads.
    let failed = unsafe { libc::setrlimit(which, &raw const limit) };
    assert_eq!(failed, 0);
}

/// The address space in use by this process.
fn address_space() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split_whitespace().next().unwrap().parse().unwrap();
    // SAFETY: `sysconf` has no preconditions.
    pages * u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// Case 14: there is room for at most two workers' stacks.
#[test]
fn a_stack_without_address_space_is_a_clean_error_at_build() {
    if child::is_child() {
        let stack = 64 * MIB;
        let (started, exited) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (start, exit) = (Arc::clone(&started), Arc::clone(&exited));
        let builder = WorkerPool::builder()
            .workers(4)
            .stack_size(usize::try_from(stack).unwrap())
            .on_worker_start(move |_| count(&start))
            .on_worker_exit(move |_| count(&exit));
        limit(libc::RLIMIT_AS, address_space() + 2 * stack + stack / 2);
        let error = builder.build().unwrap_err();
        let BuildError::Thread { worker, workers: 4, .. } = &error else { panic!("{error}") };
        // The C library may take as much again for a thread's memory before the next stack is
        // requested.
        let refused = worker.index();
        assert!((1..=2).contains(&refused), "{error}");
        assert_eq!(started.load(Ordering::SeqCst), refused);
        assert_eq!(exited.load(Ordering::SeqCst), refused, "the earlier ones are joined");
        assert_eq!((Arc::strong_count(&started), Arc::strong_count(&exited)), (1, 1));
        // A pool that fits is built.
        let pool = WorkerPool::builder().workers(1).stack_size(1 << 20).build().unwrap();
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

const KIND: &str = "COREPOOL_TEST_KIND";

/// Takes memory forever, and forgets it so that it stays in use.
fn fill(kind: &str, pool: &WorkerPool) {
    let mut size = 1_000_usize;
    loop {
        size = size.saturating_mul(2).min(1 << 20);
        match kind {
            "tasks" => (0..size).for_each(|n| mem::forget(pool.spawn(move || n))),
            "batch" => mem::forget(pool.spawn_batch((0..size).map(|n| move || n))),
            "scope" => pool.scope(|scope| {
                (0..64 * size).for_each(|n| mem::forget(scope.spawn(move || [n; 8])));
            }),
            "promise" => mem::forget(promise::all((0..size).map(|n| pool.spawn(move || n)))),
            "map" => mem::forget(pool.map(0..size, |n| [n; 8])),
            "tokens" => (0..size).for_each(|_| mem::forget(CancelToken::new().child())),
            "inside" => {
                let grows = move || mem::forget((0..size).map(Box::new).collect::<Vec<_>>());
                pool.spawn(grows).join().unwrap();
            }
            "nested" => {
                let spawns =
                    move || (0..size).for_each(|n| mem::forget(corepool::spawn(move || n)));
                pool.spawn(spawns).join().unwrap();
            }
            other => panic!("no kind `{other}`"),
        }
    }
}

/// Case 14: Rust programs abort when memory runs out, no matter which thread asks for it.
#[test]
fn work_that_runs_out_of_address_space_aborts_and_says_so() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        assert_eq!(pool.map(0..100, |n| n).len(), 100);
        limit(libc::RLIMIT_AS, address_space() + 8 * MIB);
        return fill(&env::var(KIND).unwrap(), &pool);
    }
    for kind in ["tasks", "batch", "scope", "promise", "map", "tokens", "inside", "nested"] {
        let ended = child::run_again(|command| {
            command.env(KIND, kind);
        });
        let status = ended.status.unwrap_or_else(|| panic!("{kind} hangs: {}", ended.said));
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{kind}: {}", ended.said);
        assert!(ended.said.contains("memory allocation of"), "{kind}: {}", ended.said);
    }
}

/// Uses all parts of a pool, including those that start threads late.
fn use_all() {
    let pool = WorkerPool::with_workers(2).unwrap();
    assert_eq!(pool.spawn(|| corepool::spawn(|| 1).join().unwrap()).join().unwrap(), 1);
    assert_eq!(pool.map_reduce(0..1_000_u64, |n| n, |a, b| a + b), Some(499_500));
    assert!(pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() }).join().is_err());
    assert_eq!(pool.spawn(|| corepool::blocking(|| 2)).join().unwrap(), 2);
    CancelToken::with_timeout(Duration::from_millis(1)).wait();
    assert_eq!(pollster::block_on(pool.spawn(|| 3)).unwrap(), 3);
    let _table = pool.metrics().to_string();
    drop(pool);
}

/// A pool needs no open file.
#[test]
fn a_pool_needs_no_descriptors() {
    if child::is_child() {
        limit(libc::RLIMIT_NOFILE, 0);
        assert!(fs::File::open("/proc/self/statm").is_err(), "there are none");
        use_all();
        assert_eq!(corepool::spawn(|| 1).join().unwrap(), 1);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Starts the child with this stack size for its main thread. Threads of C programs get the same
/// size.
fn with_stack(command: &mut Command, bytes: u64) {
    let set = move || {
        limit(libc::RLIMIT_STACK, bytes);
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

/// Uses at least 1 KiB of stack per frame; without optimisation about two.
#[inline(never)]
fn use_stack(frames: usize) -> u8 {
    let frame = std::hint::black_box([1_u8; 1_024]);
    if frames > 1 { use_stack(frames - 1) + frame[frames % 1_024] - 1 } else { frame[0] }
}

#[test]
fn the_stack_of_a_worker_is_what_was_asked_for_whatever_the_systems_limit_is() {
    if child::is_child() {
        use_all();
        let pool = WorkerPool::builder().workers(1).stack_size(8 << 20).build().unwrap();
        assert_eq!(pool.spawn(|| use_stack(3 << 10)).join().unwrap(), 1);
        return;
    }
    for bytes in [256 << 10, 8 << 20, 1 << 30, libc::RLIM_INFINITY] {
        child::run_again(|command| with_stack(command, bytes)).expect_success();
    }
}
