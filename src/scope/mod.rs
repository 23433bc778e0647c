//! Any number of closures on borrowed data, all of which end before the scope does.

mod arena;
mod branch;
mod closure;
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
pub use closure::ScopedClosure;
pub use handle::ScopedHandle;

use crate::fork;
use crate::hub::Hub;
use crate::pool::WorkerPool;
use crate::unwind;

/// Where closures on borrowed data are spawned; see [`WorkerPool::scope`].
///
/// `'scope` is the time of the scope itself, and `'env` that of what its closures borrow from
/// around it.
pub struct Scope<'scope, 'env: 'scope> {
    core: Core,
    // Neither may be shortened or stretched, as in the standard library's scoped threads.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl WorkerPool {
    /// Lets closures on borrowed data be spawned, and returns when all of them have ended.
    ///
    /// The body runs on the calling thread. Closures wait there until an idle worker takes the
    /// oldest of them, which it does by itself, also while the body or a closure computes, sleeps
    /// or waits. Those that nobody takes run on the calling thread when the body has ended, the
    /// newest first. Closures may spawn more: they capture the scope. A spawn costs a small
    /// allocation; nobody is woken for it.
    ///
    /// A thread that is no worker of this pool takes part as a guest. Nothing but this scope's own
    /// closures runs while it waits for them.
    ///
    /// # Panics
    /// If the body or a closure panics, after all closures have ended: with the body's payload,
    /// else the first closure's. The panic of a closure that was [joined](ScopedHandle::join) comes
    /// out there instead.
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

/// As [`WorkerPool::scope`], on the pool that runs the caller, or else the
/// [global](WorkerPool::global) one.
///
/// # Panics
/// As [`WorkerPool::scope`] and [`WorkerPool::global`].
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
    let hub = fork::current_hub().unwrap_or_else(|| WorkerPool::global().hub());
    scope_on(hub, body)
}

fn scope_on<'env, F, R>(hub: &Arc<Hub>, body: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let scope = Scope { core: Core::new(), scope: PhantomData, env: PhantomData };
    let result = fork::with_stack_of(hub, |stack| {
        let branch = Branch::new(&scope.core, hub, stack.line());
        stack.with_tagged(&branch, scope.core.tag(), || {
            // Caught, so that the closures end before what they borrow does.
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
    /// It takes no argument; to spawn more, it captures the scope. (`|_| ..`, as other crates'
    /// scopes write it, is taken as well.)
    ///
    /// Never runs the closure here and now, and never blocks: it is safe to hold a lock that the
    /// closure wants. The handle may be dropped; it can be [joined](ScopedHandle::join) before the
    /// scope ends.
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
    pub fn spawn<F, M, R>(&'scope self, closure: F) -> ScopedHandle<'scope, R>
    where
        F: ScopedClosure<'scope, 'env, M, Output = R> + Send + 'scope,
        R: Send + 'scope,
    {
        let (listed, mut held) = job::make(move || closure.call(self));
        let line = self.core.push(listed);
        // SAFETY: the thread is inside the scope, or in a closure of it, and keeps its line until
        // that ends. The handle does not leave the thread, nor outlive the scope.
        unsafe { held.lies_on(line) };
        ScopedHandle::new(held, &self.core)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
