//! What a builder accepts, and what its errors say: what was asked for and what is possible.

use std::error::Error;
use std::hint::black_box;
use std::thread;

use corepool::{BuildError, Dispatch, Pinning, PoolBuilder, WhenFull, WorkerPool};

use crate::support::{PATIENCE, within};

fn builder() -> PoolBuilder {
    WorkerPool::builder().pinning(Pinning::None)
}

/// Returns the error of a builder that cannot build, after checking that its text is well formed.
#[track_caller]
fn refused(builder: PoolBuilder) -> BuildError {
    let error = builder.build().expect_err("this cannot be had");
    let text = error.to_string();
    assert!(!text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
    error
}

#[track_caller]
fn assert_says(error: &BuildError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

#[test]
fn worker_counts_beyond_reason_are_refused() {
    for asked in [0, 4097, 65_536, usize::MAX] {
        let error = refused(builder().workers(asked));
        assert!(matches!(error, BuildError::WorkerCount { asked: said, .. } if said == asked));
        assert_says(&error, &[&asked.to_string(), "1 to 4096"]);
        assert!(error.source().is_none());
    }
}

#[test]
fn one_worker_is_a_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        assert_eq!(pool.workers().len(), 1);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// tests/limits.rs builds a pool with the maximum number of workers, in a process of its own.
#[test]
fn hundreds_of_workers_are_a_pool() {
    within(PATIENCE, || {
        let pool = builder().workers(300).stack_size(64 << 10).build().unwrap();
        let tasks: Vec<_> = (0..20_000_u64).map(|n| pool.spawn(move || n)).collect();
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 19_999 * 10_000);
        pool.shutdown();
        assert_eq!(pool.metrics().completed, 20_000);
        let ids = pool.workers().into_iter().map(|worker| worker.id.index());
        assert!(ids.eq(0..300));
    });
}

#[test]
fn hundreds_of_pools_live_side_by_side() {
    within(PATIENCE, || {
        let pools: Vec<_> = (0..200).map(|_| WorkerPool::with_workers(1).unwrap()).collect();
        // Each pool continues from the result of the pool before it.
        let sum = pools.iter().fold(0, |sum, pool| pool.spawn(move || sum + 1).join().unwrap());
        assert_eq!(sum, 200);
    });
}

#[test]
fn stacks_beyond_reason_are_refused() {
    for asked in [0, 1, (64 << 10) - 1, (usize::MAX >> 16) + 1, usize::MAX] {
        let error = refused(builder().workers(1).stack_size(asked));
        let BuildError::StackSize { asked: said, least, most } = error else { panic!("{error}") };
        assert_eq!(said, asked);
        assert!(least > 0 && least < most && !(least..=most).contains(&asked));
        assert_says(&error, &[&asked.to_string(), &least.to_string(), &most.to_string()]);
    }
}

#[test]
fn a_stack_that_no_address_space_holds_is_refused_by_the_system() {
    within(PATIENCE, || {
        let error = refused(builder().workers(3).stack_size(usize::MAX >> 16));
        assert!(matches!(error, BuildError::Thread { workers: 3, .. }), "{error}");
        assert_says(&error, &["worker 0 of 3"]);
        let source = error.source().expect("the system says why").to_string();
        assert_says(&error, &[&source]);
    });
}

#[test]
fn the_smallest_stack_runs_small_tasks_and_panics() {
    within(PATIENCE, || {
        let pool = builder().workers(1).stack_size(64 << 10).build().unwrap();
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        // This bypasses the panic hook. tests/process.rs covers what a backtrace needs.
        let task = pool.spawn(|| std::panic::resume_unwind(Box::new("on a small stack")));
        let result: Result<(), _> = task.join();
        assert!(result.unwrap_err().is_panicked());
    });
}

/// Recurses until at least `bytes` bytes of the stack below `top` are in use, and returns how many
/// are.
#[inline(never)]
fn deep(top: usize, bytes: usize) -> usize {
    let frame = black_box([0_u8; 512]);
    let used = top.saturating_sub(frame.as_ptr().addr());
    let deepest = if used >= bytes { used } else { deep(top, bytes) };
    // Used after the call, so that the frame stays in place.
    black_box(&frame);
    deepest
}

/// Like [`deep`], starting from the current frame.
fn go_deep(bytes: usize) -> usize {
    let top = 0_u8;
    deep(black_box(&raw const top).addr(), bytes)
}

#[test]
fn the_stack_asked_for_is_there() {
    within(PATIENCE, || {
        let pool = builder().workers(1).stack_size(64 << 20).build().unwrap();
        // Twenty times a thread's default stack size.
        assert!(pool.spawn(|| go_deep(40 << 20)).join().unwrap() >= 40 << 20);
    });
}

#[test]
fn a_name_that_panics_is_a_clean_error() {
    within(PATIENCE, || {
        let named = builder().workers(3).thread_name(|id| {
            assert_ne!(id.index(), 1, "no name for you");
            format!("named-{id}")
        });
        let error = refused(named);
        assert!(matches!(&error, BuildError::Hook { worker, .. } if worker.index() == 1));
        assert_says(&error, &["worker 1", "no name for you"]);
    });
}

#[test]
fn an_error_about_a_name_does_not_blame_the_start_hook() {
    within(PATIENCE, || {
        let error = refused(builder().workers(1).thread_name(|_| panic!("nameless")));
        let text = error.to_string();
        assert!(text.contains("nameless") && !text.contains("start hook"), "{text}");
    });
}

#[test]
fn a_name_with_a_zero_byte_does_no_harm() {
    within(PATIENCE, || {
        let pool = builder().workers(2).thread_name(|id| format!("a\0{id}")).build().unwrap();
        let name = pool.spawn(|| thread::current().name().map(str::to_owned)).join().unwrap();
        assert!(name.is_none_or(|name| !name.contains('\0')));
    });
}

#[test]
fn a_name_longer_than_the_system_shows_is_kept() {
    within(PATIENCE, || {
        let long = "x".repeat(300);
        let given = long.clone();
        let pool = builder().workers(1).thread_name(move |_| given.clone()).build().unwrap();
        assert_eq!(pool.workers()[0].thread_name, long);
        let name = pool.spawn(|| thread::current().name().map(str::to_owned)).join().unwrap();
        assert_eq!(name, Some(long));
    });
}

#[test]
fn a_start_hook_that_panics_is_a_clean_error() {
    within(PATIENCE, || {
        for bad in 0..4 {
            let hooked = builder().workers(4).on_worker_start(move |worker| {
                assert_ne!(worker.id.index(), bad, "will not start");
            });
            let error = refused(hooked);
            assert!(matches!(&error, BuildError::Hook { worker, .. } if worker.index() == bad));
            assert_says(&error, &[&format!("worker {bad}"), "will not start"]);
        }
    });
}

#[test]
fn all_start_hooks_may_panic_at_once() {
    within(PATIENCE, || {
        for _ in 0..50 {
            let error = refused(
                builder().workers(4).on_worker_start(|_| std::panic::resume_unwind(Box::new(1))),
            );
            assert!(matches!(error, BuildError::Hook { .. }), "{error}");
        }
    });
}

#[test]
fn every_choice_of_policy_makes_a_pool() {
    within(PATIENCE, || {
        for when_full in
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest]
        {
            for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
                for capacity in [0, 1, usize::MAX] {
                    let pool = builder()
                        .workers(2)
                        .queue_capacity(capacity)
                        .when_full(when_full)
                        .dispatch(dispatch)
                        .build()
                        .unwrap();
                    assert_eq!(pool.spawn(|| 6 * 7).join().unwrap(), 42);
                }
            }
        }
    });
}

#[test]
fn physical_cores_are_no_more_than_usable_ones() {
    within(PATIENCE, || {
        let usable = WorkerPool::new().unwrap().workers().len();
        let pool = WorkerPool::builder().workers_per_physical_core().build().unwrap();
        assert!((1..=usable).contains(&pool.workers().len()));
    });
}

#[test]
fn a_builder_shows_its_choices() {
    let text = format!("{:?}", builder().workers(3).queue_capacity(7));
    assert!(text.contains("Exactly(3)") && text.contains("Some(7)"), "{text}");
}
