//! A panic stays in its task, wherever it comes from, and the pool keeps its workers.

mod drops;
mod ends;
mod hooks;

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use corepool::events::Events;
use corepool::{Dispatch, PoolEvent, TaskError, WhenFull, WorkerId, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

/// The worker, task name and message of the next event that reports a task's panic.
fn next_panic(events: &mut Events) -> (Option<WorkerId>, String, String) {
    loop {
        if let PoolEvent::TaskPanicked { worker, task, message } = events.next().unwrap() {
            return (worker, task, message);
        }
    }
}

/// Checks that every worker is there, still on its first thread, and takes tasks.
fn expect_whole(pool: &WorkerPool, workers: usize) {
    let infos = pool.workers();
    assert_eq!(infos.len(), workers);
    assert!(infos.iter().all(|info| info.generation == 0), "a worker was replaced: {infos:?}");
    drop(occupy(pool, workers));
}

/// Case 1.
#[test]
fn a_panic_is_given_to_the_handle_and_the_worker_lives() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..50 {
            let text = pool.spawn(|| -> u8 { panic!("a text") });
            let made = pool.spawn(move || -> u8 { panic!("round {round}") });
            let other = pool.spawn(move || -> u8 { panic::panic_any(vec![round]) });
            let TaskError::Panicked(text) = text.join().unwrap_err() else { panic!("it panicked") };
            assert_eq!(text.message(), "a text");
            assert_eq!(text.into_inner().downcast_ref(), Some(&"a text"));
            let TaskError::Panicked(made) = made.join().unwrap_err() else { panic!("it panicked") };
            assert_eq!(made.message(), format!("round {round}"));
            let resumed = catch_unwind(AssertUnwindSafe(|| other.join().unwrap_err().resume()));
            let Err(payload) = resumed;
            assert_eq!(*payload.downcast::<Vec<i32>>().unwrap(), [round]);
        }
        assert_eq!((pool.metrics().panicked, pool.metrics().completed), (150, 0));
        expect_whole(&pool, 2);
    });
}

/// Case 1.
#[test]
fn a_panic_is_told_by_an_event_with_worker_name_and_message() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut events = pool.events();
        let task = pool.task().name("thumbnail 17").spawn(|| panic!("bad {}", "pixel"));
        task.join().unwrap_err();
        let told = next_panic(&mut events);
        let expected = (Some(WorkerId::from(0)), "thumbnail 17".into(), "bad pixel".into());
        assert_eq!(told, expected);
    });
}

/// Case 1.
#[test]
fn a_task_without_a_name_is_told_by_where_it_was_written() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut events = pool.events();
        pool.spawn(|| panic!("no name")).join().unwrap_err();
        let (_, task, _) = next_panic(&mut events);
        let here = "a_task_without_a_name_is_told_by_where_it_was_written";
        assert!(task.contains(here), "{task:?} does not say in which function it was written");
    });
}

/// Case 2.
#[test]
fn a_detached_tasks_panic_is_told_and_counted() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let mut events = pool.events();
        pool.task().name("lonely").spawn(|| panic!("unheard")).detach();
        let (worker, task, message) = next_panic(&mut events);
        assert!(worker.is_some());
        assert_eq!((task.as_str(), message.as_str()), ("lonely", "unheard"));
        expect_whole(&pool, 2);
        pool.shutdown();
        assert_eq!(pool.metrics().panicked, 1);
    });
}

/// Case 1: the thread that waits for a task runs it in place.
#[test]
fn a_panic_in_a_task_run_in_place_is_told_counted_and_given_to_the_handle() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut events = pool.events();
        let outer = pool.spawn(|| {
            let inner = corepool::spawn(|| panic!("inside"));
            inner.join().unwrap_err().to_string()
        });
        assert_eq!(outer.join().unwrap(), "the task panicked: inside");
        let (worker, _, message) = next_panic(&mut events);
        assert_eq!((worker, message.as_str()), (Some(WorkerId::from(0)), "inside"));
        pool.shutdown();
        assert_eq!((pool.metrics().panicked, pool.metrics().completed), (1, 1));
    });
}

/// Case 1: a task that its caller runs because the pool is full keeps its name too.
#[test]
fn a_named_tasks_panic_is_told_by_its_name_when_its_caller_runs_it() {
    within(PATIENCE, || {
        let builder = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = builder.when_full(WhenFull::CallerRuns).build().unwrap();
        let _busy = occupy(&pool, 1);
        let mut events = pool.events();
        let task = pool.task().name("thumbnail 17").spawn(|| panic!("bad pixel"));
        assert!(task.join().unwrap_err().is_panicked());
        let told = next_panic(&mut events);
        assert_eq!(told, (None, "thumbnail 17".into(), "bad pixel".into()));
    });
}

/// Case 1.
#[test]
fn panics_on_every_worker_at_once_leave_the_pool_its_size() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder().workers(4).dispatch(dispatch).build().unwrap();
            let tasks: Vec<_> =
                (0..400).map(|n| pool.spawn(move || assert!(n % 2 == 0, "odd"))).collect();
            let panicked = tasks.into_iter().filter_map(|task| task.join().err()).count();
            assert_eq!(panicked, 200);
            expect_whole(&pool, 4);
        }
    });
}

/// Case 13.
#[test]
fn a_pool_dropped_while_unwinding_runs_what_it_accepted_and_panics_no_further() {
    within(PATIENCE, || {
        let (ran, runs) = mpsc::channel();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let pool = WorkerPool::with_workers(2).unwrap();
            for n in 0..20 {
                let ran = ran.clone();
                pool.spawn(move || {
                    ran.send(n).unwrap();
                    assert!(n % 2 == 0, "a task panics meanwhile");
                })
                .detach();
            }
            panic!("the owner's own");
        }));
        let payload = unwound.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"the owner's own"));
        assert_eq!(runs.try_iter().count(), 20, "they ran before the drop was over");
    });
}

/// Case 13: a destructor joins a handle while its thread unwinds.
#[test]
fn a_join_while_unwinding_gives_the_value() {
    struct JoinsLate(Option<corepool::TaskHandle<u8>>, mpsc::Sender<u8>);
    impl Drop for JoinsLate {
        fn drop(&mut self) {
            assert!(thread::panicking());
            let value = self.0.take().unwrap().join().unwrap();
            self.1.send(value).unwrap();
        }
    }
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let task = pool.spawn(|| 5);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _late = JoinsLate(Some(task), sender);
            panic!("on the way out");
        }));
        assert!(unwound.is_err());
        assert_eq!(receiver.recv().unwrap(), 5);
    });
}
