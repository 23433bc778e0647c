//! Maps a function over the items of any iterator, with a limited number of them in flight.
#![forbid(unsafe_code)]

mod feed;
mod ordered;
mod try_ordered;
mod unordered;

use crate::base::error::TaskError;
use crate::pool::WorkerPool;
use feed::Feed;
pub use ordered::MapOrdered;
pub use try_ordered::TryMapOrdered;
pub use unordered::MapUnordered;

impl WorkerPool {
    /// Calls a function on each item of an iterator, each in its own task, and returns the results
    /// in the order of the items.
    ///
    /// Use it for a long or endless source that is read while it is processed. At most `window`
    /// items (zero counts as one) are in flight. An item is in flight from when it is pulled until
    /// its result is taken, so memory is bounded whatever the length of the source. A window of a
    /// few times the number of workers keeps all workers busy. For a slice that is already in
    /// memory, [`map`](Self::map) is cheaper.
    ///
    /// Nothing is pulled before the first result is requested. **The thread that requests a result
    /// pulls the items,** so the iterator need not be `Send`. The request **blocks** while it
    /// pulls, and then until the result is there. Each request pulls at least one item if there is
    /// room, and then more until the window is full or the result is there. A source that has ended
    /// is dropped and not asked again.
    ///
    /// If a task panics, its result is a [`TaskError`], and the other tasks continue. If the
    /// iterator panics, the panic propagates to the caller that requested a result. Nothing is
    /// lost: later requests first return the results in flight, and then ask the iterator again.
    ///
    /// The tasks need no room in a bounded pool, because the window bounds them: none waits, is
    /// refused, or is run by the caller because the queue is full.
    /// ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest) may displace one; its result then
    /// says so.) If the pool is closed, every further result is
    /// [`Rejected`](crate::TaskError::Rejected).
    ///
    /// Inside a task, it makes progress even on a pool of one worker: a task that has not started
    /// runs in place when its turn comes.
    ///
    /// Dropping the iterator pulls no more items and cancels the tasks that have not started.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let text = "the quick brown fox";
    /// let words = text.split(' ').map(str::to_owned);
    /// let mut lengths = Vec::new();
    /// for length in pool.map_ordered(words, 8, |word| word.len()) {
    ///     lengths.push(length?);
    /// }
    /// assert_eq!(lengths, [3, 5, 5, 3]);
    ///
    /// // Endless, and in constant memory.
    /// let squares = pool.map_ordered(1_u64.., 8, |n| n * n);
    /// let large = squares.map(Result::unwrap).find(|square| *square > 1_000);
    /// assert_eq!(large, Some(1_024));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_ordered<I, F, R>(
        &self,
        items: I,
        window: usize,
        function: F,
    ) -> MapOrdered<I::IntoIter, F, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        MapOrdered::new(Feed::new(self.hub(), items.into_iter(), window, function))
    }

    /// Like [`map_ordered`](Self::map_ordered), but for an iterator of results, such as the lines
    /// of a file, and a function that may fail. The first error is the last result.
    ///
    /// `E` is the error type of both the source and the function. A [`TaskError`], for example of a
    /// task that panicked, is converted to `E`. So `E` can be any type that is `From<TaskError>`,
    /// such as [`std::io::Error`] or `Box<dyn Error + Send + Sync>`, and one `?` is enough.
    ///
    /// An error of the source is not passed to a worker. No items are pulled after it. The results
    /// of the items before it come first, then the error. Once any error has been returned, the
    /// source is dropped, the tasks that have not started are cancelled, and there are no more
    /// results.
    ///
    /// ```
    /// use std::io::{self, BufRead};
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let input = "12\n30\nmany\n";
    /// let parse = |line: String| line.parse::<u32>().map_err(io::Error::other);
    ///
    /// let mut sum = 0;
    /// let lines = input.as_bytes().lines();
    /// for number in pool.try_map_ordered(lines, 8, parse) {
    ///     match number {
    ///         Ok(number) => sum += number,
    ///         Err(why) => assert_eq!(why.to_string(), "invalid digit found in string"),
    ///     }
    /// }
    /// assert_eq!(sum, 42);
    ///
    /// let lines = input.as_bytes().lines();
    /// let all: io::Result<Vec<u32>> = pool.try_map_ordered(lines, 8, parse).collect();
    /// assert!(all.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_map_ordered<I, F, T, R, E>(
        &self,
        items: I,
        window: usize,
        function: F,
    ) -> TryMapOrdered<I::IntoIter, F, R, E>
    where
        I: IntoIterator<Item = Result<T, E>>,
        T: Send + 'static,
        F: Fn(T) -> Result<R, E> + Send + Sync + 'static,
        R: Send + 'static,
        E: From<TaskError> + Send + 'static,
    {
        TryMapOrdered::new(Feed::new(self.hub(), items.into_iter(), window, function))
    }

    /// Like [`map_ordered`](Self::map_ordered), but returns the results as they finish: a slow item
    /// delays only its own result.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let squares = pool.map_unordered(1..=4, 2, |n| n * n);
    /// assert_eq!(squares.map(Result::unwrap).sum::<i32>(), 30);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn map_unordered<I, F, R>(
        &self,
        items: I,
        window: usize,
        function: F,
    ) -> MapUnordered<I::IntoIter, F, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        MapUnordered::new(Feed::new(self.hub(), items.into_iter(), window, function))
    }
}
