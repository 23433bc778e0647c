//! Loom models of a batch: runners, a taker, a cancel and a detach, with items that notice a second
//! run.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use super::items::Items;
use super::taker::Taker;
use super::walk::{Books, Turn, Walk};
use crate::base::error::{PanicPayload, TaskError};
use crate::base::sync::{UnsafeCell, explore};
use crate::parts::parker::Parker;
use crate::task::Outcome;

/// The trace of an item. It is touched by the item's run and then by the thread that gets the
/// result. If two threads touch it at once, the model sees it.
type Trace = Arc<UnsafeCell<u32>>;
/// Not `Send`: the model makes sure that no two threads touch one.
type Closure = Box<dyn FnOnce() -> Value>;

/// An item's value. Its drop touches the trace.
struct Value {
    item: usize,
    trace: Trace,
}

impl Drop for Value {
    fn drop(&mut self) {
        touch(&self.trace);
    }
}

fn touch(trace: &Trace) {
    // A cell of the model: two accesses at the same time fail the model.
    trace.with_mut(|_| ());
}

struct NoBooks;

impl Books for NoBooks {
    fn note(&self, _outcome: Outcome, _panic: Option<&PanicPayload>) {}

    fn is_wanted(&self) -> bool {
        false
    }
}

type Shared = Arc<Items<Closure, Value>>;

fn items(count: usize, lanes: usize) -> Shared {
    let closures = (0..count).map(|item| {
        let trace: Trace = Arc::new(UnsafeCell::new(0));
        let closure: Closure = Box::new(move || {
            touch(&trace);
            Value { item, trace }
        });
        closure
    });
    Arc::new(Items::new(closures.collect(), lanes))
}

/// A runner on its own thread.
fn runner(items: &Shared, lane: usize) -> thread::JoinHandle<()> {
    let items = Arc::clone(items);
    thread::spawn(move || assert_eq!(Walk::new(lane).turn(&*items, &NoBooks), Turn::Done))
}

/// Like [`runner`]. When it leaves, no item is left that could still be started.
fn thorough(items: &Shared, lane: usize) -> thread::JoinHandle<()> {
    let items = Arc::clone(items);
    thread::spawn(move || {
        assert_eq!(Walk::new(lane).turn(&*items, &NoBooks), Turn::Done);
        let left = (0..items.len()).filter(|item| items.slot(*item).claim().is_some());
        assert_eq!(left.count(), 0, "a runner left while an item waited");
    })
}

/// Runs one item on its own thread, if there is one.
fn helper(items: &Shared) -> thread::JoinHandle<()> {
    let items = Arc::clone(items);
    thread::spawn(move || {
        if let Some((item, claimed)) = items.claim_one() {
            let outcome = super::walk::run_one(&items, item, claimed, &NoBooks);
            assert_eq!(outcome, Outcome::Value);
        }
    })
}

/// Takes all results, and sleeps in between. Returns how many were values.
fn take_all(items: &Shared) -> usize {
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    let mut taker = Taker::of(items);
    let mut seen = vec![false; items.len() as usize];
    let mut cancelled = 0;
    while taker.left() > 0 {
        match taker.take(items) {
            Some(Ok(value)) => {
                assert!(!std::mem::replace(&mut seen[value.item], true), "a result comes once");
            }
            Some(Err(TaskError::Cancelled)) => cancelled += 1,
            Some(Err(error)) => panic!("{error}"),
            None if taker.wait(items, &waker) => {}
            None => parker.park(),
        }
    }
    let values = seen.iter().filter(|seen| **seen).count();
    assert_eq!(values + cancelled, seen.len());
    values
}

#[test]
fn a_taker_gets_both_results_of_a_range() {
    explore(|| {
        let items = items(2, 1);
        let runner = runner(&items, 0);
        assert_eq!(take_all(&items), 2);
        runner.join().unwrap();
    });
}

/// A single item was taken from the cursor before, so the runner's range lies in two blocks.
#[test]
fn a_range_in_two_blocks_is_run_and_found() {
    explore(|| {
        let items = items(4, 2);
        let (item, claimed) = items.claim_one().expect("no item has begun");
        assert_eq!(super::walk::run_one(&items, item, claimed, &NoBooks), Outcome::Value);
        let runner = runner(&items, 0);
        assert_eq!(take_all(&items), 4);
        runner.join().unwrap();
    });
}

/// The second item waits until the first one's result was taken, so the taker must get that result
/// before the range ends.
#[test]
fn a_long_item_does_not_keep_back_the_result_before_it() {
    explore(|| {
        let taken = Arc::new(Parker::new());
        let wait = Arc::clone(&taken);
        let first: Box<dyn FnOnce() -> u32 + Send> = Box::new(|| 1);
        let second: Box<dyn FnOnce() -> u32 + Send> = Box::new(move || {
            wait.park();
            2
        });
        let items = Arc::new(Items::new([first, second].into_iter().collect(), 1));
        let runner = {
            let items = Arc::clone(&items);
            thread::spawn(move || assert_eq!(Walk::new(0).turn(&*items, &NoBooks), Turn::Done))
        };
        let parker = Arc::new(Parker::new());
        let waker = Waker::from(Arc::clone(&parker));
        let mut taker = Taker::of(&items);
        for expected in [1, 2] {
            let result = loop {
                match taker.take(&items) {
                    Some(result) => break result,
                    None if taker.wait(&items, &waker) => {}
                    None => parker.park(),
                }
            };
            assert_eq!(result.ok(), Some(expected));
            taken.unpark();
        }
        runner.join().unwrap();
    });
}

/// The taker does not sleep here: with three threads that would take minutes, and `publish` is the
/// same.
#[test]
fn two_runners_run_each_item_once() {
    explore(|| {
        let items = items(2, 2);
        let runners = [runner(&items, 0), runner(&items, 1)];
        let mut taker = Taker::of(&items);
        let mut seen = Vec::new();
        seen.extend(taker.take(&items));
        runners.into_iter().for_each(|runner| runner.join().unwrap());
        seen.extend(std::iter::from_fn(|| taker.take(&items)));
        let mut numbers: Vec<_> = seen.into_iter().map(|value| value.unwrap().item).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1]);
    });
}

/// The states of both items are in one block, which is on the list once.
#[test]
fn two_threads_finish_items_of_one_block() {
    explore(|| {
        let items = items(2, 1);
        let threads = [runner(&items, 0), helper(&items)];
        let mut taker = Taker::of(&items);
        let mut seen = Vec::new();
        seen.extend(taker.take(&items));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        seen.extend(std::iter::from_fn(|| taker.take(&items)));
        let mut numbers: Vec<_> = seen.into_iter().map(|value| value.unwrap().item).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1]);
    });
}

#[test]
fn a_runner_that_finds_nothing_leaves_nothing_behind() {
    explore(|| {
        let items = items(1, 2);
        let runners = [thorough(&items, 0), thorough(&items, 1)];
        runners.into_iter().for_each(|runner| runner.join().unwrap());
    });
}

#[test]
fn a_cancel_races_with_a_runner() {
    explore(|| {
        let items = items(2, 1);
        let runner = runner(&items, 0);
        let mut noted = 0;
        let settled = items.settle_unclaimed(Outcome::Cancelled, || noted += 1);
        assert_eq!(settled, noted);
        assert_eq!(take_all(&items), 2 - settled);
        runner.join().unwrap();
    });
}

#[test]
fn a_taker_helps_where_it_waits() {
    explore(|| {
        let items = items(2, 1);
        let runner = runner(&items, 0);
        if let Some((item, claimed)) = items.claim_one() {
            let outcome = super::walk::run_one(&items, item, claimed, &NoBooks);
            assert_eq!(outcome, Outcome::Value);
        }
        assert_eq!(take_all(&items), 2);
        runner.join().unwrap();
    });
}

/// There is no taker: each result is dropped by the runner or by the taker as it leaves.
#[test]
fn a_taker_leaves_while_a_runner_finishes() {
    explore(|| {
        let items = items(2, 1);
        let runner = runner(&items, 0);
        Taker::of(&items).detach(&items);
        runner.join().unwrap();
        let kept = (0..2).filter(|item| items.slot(*item).has_result());
        assert_eq!(kept.count(), 0, "a result was dropped by nobody");
    });
}

/// Both threads find that there is no taker, and drop the results on the list.
#[test]
fn a_taker_leaves_while_two_threads_finish() {
    explore(|| {
        let items = items(2, 1);
        let threads = [runner(&items, 0), helper(&items)];
        Taker::of(&items).detach(&items);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let kept = (0..2).filter(|item| items.slot(*item).has_result());
        assert_eq!(kept.count(), 0, "a result was dropped by nobody");
    });
}
