//! What becomes of the tasks when a promise is dropped, and of their results.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::{WorkerPool, promise};

use super::{failing, pool};
use crate::support::{Drops, PATIENCE, occupy, until, within};

fn counted(pool: &WorkerPool, many: usize) -> (Vec<corepool::TaskHandle<()>>, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let task = || {
        let ran = Arc::clone(&ran);
        pool.spawn(move || {
            ran.fetch_add(1, Ordering::SeqCst);
        })
    };
    ((0..many).map(|_| task()).collect(), ran)
}

#[test]
fn a_dropped_promise_cancels_nothing_unless_asked() {
    within(PATIENCE, || {
        for asked in [false, true] {
            let pool = pool();
            let busy = occupy(&pool, 2);
            let (handles, ran) = counted(&pool, 10);
            let promise = promise::all(handles);
            let promise = if asked { promise.cancel_on_drop() } else { promise };
            drop(promise);
            busy.release();
            pool.shutdown();
            assert_eq!(ran.load(Ordering::SeqCst), if asked { 0 } else { 10 });
        }
    });
}

#[test]
fn what_lost_a_race_is_cancelled_if_asked() {
    within(PATIENCE, || {
        for asked in [false, true] {
            let pool = pool();
            let first = pool.spawn(|| ());
            until(|| first.is_finished());
            let busy = occupy(&pool, 2);
            let (mut handles, ran) = counted(&pool, 10);
            handles.insert(5, first);
            let promise = promise::race(handles);
            let promise = if asked { promise.cancel_on_drop() } else { promise };
            promise.join().unwrap();
            busy.release();
            pool.shutdown();
            assert_eq!(ran.load(Ordering::SeqCst), if asked { 0 } else { 10 });
        }
    });
}

#[test]
fn cancel_reaches_every_task() {
    within(PATIENCE, || {
        let pool = pool();
        let busy = occupy(&pool, 2);
        let (handles, ran) = counted(&pool, 10);
        let promise = promise::all_settled(handles);
        promise.cancel();
        assert!(promise.join().iter().all(Result::is_err));
        busy.release();
        pool.shutdown();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn every_value_is_dropped_once() {
    within(PATIENCE, || {
        for failure in [false, true] {
            for taken in [false, true] {
                let (pool, drops) = (pool(), Drops::default());
                let values = (0..50).map(|_| {
                    let token = drops.token();
                    pool.spawn(move || token)
                });
                let mut handles: Vec<_> = values.collect();
                if failure {
                    handles.insert(25, failing(&pool));
                }
                let promise = promise::all(handles);
                if taken {
                    assert_eq!(promise.join().is_err(), failure);
                } else {
                    drop(promise);
                }
                pool.shutdown();
                assert_eq!(drops.count(), 50);
            }
        }
    });
}
