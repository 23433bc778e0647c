//! What error messages and `Debug` output show, whatever the pool does meanwhile.

use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use corepool::errors::PanicPayload;
use corepool::{CancelToken, SpawnError, TaskError, WorkerLocal, WorkerPool, promise};

use crate::support::{PATIENCE, occupy, within};

/// The error of a task whose closure throws this payload.
fn thrown(payload: impl Any + Send) -> TaskError {
    let pool = WorkerPool::with_workers(1).unwrap();
    pool.spawn(|| -> () { panic::resume_unwind(Box::new(payload)) }).join().unwrap_err()
}

/// The message with which a closure panics.
fn last_words(panics: impl FnOnce()) -> String {
    let payload = panic::catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
    *payload.downcast::<String>().expect("with a text that was put together")
}

fn payload_of(error: TaskError) -> PanicPayload {
    match error {
        TaskError::Panicked(payload) => payload,
        other => panic!("it is no panic: {other}"),
    }
}

#[test]
fn a_panic_is_told_with_its_text_whatever_kind_of_text_it_is() {
    within(PATIENCE, || {
        assert_eq!(thrown("plain").to_string(), "the task panicked: plain");
        assert_eq!(thrown("owned".to_owned()).to_string(), "the task panicked: owned");
        let boxed: Box<str> = "boxed".into();
        assert_eq!(thrown(boxed).to_string(), "the task panicked: boxed");
        let payload = payload_of(thrown("plain"));
        assert_eq!(format!("{payload:?}"), "PanicPayload(\"plain\")");
        assert_eq!(payload.message(), "plain");
        assert_eq!(*payload.into_inner().downcast::<&str>().unwrap(), "plain");
    });
}

#[test]
fn a_panic_without_a_text_is_told_by_its_value_or_by_the_tasks_place() {
    within(PATIENCE, || {
        let number = "the task panicked: a panic without a message: 7 (u8)";
        assert_eq!(thrown(7_u8).to_string(), number);
        let error: Box<dyn Error + Send + Sync> = "disk full".into();
        assert!(thrown(error).to_string().contains("a message: disk full (alloc::boxed::Box<dyn "));
        let unknown = thrown(vec![1]).to_string();
        let place = "printed::thrown<alloc::vec::Vec<i32>>::{{closure}}";
        let start = "the task panicked: a panic without a message, in ";
        assert!(unknown.starts_with(start) && unknown.ends_with(place), "{unknown}");
    });
}

#[test]
fn a_panic_names_the_task_also_behind_continuations() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let named = || pool.task().name("row 3").spawn(|| -> u8 { panic!("no luck") });
        for handle in [named(), named().then(|n| n + 1).finally(|| ())] {
            let error = handle.join().unwrap_err();
            assert_eq!(error.to_string(), "the task \"row 3\" panicked: no luck");
            let payload = payload_of(error);
            assert_eq!((payload.task(), payload.message()), (Some("row 3"), "no luck"));
            assert_eq!(payload.to_string(), "no luck");
            assert_eq!(*payload.into_inner().downcast::<&str>().unwrap(), "no luck");
        }
        let unnamed = pool.spawn(|| -> u8 { panic!("no luck") }).join().unwrap_err();
        assert_eq!(unnamed.to_string(), "the task panicked: no luck");
        let here = "a_panic_names_the_task_also_behind_continuations";
        assert!(payload_of(unnamed).task().unwrap().contains(here));
        let mut batch = pool.spawn_batch([|| -> u8 { panic!("no luck") }]);
        let batch = batch.next().unwrap();
        assert!(payload_of(batch.unwrap_err()).task().unwrap().contains(here));
    });
}

#[test]
fn each_reason_why_there_is_no_value_has_words_of_its_own() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let cancelled = pool.spawn(|| ());
        assert!(cancelled.cancel());
        let expired = pool.task().start_by(Instant::now()).spawn(|| ());
        busy.release();
        let lost = pool.spawn_with(|cx| -> () { cx.end_worker() });
        let errors = [cancelled, expired, lost].map(|handle| handle.join().unwrap_err());
        pool.close();
        let rejected = pool.spawn(|| ()).join().unwrap_err();
        let said = errors.into_iter().chain([rejected]).map(|error| {
            assert!(error.source().is_none() && !error.is_panicked());
            error.to_string()
        });
        let expected = [
            "the task was cancelled before it started",
            "the task did not start in time",
            "the task was lost: what was to settle it has ended",
            "the pool refused the task: it is closed",
        ];
        assert!(said.eq(expected));
    });
}

#[test]
fn an_error_that_is_resumed_panics_with_the_tasks_payload_or_with_its_own_words() {
    within(PATIENCE, || {
        let again = panic::catch_unwind(AssertUnwindSafe(|| thrown(7_u8).resume()));
        assert_eq!(*again.unwrap_err().downcast::<u8>().unwrap(), 7);
        assert_eq!(
            last_words(|| TaskError::Cancelled.resume()),
            "the task was cancelled before it started"
        );
    });
}

#[test]
fn a_refusal_says_why_and_gives_the_closure_back() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1).build().unwrap();
        let busy = occupy(&pool, 1);
        let _queued = pool.spawn(|| 0);
        let full = pool.try_spawn(|| 1).unwrap_err();
        assert!(full.is_full() && !full.is_closed());
        assert_eq!(
            (full.to_string(), format!("{full:?}")),
            said("the pool's queue is full", "Full(..)")
        );
        assert_eq!(full.into_inner()(), 1);
        let full = pool.try_reserve().unwrap_err();
        assert!(full.is_full() && !full.is_closed());
        assert_eq!(
            (full.to_string(), format!("{full:?}")),
            said("the pool's queue is full", "Full")
        );
        busy.release();
        pool.close();
        let closed = pool.try_reserve().unwrap_err();
        assert!(closed.is_closed() && !closed.is_full());
        let also_closed = pollster::block_on(pool.reserve()).unwrap_err();
        assert_eq!(closed.to_string(), also_closed.to_string());
        assert_eq!(
            (also_closed.to_string(), format!("{also_closed:?}")),
            said("the pool is closed", "Closed")
        );
        let closed = pool.try_spawn(|| 2).unwrap_err();
        assert!(closed.is_closed() && !closed.is_full());
        assert_eq!(
            (closed.to_string(), format!("{closed:?}")),
            said("the pool is closed", "Closed(..)")
        );
        assert!(matches!(closed, SpawnError::Closed(_)));
    });
}

fn said(to_users: &str, to_programmers: &str) -> (String, String) {
    (to_users.to_owned(), to_programmers.to_owned())
}

#[test]
fn a_task_that_was_asked_to_stop_says_so() {
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(token.check().unwrap_err().to_string(), "the task was asked to stop");
}

/// Checks that the output starts with the type's name and contains these words.
#[track_caller]
fn shows(value: &dyn Debug, name: &str, words: &[&str]) {
    let text = format!("{value:?}");
    assert!(text.starts_with(name), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
fn what_can_be_held_can_be_printed_while_tasks_run_and_wait() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(2).record_timing(true).build().unwrap();
        let busy = occupy(&pool, 2);
        let queued = pool.task().name("queued").spawn(|| ());
        let token = CancelToken::new();
        let tied = pool.task().cancel_token(&token).run_for(PATIENCE).spawn(|| ());
        let chain = pool.spawn(|| 1).then(|n| n + 1);
        let mut set = pool.spawn_batch((0..3).map(|n| move || n));
        let local = WorkerLocal::new(|| 0_u8);

        shows(&pool, "WorkerPool", &["workers: 2", "is_closed: false"]);
        shows(&queued, "TaskHandle", &["is_finished: false"]);
        shows(&chain, "TaskHandle", &["is_finished: false"]);
        shows(&set, "TaskSet", &["len: 3"]);
        shows(&set.next_async(), "NextResult", &["TaskSet"]);
        shows(&token, "CancelToken", &["reason: None"]);
        shows(&local, "WorkerLocal", &["workers"]);
        let described = pool.task().name("x").start_by(Instant::now());
        shows(&described, "TaskBuilder", &["pool: ", "name: Some(\"x\")", "start_by: Some("]);
        shows(&pool.metrics().workers, "[WorkerMetrics", &["tasks_run"]);
        shows(&pool.workers(), "[WorkerInfo", &["state: Active"]);
        shows(&pool.metrics().run_time, "", &["count"]);
        shows(&promise::all([chain]), "Promise", &["unsettled: 1"]);

        busy.release();
        queued.join().unwrap();
        tied.join().unwrap();
        assert_eq!(set.map(Result::unwrap).sum::<i32>(), 3);
        shows(&pool.shutdown_async(), "UntilShutdown", &["pool"]);
    });
}

#[test]
fn what_lives_inside_a_task_or_a_scope_can_be_printed_there() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let inside = pool
            .spawn_with(|cx| shows(cx, "TaskContext", &["worker: Some", "is_cancelled: false"]));
        inside.join().unwrap();
        pool.scope(|scope| {
            shows(scope, "Scope", &[]);
            let handle = scope.spawn(|| 1);
            shows(&handle, "ScopedHandle", &["is_finished"]);
            assert_eq!(handle.join().unwrap(), 1);
        });
        let mut ordered = pool.map_ordered(0..4, 2, |n| n);
        shows(&ordered, "MapOrdered", &["in_flight: 0"]);
        assert!(ordered.next().is_some());
        let mut unordered = pool.map_unordered(0..4, 2, |n| n);
        shows(&unordered, "MapUnordered", &["in_flight: 0"]);
        assert!(unordered.next().is_some());
    });
}

#[test]
fn a_pool_says_how_many_workers_it_was_made_with_whatever_became_of_them() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(3).spare_workers(2).build().unwrap();
        assert_eq!((pool.worker_count(), pool.workers().len()), (3, 3));
        pool.shutdown();
        assert_eq!((pool.worker_count(), pool.workers().len()), (3, 3));
    });
}
