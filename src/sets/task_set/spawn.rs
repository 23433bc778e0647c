//! Spawning a batch of closures.
#![forbid(unsafe_code)]

use super::TaskSet;
use crate::pool::WorkerPool;
use crate::sets::batch;

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
}

/// Makes each closure run inside the caller's span.
#[cfg(feature = "tracing")]
fn inside_span<I, F, T>(closures: I) -> impl Iterator<Item = impl FnOnce() -> T + Send + 'static>
where
    I: IntoIterator<Item = F>,
    F: FnOnce() -> T + Send + 'static,
{
    let caller = crate::base::spans::Caller::here();
    closures.into_iter().map(move |closure| {
        let caller = caller.clone();
        move || caller.run(closure)
    })
}
