//! What does not affect a continuation: neither the drop of a closure nor a wait in that drop
//! changes it or holds it back.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use corepool::{CancelToken, PoolEvent, TaskHandle, TaskSet, WorkerPool, promise};

use crate::support::{Drops, PATIENCE, occupy, within};

#[test]
fn a_value_passes_by_a_closure_whose_drop_panics() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let bomb = drops.bomb();
        let task = pool.spawn(|| 7).recover(move |error| {
            std::mem::forget(bomb);
            error.resume()
        });
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn an_error_passes_by_a_closure_whose_drop_panics() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let (token, bomb) = (CancelToken::new(), drops.bomb());
        let tied = pool.task().cancel_token(&token).spawn(|| 7);
        let task = tied.then(move |_| std::mem::forget(bomb));
        token.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(drops.count(), 1);
        busy.release();
    });
}

/// Does something when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(what) = self.0.take() {
            what();
        }
    }
}

/// This thread, which is not a worker, settles a link and drops a closure. That drop cancels a task
/// and waits for the link behind it, which is queued on this very thread.
fn wait_in_a_drop(wait: impl FnOnce(TaskHandle<()>) + Send + 'static) {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (outer, inner) = (CancelToken::new(), CancelToken::new());
        let behind = pool.task().cancel_token(&inner).spawn(|| ()).then(|()| ());
        let waits = OnDrop(Some(move || {
            inner.cancel();
            wait(behind);
        }));
        let first = pool.task().cancel_token(&outer).spawn(|| ()).then(move |()| drop(waits));
        outer.cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        busy.release();
    });
}

#[test]
fn a_handle_waits_for_a_link_that_stands_in_the_threads_own_line() {
    wait_in_a_drop(|behind| assert!(behind.join().unwrap_err().is_cancelled()));
}

#[test]
fn a_set_waits_for_a_link_that_stands_in_the_threads_own_line() {
    wait_in_a_drop(|behind| {
        let mut set = TaskSet::from_iter([behind]);
        assert!(set.next().unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_set_awaits_a_link_that_stands_in_the_threads_own_line() {
    wait_in_a_drop(|behind| {
        let mut set = TaskSet::from_iter([behind]);
        let next = pollster::block_on(set.next_async());
        assert!(next.unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_promise_that_has_looked_before_waits_for_a_link_in_the_threads_own_line() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (outer, inner) = (CancelToken::new(), CancelToken::new());
        let behind = pool.task().cancel_token(&inner).spawn(|| ()).then(|()| ());
        let mut looked = promise::all([behind]);
        assert!(looked.join_timeout(Duration::ZERO).is_none(), "the task was not started");
        let waits = OnDrop(Some(move || {
            inner.cancel();
            assert!(looked.join().unwrap_err().is_cancelled());
        }));
        let first = pool.task().cancel_token(&outer).spawn(|| ()).then(move |()| drop(waits));
        outer.cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        busy.release();
    });
}

/// The task at the start of the chain has not begun when another task waits for the chain.
#[test]
fn a_chain_that_runs_in_place_gives_its_room_back_and_is_timed_and_its_panics_are_told() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1).record_timing(true);
        let pool = Arc::new(pool.build().unwrap());
        let events = pool.events();
        let inner = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            // More than there is room for.
            for _ in 0..100 {
                let chain = inner.spawn(|| 1).then(|n| n + 1).then(|n| n * 2);
                assert_eq!(chain.join().unwrap(), 4);
                let caught = inner.spawn(|| panic::resume_unwind(Box::new("in place")));
                assert_eq!(caught.recover(|_| 9).join().unwrap(), 9);
                let dropped = inner.spawn(|| panic::resume_unwind(Box::new("in place")));
                assert!(dropped.then(|()| ()).join().is_err());
            }
        });
        outer.join().unwrap();
        pool.shutdown();
        let metrics = pool.metrics();
        // Links that only pass a panic on count as panicked too.
        assert_eq!(metrics.spawned, metrics.completed + metrics.panicked);
        assert!(metrics.run_time.expect("times are recorded").count() > 300);
        let told = |event: &PoolEvent| matches!(event, PoolEvent::TaskPanicked { .. });
        assert_eq!(
            events.receiver().try_iter().filter(told).count(),
            200,
            "each is told once, where it began"
        );
    });
}
