//! A function over the items of any iterator, with a few of them in flight at a time.
#![forbid(unsafe_code)]

mod feed;
mod ordered;
mod try_ordered;
mod unordered;

use crate::error::TaskError;
use crate::pool::WorkerPool;
use feed::Feed;
pub use ordered::MapOrdered;
pub use try_ordered::TryMapOrdered;
pub use unordered::MapUnordered;

impl WorkerPool {
    /// Calls a function on the items of any iterator, each in a task of its own, and gives the
    /// results in the order of the items.
    ///
    /// Take it for a long or endless source, read as it is worked on: at most `window` items (none
    /// counts as one) are in flight, from the moment they are pulled until their results are taken,
    /// so memory is bounded whatever the length. A few times the number of workers keeps them all
    /// busy. For a slice that is there already [`map`](Self::map) is cheaper.
    ///
    /// Nothing is pulled before the first result is asked for. **The thread that asks pulls,** so
    /// the iterator need not be `Send`; asking **blocks** for as long as pulling does, and then
    /// until the result is there. Each time at least one item is pulled, if there is room, and more
    /// until the window is full or the result is there. A source that has ended is dropped, and not
    /// asked again.
    ///
    /// A task that panics gives a [`TaskError`], and the others go on. If the iterator panics, the
    /// panic goes through to whoever asked. Nothing is lost: ask again, and what is in flight comes
    /// out first, then the iterator is asked again.
    ///
    /// The tasks need no room in a bounded pool, for the window bounds them: none waits, is refused
    /// or run by the caller because the queue is full.
    /// ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest) may displace one, whose result then
    /// says so.) Of a pool that is closed every further result is
    /// [`Rejected`](crate::TaskError::Rejected).
    ///
    /// Inside a task it makes progress on a pool of one worker too: what nobody has started is run
    /// in place when its turn comes.
    ///
    /// Dropping it pulls no more and cancels what has not started.
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

    /// As [`map_ordered`](Self::map_ordered), for an iterator of results, such as the lines of a
    /// file, and a function that may fail: the first error is the last result.
    ///
    /// `E` is the one error type of the source and of the function, and a [`TaskError`] becomes one
    /// (if a task panicked, say): any type that is `From<TaskError>`, as [`std::io::Error`] and
    /// `Box<dyn Error + Send + Sync>` are. So one `?` is enough.
    ///
    /// An error of the source goes to no worker. After it nothing is pulled; the results of what
    /// was pulled before come first, then the error. Once an error has been given out, whosever it
    /// was, the source is dropped, what has not started is cancelled, and there are no more
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
    /// let all: io::Result<Vec<u32>> = pool.try_map_ordered(input.as_bytes().lines(), 8, parse).collect();
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

    /// As [`map_ordered`](Self::map_ordered), but gives the results as they come: one slow item
    /// holds nothing back but itself.
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
