//! Models of a line of waiters: each waiter on a cell is called once, by the call meant for it, and
//! no call is lost.
//!
//! In a model all cells share one line, so each call passes over waiters on other cells. The cells
//! are the standard library's atomics, whose accesses loom does not see. Loom may switch threads
//! before and after each step that takes the line's lock, and that is where it matters.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Cell, AtomicUsize as Count, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::thread;

use super::{UntilNotified, WaitResult, notify, wait, wait_async};
use crate::base::sync::{AtomicBool, Ordering, UnsafeCell, explore};
use crate::parts::parker::Parker;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(Count);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn poll(future: &mut UntilNotified<'_, Cell>, waker: &Waker) -> Poll<WaitResult> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// A future that stands in line, and the bell that its call rings.
fn in_line(cell: &Cell) -> (UntilNotified<'_, Cell>, Arc<Bell>) {
    let bell = Arc::new(Bell::default());
    let mut future = wait_async(cell, 0);
    assert!(poll(&mut future, &Waker::from(Arc::clone(&bell))).is_pending());
    (future, bell)
}

/// The cells belong to one schedule and are freed at its end.
fn cells<const N: usize>() -> Arc<[Cell; N]> {
    Arc::new(std::array::from_fn(|_| Cell::new(0)))
}

fn calls(cells: &Arc<[Cell; 1]>, most: usize) -> thread::JoinHandle<usize> {
    let cells = Arc::clone(cells);
    thread::spawn(move || notify(&cells[0], most))
}

/// For the caller, the check of the cell and the step into the line are one step.
#[test]
fn a_value_is_changed_before_the_wait() {
    explore(|| {
        let cells = cells::<1>();
        let told = Arc::new(UnsafeCell::new(()));
        let caller = thread::spawn({
            let (cells, told) = (Arc::clone(&cells), Arc::clone(&told));
            move || {
                told.with_mut(|_| ());
                cells[0].store(1, SeqCst);
                notify(&cells[0], 1)
            }
        });
        let result = wait(&cells[0], 0, None);
        if result == WaitResult::Ok {
            // What was done before the call is visible after it.
            told.with_mut(|_| ());
        }
        let called = caller.join().unwrap();
        assert_eq!(called, usize::from(result == WaitResult::Ok));
    });
}

#[test]
fn a_future_looks_while_the_value_is_changed() {
    explore(|| {
        let cells = cells::<1>();
        let caller = thread::spawn({
            let cells = Arc::clone(&cells);
            move || {
                cells[0].store(1, SeqCst);
                notify(&cells[0], 1)
            }
        });
        let parker = Arc::new(Parker::new());
        let waker = Waker::from(Arc::clone(&parker));
        let mut future = wait_async(&cells[0], 0);
        let result = loop {
            match poll(&mut future, &waker) {
                Poll::Ready(result) => break result,
                Poll::Pending => parker.park(),
            }
        };
        let called = caller.join().unwrap();
        assert_eq!(called, usize::from(result == WaitResult::Ok));
    });
}

#[test]
fn a_time_is_up_at_the_moment_of_a_call() {
    explore(|| {
        let cells = cells::<1>();
        let caller = calls(&cells, 1);
        let result = wait(&cells[0], 0, Duration::ZERO);
        let called = caller.join().unwrap();
        assert_eq!(called, usize::from(result == WaitResult::Ok));
        assert_eq!(notify(&cells[0], 1), 0, "nobody is left in the line");
    });
}

/// A waiter on another cell stands between the two.
#[test]
fn two_calls_reach_two_who_wait() {
    explore(|| {
        let (cells, strange) = (cells::<1>(), cells::<1>());
        let (_first, rings_first) = in_line(&cells[0]);
        let (_stranger, rings_stranger) = in_line(&strange[0]);
        let (_second, rings_second) = in_line(&cells[0]);
        let callers = [calls(&cells, 1), calls(&cells, 1)];
        let called = callers.map(|caller| caller.join().unwrap());
        assert_eq!(called, [1, 1]);
        let rings = [&rings_first, &rings_second, &rings_stranger].map(|bell| bell.rings());
        assert_eq!(rings, [1, 1, 0]);
    });
}

/// A call for several waiters takes those in line, and no more than it asks for.
#[test]
fn a_call_for_two_among_three_while_one_leaves() {
    explore(|| {
        let cells = cells::<1>();
        let (leaves, _) = in_line(&cells[0]);
        let (_second, rings_second) = in_line(&cells[0]);
        let (_third, rings_third) = in_line(&cells[0]);
        let caller = calls(&cells, 2);
        drop(leaves);
        assert_eq!(caller.join().unwrap(), 2);
        // Whether or not the future that left had been called, its call was for one of these two.
        assert_eq!([rings_second.rings(), rings_third.rings()], [1, 1]);
    });
}

#[test]
fn a_future_dropped_in_line_passes_its_call_on() {
    explore(|| {
        let cells = cells::<1>();
        let (leaves, _) = in_line(&cells[0]);
        let (mut stays, rings) = in_line(&cells[0]);
        let caller = calls(&cells, 1);
        drop(leaves);
        assert_eq!(caller.join().unwrap(), 1);
        assert_eq!(rings.rings(), 1);
        assert!(poll(&mut stays, Waker::noop()).is_ready());
    });
}

/// A waiter that joined the line after a call was not meant by it, so it is not woken when the
/// waiter that was meant leaves.
#[test]
fn who_comes_after_a_call_is_not_meant() {
    explore(|| {
        let cells = cells::<1>();
        let (leaves, _) = in_line(&cells[0]);
        let is_called = Arc::new(AtomicBool::new(false));
        let caller = thread::spawn({
            let (cells, is_called) = (Arc::clone(&cells), Arc::clone(&is_called));
            move || {
                assert_eq!(notify(&cells[0], 1), 1);
                is_called.store(true, Ordering::SeqCst);
            }
        });
        let comes_late = is_called.load(Ordering::SeqCst);
        let (_comes, rings) = in_line(&cells[0]);
        drop(leaves);
        caller.join().unwrap();
        assert!(rings.rings() <= usize::from(!comes_late));
    });
}

#[test]
fn the_last_waker_is_woken() {
    explore(|| {
        let cells = cells::<1>();
        let (mut future, first) = in_line(&cells[0]);
        let caller = calls(&cells, 1);
        let second = Arc::new(Bell::default());
        let ends = poll(&mut future, &Waker::from(Arc::clone(&second))).is_ready();
        assert_eq!(caller.join().unwrap(), 1);
        let rings = [first.rings(), second.rings()];
        assert_eq!(rings, if ends { [1, 0] } else { [0, 1] });
    });
}
