//! Maps over iterators of results: what comes before an error, the error itself, and nothing after
//! it.

use std::io::{self, BufRead};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::{TaskError, WorkerPool};

use super::{pool, source};
use crate::support::{Drops, Gate, PATIENCE, within};

#[derive(Debug)]
enum Failure {
    Source(u32),
    Function(u32),
    Task(TaskError),
}

impl From<TaskError> for Failure {
    fn from(why: TaskError) -> Self {
        Self::Task(why)
    }
}

type Given = Result<u32, Failure>;

/// All numbers, up to one that cannot be read.
fn broken_at(bad: u32) -> impl Iterator<Item = Given> {
    (0..).map(move |n| if n == bad { Err(Failure::Source(n)) } else { Ok(n) })
}

#[test]
fn without_an_error_it_is_as_the_plain_one() {
    within(PATIENCE, || {
        let pool = pool();
        for count in [0, 1, 2, 500] {
            for window in [0, 1, 7, 5_000] {
                let items = (0..count).map(Ok::<u32, Failure>);
                let mut results = pool.try_map_ordered(items, window, |n| Ok(n * 2));
                assert!(results.by_ref().map(Result::unwrap).eq((0..count).map(|n| n * 2)));
                assert!(results.next().is_none());
            }
        }
    });
}

#[test]
fn an_error_of_the_source_comes_after_what_was_pulled_before() {
    within(PATIENCE, || {
        let pool = pool();
        for bad in [0, 1, 5, 100] {
            for window in [0, 1, 7, 5_000] {
                let (items, pulled) = source(broken_at(bad));
                let mut results = pool.try_map_ordered(items, window, |n| Ok(n * 2));
                for n in 0..bad {
                    assert_eq!(results.next().unwrap().unwrap(), n * 2);
                }
                assert!(matches!(results.next(), Some(Err(Failure::Source(n))) if n == bad));
                assert!(results.next().is_none() && results.next().is_none());
                assert_eq!(pulled.get() as u32, bad + 1);
            }
        }
    });
}

/// The caller reports the error itself, so no worker runs a task for it.
#[test]
fn an_error_of_the_source_needs_no_task() {
    within(PATIENCE, || {
        let pool = pool();
        let items = [Ok(1), Err(Failure::Source(2)), Ok(3)];
        let results: Vec<Given> = pool.try_map_ordered(items, 8, Ok).collect();
        assert!(matches!(results[..], [Ok(1), Err(Failure::Source(2))]));
        assert_eq!(pool.metrics().spawned, 1);
    });
}

#[test]
fn an_error_of_the_function_is_the_last_result() {
    within(PATIENCE, || {
        let pool = pool();
        for bad in [0, 1, 5, 100] {
            for window in [0, 1, 7, 500] {
                let drops = Drops::default();
                let token = drops.token();
                let items = (0..1_000).map(Ok).inspect(move |_| {
                    let _kept = &token;
                });
                let function = move |n| if n == bad { Err(Failure::Function(n)) } else { Ok(n) };
                let mut results = pool.try_map_ordered(items, window, function);
                for n in 0..bad {
                    assert_eq!(results.next().unwrap().unwrap(), n);
                }
                assert!(matches!(results.next(), Some(Err(Failure::Function(n))) if n == bad));
                assert_eq!(drops.count(), 1, "the source is dropped at once");
                assert!(results.next().is_none() && results.next().is_none());
            }
        }
    });
}

/// The first item ends when the window is full, and the second one holds the only worker. The
/// others must not start, whether the first item failed or the results are dropped after it.
#[test]
fn what_has_not_begun_does_not_begin() {
    within(PATIENCE, || {
        for first_fails in [true, false] {
            let pool = WorkerPool::with_workers(1).unwrap();
            let (full, over, ran) = (Gate::default(), Gate::default(), Arc::default());
            let (first, second, count) = (full.clone(), over.clone(), Arc::clone(&ran));
            let (items, pulled) = source((0..).map(move |n| {
                if n == 9 {
                    full.open();
                }
                Ok::<u32, Failure>(n)
            }));
            let mut results = pool.try_map_ordered(items, 10, move |n| {
                AtomicUsize::fetch_add(&count, 1, Ordering::SeqCst);
                if n == 0 {
                    first.wait()
                } else {
                    second.wait()
                }
                if first_fails { Err(Failure::Function(n)) } else { Ok(n) }
            });
            let result = results.next().unwrap();
            assert_eq!(result.is_err(), first_fails);
            if first_fails {
                assert!(results.next().is_none());
            }
            drop(results);
            over.open();
            pool.shutdown();
            assert_eq!(pulled.get(), 10);
            assert!(ran.load(Ordering::SeqCst) <= 2, "{ran:?}");
        }
    });
}

#[test]
fn a_panic_becomes_an_error_of_the_callers_type() {
    within(PATIENCE, || {
        let pool = pool();
        let function = |n: u32| {
            if n == 3 {
                resume_unwind(Box::new("planned"));
            }
            Ok(n)
        };
        let results: Vec<Given> = pool.try_map_ordered(broken_at(50), 4, function).collect();
        assert_eq!(results.len(), 4);
        let Err(Failure::Task(TaskError::Panicked(panic))) = &results[3] else {
            panic!("{results:?}")
        };
        assert_eq!(panic.message(), "planned");
    });
}

#[test]
fn a_closed_pool_is_an_error() {
    within(PATIENCE, || {
        let pool = pool();
        pool.close();
        let results: Vec<Given> = pool.try_map_ordered(broken_at(50), 4, Ok).collect();
        assert!(matches!(results[..], [Err(Failure::Task(TaskError::Rejected { .. }))]));
    });
}

#[test]
fn lines_of_a_file_need_one_question_mark() {
    fn sum(pool: &WorkerPool, text: &'static str) -> io::Result<u32> {
        let parse = |line: String| line.parse::<u32>().map_err(io::Error::other);
        let mut sum = 0;
        for number in pool.try_map_ordered(text.as_bytes().lines(), 4, parse) {
            sum += number?;
        }
        Ok(sum)
    }
    within(PATIENCE, || {
        let pool = pool();
        assert_eq!(sum(&pool, "1\n2\n3").unwrap(), 6);
        let error = sum(&pool, "1\ntwo\n3").unwrap_err();
        assert_eq!(error.to_string(), "invalid digit found in string");
        pool.close();
        let error = sum(&pool, "1").unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<TaskError>()), "{error:?}");
    });
}

#[test]
fn nothing_is_pulled_before_it_is_asked_for() {
    let pool = pool();
    let (items, pulled) = source(broken_at(1_000));
    let results = pool.try_map_ordered(items, 5, Ok);
    assert_eq!((pulled.get(), results.size_hint().0), (0, 0));
    assert!(format!("{results:?}").starts_with("TryMapOrdered { in_flight: 0"));
}

/// A task that has not started runs in place.
#[test]
fn inside_a_task_on_a_pool_of_one_worker() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inside = Arc::clone(&pool);
        let task = pool.spawn(move || {
            let results = inside.try_map_ordered(broken_at(20), 4, |n| Ok(n + 1));
            results.take_while(Result::is_ok).map(Result::unwrap).sum::<u32>()
        });
        assert_eq!(task.join().unwrap(), 210);
    });
}
