//! Waiting in a thread until a cell is notified, and notifying.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::atomic::Atomic;
use super::line::{Address, Caller};
use crate::clock;
use crate::parker::Parker;

/// How a wait ended.
///
/// ```
/// use std::sync::atomic::AtomicU32;
/// use corepool::shared::{self, WaitResult};
/// assert_eq!(shared::wait(&AtomicU32::new(1), 0, None), WaitResult::NotEqual);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitResult {
    /// The waiter stood in line and was woken by [`notify`]. The cell need not have changed.
    Ok,
    /// The cell did not have the expected value, so there was no wait.
    NotEqual,
    /// The time was up, and nobody had woken the waiter.
    TimedOut,
}

/// Blocks the thread for as long as nobody notifies this cell, if it has the expected value; at
/// most for the timeout, if there is one.
///
/// The look at the cell and the sleep are one step for [`notify`]: who changes the cell and then
/// notifies either makes this return [`NotEqual`](WaitResult::NotEqual), or wakes it. It does not
/// wake for any other reason. What was done before the `notify` is seen after an
/// [`Ok`](WaitResult::Ok).
///
/// It works on any atomic of the process, in a [`SharedArray`](super::SharedArray) or not;
/// different processes do not wake one another. In async code use
/// [`wait_async`](super::wait_async). A worker that waits here lends its core, as in
/// [`blocking`](fn@crate::blocking): what notifies may be a task that waits for this worker.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
/// use corepool::shared::{self, WaitResult};
///
/// let ready = AtomicU32::new(0);
/// assert_eq!(shared::wait(&ready, 0, Duration::from_millis(1)), WaitResult::TimedOut);
///
/// std::thread::scope(|threads| {
///     threads.spawn(|| {
///         ready.store(1, Ordering::Release);
///         shared::notify(&ready, 1);
///     });
///     // Woken, or too late to sleep: either way it is there.
///     assert_ne!(shared::wait(&ready, 0, None), WaitResult::TimedOut);
///     assert_eq!(ready.load(Ordering::Acquire), 1);
/// });
/// ```
pub fn wait<A: Atomic>(
    cell: &A,
    expected: A::Value,
    timeout: impl Into<Option<Duration>>,
) -> WaitResult {
    let still = || cell.load(Ordering::SeqCst) == expected;
    // A look ahead, which saves the lock and the parker; the one that counts is made in line.
    if !still() {
        return WaitResult::NotEqual;
    }
    let end = timeout.into().map(clock::after);
    // Not the thread's own parker: wakers that somebody kept may still give that one tokens. This
    // one is given its token by the call and by nothing else, so awake means called. It costs
    // little beside a sleep.
    let parker = Arc::new(Parker::new());
    let address = Address::of(cell);
    let Some(number) = address.stand(Caller::Thread(Arc::clone(&parker)), still) else {
        return WaitResult::NotEqual;
    };
    if !parker.park_lending(end) && address.step_out(number) {
        return WaitResult::TimedOut;
    }
    WaitResult::Ok
}

/// Wakes at most `count` of those who wait on this cell, in the order in which they began to wait,
/// and says how many.
///
/// Threads in [`wait`] and futures of [`wait_async`](super::wait_async) stand in one line.
/// `usize::MAX` wakes all of them. The cell is not read: change it before. It never blocks for
/// long, and wakers that panic do no harm to the others or the caller.
///
/// ```
/// use std::sync::atomic::AtomicU32;
/// use corepool::shared;
///
/// let cell = AtomicU32::new(0);
/// assert_eq!(shared::notify(&cell, usize::MAX), 0);
///
/// std::thread::scope(|threads| {
///     let waiter = threads.spawn(|| shared::wait(&cell, 0, None));
///     while shared::notify(&cell, 1) == 0 {
///         std::thread::yield_now();
///     }
///     assert_eq!(waiter.join().unwrap(), shared::WaitResult::Ok);
/// });
/// ```
pub fn notify<A: Atomic>(cell: &A, count: usize) -> usize {
    Address::of(cell).call(count)
}
