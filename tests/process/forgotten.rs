//! `mem::forget` on values of every kind, in every state: at worst they leak, and the pool goes on
//! and ends.

use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use corepool::{
    CancelToken, SharedArray, TaskHandle, TaskSet, WhenFull, WorkerLocal, WorkerPool, promise,
    shared,
};

use crate::child;

/// The pool and the token for each attempt. The pool has a bound, so places in it could be lost;
/// the token is what waiting tasks wait for.
struct Place<'a> {
    pool: &'a WorkerPool,
    token: &'a CancelToken,
}

impl Place<'_> {
    /// Tasks that are queued, running or done.
    fn some(&self) -> Vec<TaskHandle<u64>> {
        (0..6).map(|n| self.pool.spawn(move || n)).collect()
    }

    /// A task that ends when the token is cancelled, or after 200 µs.
    fn slow(&self) -> TaskHandle<u64> {
        let token = self.token.clone();
        self.pool.spawn(move || {
            let _cancelled = token.wait_timeout(Duration::from_micros(200));
            1
        })
    }
}

struct Ignores;

impl Wake for Ignores {
    fn wake(self: Arc<Self>) {}
}

/// Polls once, and forgets the future if it is not ready.
fn half_polled<F: Future + 'static>(future: F) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Ignores));
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            mem::forget(future);
            None
        }
    }
}

type Way = (&'static str, fn(&Place<'_>));

const WAYS: &[Way] = &[
    ("a handle", |place| mem::forget(place.slow())),
    ("a handle that cancels", |place| mem::forget(place.slow().cancel_on_drop())),
    ("a handle, polled", |place| drop(half_polled(place.slow()))),
    ("a continuation", |place| mem::forget(place.slow().then(|value| value))),
    ("a continuation, polled", |place| {
        drop(half_polled(place.slow().finally(|| ())));
    }),
    ("a set", |place| mem::forget(place.some().into_iter().collect::<TaskSet<_>>())),
    ("a set, begun", |place| {
        let mut set: TaskSet<_> = place.some().into_iter().collect();
        let _first = set.next();
        mem::forget(set.cancel_on_drop());
    }),
    ("a set's next, polled", |place| {
        let set: &'static mut TaskSet<u64> = Box::leak(Box::new(TaskSet::new()));
        set.push(place.slow());
        drop(half_polled(set.next_async()));
    }),
    ("a batch", |place| mem::forget(place.pool.spawn_batch((0..20).map(|n| move || n)))),
    ("a broadcast", |place| mem::forget(place.pool.broadcast(|worker| worker.id))),
    ("a promise of all", |place| mem::forget(promise::all(place.some()))),
    ("a promise of all, polled", |place| drop(half_polled(promise::all([place.slow()])))),
    ("a promise of any, polled", |place| {
        drop(half_polled(promise::any([place.slow()]).cancel_on_drop()));
    }),
    ("a promise of the first, polled", |place| {
        drop(half_polled(promise::race([place.slow(), place.slow()])));
    }),
    ("a promise of what became of all, polled", |place| {
        drop(half_polled(promise::all_settled(place.some())));
    }),
    ("tokens, and what is tied to them", |place| {
        mem::forget(place.token.child());
        mem::forget(place.token.child_with_timeout(Duration::from_micros(50)));
        mem::forget(place.pool.task().cancel_token(place.token).spawn(|| 1));
    }),
    ("a wait for a token, polled", |place| drop(half_polled(place.token.cancelled()))),
    ("a map in order, begun", |place| {
        let mut map = place.pool.map_ordered(0..100_u64, 4, |n| n);
        let _first = map.next();
        mem::forget(map);
    }),
    ("a map out of order, begun", |place| {
        let mut map = place.pool.map_unordered(0..100_u64, 4, |n| n);
        let _first = map.next();
        mem::forget(map);
    }),
    ("values of workers", |place| {
        let counts = Arc::new(WorkerLocal::new(|| vec![0_u64; 4]));
        let counted = Arc::clone(&counts);
        place.pool.spawn(move || counted.with(|count| count[0] += 1)).join().unwrap();
        mem::forget(counts);
    }),
    ("a wait for a shared number, polled", |_| {
        let array: &'static SharedArray<std::sync::atomic::AtomicU32> =
            Box::leak(Box::new(SharedArray::new(4)));
        assert!(half_polled(shared::wait_async(&array[1], 0)).is_none());
        assert!(shared::notify(&array[1], 8) <= 1);
    }),
    ("events", |place| mem::forget(place.pool.events())),
    ("a scope's handles", |place| {
        let value = 5;
        place.pool.scope(|scope| (0..10).for_each(|_| mem::forget(scope.spawn(|| value + 1))));
    }),
    ("a shutdown of another pool, polled", |_| {
        let other = WorkerPool::with_workers(1).unwrap();
        let waits = other.spawn(|| 1);
        let _ended = half_polled(other.shutdown_async());
        mem::forget((waits, other));
    }),
];

/// Case 61. A waiter for room that is forgotten takes its place in the queue of waiters with it.
/// All ways except that one are tried repeatedly on one pool.
#[test]
fn whatever_is_forgotten_the_pool_goes_on_and_ends() {
    if child::is_child() {
        for workers in [1, 2] {
            for &(what, forget) in WAYS {
                println!("{what}, {workers} workers");
                let token = CancelToken::new();
                let builder = WorkerPool::builder().workers(workers).queue_capacity(4);
                let pool = builder.build().unwrap();
                for _ in 0..10 {
                    forget(&Place { pool: &pool, token: &token });
                }
                token.cancel();
                // The pool still has all of its room, and each worker works.
                let tasks: Vec<_> = (0..50_u64).map(|n| pool.spawn(move || n)).collect();
                let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
                assert_eq!(sum, 49 * 25, "{what}");
                pool.broadcast(|_| ()).for_each(|done| done.unwrap());
                pool.shutdown();
                let metrics = pool.metrics();
                assert_eq!((metrics.queue_depth, metrics.lost), (0, 0), "{what}: {metrics}");
            }
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 61. Waiters behind a forgotten future wait like those behind a future that is not polled.
/// The pool ends anyway, and tells them.
#[test]
fn a_forgotten_place_in_line_does_not_keep_the_pool_from_its_end() {
    if child::is_child() {
        let builder = WorkerPool::builder().workers(1).queue_capacity(1);
        let pool: &'static WorkerPool =
            Box::leak(Box::new(builder.when_full(WhenFull::Block).build().unwrap()));
        let (opens, gate) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = std::sync::mpsc::channel();
        let held = pool.spawn(move || {
            begins.send(()).unwrap();
            let _opened = gate.recv();
        });
        begun.recv().unwrap();
        let queued = pool.spawn(|| 1);
        for _ in 0..3 {
            let stands_in_line = half_polled(pool.reserve());
            assert!(stands_in_line.is_none(), "there is no room");
        }
        let mut last = pin!(pool.reserve());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(last.as_mut().poll(&mut cx).is_pending());
        drop(opens);
        held.join().unwrap();
        assert_eq!(queued.join().unwrap(), 1);
        pool.shutdown();
        assert!(matches!(last.poll(&mut cx), Poll::Ready(_)), "it is told");
        return;
    }
    child::run_again(|_| {}).expect_success();
}
