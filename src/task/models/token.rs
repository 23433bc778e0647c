//! Models of a token's hold on a task: its end against a run, a cancel, and the drop of both
//! halves.
#![forbid(unsafe_code)]

use super::*;
use crate::cancel::CancelToken;
use crate::task::{Ledger, Meaning, Plan, Unsettled};

struct Nobody;

impl Ledger for Nobody {
    fn note_settled_in_queue(_pool: PoolId, _outcome: Outcome) {}
}

fn tied(seen: &Seen, token: &CancelToken, meaning: Meaning) -> (QueuedTask, HeldTask<Token>) {
    tied_in(None, seen, token, meaning)
}

/// A task of a pool that waits for the tasks that tokens settle.
fn tied_in(
    unsettled: Option<Arc<Unsettled>>,
    seen: &Seen,
    token: &CancelToken,
    meaning: Meaning,
) -> (QueuedTask, HeldTask<Token>) {
    let name = Some(Arc::clone(&seen.name));
    let plan = Plan { unsettled, ..Plan::default() };
    let extra = Extra { name, plan: Some(Box::new(plan)), ..Extra::default() };
    let captured = Token::new(&seen.closures_dropped);
    let inner = seen.clone();
    let (queued, held) =
        make::<(), _, _>(PoolId::next(), Some(extra), move |_: &crate::task::TaskContext| {
            drop(captured);
            inner.value()
        });
    held.tie::<Nobody>(token, meaning).expect("the token has not ended");
    (queued, held)
}

fn over(seen: &Seen, result: Result<Token, TaskError>, outcome: Outcome) {
    match result {
        Ok(value) => drop(value),
        Err(error) => assert_eq!(Outcome::without_value(&error), outcome),
    }
    seen.assert_over(seen.values_made.load(Relaxed));
}

#[test]
fn its_end_against_a_run() {
    for (meaning, outcome) in
        [(Meaning::Stop, Outcome::Cancelled), (Meaning::TooLate, Outcome::Expired)]
    {
        explore(move || {
            let seen = Seen::new();
            let token = CancelToken::new();
            let (queued, held) = tied(&seen, &token, meaning);
            let runner = run_elsewhere(queued);
            token.cancel();
            runner.join().unwrap();
            let result = held.try_take().expect("it ran, or the token settled it");
            over(&seen, result, outcome);
        });
    }
}

#[test]
fn its_end_against_the_drop_of_both_halves() {
    explore(|| {
        let seen = Seen::new();
        let token = CancelToken::new();
        let (queued, held) = tied(&seen, &token, Meaning::Stop);
        let canceller = thread::spawn(move || token.cancel());
        drop(held);
        drop(queued);
        canceller.join().unwrap();
        seen.assert_over(0);
    });
}

#[test]
fn its_end_against_a_wait_and_a_pop() {
    explore(|| {
        let seen = Seen::new();
        let token = CancelToken::new();
        let (queued, mut held) = tied(&seen, &token, Meaning::Stop);
        let popper = run_elsewhere(queued);
        let canceller = thread::spawn(move || token.cancel());
        let parker = Arc::new(Parker::new());
        if !held.set_waker(&Waker::from(Arc::clone(&parker))) {
            while !held.is_settled() {
                parker.park();
            }
        }
        let result = held.try_take().expect("it is settled");
        popper.join().unwrap();
        canceller.join().unwrap();
        over(&seen, result, Outcome::Cancelled);
    });
}

/// A shutdown comes after the workers have let go of the task. It waits while a thread still
/// settles a task.
#[test]
fn its_end_against_the_end_of_the_pool() {
    explore(|| {
        let seen = Seen::new();
        let (token, unsettled) = (CancelToken::new(), Arc::new(Unsettled::default()));
        let (queued, held) = tied_in(Some(Arc::clone(&unsettled)), &seen, &token, Meaning::Stop);
        let worker = run_elsewhere(queued);
        let canceller = thread::spawn(move || token.cancel());
        worker.join().unwrap();
        let is_awaited = unsettled.is_any_left();
        assert!(is_awaited || held.is_settled(), "the end comes too early");
        canceller.join().unwrap();
        assert!(!unsettled.is_any_left());
        let result = held.try_take().expect("it is settled");
        over(&seen, result, Outcome::Cancelled);
    });
}
