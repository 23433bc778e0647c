//! Blocking waits on a cell until it is notified, and `notify` itself.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::atomic::Atomic;
use super::line::{Address, Caller};
use crate::base::clock;
use crate::parts::parker::Parker;

/// How a wait ended.
///
/// ```
/// use std::sync::atomic::AtomicU32;
/// use corepool::shared::{self, WaitResult};
/// assert_eq!(shared::wait(&AtomicU32::new(1), 0, None), WaitResult::NotEqual);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitResult {
    /// The waiter stood in line and was woken by [`notify`]. The cell has not necessarily changed.
    Ok,
    /// The cell did not have the expected value, so the call did not wait.
    NotEqual,
    /// The timeout passed before any call of [`notify`] woke the waiter.
    TimedOut,
}

/// Blocks the thread until this cell is notified, provided that it has the expected value. Gives up
/// after the timeout, if there is one.
///
/// For [`notify`] the check of the cell and the start of the wait are a single step. A thread that
/// changes the cell and then notifies either makes this call return
/// [`NotEqual`](WaitResult::NotEqual) or wakes it. There are no spurious wake-ups. What happened
/// before the `notify` is visible after an [`Ok`](WaitResult::Ok).
///
/// It works on any atomic of this process, whether or not it is in a
/// [`SharedArray`](super::SharedArray). Different processes do not wake one another. In async code
/// use [`wait_async`](super::wait_async). A worker that waits here lends its core to a spare
/// worker, as in [`blocking`](fn@crate::blocking), because the task that will notify may be
/// waiting for this worker.
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
    // An early check that saves the lock and the parker. The check that counts is made in line.
    if !still() {
        return WaitResult::NotEqual;
    }
    let end = timeout.into().map(clock::after);
    // This is not the thread's own parker, because a waker that some code has kept may still give
    // that one a token. Only the notification gives this parker its token, so a thread that wakes
    // up was notified. The cost is small compared with a sleep.
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

/// Wakes at most `count` waiters on this cell, in the order in which they began to wait, and
/// returns how many it woke.
///
/// Threads in [`wait`] and futures of [`wait_async`](super::wait_async) stand in one line.
/// `usize::MAX` wakes all of them. `notify` does not read the cell: change it first. It never
/// blocks for long, and a waker that panics does no harm to the other waiters or to the caller.
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
