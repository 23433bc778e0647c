//! Models of one task: its owner against its handle, in every way they can meet.
//!
//! Each model's task counts how often its closure ran and how often closure and value were dropped,
//! and notes whether its memory was freed. Cells in its header detect two threads that touch it at
//! once.

mod chain;
mod given;
mod place;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};
use std::task::Waker;

use loom::alloc::Track;
use loom::thread;

use super::{Extra, HeldTask, Outcome, QueuedTask, make};
use crate::base::error::TaskError;
use crate::base::id::PoolId;
use crate::base::sync::{UnsafeCell, explore};
use crate::parts::admission::Place;
use crate::parts::parker::Parker;
use crate::parts::queue::{Pop, Queue};

/// The counts of one task.
#[derive(Clone)]
struct Seen {
    closures_dropped: Arc<Count>,
    values_made: Arc<Count>,
    values_dropped: Arc<Count>,
    /// The task holds one more reference until it is freed.
    name: Arc<str>,
}

/// The contents of a closure or a value.
struct Token {
    dropped: Arc<Count>,
    touched: UnsafeCell<()>,
    /// Loom fails when this is leaked.
    _track: Track<()>,
}

impl Token {
    fn new(dropped: &Arc<Count>) -> Self {
        let touched = UnsafeCell::new(());
        touched.with_mut(|_| ());
        Self { dropped: Arc::clone(dropped), touched, _track: Track::new(()) }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.touched.with_mut(|_| ());
        self.dropped.fetch_add(1, Relaxed);
    }
}

/// A panic that the model plans. It does not call the panic hook, which would fail the model.
fn panic_as_planned(token: Token) -> ! {
    std::panic::resume_unwind(Box::new(token));
}

impl Seen {
    fn new() -> Self {
        let count = || Arc::new(Count::new(0));
        Self {
            closures_dropped: count(),
            values_made: count(),
            values_dropped: count(),
            name: Arc::from("modelled"),
        }
    }

    fn value(&self) -> Token {
        self.values_made.fetch_add(1, Relaxed);
        Token::new(&self.values_dropped)
    }

    fn task(&self) -> (QueuedTask, HeldTask<Token>) {
        self.task_with(None, false)
    }

    fn task_that_panics(&self) -> (QueuedTask, HeldTask<Token>) {
        self.task_with(None, true)
    }

    fn task_with(&self, place: Option<Place>, panics: bool) -> (QueuedTask, HeldTask<Token>) {
        let name = Some(Arc::clone(&self.name));
        let extra = Extra { name, ..Extra::default() }.with_place(place);
        let captured = Token::new(&self.closures_dropped);
        let seen = self.clone();
        make::<(), _, _>(PoolId::next(), Some(extra), move |_cx: &super::TaskContext| {
            drop(captured);
            let value = seen.value();
            if panics { panic_as_planned(value) } else { value }
        })
    }

    /// Everything was dropped once, and the task is freed.
    #[track_caller]
    fn assert_over(&self, runs: usize) {
        let counts = [&self.closures_dropped, &self.values_made, &self.values_dropped];
        let counts = counts.map(|count| count.load(Relaxed));
        assert_eq!(counts, [1, runs, runs], "closures dropped, values made, values dropped");
        // The closure's own clone of the name is dropped with the closure.
        assert_eq!(Arc::strong_count(&self.name), 1, "the task is freed");
    }
}

/// As `Worker::run`.
fn run(task: QueuedTask) -> bool {
    let Some(claimed) = task.claim() else { return false };
    let ran = claimed.run(None);
    if let Some(extra) = ran.claimed().extra() {
        extra.give_place_back();
    }
    ran.settle();
    true
}

fn run_elsewhere(task: QueuedTask) -> thread::JoinHandle<bool> {
    thread::spawn(move || run(task))
}

/// As `TaskHandle::join`: sleeps until the task is settled.
fn join(mut held: HeldTask<Token>) -> Result<Token, TaskError> {
    let parker = Arc::new(Parker::new());
    if !held.set_waker(&Waker::from(Arc::clone(&parker))) {
        while !held.is_settled() {
            parker.park();
        }
    }
    match held.try_take() {
        Ok(result) => result,
        Err(_) => panic!("a settled task has a result"),
    }
}

/// As `worker::run_in_place`, while the queue's half is elsewhere.
fn run_here(held: HeldTask<Token>) -> Result<Result<Token, TaskError>, HeldTask<Token>> {
    held.try_run_here(None, |_| (), |_, _| ()).map(|ran| ran.result)
}

/// A waker that counts how often it was woken. It detects leaks and late touches.
struct Bell {
    rings: Arc<Count>,
    _track: Track<()>,
}

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Relaxed);
    }
}

fn bell() -> (Waker, Arc<Count>) {
    let rings = Arc::new(Count::new(0));
    let bell = Bell { rings: Arc::clone(&rings), _track: Track::new(()) };
    (Waker::from(Arc::new(bell)), rings)
}

#[test]
fn run_against_join() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let worker = run_elsewhere(queued);
        drop(join(held).unwrap());
        assert!(worker.join().unwrap());
        seen.assert_over(1);
    });
}

#[test]
fn a_run_that_panics_against_join() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task_that_panics();
        let worker = run_elsewhere(queued);
        assert!(matches!(join(held), Err(TaskError::Panicked(_))));
        assert!(worker.join().unwrap());
        seen.assert_over(1);
    });
}

#[test]
fn run_against_taking_early() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let worker = run_elsewhere(queued);
        match held.try_take() {
            Ok(result) => drop(result.unwrap()),
            Err(held) => drop(held),
        }
        worker.join().unwrap();
        seen.assert_over(1);
    });
}

fn run_against_drop((queued, held): (QueuedTask, HeldTask<Token>), seen: &Seen) {
    let worker = run_elsewhere(queued);
    drop(held);
    worker.join().unwrap();
    seen.assert_over(1);
}

#[test]
fn run_against_drop_of_the_handle() {
    explore(|| {
        let seen = Seen::new();
        run_against_drop(seen.task(), &seen);
    });
}

#[test]
fn a_run_that_panics_against_drop_of_the_handle() {
    explore(|| {
        let seen = Seen::new();
        run_against_drop(seen.task_that_panics(), &seen);
    });
}

#[test]
fn run_against_drop_of_a_handle_that_was_polled() {
    explore(|| {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let (waker, rings) = bell();
        let _settled = held.set_waker(&waker);
        let worker = run_elsewhere(queued);
        drop(held);
        worker.join().unwrap();
        assert!(rings.load(Relaxed) <= 1);
        seen.assert_over(1);
    });
}

/// Cancelling against an owner, which returns whether it settled the task. `outcome` checks the
/// error that the owner settles with.
fn cancelled_against(owner: fn(QueuedTask) -> bool, outcome: fn(&TaskError) -> bool) {
    explore(move || {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let owner = thread::spawn(move || owner(queued));
        let cancelled = held.settle_unrun(Outcome::Cancelled).is_some();
        if !cancelled {
            held.request_cancel();
        }
        match join(held) {
            Ok(value) => {
                assert!(!cancelled);
                drop(value);
                assert!(owner.join().unwrap());
                seen.assert_over(1);
            }
            Err(error) => {
                assert_ne!(cancelled, outcome(&error), "the handle says who settled it");
                assert_eq!(owner.join().unwrap(), !cancelled, "one of the two settles it");
                seen.assert_over(0);
            }
        }
    });
}

#[test]
fn cancel_against_run() {
    cancelled_against(run, |error| !matches!(error, TaskError::Cancelled));
}

#[test]
fn cancel_against_expiry() {
    cancelled_against(
        |queued| queued.settle_unrun(Outcome::Expired).is_some(),
        |error| matches!(error, TaskError::Expired),
    );
}

#[test]
fn drop_of_the_queue_against_join() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let queue = Queue::new();
        queue.push(queued);
        let owner = thread::spawn(move || drop(queue));
        assert!(matches!(join(held), Err(TaskError::Rejected(_))));
        owner.join().unwrap();
        seen.assert_over(0);
    });
}

#[test]
fn drop_of_the_queued_half_against_cancel() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let owner = thread::spawn(move || drop(queued));
        let cancelled = held.settle_unrun(Outcome::Cancelled).is_some();
        let error = join(held).err().expect("nobody ran it");
        assert_eq!(cancelled, matches!(error, TaskError::Cancelled));
        assert_eq!(!cancelled, matches!(error, TaskError::Rejected(_)));
        owner.join().unwrap();
        seen.assert_over(0);
    });
}

#[test]
fn drop_of_both_halves() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let owner = thread::spawn(move || drop(queued));
        drop(held);
        owner.join().unwrap();
        seen.assert_over(0);
    });
}

#[test]
fn two_cancel_through_one_handle_against_run() {
    explore(|| {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let (waker, rings) = bell();
        assert!(!held.set_waker(&waker));
        let held = Arc::new(held);
        let worker = run_elsewhere(queued);
        let other = thread::spawn({
            let held = Arc::clone(&held);
            move || held.settle_unrun(Outcome::Cancelled).is_some()
        });
        let here = held.settle_unrun(Outcome::Cancelled).is_some();
        let there = other.join().unwrap();
        let ran = worker.join().unwrap();
        let winners = [here, there, ran].into_iter().filter(|&won| won).count();
        assert_eq!(winners, 1);
        assert_eq!(rings.load(Relaxed), 1, "the settling thread has woken the waiter");
        let held = Arc::into_inner(held).expect("the other thread has ended");
        let result = held.try_take().map_err(drop).expect("it is settled");
        assert_eq!(result.is_ok(), ran);
        drop(result);
        seen.assert_over(usize::from(ran));
    });
}

#[test]
fn a_run_in_place_against_the_owner() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task();
        let worker = run_elsewhere(queued);
        let (value, here) = match run_here(held) {
            Ok(result) => (result, true),
            Err(held) => (join(held), false),
        };
        drop(value.unwrap());
        assert_eq!(worker.join().unwrap(), !here);
        seen.assert_over(1);
    });
}

#[test]
fn a_run_in_place_that_panics_against_drop_of_the_queue() {
    explore(|| {
        let seen = Seen::new();
        let (queued, held) = seen.task_that_panics();
        let queue = Queue::new();
        queue.push(queued);
        let owner = thread::spawn(move || drop(queue));
        let runs = match run_here(held) {
            Ok(result) => {
                assert!(matches!(result, Err(TaskError::Panicked(_))));
                1
            }
            Err(held) => {
                assert!(matches!(join(held), Err(TaskError::Rejected(_))));
                0
            }
        };
        owner.join().unwrap();
        seen.assert_over(runs);
    });
}

/// The handle was polled outside a worker, and then again on a worker, which runs the task in
/// place.
#[test]
fn a_run_in_place_of_a_task_that_was_polled() {
    explore(|| {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let (waker, rings) = bell();
        assert!(!held.set_waker(&waker));
        drop(waker);
        let worker = run_elsewhere(queued);
        let result = match run_here(held) {
            Ok(result) => result,
            Err(held) => join(held),
        };
        drop(result.unwrap());
        worker.join().unwrap();
        assert!(rings.load(Relaxed) <= 1);
        seen.assert_over(1);
    });
}

/// A worker joins a task of its own inbox while a thief takes it.
fn joined_against_a_thief(was_polled: bool) {
    explore(move || {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let (waker, _) = bell();
        if was_polled {
            assert!(!held.set_waker(&waker));
        }
        let inbox = Arc::new(Queue::new());
        inbox.push(queued);
        let thief = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || match inbox.pop() {
                Pop::Item(task) => run(task),
                Pop::Empty | Pop::Gap => false,
            }
        });
        let here = match inbox.pop_if(held.link()) {
            Some(queued) => held.run_whole(queued, None, |_| (), |_, _| ()).map(|ran| ran.result),
            None => run_here(held),
        };
        let is_here = here.is_ok();
        drop(here.unwrap_or_else(join).unwrap());
        assert_eq!(thief.join().unwrap(), !is_here);
        assert!(inbox.is_empty());
        seen.assert_over(1);
    });
}

#[test]
fn a_join_from_the_inbox_against_a_thief() {
    joined_against_a_thief(false);
}

#[test]
fn a_join_from_the_inbox_of_a_task_that_was_polled() {
    joined_against_a_thief(true);
}

#[test]
fn the_last_waker_wins() {
    explore(|| {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let worker = run_elsewhere(queued);
        let (first, second) = (bell(), bell());
        let settled_at_first = held.set_waker(&first.0);
        let settled_at_second = held.set_waker(&second.0);
        worker.join().unwrap();
        let rings = [first.1.load(Relaxed), second.1.load(Relaxed)];
        if settled_at_first {
            assert_eq!(rings, [0, 0]);
        } else if settled_at_second {
            assert!(rings[0] <= 1 && rings[1] == 0, "it was settled between the two");
        } else {
            assert_eq!(rings, [0, 1]);
        }
        drop(held.try_take().map_err(drop).expect("it has run").unwrap());
        seen.assert_over(1);
    });
}

#[test]
fn a_timeout_at_the_moment_of_completion() {
    explore(|| {
        let seen = Seen::new();
        let (queued, mut held) = seen.task();
        let worker = run_elsewhere(queued);
        let (waker, rings) = bell();
        if !held.set_waker(&waker) && !held.clear_waker() {
            assert!(held.is_settled(), "what ended the wait is the result");
        }
        // The wait may go on later. The result is there then.
        drop(join(held).unwrap());
        worker.join().unwrap();
        assert!(rings.load(Relaxed) <= 1);
        seen.assert_over(1);
    });
}
