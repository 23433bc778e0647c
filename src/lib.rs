//! A CPU thread pool: pinned workers, and a handle for every task that can be joined or awaited.
//!
//! ```
//! use corepool::{TaskError, WorkerPool};
//!
//! let pool = WorkerPool::new()?;
//! let answer = pool.spawn(|| (1..=20_u64).product::<u64>());
//! let failure = pool.spawn(|| -> u64 { std::panic::resume_unwind(Box::new("no luck")) });
//!
//! // In a thread: join. In async code, on any runtime or none: await.
//! assert_eq!(answer.join()?, 2_432_902_008_176_640_000);
//! let failed = pollster::block_on(failure);
//! assert!(matches!(failed, Err(TaskError::Panicked(panic)) if panic.message() == "no luck"));
//!
//! // Closes the pool, runs what is queued, and joins the threads, as dropping it does.
//! pool.shutdown();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choose by need
//!
//! - **A pool:** [`WorkerPool::new`] for one pinned worker per core, [`WorkerPool::builder`] for
//!   everything else, [`WorkerPool::global`] and [`spawn`](fn@spawn) for a program that needs only
//!   one.
//! - **A task:** [`spawn`](WorkerPool::spawn) always gives a handle.
//!   [`spawn_with`](WorkerPool::spawn_with) hands the closure a [`TaskContext`];
//!   [`try_spawn`](WorkerPool::try_spawn) never blocks and gives a refused closure back;
//!   [`task`](WorkerPool::task) gives it a name, a [`Priority`], a worker, a time to start or
//!   finish by, a time to run, or a [`CancelToken`].
//! - **Many tasks:** [`spawn_batch`](WorkerPool::spawn_batch) for closures of one type,
//!   [`broadcast`](WorkerPool::broadcast) for one closure on every worker.
//! - **Two closures at once:** [`join`](fn@join), on borrowed data, nested as deep as you like;
//!   [`join_context`](fn@join_context) also tells whether a closure moved to another thread.
//! - **Any number of closures at once:** [`scope`](fn@scope), on borrowed data.
//! - **A loop:** [`map`](fn@map), [`for_each`](fn@for_each), [`for_each_mut`](fn@for_each_mut),
//!   [`for_each_mut_indexed`](fn@for_each_mut_indexed), [`map_reduce`](fn@map_reduce),
//!   [`fold`](fn@fold), over slices, [`chunks`](fn@chunks) of them, ranges, and
//!   [`indexed`](fn@indexed); [`try_map`](fn@try_map) and [`try_for_each`](fn@try_for_each) stop at
//!   the first error.
//! - **A closure on a worker:** [`install`](WorkerPool::install) runs it there and waits for it.
//! - **A result:** [`join`](TaskHandle::join), [`join_timeout`](TaskHandle::join_timeout),
//!   [`try_join`](TaskHandle::try_join), or `.await`; [`detach`](TaskHandle::detach) to ignore it.
//! - **A result from elsewhere:** [`handle::pair`] makes a handle, and a
//!   [`Completer`](handle::Completer) that settles it.
//! - **A continuation:** [`then`](TaskHandle::then), [`recover`](TaskHandle::recover) and
//!   [`finally`](TaskHandle::finally), which hold no worker while they wait.
//! - **A stop:** [`cancel`](TaskHandle::cancel) or [`cancel_on_drop`](TaskHandle::cancel_on_drop)
//!   for a task, [`TaskContext::check`] inside it, a [`CancelToken`] for many tasks;
//!   [`close`](WorkerPool::close), [`shutdown`](WorkerPool::shutdown) and
//!   [`shutdown_timeout`](WorkerPool::shutdown_timeout) for the pool,
//!   [`shutdown_async`](WorkerPool::shutdown_async) to await its end.
//! - **A bound:** [`PoolBuilder::queue_capacity`] with a [`WhenFull`].
//!   [`try_reserve`](WorkerPool::try_reserve) asks for room, and
//!   [`reserve`](WorkerPool::reserve) awaits it; the [`Permit`] then spawns the task.
//! - **Several handles as one:** [`promise::all`], [`all_settled`](promise::all_settled),
//!   [`any`](promise::any) and [`race`](promise::race).
//! - **Results as they finish:** [`TaskSet`]; [`map_ordered`](WorkerPool::map_ordered) and
//!   [`map_unordered`](WorkerPool::map_unordered) for the items of any iterator, a few in flight at
//!   a time; [`try_map_ordered`](WorkerPool::try_map_ordered) for an iterator of results.
//! - **Shared memory:** [`SharedArray`]. Threads sleep on its cells with
//!   [`shared::wait`](fn@shared::wait), async code awaits them, and [`shared::notify`] wakes both.
//! - **A count that many tasks add to:** [`shared::Counter`].
//! - **A value that each worker keeps:** [`WorkerLocal`], for scratch buffers and expensive state.
//! - **A wait for something else inside a task:** [`blocking`](fn@blocking) lends the core to a
//!   spare worker meanwhile.
//! - **A thread or a child process started inside a task:** [`unpinned`](fn@unpinned); otherwise it
//!   inherits the worker's single core.
//! - **A look inside:** [`WorkerPool::metrics`], [`WorkerPool::workers`], [`WorkerPool::events`],
//!   [`PoolBuilder::watchdog`].
//!
//! Pages in the repository go further: `docs/guide.md` has this list with the calls written
//! out, `docs/with_tokio.md` tells which work belongs in the runtime and which in the pool,
//! `docs/coming_from_node.md` and `docs/coming_from_rayon.md` translate names, and
//! `docs/how_it_works.md` says what happens between spawn and join.
//!
//! # Guarantees
//!
//! **Ordering.** A task sees what happened before its spawn, and the thread that gets its result
//! sees what the task did. Each queue is first in, first out, but there are several queues, so
//! tasks may start in another order than they were spawned. A pool of one worker starts tasks of
//! one priority in the order in which they came; [`Priority`] documents how far the order may
//! differ with several workers. A worker that takes more than 16 tasks at once from another
//! worker's queue starts the youngest of them first. Under [`Dispatch::RoundRobin`] each worker
//! starts its own tasks in order, except for tasks that are run in place.
//!
//! **Waiting.** A task that waits for another task's handle makes progress, even on a pool of one
//! worker: if nobody has started the other task, the waiter runs it in place. Otherwise the waiter
//! sleeps and runs no unrelated task; meanwhile a [spare worker](PoolBuilder::spare_workers) runs
//! queued tasks on its core. Tasks that wait for each other in a circle wait forever.
//!
//! A thread in a fork-join call ([`join`](fn@join), [`scope`](fn@scope), the loops) may wait for a
//! part that another thread runs. It then helps with parts of that part, and with nothing else. So
//! a lock may be held across such a call, as long as nothing inside the call needs it.
//!
//! **Threads.** Tasks run on workers, and so do closures given to [`install`](WorkerPool::install),
//! except in three cases that its documentation names. The first closure of a `join`, the body of a
//! `scope` and the first items of a loop run on the calling thread. The rest runs there too, unless
//! an idle worker takes it. A calling thread that is not a worker of the pool is its guest during
//! the call, and keeps its own name, stack and thread-locals. The free functions use the pool that
//! runs the caller, or else the global pool.
//!
//! **Panics.** A panic stays in its task and comes out of the handle as [`TaskError::Panicked`]. If
//! nobody holds the handle, an event reports it. Panics in drops, wakers and hooks stop there too,
//! and the worker goes on. Where panics abort, they abort.
//!
//! **Drop.** A dropped handle detaches its task. A dropped pool is shut down, which blocks until
//! everything that it accepted has run; dropped on one of its own workers, it is only closed.
//!
//! **Shutdown.** Every handle settles exactly once, with the value or the reason why there is none:
//! see [`TaskError`]. What was accepted before the pool was closed is run. If a deadline passes
//! first, it settles as [`Cancelled`](TaskError::Cancelled).
//!
//! # Costs and limits
//!
//! A task is one piece of memory. A push is two atomic exchanges, and a wake-up is paid for only
//! when a worker sleeps and no worker is looking for work. No clock is read for a task unless
//! [`PoolBuilder::record_timing`] asks for it. An idle pool sleeps without timers. A task of less
//! than a few microseconds is better done in a batch, or by fork-join: a `join` costs a few
//! nanoseconds, and a loop costs as much as the plain one until a worker takes a part of it.
//!
//! Tasks own their data (`'static`); fork-join borrows. Linux on x86-64 is first class, other
//! processors and Windows are tested under emulation, and macOS and the BSDs are only compiled. The
//! pool does not notice a thread that ends by a raw system call. A child made by `fork` has no
//! workers, so what was unfinished is lost there.
//!
//! # Features
//!
//! - `stream`: the types of [`sets`] are streams (`futures_core::Stream`). Without it, threads
//!   iterate over them, and async code awaits a set by [`TaskSet::next_async`].
//! - `tracing`: a task, a continuation and each closure of a batch run inside the span of their
//!   submitter.
//!
//! # Related crates
//!
//! - [rayon](https://docs.rs/rayon): parallel iterators, with all the adaptors that corepool lacks.
//! - [tokio](https://docs.rs/tokio): work that waits. Its `spawn_blocking` is for calls that block,
//!   not for computing.
//! - [crossbeam-channel](https://docs.rs/crossbeam-channel): a pipeline of fixed stages on threads
//!   of your own.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod base;
mod os;
mod parts;
pub mod cancel;
pub mod shared;
mod task;
mod sched;
mod pool;
pub mod parallel;
pub mod sets;

#[cfg(all(test, corepool_shuttle))]
mod schedules;

/// Building a pool: the builder and its choices.
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::builder::{Dispatch, Pinning};
/// let builder = WorkerPool::builder().workers(2).pinning(Pinning::None);
/// let pool = builder.dispatch(Dispatch::RoundRobin).build()?;
/// assert_eq!(pool.worker_count(), 2);
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub mod builder {
    pub use crate::os::affinity::Placement;
    pub use crate::pool::builder::PoolBuilder;
    pub use crate::sched::config::{Dispatch, Pinning, WhenFull, WhenStuck};
}

/// What can go wrong: one error type for each operation.
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::errors::{Refusal, TaskError};
/// let pool = WorkerPool::with_workers(1)?;
/// pool.close();
/// let refused = pool.spawn(|| 1).join();
/// assert!(matches!(refused, Err(TaskError::Rejected(Refusal::Closed))));
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub mod errors {
    pub use crate::base::error::{
        BuildError, Cancelled, Closed, PanicPayload, Refusal, ReserveError, SpawnError, TaskError,
    };
}

/// What happens in a pool, as it happens. See [`WorkerPool::events`].
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::events::PoolEvent;
/// let pool = WorkerPool::with_workers(1)?;
/// let events = pool.events();
/// drop(pool);
/// assert!(events.into_iter().any(|event| event == PoolEvent::Closed));
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub mod events {
    pub use crate::parts::event::{Events, ExitReason, NextEvent, PoolEvent};
}

/// What a pool and its workers have done, and what they are doing. See [`WorkerPool::metrics`] and
/// [`WorkerPool::workers`].
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::metrics::{Metrics, WorkerInfo};
/// let pool = WorkerPool::with_workers(2)?;
/// let (metrics, workers): (Metrics, Vec<WorkerInfo>) = (pool.metrics(), pool.workers());
/// assert_eq!((metrics.spawned, workers.len()), (0, 2));
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub mod metrics {
    pub use crate::base::id::WorkerId;
    pub use crate::os::affinity::CoreKind;
    pub use crate::parts::metrics::{Histogram, Metrics, WorkerInfo, WorkerMetrics, WorkerState};
}

/// The end of a pool: awaiting it, and what was left. See [`WorkerPool::shutdown_timeout`] and
/// [`WorkerPool::shutdown_async`].
///
/// ```
/// use corepool::WorkerPool;
/// use corepool::shutdown::ShutdownReport;
/// let pool = WorkerPool::with_workers(1)?;
/// let report: ShutdownReport = pool.shutdown_timeout(std::time::Duration::from_secs(60));
/// assert!(report.abandoned.is_empty());
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub mod shutdown {
    pub use crate::pool::{AbandonedTask, ShutdownReport, UntilShutdown};
}

#[doc(inline)]
pub use builder::{Dispatch, Pinning, PoolBuilder, WhenFull};
#[doc(inline)]
pub use cancel::CancelToken;
#[doc(inline)]
pub use errors::{BuildError, SpawnError, TaskError};
#[doc(inline)]
pub use events::PoolEvent;
#[doc(inline)]
pub use metrics::{Metrics, WorkerId, WorkerInfo};
#[doc(inline)]
pub use parallel::Scope;
pub use parallel::join::{join, join_context};
pub use parallel::loops::{
    chunks, chunks_mut, fold, for_each, for_each_mut, for_each_mut_indexed, indexed, map,
    map_reduce, try_for_each, try_map,
};
pub use parallel::scope::scope;
pub use pool::blocking::blocking;
pub use pool::global::spawn;
pub use pool::handle;
#[doc(inline)]
pub use pool::handle::TaskHandle;
pub use pool::promise;
pub use pool::unpinned::unpinned;
pub use pool::worker_local::WorkerLocal;
pub use pool::{Permit, TaskBuilder, WorkerPool};
pub use sched::config::Priority;
#[doc(inline)]
pub use sets::TaskSet;
#[doc(inline)]
pub use shared::SharedArray;
#[doc(inline)]
pub use shutdown::ShutdownReport;
pub use task::TaskContext;

#[cfg(doctest)]
mod borrows;

/// Makes the README's code part of the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

/// The same for the pages in `docs/`.
#[cfg(doctest)]
#[doc = include_str!("../docs/coming_from_node.md")]
struct ComingFromNodeDoctests;

/// As above.
#[cfg(doctest)]
#[doc = include_str!("../docs/with_tokio.md")]
struct WithTokioDoctests;

#[cfg(doctest)]
#[doc = include_str!("../docs/coming_from_rayon.md")]
struct ComingFromRayonDoctests;
