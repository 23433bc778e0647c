//! Two closures at once, on borrowed data.
#![forbid(unsafe_code)]

use crate::fork;
use crate::pool::WorkerPool;

/// What a closure of [`join_context`] is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinContext {
    has_moved: bool,
}

impl JoinContext {
    /// Whether another thread than the caller of `join_context` runs the closure: an idle worker
    /// took it.
    ///
    /// What splits its work by hand may take that as a sign to split more.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.has_moved
    }
}

/// Runs both closures, at once if a worker has nothing better to do, and gives both results.
///
/// Costs a few nanoseconds more than the two calls: nothing is allocated or queued, and nobody is
/// woken. So there is no need to stop splitting at some size. An idle worker takes `b` by itself,
/// within about 100 µs, whatever `a` does: it may compute for long, sleep, or wait for something
/// that `b` does. `a` always runs on the calling thread; `b` does too, unless another thread took
/// it while `a` ran. The call returns when both have ended.
///
/// Inside a task, or a closure that another fork-join call runs, this uses the pool that runs it;
/// elsewhere the [global](WorkerPool::global) one. A thread that is no worker takes part as a
/// guest: it does the work, and workers take pieces from it. Only in a pool of one worker it does
/// all by itself, for it counts as that worker: there an `a` that waits for something that `b` does
/// waits for ever. Inside [`install`](WorkerPool::install), on the worker, a [spare
/// worker](crate::Builder::spare_workers) takes `b` if `a` says by [`blocking`](crate::blocking())
/// that it waits.
///
/// While this waits for `b` it runs nothing but parts of `b`: it is safe to hold a lock across the
/// call, as long as neither closure wants it.
///
/// # Panics
/// If a closure panics, with its payload, after both have ended; `b` does not start if `a` panicked
/// first. If both panic, `a`'s payload comes out. Also as [`WorkerPool::global`].
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

/// As [`join`], and tells each closure whether it moved to another thread.
///
/// # Panics
/// As [`join`].
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
    match fork::current_line() {
        Some(line) => fork::join(line, a, b),
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
    let join = |stack: &fork::Stack<'_>| fork::join(stack.line(), a, b);
    fork::enter(WorkerPool::global().hub(), fork::Kind::Guest, join)
}

impl WorkerPool {
    /// As [`corepool::join`](crate::join()), with this pool's workers.
    ///
    /// On one of them it is the same; any other thread takes part as a guest of this pool.
    ///
    /// # Panics
    /// If a closure panics, with its payload, after both have ended.
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

    /// As [`corepool::join_context`](crate::join_context()), with this pool's workers.
    ///
    /// # Panics
    /// As [`join`](Self::join).
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
        match fork::current_line_of(self.hub()) {
            Some(line) => fork::join(line, a, b),
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
        fork::with_stack_of(self.hub(), |stack| fork::join(stack.line(), a, b))
    }
}
