//! Spawning many tasks at once: a batch of closures, or one closure on every worker.
#![forbid(unsafe_code)]

use std::any::type_name;
use std::sync::Arc;

use super::TaskSet;
use crate::batch;
use crate::hub::Target;
use crate::metrics::WorkerInfo;
use crate::pool::{Options, WorkerPool, spawn_on};
use crate::task::TaskContext;
use crate::worker;

impl WorkerPool {
    /// Spawns many closures of one type at once. Their results come out of the set as they finish.
    ///
    /// This is far cheaper than one [`spawn`](Self::spawn) per closure: no task has an allocation
    /// of its own, and the workers are woken once. Tasks that are spawned later take turns with the
    /// tasks of a large batch.
    ///
    /// Never blocks, with one exception: a bounded pool calls `spawn` for each closure, which may
    /// block. A pool that times or watches its tasks, or deals them out in turn, also calls `spawn`
    /// for each closure.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let squares = pool.spawn_batch((1..=1_000_u64).map(|n| move || n * n));
    /// let sum: u64 = squares.map(|square| square.unwrap()).sum();
    /// assert_eq!(sum, 333_833_500);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If the iterator panics. Then no closure of the batch was spawned, or, on a pool that calls
    /// `spawn` for each closure, not all of them.
    pub fn spawn_batch<I, F, T>(&self, closures: I) -> TaskSet<T>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if batch::suits(self.hub()) {
            // Only with the feature `tracing`, so that a batch otherwise bears the name of the
            // user's closure.
            #[cfg(feature = "tracing")]
            let closures = inside_span(closures);
            TaskSet::of_batch(batch::submit(self.hub(), closures))
        } else {
            closures.into_iter().map(|closure| self.spawn(closure)).collect()
        }
    }

    /// Runs a closure once on every worker. The results come out of the set as they finish.
    ///
    /// A busy worker runs the closure when it is free. The call needs no room in a bounded queue
    /// and never blocks. Spare workers do not get the closure, but a spare worker may stand in for
    /// a worker that waits.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(3)?;
    /// let mut ids: Vec<_> = pool.broadcast(|worker| worker.id.index()).map(Result::unwrap).collect();
    /// ids.sort();
    /// assert_eq!(ids, [0, 1, 2]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn broadcast<F, T>(&self, closure: F) -> TaskSet<T>
    where
        F: Fn(&WorkerInfo) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let closure = Arc::new(closure);
        let name: Arc<str> = Arc::from(type_name::<F>());
        let tell = |index: usize| {
            let target = Target { worker: Some(index), ..Target::default() };
            let options = Options { name: Some(Arc::clone(&name)), target, ..Options::default() };
            let closure = Arc::clone(&closure);
            spawn_on::<F, _, T>(self.hub(), options, move |_: &TaskContext| {
                let info = worker::with_hub(|hub| hub.slots[index].info());
                closure(&info)
            })
        };
        (0..self.hub().worker_count()).map(tell).collect()
    }
}

/// Makes each closure run inside the caller's span.
#[cfg(feature = "tracing")]
fn inside_span<I, F, T>(closures: I) -> impl Iterator<Item = impl FnOnce() -> T + Send + 'static>
where
    I: IntoIterator<Item = F>,
    F: FnOnce() -> T + Send + 'static,
{
    let caller = crate::spans::Caller::here();
    closures.into_iter().map(move |closure| {
        let caller = caller.clone();
        move || caller.run(closure)
    })
}
