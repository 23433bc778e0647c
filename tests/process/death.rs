//! Deaths that a pool neither prevents nor hides: stack overflows, and panics in the panic hook.

use std::env;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::sync::mpsc;
use std::thread;

use corepool::WorkerPool;

use crate::child;

/// Recurses until this many bytes of stack are in use below `top`; returns the depth reached.
#[inline(never)]
fn deep(top: usize, bytes: usize) -> usize {
    let frame = black_box([0_u8; 512]);
    let used = top.saturating_sub(frame.as_ptr().addr());
    let deepest = if used >= bytes { used } else { deep(top, bytes) };
    // Used after the call, so that the frame stays on the stack.
    black_box(&frame);
    deepest
}

/// Like [`deep`], from here.
fn go_deep(bytes: usize) -> usize {
    let top = 0_u8;
    deep(black_box(&raw const top).addr(), bytes)
}

/// Uses three quarters of a stack of this size, and then twice its size.
fn overflow(stack: usize) {
    let pool = WorkerPool::builder()
        .workers(1)
        .stack_size(stack)
        .thread_name(|id| format!("deep-{id}"))
        .build()
        .unwrap();
    assert!(pool.spawn(move || go_deep(stack / 4 * 3)).join().unwrap() >= stack / 4 * 3);
    println!("that was enough");
    let too_much = pool.spawn(move || go_deep(2 * stack));
    println!("no overflow: {:?}", too_much.join());
}

#[test]
fn an_overflowing_stack_aborts_with_rusts_message() {
    if child::is_child() {
        return overflow(1 << 20);
    }
    let ended = child::run_again(|_| {});
    let status = ended.status.expect("the child hangs");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{}", ended.said);
    assert!(ended.said.contains("that was enough"), "{}", ended.said);
    assert!(ended.said.contains("thread 'deep-0'"), "{}", ended.said);
    assert!(ended.said.contains("has overflowed its stack"), "{}", ended.said);
}

#[test]
fn a_large_stack_is_honoured_before_it_overflows() {
    if child::is_child() {
        return overflow(32 << 20);
    }
    let ended = child::run_again(|_| {});
    let status = ended.status.expect("the child hangs");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{}", ended.said);
    assert!(ended.said.contains("that was enough"), "{}", ended.said);
    assert!(ended.said.contains("has overflowed its stack"), "{}", ended.said);
    assert!(!ended.said.contains("no overflow"), "{}", ended.said);
}

const PLACE: &str = "COREPOOL_TEST_PLACE";

/// Overflows a stack of 1 MiB in some place other than a task.
fn overflow_in(place: &str) {
    let stack = 1 << 20;
    let builder = WorkerPool::builder().workers(1).stack_size(stack);
    let pool = builder.thread_name(|id| format!("deep-{id}")).build().unwrap();
    let too_deep = || println!("no overflow: {}", go_deep(64 << 20));
    let guest = thread::Builder::new().name("guest".into()).stack_size(stack);
    thread::scope(|threads| match place {
        "half" => drop(pool.install(|| corepool::join(|| (), too_deep))),
        "closure" => pool.install(|| corepool::scope(|scope| drop(scope.spawn(too_deep)))),
        "item" => pool.install(|| corepool::for_each(0..1, |_| too_deep())),
        "spare worker" => {
            let (ends, end) = mpsc::channel::<()>();
            let waits = pool.spawn(move || corepool::blocking(|| end.recv().is_err()));
            drop(pool.spawn(too_deep).join());
            drop(ends);
            drop(waits.join());
        }
        "guest's half" => {
            let calls = || pool.join(too_deep, || ()).0;
            guest.spawn_scoped(threads, calls).unwrap().join().unwrap();
        }
        "guest's body" => {
            let calls = || pool.scope(|_| too_deep());
            guest.spawn_scoped(threads, calls).unwrap().join().unwrap();
        }
        "guest's closure" => {
            let calls = || pool.scope(|scope| drop(scope.spawn(too_deep)));
            guest.spawn_scoped(threads, calls).unwrap().join().unwrap();
        }
        other => panic!("no place `{other}`"),
    });
}

#[test]
fn a_stack_that_overflows_in_fork_join_aborts_and_names_the_thread() {
    if child::is_child() {
        return overflow_in(&env::var(PLACE).unwrap());
    }
    let places = [
        ("half", "deep-0"),
        ("closure", "deep-0"),
        ("item", "deep-0"),
        ("spare worker", "deep-1"),
        ("guest's half", "guest"),
        ("guest's body", "guest"),
        // Either the guest (a thread from outside that takes part in the pool's work) or the
        // worker.
        ("guest's closure", ""),
    ];
    for (place, thread) in places {
        let ended = child::run_again(|child| {
            child.env(PLACE, place);
        });
        let status = ended.status.unwrap_or_else(|| panic!("{place} hangs: {}", ended.said));
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{place}: {}", ended.said);
        assert!(ended.said.contains(&format!("thread '{thread}")), "{place}: {}", ended.said);
        assert!(ended.said.contains("has overflowed its stack"), "{place}: {}", ended.said);
        assert!(!ended.said.contains("no overflow"), "{place}: {}", ended.said);
    }
}

#[test]
fn a_panic_in_the_panic_hook_aborts_without_a_deadlock() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        panic::set_hook(Box::new(|_| panic!("the hook itself")));
        let task = pool.spawn(|| panic!("the task"));
        let result: Result<(), _> = task.join();
        println!("still alive: {result:?}");
        return;
    }
    let ended = child::run_again(|_| {});
    let status = ended.status.expect("the child hangs");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{}", ended.said);
    assert!(ended.said.contains("the hook itself"), "{}", ended.said);
    assert!(!ended.said.contains("still alive"), "{}", ended.said);
}

/// Case 13. The thread that owns the pool panics while tasks of the pool panic: the process ends as
/// after one panic, not by an abort.
#[test]
fn a_pool_that_is_dropped_by_a_panic_ends_the_process_as_that_panic_does() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let _tasks: Vec<_> = (0..100).map(|n| pool.spawn(move || assert!(n < 0, "task"))).collect();
        let value = 1;
        pool.scope(|scope| {
            drop(scope.spawn(|| assert_eq!(value, 2, "a closure")));
            panic!("the body, and with it the thread that owns the pool");
        });
    }
    let ended = child::run_again(|_| {});
    let status = ended.status.expect("the child hangs");
    assert_eq!(status.code(), Some(101), "{}", ended.said);
    assert!(ended.said.contains("the thread that owns the pool"), "{}", ended.said);
    assert!(!ended.said.contains("abort"), "{}", ended.said);
}

#[test]
fn a_panic_hook_may_use_the_pool() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(1).unwrap();
        panic::set_hook(Box::new(|_| {
            // This runs on the worker, in the middle of a panic.
            assert_eq!(corepool::spawn(|| 1).join().unwrap(), 1);
        }));
        let task = pool.spawn(|| panic!("the task"));
        assert!(task.join().is_err_and(|error: corepool::TaskError| error.is_panicked()));
        assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
        let _default = panic::take_hook();
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_panic_with_its_backtrace_fits_the_smallest_stack() {
    if child::is_child() {
        let pool = WorkerPool::builder().workers(1).stack_size(64 << 10).build().unwrap();
        let task = pool.spawn(|| -> () { panic!("on a small stack") });
        assert!(task.join().unwrap_err().is_panicked());
        return;
    }
    child::run_again(|child| {
        child.env("RUST_BACKTRACE", "full");
    })
    .expect_success();
}
