//! A task whose result is given to it from outside: no closure computes it, and no queue has it.
//!
//! It is a task like any other whose owner has claimed it. To the handle it looks like a task that
//! runs on another thread: it can be waited for, continued, detached and cancelled, and cannot be
//! run in place. `README.md` in this directory says why that is enough.

use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;

use super::body::{Body, Stop};
use super::context::TaskContext;
use super::ended::Ended;
use super::extra::{Extra, Plan};
use super::raw::{self, Header};
use super::{ClaimedTask, HeldTask, RanTask, make};
use crate::base::error::TaskError;
use crate::base::id::PoolId;
use crate::cancel::CancelToken;

/// The owner's half of a task that is settled by hand. Dropping it settles the task as lost.
pub(crate) struct GivenTask<T> {
    /// Claimed, with nothing in its contents.
    task: NonNull<Header>,
    value: PhantomData<fn(T)>,
}

// SAFETY: it puts a value in, once, and `make_given` requires that the value is `Send`. As for
// `ClaimedTask`, the claim moves along with it.
unsafe impl<T> Send for GivenTask<T> {}
// SAFETY: `&GivenTask` allows nothing.
unsafe impl<T> Sync for GivenTask<T> {}

/// Makes such a task, and the handle's half of it. Cancelling the handle cancels the token.
pub(crate) fn make_given<NameSource, T>(token: &CancelToken) -> (GivenTask<T>, HeldTask<T>)
where
    T: Send + 'static,
{
    make_with::<NameSource, T>(token, Extra::default())
}

/// Like [`make_given`], with an optional part of the caller's.
pub(super) fn make_with<NameSource, T>(
    token: &CancelToken,
    mut extra: Extra,
) -> (GivenTask<T>, HeldTask<T>)
where
    T: Send + 'static,
{
    extra.plan = Some(Box::new(Plan { asks: Some(token.clone()), ..Plan::default() }));
    let (queued, held) = make::<NameSource, NoClosure, T>(PoolId::NONE, Some(extra), NoClosure);
    let ClaimedTask { task } = queued.claim().expect("no other thread has seen the task");
    // SAFETY: we have claimed the task, and it holds its closure, which is taken out once.
    let NoClosure = unsafe { raw::take_contents(task) };
    (GivenTask { task, value: PhantomData }, held)
}

impl<T> GivenTask<T> {
    /// Settles the task with this result, and wakes its waiter.
    pub(crate) fn settle(self, result: Result<T, TaskError>) {
        let task = self.task;
        mem::forget(self);
        // SAFETY: the task is claimed and empty, and `self` was the claim.
        unsafe { settle(task, result) };
    }
}

impl<T> Drop for GivenTask<T> {
    fn drop(&mut self) {
        // SAFETY: the task is claimed and empty, and the claim ends here.
        unsafe { settle::<T>(self.task, Err(TaskError::Lost)) };
    }
}

/// # Safety
/// - The task's value type is `T`, its contents are empty, and the caller gives its claim away.
unsafe fn settle<T>(task: NonNull<Header>, result: Result<T, TaskError>) {
    // SAFETY: the caller promises that the claim is its own and the contents are empty.
    let ended = unsafe { raw::leave::<T>(task, result.map_err(Stop::PassedOn)) };
    let ended = Ended::passed_on(ended.outcome);
    RanTask { claimed: ClaimedTask { task }, ended }.settle();
}

/// What such a task has instead of a closure.
#[derive(Debug)]
struct NoClosure;

impl<T> Body<T> for NoClosure {
    fn call(self, _context: &TaskContext) -> Result<T, Stop> {
        unreachable!("the task is claimed as long as it is not settled, so no thread runs it")
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::{GivenTask, make_given};
    use crate::base::error::{PanicPayload, Refusal, TaskError};
    use crate::cancel::CancelToken;
    use crate::task::{HeldTask, Outcome};

    type Value = Arc<()>;

    fn given() -> (GivenTask<Value>, HeldTask<Value>, CancelToken, Value) {
        let token = CancelToken::new();
        let (task, held) = make_given::<(), _>(&token);
        (task, held, token, Arc::new(()))
    }

    #[test]
    fn the_handle_gets_what_is_given() {
        let (task, held, _, value) = given();
        let held = held.try_take().unwrap_err();
        task.settle(Ok(Arc::clone(&value)));
        assert!(Arc::ptr_eq(&held.try_take().unwrap().unwrap(), &value));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn each_error_comes_out_as_it_was_given() {
        let panic = || TaskError::Panicked(PanicPayload::new(Box::new("no luck"), None));
        let errors = [
            panic(),
            TaskError::Cancelled,
            TaskError::Expired,
            TaskError::Rejected(Refusal::Full),
            TaskError::Rejected(Refusal::Closed),
            TaskError::Rejected(Refusal::Displaced),
            TaskError::Rejected(Refusal::Empty),
            TaskError::Lost,
        ];
        for error in errors {
            let (task, held, ..) = given();
            let said = format!("{error:?}");
            task.settle(Err(error));
            assert_eq!(format!("{:?}", held.try_take().unwrap().unwrap_err()), said);
        }
        let (task, held, ..) = given();
        drop(held);
        task.settle(Err(panic()));
    }

    #[test]
    fn a_dropped_half_leaves_nothing_behind() {
        let (task, held, ..) = given();
        drop(task);
        assert!(matches!(held.try_take(), Ok(Err(TaskError::Lost))));
        let (task, held, _, value) = given();
        drop(held);
        task.settle(Ok(Arc::clone(&value)));
        assert_eq!(Arc::strong_count(&value), 1, "the settler drops what nobody takes");
        let (task, held, ..) = given();
        drop(held);
        drop(task);
    }

    #[test]
    fn a_cancel_asks_and_neither_settles_nor_runs_it() {
        let (task, held, token, value) = given();
        assert!(held.settle_unrun(Outcome::Cancelled).is_none());
        held.request_cancel();
        assert!(token.is_cancelled() && !held.is_settled());
        let held = held.try_run_here(None, |_| unreachable!(), |_, _| unreachable!()).unwrap_err();
        task.settle(Ok(value));
        assert!(held.try_take().unwrap().is_ok());
    }

    #[test]
    fn a_settler_and_a_canceller_on_two_threads() {
        let rounds = if cfg!(miri) { 10 } else { 500 };
        for round in 0..rounds {
            let (task, held, token, value) = given();
            let given = Arc::clone(&value);
            let settler = thread::spawn(move || match round % 3 {
                0 => task.settle(Ok(given)),
                1 => task.settle(Err(TaskError::Cancelled)),
                _ => drop(task),
            });
            held.request_cancel();
            drop(held);
            settler.join().unwrap();
            assert!(token.is_cancelled());
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}
