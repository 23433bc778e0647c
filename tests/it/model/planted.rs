//! Proves that the model catches what it should: each test does one thing wrong.

use crate::random::model::body::{Life, panic_text};
use crate::random::model::book::{At, Book, Kind, value_text};
use crate::random::model::ends::How;

/// Makes a task run and release what it held.
fn ran(life: &Life) {
    life.note_run();
    drop(life.token());
}

/// Two tasks, the second behind the first. Both ran successfully, and no result was asked for yet.
fn book() -> Book {
    let mut book = Book::default();
    let first = book.add(Kind::Root, false);
    let _second = book.add(Kind::Then(first), false);
    book.ids().for_each(|id| ran(&book.of(id).life));
    book
}

fn queued() -> Book {
    let mut book = Book::default();
    let id = book.add(Kind::Root, false);
    book.queue(id);
    book
}

#[test]
fn what_is_right_passes() {
    let mut book = book();
    book.saw(1, How::Value, Some(&value_text(1)));
    book.rest();
    book.expect_ended();
    assert_eq!(book.bounds(How::Value), 2..=2);
    let mut book = queued();
    drop(book.of(0).life.token());
    book.cancel(0, Some(true));
    book.saw(0, How::Cancelled, None);
    book.expect_ended();
    assert_eq!(book.bounds(How::Cancelled), 1..=1);
}

#[test]
#[should_panic(expected = "task 1 gave Cancelled, possible was {(Value, true)}")]
fn a_result_that_is_not_possible() {
    book().saw(1, How::Cancelled, None);
}

#[test]
#[should_panic(expected = "task 1 gave Value of value of task 0")]
fn the_value_of_another_task() {
    book().saw(1, How::Value, Some(&value_text(0)));
}

#[test]
#[should_panic(expected = "task 0 gave two results")]
fn two_results() {
    let mut book = book();
    book.saw(0, How::Value, None);
    book.saw(0, How::Value, None);
}

#[test]
#[should_panic(expected = "task 1 ran 2 times")]
fn a_closure_that_ran_twice() {
    let mut book = book();
    book.of(1).life.note_run();
    book.saw(1, How::Value, None);
}

#[test]
#[should_panic(expected = "ended like nothing that is possible")]
fn a_closure_that_never_ran() {
    let mut book = Book::default();
    let id = book.add(Kind::Root, false);
    drop(book.of(id).life.token());
    book.rest();
    book.expect_ended();
}

#[test]
#[should_panic(expected = "is Cancelled, and ran")]
fn a_task_that_was_cancelled_and_ran_all_the_same() {
    let mut book = queued();
    ran(&book.of(0).life);
    book.cancel(0, Some(true));
}

#[test]
#[should_panic(expected = "is Cancelled, and not free")]
fn a_cancelled_task_that_holds_what_it_held() {
    queued().cancel(0, Some(true));
}

#[test]
#[should_panic(expected = "was settled, and then cancelled")]
fn a_cancel_that_comes_too_late_and_says_otherwise() {
    let mut book = book();
    book.rest();
    book.cancel(1, Some(true));
}

#[test]
#[should_panic(expected = "dropped once")]
fn a_value_that_was_dropped_twice() {
    let mut book = book();
    drop(book.of(0).life.token());
    book.rest();
    book.expect_ended();
}

#[test]
#[should_panic(expected = "dropped once")]
fn a_value_that_was_leaked() {
    let mut book = Book::default();
    let id = book.add(Kind::Root, false);
    book.of(id).life.note_run();
    book.rest();
    book.expect_ended();
}

#[test]
#[should_panic(expected = "never settled")]
fn a_task_that_never_settles() {
    let mut book = book();
    book.of_mut(0).at = At::Settled;
    book.expect_ended();
}

#[test]
#[should_panic(expected = "was not told to stop")]
fn a_running_task_that_was_not_told_to_stop() {
    let mut book = Book::default();
    let id = book.add(Kind::Root, false);
    book.of_mut(id).at = At::Running;
    book.cancel(id, Some(false));
    ran(&book.of(id).life);
    book.rest();
    book.expect_ended();
}

/// A panic passes through the tasks behind it and stays the panic of the first one.
#[test]
fn whose_panic_it_is() {
    let mut book = Book::default();
    let first = book.add(Kind::Root, true);
    let second = book.add(Kind::Then(first), false);
    let third = book.add(Kind::Finally(second), false);
    [first, third].into_iter().for_each(|id| ran(&book.of(id).life));
    assert!(book.is_from(third, How::Panicked, &panic_text(first)));
    assert!(!book.is_from(third, How::Panicked, &panic_text(third)));
    drop(book.of(second).life.token());
    book.saw(third, How::Panicked, Some(&panic_text(first)));
    book.rest();
    book.expect_ended();
}
