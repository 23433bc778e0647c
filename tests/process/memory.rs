//! A process that has no memory for a task: it aborts as Rust programs do, says so, and hangs nowhere.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::ptr;

use corepool::WorkerPool;

use crate::child;

thread_local! {
    /// Whether the calling thread gets no memory any more.
    static NONE_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, but for threads that are to get nothing.
struct Rationed;

// SAFETY: every call is passed on as it is, or answered as one is that there is no memory for.
unsafe impl GlobalAlloc for Rationed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NONE_LEFT.get() {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Rationed = Rationed;

const LARGE: &str = "COREPOOL_TEST_LARGE";

/// Case 14. A small task lies in memory that it shares with others, a large one in its own.
#[test]
fn a_spawn_without_memory_aborts_and_says_so() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(1).unwrap();
        let captured = [1_u8; 1_000];
        NONE_LEFT.set(true);
        if env::var_os(LARGE).is_some() {
            pool.spawn(move || captured[0]).detach();
        } else {
            pool.spawn(|| 1).detach();
        }
        NONE_LEFT.set(false);
        return println!("still alive");
    }
    for large in [false, true] {
        let ended = child::run_again(|command| {
            if large {
                command.env(LARGE, "1");
            }
        });
        let status = ended.status.expect("the child hangs");
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{}", ended.said);
        assert!(ended.said.contains("memory allocation of"), "{}", ended.said);
        assert!(!ended.said.contains("still alive"), "{}", ended.said);
    }
}
