//! Memory that many threads read and write, and waiting on one cell of it until somebody says that
//! it changed.
//!
//! It is what `SharedArrayBuffer` and `Atomics` are in JavaScript: [`SharedArray`] is the buffer
//! together with its typed view, and [`wait`](fn@wait), [`notify`] and [`wait_async`] work on any
//! atomic integer, in such an array or not.
//!
//! [`Counter`] is for what many threads count and few read.
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
//! // Between the look and the sleep no change can be missed: who comes too late is told `NotEqual`.
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
//! A fixed table of locked lines, found by a cell's address, holds everybody who waits (`line.rs`).
//! So a cell has no room for its waiters, and costs no more than the integer. The look at the cell
//! and the step into the line are made under the line's lock; who notifies has changed the cell
//! before and takes the lock after. So either the change is seen by the look, or the waiter by the
//! notify.
//!
//! The table is our own. That of `parking_lot_core` can hold threads only; two tables, one for
//! threads and one for futures, could not keep one order among all of them.

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
pub use future::{WaitAsync, wait_async};
pub use wait::{WaitResult, notify, wait};
