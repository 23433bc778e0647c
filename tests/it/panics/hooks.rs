//! Panics in hooks: at the start they are a clean error, later an event.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use corepool::{BuildError, PoolEvent, TaskError, WorkerId, WorkerPool};

#[cfg(target_os = "linux")]
use crate::support::{Drops, threads_named, until};
use crate::support::{PATIENCE, within};

/// Case 9.
#[cfg(target_os = "linux")]
#[test]
fn a_start_hook_that_panics_fails_the_build_and_leaves_nothing() {
    within(PATIENCE, || {
        for broken in 0..3 {
            let drops = Drops::default();
            let token = drops.token();
            let built = WorkerPool::builder()
                .workers(3)
                .thread_name(|id| format!("broken-hook-{id}"))
                .on_worker_start(move |worker| {
                    let _held = &token;
                    assert_ne!(worker.id.index(), broken, "no luck");
                })
                .build();
            let Err(BuildError::Hook { worker, message }) = built else {
                panic!("the hook panicked: {built:?}")
            };
            assert_eq!(worker, WorkerId::from(broken));
            assert!(message.contains("no luck"), "{message:?}");
            // The kernel reports the end of a thread slightly before it forgets the thread.
            until(|| threads_named("broken-hook-") == 0);
            assert_eq!(drops.count(), 1, "the hook was dropped with the pool");
        }
    });
}

/// Case 9.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_panics_fails_the_build_and_leaves_nothing() {
    within(PATIENCE, || {
        let built = WorkerPool::builder()
            .workers(3)
            .thread_name(|id| {
                assert_ne!(id.index(), 1, "no name");
                format!("nameless-{id}")
            })
            .build();
        let Err(BuildError::Hook { worker, message }) = built else {
            panic!("the name panicked: {built:?}")
        };
        assert_eq!(worker, WorkerId::from(1));
        assert!(message.contains("no name"), "{message:?}");
        until(|| threads_named("nameless-") == 0);
    });
}

/// Case 9: the payload's drop panics too.
#[test]
fn a_start_hook_whose_payload_panics_in_its_drop_fails_the_build() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload's own");
        }
    }
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(2);
        let built = builder.on_worker_start(|_| panic::panic_any(Payload)).build();
        assert!(matches!(built, Err(BuildError::Hook { .. })), "{built:?}");
    });
}

/// Case 9: a replacement has no build to fail.
#[test]
fn a_start_hook_that_panics_on_a_replacement_is_told_and_the_worker_serves() {
    within(PATIENCE, || {
        let starts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&starts);
        let pool = WorkerPool::builder()
            .workers(1)
            .on_worker_start(move |_| {
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "not again");
            })
            .build()
            .unwrap();
        let mut events = pool.events();
        let task = pool.spawn_with::<_, u8>(|cx| cx.end_worker());
        assert!(matches!(task.join(), Err(TaskError::Lost)));
        assert_eq!(pool.spawn(|| 5).join().unwrap(), 5);
        let told = events.by_ref().find_map(|event| match event {
            PoolEvent::HookPanicked { worker, message } => Some((worker, message)),
            _ => None,
        });
        let (worker, message) = told.unwrap();
        assert_eq!(worker, WorkerId::from(0));
        assert!(message.contains("not again"), "{message:?}");
        assert_eq!(starts.load(Ordering::SeqCst), 2);
    });
}

/// Case 10.
#[test]
fn an_exit_hook_that_panics_is_told_and_shutdown_still_joins() {
    within(PATIENCE, || {
        let (exiting, exits) = mpsc::channel();
        let builder = WorkerPool::builder().workers(3).on_worker_exit(move |worker| {
            exiting.send(worker.id).unwrap();
            panic!("a bad end");
        });
        let pool = builder.build().unwrap();
        let events = pool.events();
        let task = pool.spawn(|| 5);
        pool.shutdown();
        assert_eq!(task.join().unwrap(), 5);
        let mut exited: Vec<_> = exits.try_iter().map(WorkerId::index).collect();
        exited.sort_unstable();
        assert_eq!(exited, [0, 1, 2], "each worker's hook ran before the shutdown was over");
        drop(pool);
        let (mut panicked, mut exited) = (0, 0);
        for event in events {
            match event {
                PoolEvent::HookPanicked { message, .. } => {
                    assert_eq!(message, "a bad end");
                    panicked += 1;
                }
                PoolEvent::WorkerExited { .. } => exited += 1,
                _ => {}
            }
        }
        assert_eq!((panicked, exited), (3, 3));
    });
}
