//! Scopes: any number of closures on borrowed data, all of which end before the scope does.

mod arena;
mod branch;
mod deque;
mod handle;
mod held;
mod job;
#[cfg(all(test, corepool_loom))]
mod models;
mod roll;

use std::fmt;
use std::marker::PhantomData;
use std::panic;
use std::sync::Arc;

use branch::{Branch, Core};
pub use handle::ScopedHandle;

use crate::base::unwind;
use crate::pool::WorkerPool;
use crate::sched::fork_join;
use crate::sched::hub::Hub;

/// A scope in which closures on borrowed data are spawned; see [`WorkerPool::scope`].
///
/// `'scope` is the lifetime of the scope itself. `'env` is the lifetime of what its closures borrow
/// from the surrounding code.
///
/// ```
/// fn sum<'scope>(scope: &'scope corepool::Scope<'scope, '_>, numbers: &'scope [u64]) -> u64 {
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     let left = scope.spawn(|| left.iter().sum::<u64>());
///     right.iter().sum::<u64>() + left.join().unwrap()
/// }
/// let numbers = [1, 2, 3, 4];
/// assert_eq!(corepool::scope(|scope| sum(scope, &numbers)), 10);
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    core: Core,
    // Both lifetimes are invariant, as in the standard library's scoped threads.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl WorkerPool {
    /// Creates a scope in which closures on borrowed data can be spawned, and returns when all of
    /// them have ended.
    ///
    /// The body runs on the calling thread. Spawned closures wait there until an idle worker takes
    /// the oldest of them. Workers do that by themselves, even while the body or a closure
    /// computes, sleeps or waits. Closures that no worker takes run on the calling thread after the
    /// body has ended, the newest first. Closures can spawn more closures: they capture the scope.
    /// A spawn costs a small allocation and wakes no thread.
    ///
    /// A thread that is not a worker of this pool takes part as a guest. While a thread waits for
    /// the scope's closures, it runs only this scope's closures.
    ///
    /// # Panics
    /// Panics if the body or a closure panics, after all closures have ended. The payload is the
    /// body's, or else that of the first closure that panicked. If the closure was
    /// [joined](ScopedHandle::join), its panic comes out of that `join` instead.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(2)?;
    /// let words = vec![String::from("borrowed"), String::from("data")];
    /// let mut lengths = [0; 2];
    /// pool.scope(|s| {
    ///     for (word, length) in words.iter().zip(&mut lengths) {
    ///         s.spawn(|| *length = word.len());
    ///     }
    /// });
    /// assert_eq!(lengths, [8, 4]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn scope<'env, F, R>(&self, body: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        scope_on(self.hub(), body)
    }
}

/// Like [`WorkerPool::scope`], on the pool that runs the caller, or else on the
/// [global](WorkerPool::global) pool.
///
/// # Panics
/// Same as [`WorkerPool::scope`] and [`WorkerPool::global`].
///
/// ```
/// let mut numbers = [1, 2, 3, 4];
/// corepool::scope(|s| {
///     let (left, right) = numbers.split_at_mut(2);
///     s.spawn(move || left.reverse());
///     s.spawn(move || right.reverse());
/// });
/// assert_eq!(numbers, [2, 1, 4, 3]);
/// ```
pub fn scope<'env, F, R>(body: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let hub = fork_join::current_hub().unwrap_or_else(|| WorkerPool::global().hub());
    scope_on(hub, body)
}

fn scope_on<'env, F, R>(hub: &Arc<Hub>, body: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let scope = Scope { core: Core::new(), scope: PhantomData, env: PhantomData };
    let result = fork_join::with_stack_of(hub, |stack| {
        let branch = Branch::new(&scope.core, hub, stack.line());
        stack.with_tagged(&branch, scope.core.tag(), || {
            // The panic is caught, so that the closures end before what they borrow does.
            let result = unwind::catch(|| body(&scope));
            branch.finish(stack);
            result
        })
    });
    match (result, scope.core.panic()) {
        (Err(payload), late) => {
            if let Some(late) = late {
                unwind::drop_payload(late);
            }
            panic::resume_unwind(payload)
        }
        (Ok(result), Some(payload)) => {
            unwind::quietly(|| drop(result));
            panic::resume_unwind(payload)
        }
        (Ok(result), None) => result,
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Spawns a closure that ends before the scope does.
    ///
    /// The closure takes no argument, unlike in other crates' scopes; to spawn more, it captures
    /// the scope.
    ///
    /// `spawn` never runs the closure itself, and never blocks: it is safe to hold a lock that the
    /// closure takes. The handle can be dropped, or [joined](ScopedHandle::join) before the scope
    /// ends.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// let count = AtomicU32::new(0);
    /// let answer = corepool::scope(|s| {
    ///     s.spawn(|| {
    ///         count.fetch_add(1, Ordering::Relaxed);
    ///         s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
    ///     });
    ///     s.spawn(|| 6 * 7).join().unwrap()
    /// });
    /// assert_eq!((answer, count.into_inner()), (42, 2));
    /// ```
    pub fn spawn<F, R>(&'scope self, closure: F) -> ScopedHandle<'scope, R>
    where
        F: FnOnce() -> R + Send + 'scope,
        R: Send + 'scope,
    {
        let (listed, mut held) = job::make(closure);
        let line = self.core.push(listed);
        // SAFETY: the thread is inside the scope or inside one of its closures, and keeps its line
        // until that ends. The handle neither leaves the thread nor outlives the scope.
        unsafe { held.lies_on(line) };
        ScopedHandle::new(held, &self.core)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
