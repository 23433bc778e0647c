//! The feature `tracing`: what a task records belongs to the span that its submitter was in.

mod recorder;

use std::sync::Arc;
use std::sync::mpsc;

use corepool::{Dispatch, TaskSet, WhenFull, WorkerPool, promise};
use tracing::{Span, info, info_span};

use crate::support::{PATIENCE, occupy, within};
use recorder::{parents_of_event, parents_of_span};

/// The name of the span that the calling thread is in.
fn here() -> Option<&'static str> {
    Span::current().metadata().map(|metadata| metadata.name())
}

fn pool() -> WorkerPool {
    recorder::install();
    WorkerPool::with_workers(2).unwrap()
}

#[test]
fn what_a_task_records_stands_inside_its_submitters_span() {
    within(PATIENCE, || {
        let pool = pool();
        let task = info_span!("submitter").in_scope(|| {
            pool.spawn(|| {
                info!("spans: an event of a task");
                info_span!("spans_child").in_scope(|| info!("spans: an event in its own span"));
            })
        });
        task.join().unwrap();
        assert_eq!(parents_of_event("spans: an event of a task"), [["submitter"].to_vec()]);
        let inside = ["submitter", "spans_child"].to_vec();
        assert_eq!(parents_of_event("spans: an event in its own span"), [inside]);
        assert_eq!(parents_of_span("spans_child"), [Some("submitter")]);
    });
}

#[test]
fn each_way_to_submit_a_task_takes_the_span_along() {
    within(PATIENCE, || {
        let pool = pool();
        let (spawned, tried, awaited, described) = info_span!("of_a_way").in_scope(|| {
            (
                [pool.spawn(here), pool.spawn_with(|_| here())],
                pool.try_spawn(here).unwrap(),
                pollster::block_on(pool.reserve()).unwrap().spawn(here),
                pool.task().name("named").on_worker(1).spawn(here),
            )
        });
        let rest = [tried, awaited, described];
        for task in spawned.into_iter().chain(rest) {
            assert_eq!(task.join().unwrap(), Some("of_a_way"));
        }
    });
}

#[test]
fn a_batch_and_a_broadcast_run_inside_the_span_of_the_call() {
    within(PATIENCE, || {
        recorder::install();
        let (free, turns) = (Dispatch::FreeWorker, Dispatch::RoundRobin);
        for (dispatch, times) in [(free, false), (free, true), (turns, false)] {
            let builder = WorkerPool::builder().workers(3).dispatch(dispatch);
            let pool = builder.record_timing(times).build().unwrap();
            let (batch, broadcast) = info_span!("of_many").in_scope(|| {
                (pool.spawn_batch((0..100).map(|_| here)), pool.broadcast(|_| here()))
            });
            for result in batch.chain(broadcast) {
                assert_eq!(result.unwrap(), Some("of_many"));
            }
        }
    });
}

/// Each step of a chain runs in the span of the code that added it, not of the thread that settled
/// the task before it.
#[test]
fn a_continuation_runs_inside_the_span_in_which_it_was_made() {
    within(PATIENCE, || {
        let pool = pool();
        let (go, wait) = mpsc::channel::<()>();
        let first = info_span!("of_the_first").in_scope(|| {
            pool.spawn(move || {
                wait.recv().unwrap_err();
                vec![here()]
            })
        });
        let add = |mut names: Vec<_>| {
            names.push(here());
            names
        };
        let second = info_span!("of_the_second").in_scope(|| first.then(add));
        let third = second.then(add);
        let (told, tell) = mpsc::channel();
        let last = info_span!("of_the_last")
            .in_scope(|| third.finally(move || told.send(here()).unwrap()));
        drop(go);
        assert_eq!(last.join().unwrap(), [Some("of_the_first"), Some("of_the_second"), None]);
        assert_eq!(tell.recv().unwrap(), Some("of_the_last"));
        let failed = pool.spawn(|| -> Option<&str> { std::panic::resume_unwind(Box::new("no")) });
        let recovered = info_span!("of_the_rescue").in_scope(|| failed.recover(|_| here()));
        assert_eq!(recovered.join().unwrap(), Some("of_the_rescue"));
    });
}

#[test]
fn a_task_that_is_run_in_place_is_in_its_own_submitters_span() {
    within(PATIENCE, || {
        recorder::install();
        let pool = WorkerPool::with_workers(1).unwrap();
        let outer = info_span!("of_the_outer").in_scope(|| {
            pool.spawn(|| {
                let single = info_span!("of_the_inner").in_scope(|| corepool::spawn(here));
                let two = info_span!("of_two").in_scope(|| [0, 1].map(|_| corepool::spawn(here)));
                let linked =
                    info_span!("of_a_link").in_scope(|| corepool::spawn(|| ()).then(|()| here()));
                let mut set = TaskSet::from_iter([corepool::spawn(here)]);
                let single = single.join().unwrap();
                let two = promise::all(two).join().unwrap();
                (single, two, linked.join().unwrap(), set.next().unwrap().unwrap(), here())
            })
        });
        let (single, two, linked, of_set, at_the_end) = outer.join().unwrap();
        assert_eq!(single, Some("of_the_inner"));
        assert_eq!(two, [Some("of_two"); 2]);
        assert_eq!(linked, Some("of_a_link"));
        assert_eq!((of_set, at_the_end), (Some("of_the_outer"), Some("of_the_outer")));
    });
}

#[test]
fn an_item_of_a_batch_that_is_run_in_place_is_in_the_batches_span() {
    within(PATIENCE, || {
        recorder::install();
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let outer = info_span!("around_a_batch").in_scope(|| {
            pool.spawn(move || {
                let batch =
                    info_span!("of_a_batch").in_scope(|| inner.spawn_batch((0..10).map(|_| here)));
                (batch.map(Result::unwrap).collect::<Vec<_>>(), here())
            })
        });
        let (items, at_the_end) = outer.join().unwrap();
        assert_eq!(items, [Some("of_a_batch"); 10]);
        assert_eq!(at_the_end, Some("around_a_batch"));
    });
}

#[test]
fn who_runs_its_own_task_because_the_pool_is_full_stays_in_its_span() {
    within(PATIENCE, || {
        recorder::install();
        let full = WhenFull::CallerRuns;
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).when_full(full);
        let pool = pool.build().unwrap();
        let busy = occupy(&pool, 1);
        let task = info_span!("of_the_caller").in_scope(|| pool.spawn(here));
        assert_eq!(task.join().unwrap(), Some("of_the_caller"));
        busy.release();
    });
}

#[test]
fn a_worker_leaves_the_span_after_the_task_also_by_a_panic() {
    within(PATIENCE, || {
        recorder::install();
        let pool = WorkerPool::with_workers(1).unwrap();
        info_span!("left_by_a_panic").in_scope(|| {
            let panics = pool.spawn(|| std::panic::resume_unwind(Box::new("planned")));
            let _: Result<(), _> = panics.join();
            let batch = pool.spawn_batch((0..3).map(|n| move || assert!(n > 5, "planned")));
            assert_eq!(batch.filter(Result::is_err).count(), 3);
        });
        assert_eq!(pool.spawn(here).join().unwrap(), None);
        assert_eq!(pool.spawn_batch([here]).next().unwrap().unwrap(), None);
    });
}
