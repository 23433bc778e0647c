//! Shared memory that many threads read and write, and waiting on one cell of it for a
//! notification.
//!
//! This is the counterpart of JavaScript's `SharedArrayBuffer` and `Atomics`. [`SharedArray`] is
//! the buffer together with its typed view. [`wait`](fn@wait), [`notify`] and [`wait_async`] work
//! on any atomic integer, whether or not it is in such an array.
//!
//! [`Counter`] is for counts that many threads update and few read.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use corepool::shared::{self, SharedArray, WaitResult};
//! use corepool::WorkerPool;
//!
//! let pool = WorkerPool::with_workers(1)?;
//! let cells = SharedArray::<AtomicU32>::new(2);
//! let task = pool.spawn({
//!     let cells = cells.clone();
//!     move || {
//!         cells[1].store(42, Ordering::Relaxed);
//!         cells[0].store(1, Ordering::Release);
//!         shared::notify(&cells[0], usize::MAX);
//!     }
//! });
//!
//! // No change between the look and the sleep is missed: a late waiter gets `NotEqual`.
//! while cells[0].load(Ordering::Acquire) == 0 {
//!     let result = shared::wait(&cells[0], 0, None);
//!     assert_ne!(result, WaitResult::TimedOut);
//! }
//! assert_eq!(cells[1].load(Ordering::Relaxed), 42);
//! task.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! All waiters stand in a fixed table of locked lines (queues of waiters), which are found by the
//! address of the cell (`line.rs`). So a cell stores nothing about its waiters and is no larger
//! than the integer. A waiter checks the cell and joins the line under the line's lock. A notifier
//! changes the cell first and takes the lock afterwards. So either the waiter sees the change, or
//! the notifier sees the waiter.
//!
//! The table is our own. The one in `parking_lot_core` can hold only threads, and two tables, one
//! for threads and one for futures, could not keep a single order among all waiters.

mod array;
mod atomic;
mod counter;
mod future;
mod line;
mod memory;
#[cfg(all(test, corepool_loom))]
mod models;
mod wait;

pub use array::SharedArray;
pub use atomic::Atomic;
pub use counter::Counter;
pub use future::{UntilNotified, wait_async};
pub use wait::{WaitResult, notify, wait};
