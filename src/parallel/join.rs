//! Fork-join of two closures on borrowed data: `join` and `join_context`.
#![forbid(unsafe_code)]

use crate::pool::WorkerPool;
use crate::sched::fork_join;

/// Information passed to the closures of [`join_context`].
///
/// ```
/// use corepool::parallel::JoinContext;
/// let where_it_ran = |cx: JoinContext| if cx.has_moved() { "elsewhere" } else { "here" };
/// assert_eq!(corepool::join_context(where_it_ran, |_| ()).0, "here");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinContext {
    has_moved: bool,
}

impl JoinContext {
    /// Returns `true` if an idle worker took the closure, so that it does not run on the
    /// thread that called `join_context`.
    ///
    /// Code that decides by itself how far to split its work can take this as a hint to split
    /// further.
    ///
    /// ```
    /// let (has_moved, ()) = corepool::join_context(|cx| cx.has_moved(), |_| ());
    /// assert!(!has_moved, "the first closure stays");
    /// ```
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.has_moved
    }
}

/// Runs both closures, in parallel if a worker is idle, and returns both results.
///
/// A call costs a few nanoseconds more than calling the two closures: it allocates nothing, queues
/// nothing and wakes no thread. So there is no need to stop splitting at some size. An idle worker
/// takes `b` by itself, within about 100 µs, whatever `a` does: `a` may compute for a long time,
/// sleep, or wait for something that `b` does. `a` always runs on the calling thread. `b` runs
/// there too, unless another thread took it while `a` ran. The call returns when both closures have
/// ended.
///
/// Inside a task, or inside a closure that another fork-join call runs, this uses the pool that
/// runs the caller; elsewhere it uses the [global](WorkerPool::global) pool. A thread that is not a
/// worker takes part as a guest: it does the work itself, and workers take pieces from it. In a
/// pool of one worker, a guest does all the work alone, because it counts as that worker. There, an
/// `a` that waits for something that `b` does waits forever. Inside
/// [`install`](WorkerPool::install), on the worker, a [spare
/// worker](crate::PoolBuilder::spare_workers) takes `b` if `a` declares its wait with
/// [`blocking`](crate::blocking()).
///
/// While this call waits for `b`, it runs nothing except parts of `b`. So it is safe to hold a lock
/// across the call, as long as neither closure takes it.
///
/// # Panics
/// Panics if a closure panics, with that closure's payload, after both have ended. `b` does not
/// start if `a` panicked first. If both panic, the payload is `a`'s. Also panics as
/// [`WorkerPool::global`] does.
///
/// ```
/// fn fibonacci(n: u64) -> u64 {
///     if n < 2 {
///         return n;
///     }
///     let (a, b) = corepool::join(|| fibonacci(n - 1), || fibonacci(n - 2));
///     a + b
/// }
/// assert_eq!(fibonacci(20), 6765);
/// ```
///
/// Borrows end with the call:
///
/// ```
/// let mut numbers = [1, 2, 3, 4];
/// let (left, right) = numbers.split_at_mut(2);
/// corepool::join(|| left[0] = 10, || right[0] = 30);
/// assert_eq!(numbers, [10, 2, 30, 4]);
/// ```
#[inline]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    join_here(|_| a(), |_| b())
}

/// Like [`join`], and tells each closure whether it moved to another thread.
///
/// # Panics
/// Same as [`join`].
///
/// ```
/// let (a_moved, _b_moved) = corepool::join_context(|cx| cx.has_moved(), |cx| cx.has_moved());
/// assert!(!a_moved, "the first closure stays");
/// ```
#[inline]
pub fn join_context<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce(JoinContext) -> RA + Send,
    B: FnOnce(JoinContext) -> RB + Send,
    RA: Send,
    RB: Send,
{
    join_here(|has_moved| a(JoinContext { has_moved }), |has_moved| b(JoinContext { has_moved }))
}

#[inline(always)]
fn join_here<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    match fork_join::current_line() {
        Some(line) => fork_join::join(line, a, b),
        None => join_on_global(a, b),
    }
}

#[cold]
#[inline(never)]
fn join_on_global<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    let join = |stack: &fork_join::Stack<'_>| fork_join::join(stack.line(), a, b);
    fork_join::enter(WorkerPool::global().hub(), fork_join::Kind::Guest, join)
}

impl WorkerPool {
    /// Like [`corepool::join`](crate::join()), with this pool's workers.
    ///
    /// On a worker of this pool it is the same. Any other thread takes part as a guest of this
    /// pool.
    ///
    /// # Panics
    /// Panics if a closure panics, with its payload, after both have ended.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let words = vec!["fork", "join"];
    /// let (first, second) = pool.join(|| words[0].len(), || words[1].len());
    /// assert_eq!(first + second, 8);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.join_as(|_| a(), |_| b())
    }

    /// Like [`corepool::join_context`](crate::join_context()), with this pool's workers.
    ///
    /// # Panics
    /// Same as [`join`](Self::join).
    #[inline]
    pub fn join_context<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(JoinContext) -> RA + Send,
        B: FnOnce(JoinContext) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.join_as(
            |has_moved| a(JoinContext { has_moved }),
            |has_moved| b(JoinContext { has_moved }),
        )
    }

    #[inline(always)]
    fn join_as<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(bool) -> RA,
        B: FnOnce(bool) -> RB,
    {
        match fork_join::current_line_of(self.hub()) {
            Some(line) => fork_join::join(line, a, b),
            None => self.join_as_guest(a, b),
        }
    }

    #[cold]
    #[inline(never)]
    fn join_as_guest<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(bool) -> RA,
        B: FnOnce(bool) -> RB,
    {
        fork_join::with_stack_of(self.hub(), |stack| fork_join::join(stack.line(), a, b))
    }
}
