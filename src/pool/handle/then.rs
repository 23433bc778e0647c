//! Continuations: closures that run when a task is settled, and pass on or replace its result.
#![forbid(unsafe_code)]

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;

use super::{TaskHandle, cancel};
use crate::base::error::TaskError;
use crate::base::id::PoolId;
use crate::base::spans::Caller;
use crate::base::trampoline;
use crate::base::unwind;
use crate::pool::global;
use crate::sched::hub;
use crate::sched::worker::{self, ByPool};
use crate::task::{self, Body, Extra, HeldTask, Stop, TaskContext, TaskRef};

/// A continuation runs as a task of the pool that ran the first task of the chain. It holds no
/// worker while it waits, and needs no room in a bounded queue. The thread that settles the task
/// before it spawns it. Each continuation is one allocation.
///
/// A chain settles from its beginning: if a task has no value, each `then` after it settles at once
/// for the same reason, and its closure never runs. [`cancel`](Self::cancel) on the last handle of
/// a chain cancels every task of the chain that has not started.
///
/// A closed pool runs the continuations of its tasks until its workers have ended. After that it
/// refuses `then` and `recover`: the new handle is `Rejected`, and the result of the task before it
/// is dropped. [`finally`](Self::finally) still runs.
///
/// The handle of a [`pair`](super::pair) belongs to no pool. Continuations behind it run as tasks
/// of the pool that [`spawn`](fn@crate::spawn) would use where `then` is called.
impl<T: Send + 'static> TaskHandle<T> {
    /// Runs a closure on the value, if there is one. Without a value, the new handle has the same
    /// error.
    ///
    /// An `Err` that the task returns is also a value. Only a [`TaskError`] is an error here.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let words = pool.spawn(|| "one two three".to_owned());
    /// let count = words.then(|text| text.split(' ').count()).then(|words| words * 10);
    /// assert_eq!(count.join()?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the result was already taken.
    #[track_caller]
    pub fn then<F, U>(self, closure: F) -> TaskHandle<U>
    where
        F: FnOnce(T) -> U + Send + 'static,
        U: Send + 'static,
    {
        self.link::<F, _, U>(When::Value, move |result: Result<T, TaskError>| match result {
            Ok(value) => Ok(closure(value)),
            Err(error) => {
                unwind::quietly(|| drop(closure));
                Err(error)
            }
        })
    }

    /// Runs a closure on the error if there is no value, and replaces the error with the closure's
    /// result. A value is passed on.
    ///
    /// ```
    /// use corepool::TaskError;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let parsed = pool.spawn(|| "12x".parse::<u32>().unwrap());
    /// let number = parsed.recover(|error| match error {
    ///     TaskError::Panicked(_) => 0,
    ///     other => other.resume(),
    /// });
    /// assert_eq!(number.join()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the result was already taken.
    #[track_caller]
    pub fn recover<F>(self, closure: F) -> Self
    where
        F: FnOnce(TaskError) -> T + Send + 'static,
    {
        self.link::<F, _, T>(When::NoValue, move |result: Result<T, TaskError>| match result {
            Err(error) => Ok(closure(error)),
            Ok(value) => {
                unwind::quietly(|| drop(closure));
                Ok(value)
            }
        })
    }

    /// Runs a closure when the task is settled, with a value or an error, and passes the result on.
    /// If the closure panics, the panic is the result.
    ///
    /// The closure always runs, exactly once, and never before the task is settled. If the pool has
    /// ended by then, the closure runs on the thread that settles the task, or on the thread that
    /// calls `finally` if the task is already settled.
    ///
    /// The continuation itself is never cancelled. [`cancel`](Self::cancel) on this handle cancels
    /// the task before it and returns the outcome of that; the closure runs afterwards.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// static OPEN: AtomicU32 = AtomicU32::new(1);
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn(|| -> u32 { panic!("no luck") }).finally(|| {
    ///     OPEN.fetch_sub(1, Ordering::Relaxed);
    /// });
    /// assert!(task.join().unwrap_err().is_panicked());
    /// assert_eq!(OPEN.load(Ordering::Relaxed), 0);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If the result was already taken.
    #[track_caller]
    pub fn finally<F>(self, closure: F) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        self.link::<F, _, T>(When::Settled, move |result: Result<T, TaskError>| {
            closure();
            result
        })
    }

    #[track_caller]
    fn link<NameSource, S, U>(self, when: When, step: S) -> TaskHandle<U>
    where
        S: FnOnce(Result<T, TaskError>) -> Result<U, TaskError> + Send + 'static,
        U: Send + 'static,
    {
        let mut before = self.into_held();
        let cancel_on_drop = before.is_cancel_on_drop();
        let _unsettled = before.clear_waker();
        let pool = pool_behind(&before);
        let extra = before.is_extended().then(|| extra_of(pool)).flatten();
        let place = before.task_ref();
        let caller = Caller::here();
        let step = move |result| caller.run(|| step(result));
        let link = Link { before: Some(before), when, step: Some(step) };
        let held = task::make_link::<ByPool, NameSource, _, U>(place, pool, extra, link);
        held.cancel_on_drop(cancel_on_drop);
        TaskHandle::new(held)
    }
}

/// The pool in which a continuation runs: that of the task before it. A handle from
/// [`pair`](super::pair) has no pool, so there it is the caller's.
fn pool_behind<T>(before: &HeldTask<T>) -> PoolId {
    match before.pool() {
        PoolId::NONE => global::current_pool(),
        pool => pool,
    }
}

/// A pool that measures its tasks also measures continuations.
#[cold]
fn extra_of(pool: PoolId) -> Option<Extra> {
    let hub = hub::find(pool)?;
    hub.measures_tasks().then(|| Extra { age: hub.next_age(), ..Extra::default() })
}

/// When a continuation's closure is called. Otherwise it only passes the result on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Value,
    NoValue,
    Settled,
}

/// The body of a continuation. If it is dropped without a run, it gives up the task before it.
struct Link<T, S> {
    /// `before` and `step` are there until the run.
    before: Option<HeldTask<T>>,
    step: Option<S>,
    when: When,
}

impl<T, S, U> Body<U> for Link<T, S>
where
    S: FnOnce(Result<T, TaskError>) -> Result<U, TaskError>,
{
    const IS_LINK: bool = true;

    fn call(mut self, _context: &TaskContext) -> Result<U, Stop> {
        let (Some(before), Some(step)) = (self.before.take(), self.step.take()) else {
            unreachable!("a link runs once")
        };
        let Ok(result) = before.try_take() else {
            unreachable!("a link runs when the task before it is settled")
        };
        match unwind::catch(|| step(result)) {
            Ok(result) => result.map_err(Stop::PassedOn),
            Err(payload) => Err(Stop::Threw(payload)),
        }
    }

    fn before(&self) -> Option<TaskRef> {
        self.before.as_ref().map(HeldTask::task_ref)
    }

    fn passes_on(&self) -> bool {
        let has_value = self.before.as_ref().is_some_and(HeldTask::has_value);
        match self.when {
            When::Value => !has_value,
            When::NoValue => has_value,
            When::Settled => false,
        }
    }

    fn runs_anyway(&self) -> bool {
        self.when == When::Settled
    }
}

impl<T, S> Drop for Link<T, S> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            give_up(before.without_value());
        }
    }
}

crate::base::sync::thread_local! {
    /// Tasks to be cancelled on this thread, while one is being cancelled. Cancelling a
    /// continuation drops its link (its body), which gives up the task before it; in a long chain,
    /// recursion would need too much stack.
    static TO_GIVE_UP: trampoline::Line<HeldTask<()>> = const { RefCell::new(None) };
}

/// Cancels a task whose result no thread will ask for, and the tasks before it.
fn give_up(before: HeldTask<()>) {
    // If the thread-locals are gone, the task is left to run by itself.
    let _detached = trampoline::run(&TO_GIVE_UP, before, give_up_now);
}

fn give_up_now(held: HeldTask<()>) {
    cancel(&held);
}

/// Does the cancels and settlings that are queued on this thread behind an unfinished one. Called
/// before the thread sleeps, because it may sleep until just those are done.
pub(crate) fn do_what_waits() {
    trampoline::run_what_waits(&TO_GIVE_UP, give_up_now);
    worker::settle_waiting_links();
}

impl<T, S> fmt::Debug for Link<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("when", &self.when).field("step", &type_name::<S>()).finish()
    }
}
