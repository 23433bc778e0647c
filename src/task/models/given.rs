//! Models of a task whose result is given by hand: its completer against its handle.
#![forbid(unsafe_code)]

use super::*;
use crate::cancel::CancelToken;
use crate::task::given::{GivenTask, make_with};

fn given(seen: &Seen, token: &CancelToken) -> (GivenTask<Token>, HeldTask<Token>) {
    let name = Some(Arc::clone(&seen.name));
    make_with::<(), _>(token, Extra { name, ..Extra::default() })
}

/// The values were dropped, and the task is freed.
#[track_caller]
fn assert_over(seen: &Seen) {
    assert_eq!(seen.values_made.load(Relaxed), seen.values_dropped.load(Relaxed));
    assert_eq!(Arc::strong_count(&seen.name), 1, "the task is freed");
}

#[test]
fn a_value_is_given_against_a_join() {
    explore(|| {
        let (seen, token) = (Seen::new(), CancelToken::new());
        let (task, held) = given(&seen, &token);
        let value = seen.value();
        let giver = thread::spawn(move || task.settle(Ok(value)));
        assert!(join(held).is_ok());
        giver.join().unwrap();
        assert_over(&seen);
    });
}

#[test]
fn the_drop_of_a_completer_against_a_join() {
    explore(|| {
        let (seen, token) = (Seen::new(), CancelToken::new());
        let (task, held) = given(&seen, &token);
        let giver = thread::spawn(move || drop(task));
        assert!(matches!(join(held), Err(TaskError::Lost)));
        giver.join().unwrap();
        assert_over(&seen);
    });
}

#[test]
fn a_value_is_given_against_a_cancel_and_the_drop_of_the_handle() {
    explore(|| {
        let (seen, token) = (Seen::new(), CancelToken::new());
        let (task, held) = given(&seen, &token);
        let value = seen.value();
        let asked = token.clone();
        let giver = thread::spawn(move || {
            let _either = asked.is_cancelled();
            task.settle(Ok(value));
        });
        assert!(held.settle_unrun(Outcome::Cancelled).is_none(), "it is claimed");
        held.request_cancel();
        drop(held);
        giver.join().unwrap();
        assert!(token.is_cancelled());
        assert_over(&seen);
    });
}

#[test]
fn a_value_is_given_against_the_drop_of_a_handle_that_was_polled() {
    explore(|| {
        let (seen, token) = (Seen::new(), CancelToken::new());
        let (task, mut held) = given(&seen, &token);
        let value = seen.value();
        let giver = thread::spawn(move || task.settle(Ok(value)));
        let _settled = held.set_waker(Waker::noop());
        drop(held);
        giver.join().unwrap();
        assert_over(&seen);
    });
}
