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
//! - **A pool:** [`WorkerPool::new`] for one pinned worker a core, [`WorkerPool::builder`] for everything else,
//!   [`WorkerPool::global`] and [`spawn`](fn@spawn) for a program that needs only one.
//! - **A task:** [`spawn`](WorkerPool::spawn) always gives a handle. [`try_spawn`](WorkerPool::try_spawn) never blocks and
//!   gives the closure back; [`spawn_async`](WorkerPool::spawn_async) waits for room in async code;
//!   [`spawn_with`](WorkerPool::spawn_with) hands the closure a [`TaskContext`]; [`task`](WorkerPool::task) gives it a name, a
//!   [`Priority`], a worker, a time to start or finish by, a time to run, a [`CancelToken`].
//! - **Many tasks:** [`spawn_batch`](WorkerPool::spawn_batch) for closures of one type, [`broadcast`](WorkerPool::broadcast) for one on every worker.
//! - **Two closures at once:** [`join`](fn@join), on borrowed data, as deep as you like; [`join_context`](fn@join_context) also tells who moved.
//! - **Any number of closures at once:** [`scope`](fn@scope), on borrowed data.
//! - **A loop:** [`map`](fn@map), [`for_each`](fn@for_each), [`for_each_mut`](fn@for_each_mut), [`for_each_mut_indexed`](fn@for_each_mut_indexed),
//!   [`map_reduce`](fn@map_reduce), [`fold`](fn@fold), over slices and ranges, [`chunks`](fn@chunks) of them, and [`indexed`](fn@indexed);
//!   [`try_map`](fn@try_map) and [`try_for_each`](fn@try_for_each) end at the first error.
//! - **A certain thread:** [`install`](WorkerPool::install) runs a closure on a worker and waits for it.
//! - **A result:** [`join`](TaskHandle::join), [`join_timeout`](TaskHandle::join_timeout),
//!   [`try_join`](TaskHandle::try_join), or `.await`; [`detach`](TaskHandle::detach) if there is nothing to wait for.
//! - **What comes after it:** [`then`](TaskHandle::then), [`recover`](TaskHandle::recover), [`finally`](TaskHandle::finally), which hold no worker meanwhile.
//! - **A stop:** [`cancel`](TaskHandle::cancel) or [`cancel_on_drop`](TaskHandle::cancel_on_drop) for a task,
//!   [`TaskContext::check`] inside it, a [`CancelToken`] for many; [`close`](WorkerPool::close), [`shutdown`](WorkerPool::shutdown) and
//!   [`shutdown_timeout`](WorkerPool::shutdown_timeout) for the pool, [`shutdown_async`](WorkerPool::shutdown_async) to await it.
//! - **A bound:** [`Builder::queue_capacity`] with a [`WhenFull`].
//! - **Several handles as one:** [`promise::all`], [`all_settled`](promise::all_settled), [`any`](promise::any) and [`race`](promise::race).
//! - **Results as they finish:** [`TaskSet`]; [`map_ordered`](WorkerPool::map_ordered) and [`map_unordered`](WorkerPool::map_unordered)
//!   for the items of any iterator, a few in flight at a time; [`try_map_ordered`](WorkerPool::try_map_ordered) for an iterator of results.
//! - **Memory that tasks share:** [`SharedArray`], cells of it to sleep on with [`shared::wait`](fn@shared::wait) or to await, and [`shared::notify`].
//! - **A count that many tasks add to:** [`shared::Counter`].
//! - **A value that each worker keeps:** [`WorkerLocal`], for scratch buffers and what is costly to make.
//! - **A wait for something else inside a task:** [`blocking`](fn@blocking) lends the core to a spare worker meanwhile.
//! - **A thread or a child process made inside a task:** [`unpinned`](fn@unpinned), or it inherits
//!   the worker's one core.
//! - **A look inside:** [`WorkerPool::metrics`], [`WorkerPool::workers`], [`WorkerPool::events`], [`Builder::watchdog`].
//!
//! Two pages in the repository go further: `docs/with_tokio.md`, which work belongs into the runtime and which to the pool, and
//! `docs/coming_from_node.md`, what `worker_threads`, `Atomics` and promises are called here.
//!
//! # Guarantees
//!
//! **Ordering.** What happened before a spawn is seen by the task, and what the task did is seen by whoever got its
//! result. Each queue is first in, first out, but there are several: tasks may start in another order than they were
//! spawned. A pool of one worker starts those of one priority in the order in which they came; [`Priority`] says by how much
//! others may differ. A worker that takes more than 16 tasks at once from another worker's queue starts the youngest of them first.
//! Under [`Dispatch::RoundRobin`] each worker starts its own tasks in order, but for those that are run in place.
//!
//! **Waiting.** A task that waits for another's handle makes progress, on a pool of one worker too: what nobody has started
//! is run in place, by whoever waits for it. Otherwise the waiter sleeps, and runs no unrelated task; a [spare worker](Builder::spare_workers) does
//! what is queued on its core meanwhile. Tasks that wait for one another in a circle wait for ever.
//!
//! A thread in a fork-join call ([`join`](fn@join), [`scope`](fn@scope), the loops) that waits for a part which another thread runs helps with parts of
//! that part, and with nothing else. So a lock may be held across such a call, as long as nothing inside wants it.
//!
//! **Which thread.** Tasks run on workers. So does what [`install`](WorkerPool::install) is given, but for three cases that its docs name. The first closure of a
//! `join`, the body of a `scope` and the first items of a loop run on the calling thread; the rest runs there too, unless an idle worker of the
//! pool takes it. A thread that is no worker of the pool is its guest for the time of the call: its name, stack size and thread-locals are its own.
//! The free functions use the pool that runs the caller, or the global one.
//!
//! **Panics.** A panic stays in its task and comes out of the handle as [`TaskError::Panicked`]; nobody's handle, and an
//! event says so. Panics in drops, wakers and hooks stop there too. The worker goes on. Where panics abort, they abort.
//!
//! **Drop.** A dropped handle detaches its task. A dropped pool is shut down, which blocks until what was accepted has
//! run; on one of its own workers it is only closed.
//!
//! **Shutdown.** Every handle settles exactly once, with the value or the reason why there is none: see [`TaskError`].
//! What was accepted before the pool was closed is run, or, if a deadline passes first, settles as
//! [`Cancelled`](TaskError::Cancelled).
//!
//! # Costs and limits
//!
//! A task is one piece of memory. A push is two atomic exchanges, and a wake-up is only paid for when a worker sleeps and
//! none is looking for work. No clock is read for a task unless [`Builder::record_timing`] asks for it. An idle pool
//! sleeps without timers. A task of less than some microseconds is better done in a batch, or by fork-join: a `join` costs a few
//! nanoseconds, and a loop as much as the plain one, until a worker takes a part of it.
//!
//! Tasks own their data (`'static`); fork-join borrows. Linux on x86-64 is first class, other
//! processors and Windows are tested under emulation, and macOS and the BSDs only compiled. A
//! thread that ends by a raw system call is not noticed. A child made by `fork` has no workers:
//! what was unfinished is lost there.
//!
//! # Features
//!
//! - `stream`: [`TaskSet`], [`MapOrdered`], [`TryMapOrdered`] and [`MapUnordered`] are streams (`futures_core::Stream`). Without it each can be iterated
//!   over in a thread, and a set awaited by [`TaskSet::next_async`].
//! - `tracing`: a task, a continuation and each closure of a batch run inside the span that their submitter was in.
//!
//! # Related crates
//!
//! - [rayon](https://docs.rs/rayon): parallel iterators, with all the adaptors that ours do not have.
//! - [tokio](https://docs.rs/tokio): work that waits. Its `spawn_blocking` is for calls that block, not for computing.
//! - [crossbeam-channel](https://docs.rs/crossbeam-channel): a pipeline of fixed stages on threads of your own.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod sync;
mod unwind;
mod error;
mod first;
mod id;
mod clock;
mod in_turn;
mod lineage;
mod spans;
mod affinity;
mod heritage;

mod parker;
mod timer;
mod cancel;
mod spin;
mod habit;
mod queue;
mod admission;
mod event;
mod metrics;
pub mod shared;
mod watch;

mod idle;
mod offer;

mod task;
mod config;

mod hub;

mod fork;

mod worker;

mod handle;

mod pool;

mod builder;
mod global;

mod blocking;
mod install;
mod unpinned;
mod join;
mod scope;
mod slice;
mod batch;
pub mod promise;
mod worker_local;
mod task_set;
mod windowed;

#[cfg(all(test, corepool_shuttle))]
mod schedules;

pub use affinity::{CoreKind, Placement};
pub use blocking::blocking;
pub use builder::Builder;
pub use cancel::{CancelReason, CancelToken, UntilCancelled};
pub use config::{Dispatch, Pinning, Priority, WhenFull, WhenStuck};
pub use error::{BuildError, Cancelled, PanicPayload, Refusal, SpawnError, TaskError, TimedOut};
pub use event::{ExitReason, PoolEvent};
pub use global::spawn;
pub use handle::TaskHandle;
pub use id::{TaskId, WorkerId};
pub use join::{JoinContext, join, join_context};
pub use metrics::{Histogram, Metrics, WorkerInfo, WorkerMetrics, WorkerState};
pub use pool::{AbandonedTask, ShutdownAsync, ShutdownReport, TaskBuilder, WorkerPool};
pub use scope::{Scope, ScopedClosure, ScopedHandle, scope};
#[doc(inline)]
pub use shared::SharedArray;
pub use slice::{
    Chunks, ChunksMut, Indexed, Items, chunks, chunks_mut, fold, for_each, for_each_mut,
    for_each_mut_indexed, indexed, map, map_reduce, try_for_each, try_map,
};
pub use task::TaskContext;
pub use task_set::{NextAsync, TaskSet};
pub use unpinned::unpinned;
pub use windowed::{MapOrdered, MapUnordered, TryMapOrdered};
pub use worker_local::WorkerLocal;

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
