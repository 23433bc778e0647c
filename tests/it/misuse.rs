//! A wrong call panics with the user's own line and says what is wrong.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Once;
use std::task::{Context, Waker};

use corepool::{TaskError, TaskHandle, TaskSet, WorkerPool, promise};

use crate::support::{PATIENCE, within};

thread_local! {
    /// The file and line of this thread's last panic.
    static LAST: RefCell<(String, u32)> = const { RefCell::new((String::new(), 0)) };
}

/// Returns where a closure panics: the file and line that the panic hook is told.
fn place_of<R>(wrong: impl FnOnce() -> R) -> (String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(place) = info.location() {
                LAST.set((place.file().to_owned(), place.line()));
            }
            before(info);
        }));
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(wrong)).is_err(), "it is wrong");
    LAST.take()
}

/// A handle that has already given its result.
fn spent(pool: &WorkerPool) -> TaskHandle<u8> {
    let mut handle = pool.spawn(|| 7);
    assert_eq!(handle.join_timeout(PATIENCE).unwrap().unwrap(), 7);
    handle
}

fn spent_promise(pool: &WorkerPool) -> promise::Promise<promise::All<u8>> {
    let mut promise = promise::all([pool.spawn(|| 7)]);
    assert_eq!(promise.join_timeout(PATIENCE).unwrap().unwrap(), [7]);
    promise
}

#[test]
fn a_panic_over_a_wrong_call_names_the_users_line() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (mut set, mut cx) = (TaskSet::new(), Context::from_waker(Waker::noop()));
        // Each call is on a single line, so that its line number is known.
        let first = line!() + 2;
        let places = [
            place_of(|| spent(&pool).join().map(drop)),
            place_of(|| drop(spent(&pool).try_join())),
            place_of(|| drop(spent(&pool).join_timeout(PATIENCE))),
            place_of(|| pin!(spent(&pool)).as_mut().poll(&mut cx).map(drop)),
            place_of(|| spent(&pool).then(|n| n).detach()),
            place_of(|| spent(&pool).recover(|_| 1).detach()),
            place_of(|| spent(&pool).finally(|| ()).detach()),
            place_of(|| set.push(spent(&pool))),
            place_of(|| spent_promise(&pool).join().map(drop)),
            place_of(|| drop(spent_promise(&pool).try_join())),
            place_of(|| drop(spent_promise(&pool).join_timeout(PATIENCE))),
            place_of(|| pin!(spent_promise(&pool)).as_mut().poll(&mut cx).map(drop)),
            place_of(|| promise::all([spent(&pool)])),
            place_of(|| pool.task().on_worker(1).spawn(|| ()).detach()),
            place_of(|| TaskError::Cancelled.resume()),
        ];
        for (place, line) in places.into_iter().zip(first..) {
            assert_eq!(place, (file!().to_owned(), line));
        }
    });
}

#[test]
fn a_spent_handle_says_so_when_it_is_joined_and_is_otherwise_harmless() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let joined = panic::catch_unwind(AssertUnwindSafe(|| spent(&pool).join()));
        let text = *joined.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(text, "the handle was used after its result was taken");
        let spent = spent(&pool).cancel_on_drop();
        assert!(spent.is_finished() && !spent.cancel());
        drop(spent);
        assert_eq!(pool.metrics().cancelled, 0);
    });
}
