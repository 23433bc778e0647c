//! Waiting for a notification as a future.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::atomic::Atomic;
use super::line::{Address, Caller, Number};
use super::wait::WaitResult;

/// Waits without blocking until the cell is notified, provided that it has the expected value when
/// the future is first polled.
///
/// This is [`wait`](super::wait()) for async code, on any runtime or none. It stands in the same
/// line, in the place given by its first poll. The result is [`Ok`](WaitResult::Ok) or
/// [`NotEqual`](WaitResult::NotEqual), never [`TimedOut`](WaitResult::TimedOut), because timers
/// belong to the runtime. Wrap the future in the runtime's own timeout, which drops it when the
/// time is up.
///
/// The future can be dropped at any time. If it had been woken and was not polled since, the
/// wake-up passes to the next waiter in line.
///
/// To spawn it on a runtime as a task of its own, move a clone of the array into an `async` block.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use corepool::shared::{self, SharedArray, WaitResult};
/// use corepool::WorkerPool;
///
/// let pool = WorkerPool::with_workers(1)?;
/// let cells = SharedArray::<AtomicU32>::new(1);
/// let writer = cells.clone();
/// let task = pool.spawn(move || {
///     writer[0].store(7, Ordering::Release);
///     shared::notify(&writer[0], 1);
/// });
/// let value = pollster::block_on(async move {
///     let result = shared::wait_async(&cells[0], 0).await;
///     assert_ne!(result, WaitResult::TimedOut);
///     cells[0].load(Ordering::Acquire)
/// });
/// assert_eq!(value, 7);
/// task.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_async<A: Atomic>(cell: &A, expected: A::Value) -> UntilNotified<'_, A> {
    UntilNotified { cell, expected, stage: Stage::New }
}

/// The future returned by [`wait_async`].
///
/// A future that is neither polled nor dropped after it was woken keeps the wake-up. A future that
/// is forgotten ([`std::mem::forget`]) also keeps its place in line, even after the cell is freed.
/// It may then take a wake-up from another cell that is later placed at the same address.
///
/// ```
/// use std::sync::atomic::AtomicU32;
/// use corepool::shared::{UntilNotified, wait_async};
/// let cell = AtomicU32::new(0);
/// let _waiting: UntilNotified<'_, AtomicU32> = wait_async(&cell, 0);
/// ```
#[derive(Debug)]
#[must_use = "a future stands in line only after it is polled"]
pub struct UntilNotified<'a, A: Atomic> {
    cell: &'a A,
    expected: A::Value,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    New,
    InLine(Number),
    Done,
}

/// # Panics
/// If it is polled again after it was ready.
impl<A: Atomic> Future for UntilNotified<'_, A> {
    type Output = WaitResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<WaitResult> {
        let this = &mut *self;
        let address = Address::of(this.cell);
        let still = || this.cell.load(Ordering::SeqCst) == this.expected;
        let ready = match this.stage {
            // An early check that saves the lock and the waker. The check that counts is made in
            // line.
            Stage::New if !still() => WaitResult::NotEqual,
            Stage::New => match address.stand(Caller::Task(context.waker().clone()), still) {
                Some(number) => {
                    this.stage = Stage::InLine(number);
                    return Poll::Pending;
                }
                None => WaitResult::NotEqual,
            },
            Stage::InLine(number) if !address.was_called(number, context.waker().clone()) => {
                return Poll::Pending;
            }
            Stage::InLine(_) => WaitResult::Ok,
            Stage::Done => panic!("a wait was polled again after it was ready"),
        };
        this.stage = Stage::Done;
        Poll::Ready(ready)
    }
}

impl<A: Atomic> Drop for UntilNotified<'_, A> {
    fn drop(&mut self) {
        if let Stage::InLine(number) = self.stage {
            Address::of(self.cell).give_up(number);
        }
    }
}
