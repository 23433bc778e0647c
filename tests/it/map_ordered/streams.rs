//! Maps used as streams.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use corepool::{TaskError, WhenFull, WorkerPool};
use futures_core::Stream;

use super::{pool, source};
use crate::support::{PATIENCE, occupy, within};

fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    pollster::block_on(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)))
}

fn sum<S: Stream<Item = Result<u64, TaskError>> + Unpin>(mut stream: S) -> u64 {
    let mut sum = 0;
    while let Some(result) = next(&mut stream) {
        sum += result.unwrap();
    }
    assert!(next(&mut stream).is_none(), "the end stays the end");
    sum
}

#[test]
fn streams_give_every_result_and_end() {
    within(PATIENCE, || {
        let pool = pool();
        for window in [0, 1, 5, 2_000] {
            assert_eq!(sum(pool.map_ordered(0..1_000, window, |n| n)), 1_000 * 999 / 2);
            assert_eq!(sum(pool.map_unordered(0..1_000, window, |n| n)), 1_000 * 999 / 2);
        }
        let mut ordered = pool.map_ordered(0..100, 7, |n| n);
        for n in 0..100 {
            assert_eq!(next(&mut ordered).unwrap().unwrap(), n);
        }
    });
}

#[test]
fn a_stream_of_results_ends_with_its_first_error() {
    within(PATIENCE, || {
        let pool = pool();
        for bad in ["source", "function"] {
            let is_bad = move |n, place| n == 50 && bad == place;
            let why = || std::io::Error::other("planned");
            let items = (0..100).map(|n| if is_bad(n, "source") { Err(why()) } else { Ok(n) });
            let function = move |n| if is_bad(n, "function") { Err(why()) } else { Ok(n) };
            let mut stream = pool.try_map_ordered(items, 7, function);
            let mut seen = 0;
            while let Some(Ok(n)) = next(&mut stream) {
                assert_eq!(n, seen);
                seen += 1;
            }
            assert_eq!(seen, 50);
            assert!(next(&mut stream).is_none(), "the error was the last");
        }
    });
}

/// The pool is full, so a spawn would wait for room.
#[test]
fn a_poll_does_not_block() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = pool.when_full(WhenFull::Block).build().unwrap();
        let busy = occupy(&pool, 1);
        let mut cx = Context::from_waker(Waker::noop());
        let (items, pulled) = source(0..10);
        let mut ordered = pool.map_ordered(items, 4, |n| n);
        assert_eq!(Stream::size_hint(&ordered), (10, Some(10)));
        for _ in 0..3 {
            assert!(Pin::new(&mut ordered).poll_next(&mut cx).is_pending());
            assert_eq!(pulled.get(), 4);
        }
        let (items, pulled) = source(0..10);
        let mut unordered = pool.map_unordered(items, 4, |n| n);
        assert_eq!(Stream::size_hint(&unordered), (10, Some(10)));
        for _ in 0..3 {
            assert!(Pin::new(&mut unordered).poll_next(&mut cx).is_pending());
            assert_eq!(pulled.get(), 4);
        }
        busy.release();
        assert_eq!((sum(ordered), sum(unordered)), (45, 45));
    });
}

#[test]
fn polled_on_the_only_worker_they_make_progress() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let parent = pool.spawn(move || {
            let ordered = sum(inner.map_ordered(0..100, 7, |n| n));
            ordered + sum(inner.map_unordered(0..100, 7, |n| n))
        });
        assert_eq!(parent.join().unwrap(), 2 * 4_950);
    });
}

/// A stream may be polled by one consumer and then iterated over by another.
#[test]
fn what_was_polled_can_be_waited_for_in_a_thread() {
    within(PATIENCE, || {
        let pool = pool();
        let busy = occupy(&pool, 2);
        let mut results = pool.map_ordered(0..10_u64, 4, |n| n);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut results).poll_next(&mut cx).map(|_| ()), Poll::Pending);
        busy.release();
        assert_eq!(results.map(Result::unwrap).sum::<u64>(), 45);
    });
}
