//! Many tasks at once: their results as they finish, or in order.
//!
//! ```
//! use corepool::WorkerPool;
//! use corepool::sets::TaskSet;
//! let pool = WorkerPool::with_workers(2)?;
//! let squares: TaskSet<u32> = pool.spawn_batch((1..=3).map(|n| move || n * n));
//! assert_eq!(squares.map(|square| square.unwrap()).sum::<u32>(), 14);
//! let doubled: Vec<_> = pool.map_ordered(1..=3, 2, |n| 2 * n).map(|n| n.unwrap()).collect();
//! assert_eq!(doubled, [2, 4, 6]);
//! # Ok::<(), corepool::BuildError>(())
//! ```

pub(crate) mod batch;
pub(crate) mod task_set;
pub(crate) mod windowed;

pub use crate::base::id::TaskId;
pub use task_set::{NextResult, TaskSet};
pub use windowed::{MapOrdered, MapUnordered, TryMapOrdered};
