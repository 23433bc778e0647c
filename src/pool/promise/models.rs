//! Loom models of promises: tasks settle, fail and are cancelled while a thread looks at the
//! promise, waits for it or drops it.
//!
//! The tasks are real, but there is no pool. The wait is `Promise::wait` with a parker of the
//! model.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::alloc::Track;
use loom::thread;

use super::{Promise, Rule, all, all_settled, any, race};
use crate::base::error::TaskError;
use crate::base::id::PoolId;
use crate::base::sync::{explore, explore_shallow};
use crate::parts::parker::Parker;
use crate::pool::handle::TaskHandle;
use crate::task::{QueuedTask, TaskContext, make};

/// The value of a task. Loom fails if one is leaked.
struct Value {
    number: u32,
    _track: Track<()>,
}

fn task(number: u32) -> (QueuedTask, TaskHandle<Value>) {
    let value = Value { number, _track: Track::new(()) };
    let (queued, held) = make::<(), _, _>(PoolId::next(), None, move |_: &TaskContext| value);
    (queued, TaskHandle::new(held))
}

/// A task that panics as planned, without the panic hook, which would fail the model.
fn task_that_fails() -> (QueuedTask, TaskHandle<Value>) {
    let (queued, held) = make::<(), _, _>(PoolId::next(), None, |_: &TaskContext| -> Value {
        std::panic::resume_unwind(Box::new("planned"))
    });
    (queued, TaskHandle::new(held))
}

/// Like `Worker::run`. Returns whether there was anything to run.
fn run(task: QueuedTask) -> bool {
    let Some(claimed) = task.claim() else { return false };
    claimed.run(None).settle();
    true
}

fn run_elsewhere(task: QueuedTask) -> thread::JoinHandle<bool> {
    thread::spawn(move || run(task))
}

fn poll<R: Rule>(promise: &mut Promise<R>, waker: &Waker) -> Poll<R::Output> {
    Pin::new(promise).poll(&mut Context::from_waker(waker))
}

fn wait<R: Rule>(mut promise: Promise<R>) -> R::Output {
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    loop {
        if let Poll::Ready(output) = poll(&mut promise, &waker) {
            return output;
        }
        parker.park();
    }
}

fn numbers(values: &[Value]) -> Vec<u32> {
    values.iter().map(|value| value.number).collect()
}

#[test]
fn all_of_two_give_their_values_in_order() {
    explore_shallow(|| {
        let ((first, one), (second, two)) = (task(1), task(2));
        let runners = [run_elsewhere(first), run_elsewhere(second)];
        let values = wait(all([one, two])).unwrap();
        assert_eq!(numbers(&values), [1, 2]);
        assert!(runners.into_iter().all(|runner| runner.join().unwrap()));
    });
}

/// The first failure ends the promise, and keeps tasks that have not started from running.
#[test]
fn a_failure_cancels_the_rest() {
    explore(|| {
        let ((fails, one), (waits, two)) = (task_that_fails(), task(2));
        let runner = run_elsewhere(fails);
        let failed = wait(all([one, two]));
        assert!(matches!(failed, Err(TaskError::Panicked(_))));
        assert!(!run(waits), "it was cancelled");
        assert!(runner.join().unwrap());
    });
}

/// The failure may come at any time; the value comes between two polls.
#[test]
fn any_of_two_passes_over_a_failure() {
    explore_shallow(|| {
        let ((fails, one), (second, two)) = (task_that_fails(), task(2));
        let runner = run_elsewhere(fails);
        let mut promise = any([one, two]);
        assert!(poll(&mut promise, Waker::noop()).is_pending(), "a failure is not enough");
        assert!(run(second));
        let value = wait(promise).unwrap();
        assert_eq!(value.number, 2);
        assert!(runner.join().unwrap());
    });
}

/// The winner is enough, even if the other task has not settled. That one continues by itself.
#[test]
fn a_race_ends_with_the_first() {
    explore(|| {
        let ((first, one), (second, two)) = (task(1), task(2));
        let runner = run_elsewhere(first);
        let winner = wait(race([one, two])).unwrap();
        assert_eq!(winner.number, 1);
        assert!(run(second), "it was let go, not cancelled");
        assert!(runner.join().unwrap());
    });
}

#[test]
fn a_cancel_while_tasks_settle_settles_all() {
    explore(|| {
        let ((first, one), (second, two)) = (task(1), task(2));
        let runner = run_elsewhere(first);
        let promise = all_settled([one, two]);
        promise.cancel();
        let results = wait(promise);
        let has_run = runner.join().unwrap();
        assert_eq!(results[0].as_ref().ok().map(|value| value.number), has_run.then_some(1));
        assert!(results[1].as_ref().is_err_and(TaskError::is_cancelled));
        assert!(!run(second));
    });
}

/// The promise and the runner drop the value between them, and no waker of a dropped promise is
/// kept.
#[test]
fn a_promise_is_dropped_while_a_task_settles() {
    explore(|| {
        let ((first, one), (second, two)) = (task(1), task(2));
        let mut promise = all([one, two]).cancel_on_drop();
        let bell = Arc::new(Bell::default());
        assert!(poll(&mut promise, &Waker::from(Arc::clone(&bell))).is_pending());
        let runner = run_elsewhere(first);
        drop(promise);
        assert!(!run(second), "it was cancelled");
        let _has_run = runner.join().unwrap();
        assert!(bell.0.load(SeqCst) <= 1);
        assert_eq!(Arc::strong_count(&bell), 1, "its waker is dropped");
    });
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(Count);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The promise is polled by a second task of a runtime while the value comes. That task is woken,
/// unless the poll returned the value.
#[test]
fn the_last_waker_is_woken() {
    explore(|| {
        let (first, one) = task(1);
        let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
        let wakers = bells.each_ref().map(|bell| Waker::from(Arc::clone(bell)));
        let mut promise = race([one]);
        assert!(poll(&mut promise, &wakers[0]).is_pending());
        let runner = run_elsewhere(first);
        let ends = poll(&mut promise, &wakers[1]).is_ready();
        assert!(runner.join().unwrap());
        let rings = bells.each_ref().map(|bell| bell.0.load(SeqCst));
        assert!(ends || rings[1] == 1, "nobody else will tell");
        assert!(ends || poll(&mut promise, Waker::noop()).is_ready());
    });
}
