//! Sets as streams.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Waker};

use corepool::TaskSet;
use futures_core::Stream;

use super::{held, pool};
use crate::support::{Gate, PATIENCE, within};

#[test]
fn a_stream_gives_every_result_and_ends() {
    within(PATIENCE, || {
        let pool = pool();
        let mut set: TaskSet<u64> = (0..1_000).map(|n| pool.spawn(move || n)).collect();
        let mut next = || pollster::block_on(poll_fn(|cx| Pin::new(&mut set).poll_next(cx)));
        let mut sum = 0;
        while let Some(result) = next() {
            sum += result.unwrap();
        }
        assert_eq!(sum, 1_000 * 999 / 2);
        assert!(next().is_none());
    });
}

#[test]
fn a_poll_does_not_block() {
    within(PATIENCE, || {
        let pool = pool();
        let gate = Gate::default();
        let mut set = TaskSet::from_iter([held(&pool, &gate, 1)]);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut set).poll_next(&mut cx).is_pending());
        assert_eq!(Stream::size_hint(&set), (1, Some(1)));
        gate.open();
        let result = pollster::block_on(poll_fn(|cx| Pin::new(&mut set).poll_next(cx)));
        assert_eq!(result.unwrap().unwrap(), 1);
    });
}
