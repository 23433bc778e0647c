//! Models of a continuation: its turn against its cancel, the drop of its handle, and a walk down
//! its chain.
#![forbid(unsafe_code)]

use super::*;
use crate::task::body::{Body, Stop};
use crate::task::chain::{Released, Turn, make_link};
use crate::task::{TaskContext, TaskRef};

/// A link that produces its own value.
struct After {
    before: Option<HeldTask<Token>>,
    captured: Option<Token>,
    seen: Seen,
}

impl Body<Token> for After {
    const IS_LINK: bool = true;

    fn call(mut self, _context: &TaskContext) -> Result<Token, Stop> {
        drop(self.captured.take());
        let before = self.before.take().expect("a link runs once");
        let result = before.try_take().expect("it runs when the task before it is settled");
        result.map(|_value| self.seen.value()).map_err(Stop::PassedOn)
    }

    fn before(&self) -> Option<TaskRef> {
        self.before.as_ref().map(HeldTask::task_ref)
    }

    fn passes_on(&self) -> bool {
        !self.before.as_ref().is_some_and(HeldTask::has_value)
    }
}

/// Runs the link on the thread on which its turn comes.
struct AtOnce;

impl Turn for AtOnce {
    fn come(link: QueuedTask, _passes_on: bool) {
        run(link);
    }
}

/// Two tasks in a chain: the first one's queued half, the second one's handle, and the counts of
/// both.
fn chain() -> (QueuedTask, HeldTask<Token>, [Seen; 2]) {
    let seen = [Seen::new(), Seen::new()];
    let (queued, before) = seen[0].task();
    let end = behind(before, &seen[1]);
    (queued, end, seen)
}

fn behind(before: HeldTask<Token>, seen: &Seen) -> HeldTask<Token> {
    let (place, pool) = (before.task_ref(), before.pool());
    let captured = Some(Token::new(&seen.closures_dropped));
    let body = After { before: Some(before), captured, seen: seen.clone() };
    make_link::<AtOnce, (), _, _>(place, pool, None, body)
}

/// How often the closure ran, judged by the number of values made.
fn runs(seen: &Seen) -> usize {
    seen.values_made.load(Relaxed)
}

#[test]
fn its_turn_against_a_cancel() {
    explore(|| {
        let (queued, end, [first, second]) = chain();
        let runner = run_elsewhere(queued);
        let cancelled = end.settle_unrun(Outcome::Cancelled).is_some();
        assert!(runner.join().unwrap());
        let result = end.try_take().expect("it ran, or was cancelled");
        match &result {
            Ok(_) => assert!(!cancelled),
            Err(error) => assert!(cancelled && error.is_cancelled()),
        }
        drop(result);
        first.assert_over(1);
        assert!(runs(&second) <= 1);
        second.assert_over(runs(&second));
    });
}

#[test]
fn its_turn_against_the_drop_of_its_handle() {
    explore(|| {
        let (queued, end, [first, second]) = chain();
        let runner = run_elsewhere(queued);
        drop(end);
        assert!(runner.join().unwrap());
        first.assert_over(1);
        second.assert_over(1);
    });
}

#[test]
fn its_turn_against_a_walk_down_the_chain() {
    explore(|| {
        let (queued, mut end, [first, second]) = chain();
        let runner = run_elsewhere(queued);
        if let Some(mut pinned) = end.pin_chain() {
            pinned.run_bottom(None, None, |_| (), |_, _| ());
            while let Some(released) = pinned.release_next() {
                if let Released::Ready(link) = released {
                    assert!(run(link), "nobody else has it");
                }
            }
        }
        let parker = Arc::new(Parker::new());
        if !end.set_waker(&Waker::from(Arc::clone(&parker))) {
            while !end.is_settled() {
                parker.park();
            }
        }
        drop(end.try_take().expect("it is settled").expect("with a value"));
        runner.join().unwrap();
        first.assert_over(1);
        second.assert_over(1);
    });
}

#[test]
fn a_walk_down_a_chain_of_three_against_a_run() {
    explore(|| {
        let (queued, middle, [first, second]) = chain();
        let third = Seen::new();
        let end = behind(middle, &third);
        let runner = run_elsewhere(queued);
        if let Some(mut pinned) = end.pin_chain() {
            pinned.run_bottom(None, None, |_| (), |_, _| ());
            while let Some(released) = pinned.release_next() {
                if let Released::Ready(link) = released {
                    assert!(run(link), "nobody else has it");
                }
            }
        }
        runner.join().unwrap();
        drop(end.try_take().expect("both have done what they had to").expect("with a value"));
        for seen in [&first, &second, &third] {
            seen.assert_over(1);
        }
    });
}

#[test]
fn a_cancel_of_the_first_passes_down() {
    explore(|| {
        let seen = [Seen::new(), Seen::new()];
        let (queued, before) = seen[0].task();
        // The handle that cancels is inside the link. A drop of the queue does the same from
        // outside.
        let end = behind(before, &seen[1]);
        let dropper = thread::spawn(move || drop(queued));
        let cancelled = end.settle_unrun(Outcome::Cancelled).is_some();
        dropper.join().unwrap();
        let error = end.try_take().expect("it is settled").err().expect("without a value");
        assert_eq!(cancelled, error.is_cancelled());
        seen[0].assert_over(0);
        seen[1].assert_over(0);
    });
}

/// A link that runs even if its handle or the pool is gone.
struct Promised {
    before: Option<HeldTask<Token>>,
    captured: Option<Token>,
    seen: Seen,
}

impl Body<Token> for Promised {
    const IS_LINK: bool = true;

    fn call(mut self, _context: &TaskContext) -> Result<Token, Stop> {
        drop(self.captured.take());
        let before = self.before.take().expect("a link runs once");
        let _result = before.try_take().expect("it runs when the task before it is settled");
        Ok(self.seen.value())
    }

    fn before(&self) -> Option<TaskRef> {
        self.before.as_ref().map(HeldTask::task_ref)
    }

    fn runs_anyway(&self) -> bool {
        true
    }
}

/// The turn in a pool that has ended.
struct Refused;

impl Turn for Refused {
    fn come(link: QueuedTask, _passes_on: bool) {
        assert_eq!(link.settle_unrun(Outcome::Closed), Some(Outcome::Value), "it was run");
    }
}

#[test]
fn one_that_runs_anyway_has_its_turn_against_a_cancel_that_goes_to_the_first() {
    explore(|| {
        let seen = [Seen::new(), Seen::new()];
        let (queued, before) = seen[0].task();
        let (place, pool) = (before.task_ref(), before.pool());
        let captured = Some(Token::new(&seen[1].closures_dropped));
        let body = Promised { before: Some(before), captured, seen: seen[1].clone() };
        let end = make_link::<Refused, (), _, _>(place, pool, None, body);
        let runner = thread::spawn(move || run(queued));
        let mut cancelled = false;
        if let Some(mut pinned) = end.pin_those_that_run_anyway() {
            cancelled =
                pinned.with_bottom(|first| first.settle_unrun(Outcome::Cancelled).is_some());
            while let Some(released) = pinned.release_next() {
                if let Released::Ready(link) = released {
                    Refused::come(link, false);
                }
            }
        }
        let ran = runner.join().unwrap();
        assert!(ran != cancelled, "the first was run, or it was cancelled");
        drop(end.try_take().expect("its turn has come").expect("with a value"));
        seen[0].assert_over(usize::from(ran));
        seen[1].assert_over(1);
    });
}
