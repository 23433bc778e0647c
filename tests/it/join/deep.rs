//! Calls nested very deep: how much of the stack a level takes, even while workers are hungry
//! (searching for work).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use corepool::{PoolBuilder, WorkerPool};

use super::until_free;
use crate::support::{PATIENCE, until, within};

/// ThreadSanitizer remembers 65,536 frames of a stack, and a level takes several in a debug build.
const DEPTH: usize = if cfg!(corepool_tsan) {
    4_000
} else if cfg!(debug_assertions) {
    20_000
} else {
    100_000
};

/// The most stack that a level may take: for the join, and for the closure and the function that
/// call it.
///
/// Frames are larger in a debug build, which nests fewer levels.
const BYTES_A_LEVEL: usize = if cfg!(debug_assertions) { 8_192 } else { 512 };

/// A pool whose stacks hold `DEPTH` levels and some more.
fn deep(workers: usize, bytes_a_level: usize) -> WorkerPool {
    let stack = DEPTH * bytes_a_level + (1 << 20);
    WorkerPool::builder().workers(workers).stack_size(stack).build().unwrap()
}

/// Roughly where the calling thread's stack ends at the moment.
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

fn left(depth: usize, bottom: &(dyn Fn() + Sync)) -> usize {
    if depth == 0 {
        bottom();
        return 0;
    }
    let (a, b) = corepool::join(|| left(depth - 1, bottom), || 1);
    a + b
}

fn right(depth: usize, bottom: &(dyn Fn() + Sync)) -> usize {
    if depth == 0 {
        bottom();
        return 0;
    }
    let (a, b) = corepool::join(|| 1, || right(depth - 1, bottom));
    a + b
}

type Nest = fn(usize, &(dyn Fn() + Sync)) -> usize;

/// Nests `DEPTH` levels, and returns how many bytes of the stack a level took.
fn measure(nest: Nest) -> usize {
    let (top, bottom) = (stack_pointer(), AtomicUsize::new(0));
    let thread = thread::current().id();
    let depth = nest(DEPTH, &|| {
        if thread::current().id() == thread {
            bottom.store(stack_pointer(), Ordering::SeqCst);
        }
    });
    assert_eq!(depth, DEPTH);
    match bottom.into_inner() {
        // The innermost level ran on another thread.
        0 => 0,
        bottom => top.abs_diff(bottom) / DEPTH,
    }
}

#[test]
fn joins_nest_deep_where_nobody_is_hungry() {
    within(PATIENCE, || {
        let pool = deep(1, BYTES_A_LEVEL);
        for nest in [left as Nest, right] {
            let bytes = pool.install(|| measure(nest));
            println!("nobody hungry: {bytes} bytes a level");
            assert!(bytes <= BYTES_A_LEVEL, "{bytes} bytes a level");
        }
    });
}

#[test]
fn joins_nest_deep_where_others_are_hungry() {
    within(PATIENCE * 3, || {
        for workers in [2, 8] {
            // A level that was taken over also has the frames of waiting and helping.
            let pool = deep(workers, 2 * BYTES_A_LEVEL);
            for nest in [left as Nest, right] {
                for _ in 0..3 {
                    let bytes = pool.install(|| {
                        until_free(&pool, workers - 1);
                        measure(nest)
                    });
                    println!("{workers} workers: {bytes} bytes a level");
                    assert!(bytes <= 2 * BYTES_A_LEVEL, "{bytes} bytes a level");
                }
            }
        }
    });
}

/// A worker asks for work all the time, so there are as many offers (work put up for hungry
/// workers), waits and parts as possible.
#[test]
fn joins_nest_deep_where_somebody_is_hungry_all_the_time() {
    within(PATIENCE * 6, || {
        let pool = deep(2, 2 * BYTES_A_LEVEL);
        let over = AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                // Each time, the worker that took this task comes back hungry.
                until(|| {
                    pool.spawn(|| ()).join().unwrap();
                    over.load(Ordering::SeqCst)
                });
            });
            for nest in [left as Nest, right] {
                for _ in 0..5 {
                    let bytes = pool.install(|| measure(nest));
                    assert!(bytes <= 2 * BYTES_A_LEVEL, "{bytes} bytes a level");
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        println!("{}", pool.metrics());
    });
}

/// Case 34. In an optimised build, a worker's default stack is enough.
#[test]
fn joins_nested_a_thousand_deep_need_no_large_stack() {
    within(PATIENCE, || {
        for workers in [1, 2] {
            let builder = WorkerPool::builder().workers(workers);
            let larger = |builder: PoolBuilder| builder.stack_size(16 << 20);
            let builder = if cfg!(debug_assertions) { larger(builder) } else { builder };
            let pool = builder.build().unwrap();
            for nest in [left as Nest, right] {
                assert_eq!(pool.install(|| nest(1_000, &|| ())), 1_000);
            }
        }
    });
}
