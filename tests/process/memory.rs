//! A process without memory for a task aborts as Rust programs do, says so, and never hangs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::time::Duration;

use corepool::{CancelToken, WorkerLocal, WorkerPool};

use crate::child;

thread_local! {
    /// Whether allocations of the calling thread fail.
    static NONE_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, except for threads whose allocations must fail.
struct Rationed;

// SAFETY: every call is passed on unchanged, or fails as it does when memory runs out.
unsafe impl GlobalAlloc for Rationed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NONE_LEFT.get() {
            return ptr::null_mut();
        }
        // SAFETY: the caller promises that `layout` is valid for `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that `place` came from this allocator with `layout`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Rationed = Rationed;

const WHAT: &str = "COREPOOL_TEST_WHAT";

type Way = (&'static str, fn(&WorkerPool));

/// Calls that need memory in the calling thread, whether at once or later.
const ASKS: &[Way] = &[
    // A small task shares its memory with other tasks; a large one has its own.
    ("a small task", |pool| pool.spawn(|| 1).detach()),
    ("a large task", |pool| {
        let captured = [1_u8; 1_000];
        pool.spawn(move || captured[0]).detach();
    }),
    ("a task with a name", |pool| pool.task().name("x").spawn(|| 1).detach()),
    ("a batch", |pool| drop(pool.spawn_batch((0..1_000).map(|n| move || n)))),
    ("a broadcast", |pool| drop(pool.broadcast(|_| 1))),
    ("a closure of a scope", |pool| pool.scope(|scope| drop(scope.spawn(|| [1_u8; 1_000])))),
    ("the results of a map", |pool| drop(pool.map(0..1_000, |n| n))),
    ("a map over an iterator", |pool| drop(pool.map_ordered(0..10, 4, |n| n).next())),
    ("a token", |_| drop(CancelToken::new().child())),
    ("a deadline", |_| drop(CancelToken::with_timeout(Duration::from_secs(60)))),
    ("a pool", |_| drop(WorkerPool::with_workers(2))),
    ("a value of a worker", |_| assert!(WorkerLocal::new(|| 1).with(|value| *value == 1))),
];

/// Calls that need no further memory.
const NEEDS_NONE: &[Way] = &[
    ("nothing", |_| ()),
    ("two halves", |pool| assert_eq!(pool.join(|| 1, || 2), (1, 2))),
    ("a sum", |pool| assert_eq!(pool.map_reduce(0..1_000_u64, |n| n, |a, b| a + b), Some(499_500))),
    ("a loop", |pool| pool.for_each(0..1_000, |_| ())),
];

/// Case 14.
#[test]
fn a_spawn_without_memory_aborts_and_says_so() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(1).unwrap();
        // Allocates what a thread keeps from its first call on.
        NEEDS_NONE.iter().for_each(|(_, call)| call(&pool));
        let what = env::var(WHAT).unwrap();
        let (_, call) = ASKS.iter().chain(NEEDS_NONE).find(|(name, _)| *name == what).unwrap();
        NONE_LEFT.set(true);
        call(&pool);
        NONE_LEFT.set(false);
        return println!("still alive");
    }
    let without_memory = |what: &str| {
        child::run_again(|command| {
            command.env(WHAT, what);
        })
    };
    for (what, _) in ASKS {
        let ended = without_memory(what);
        let status = ended.status.unwrap_or_else(|| panic!("{what} hangs: {}", ended.said));
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{what}: {}", ended.said);
        assert!(ended.said.contains("memory allocation of"), "{what}: {}", ended.said);
        assert!(!ended.said.contains("still alive"), "{what}: {}", ended.said);
    }
    for (what, _) in NEEDS_NONE {
        let ended = without_memory(what);
        assert!(ended.said.contains("still alive"), "{what}: {}", ended.said);
        ended.expect_success();
    }
}
