//! Closures and results of every size have a correct layout and are dropped once, where the docs
//! say.

use std::cell::Cell;
use std::mem;
use std::sync::mpsc;
use std::thread;

use corepool::{TaskHandle, WorkerPool};

use crate::support::{Dropping, Drops, PATIENCE, occupy, until, within};

/// Spawns a task whose value counts its drop. Returns its handle and the counter.
fn counted(pool: &WorkerPool) -> (TaskHandle<Dropping>, Drops) {
    let drops = Drops::default();
    let token = drops.token();
    (pool.spawn(move || token), drops)
}

#[test]
fn a_joined_value_is_dropped_once_by_who_joined() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (task, drops) = counted(&pool);
        let value = task.join().unwrap();
        pool.shutdown();
        assert_eq!(drops.count(), 0);
        drop(value);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_is_dropped_once_when_its_handle_went_before_completion() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (task, drops) = counted(&pool);
        drop(task);
        assert_eq!(drops.count(), 0);
        busy.release();
        pool.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_is_dropped_once_when_its_handle_goes_after_completion() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (task, drops) = counted(&pool);
        until(|| task.is_finished());
        assert_eq!(drops.count(), 0);
        drop(task);
        assert_eq!(drops.count(), 1);
        pool.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_is_dropped_once_when_its_handle_goes_at_the_moment_of_completion() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let all: Vec<_> = (0..20_000)
            .map(|round| {
                let (task, drops) = counted(&pool);
                for _ in 0..round % 128 {
                    std::hint::spin_loop();
                }
                drop(task);
                drops
            })
            .collect();
        pool.shutdown();
        assert!(all.iter().all(|drops| drops.count() == 1));
    });
}

#[test]
fn a_cancelled_closure_is_dropped_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let (task, drops) = counted(&pool);
        assert!(task.cancel());
        assert_eq!(drops.count(), 1);
        drop(task);
        busy.release();
        pool.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_run_in_place_is_dropped_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let token = drops.token();
        let count = drops.clone();
        let outer = pool.spawn(move || {
            let value = corepool::spawn(move || token).join().unwrap();
            assert_eq!(count.count(), 0);
            drop(value);
            count.count()
        });
        assert_eq!(outer.join().unwrap(), 1);
        pool.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

/// Case 61.
#[test]
fn a_forgotten_handle_at_worst_leaks() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(1).build().unwrap();
        let busy = occupy(&pool, 1);
        let (task, drops) = counted(&pool);
        mem::forget(task);
        busy.release();
        // The task's place is free again, and the pool keeps working and shuts down.
        for round in 0..100 {
            let (task, _drops) = counted(&pool);
            drop(task.join().unwrap());
            mem::forget(pool.spawn(move || round));
        }
        pool.shutdown();
        assert!(drops.count() <= 1);
    });
}

/// Case 58.
#[test]
fn a_result_that_is_not_sync_comes_through() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let task = pool.spawn(|| Cell::new(5));
        let value = task.join().unwrap();
        value.set(value.get() + 1);
        assert_eq!(value.get(), 6);
    });
}

/// Case 65.
#[test]
fn closures_and_results_of_no_size_work() {
    struct Nothing;
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for _ in 0..100 {
            let task = pool.spawn(|| Nothing);
            let Nothing = task.join().unwrap();
            pool.spawn(|| ()).join().unwrap();
        }
        let closure = || Nothing;
        assert_eq!(mem::size_of_val(&closure), 0);
        let Nothing = pool.spawn(closure).join().unwrap();
    });
}

/// Checks that it lies on a 128-byte boundary.
#[repr(align(128))]
struct Aligned(u8, #[expect(dead_code, reason = "only its drop is of interest")] Dropping);

impl Aligned {
    fn check(&self) -> u8 {
        assert_eq!(std::ptr::from_ref(self).addr() % 128, 0);
        self.0
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        self.check();
    }
}

/// Case 65.
#[test]
fn over_aligned_closures_and_results_work() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(100).build().unwrap();
        let drops = Drops::default();
        for n in 0..50 {
            let (captured, token) = (Aligned(n, drops.token()), drops.token());
            // A closure, a result, and both. Named tasks have an optional part behind the contents.
            let taken = pool.spawn(move || captured.check());
            let given = pool.task().name("aligned").spawn(move || Aligned(n, token));
            assert_eq!(taken.join().unwrap(), n);
            let given = given.join().unwrap();
            assert_eq!(given.check(), n);
            let both = pool.spawn(move || given);
            assert_eq!(both.join().unwrap().check(), n);
        }
        assert_eq!(drops.count(), 100);
        // The first never runs and the second is never joined: both are dropped in place.
        let busy = occupy(&pool, 1);
        let (captured, token) = (Aligned(1, drops.token()), drops.token());
        assert!(pool.spawn(move || captured.check()).cancel());
        pool.spawn(move || Aligned(2, token)).detach();
        busy.release();
        pool.shutdown();
        assert_eq!(drops.count(), 102);
    });
}

const LARGE: usize = 1 << 20;
/// An unoptimised build copies a value of one MiB many times on its way.
const LARGE_STACK: usize = 64 << 20;

/// Case 65.
#[test]
fn closures_and_results_of_a_mebibyte_work() {
    within(PATIENCE, || {
        let submitter = thread::Builder::new().stack_size(LARGE_STACK).spawn(|| {
            let pool = WorkerPool::builder().workers(1).stack_size(LARGE_STACK).build().unwrap();
            let drops = Drops::default();
            let (first, second) = (drops.token(), drops.token());
            let large = [3_u8; LARGE];
            let taken = pool.spawn(move || {
                let _first = first;
                large.iter().map(|&byte| usize::from(byte)).sum::<usize>()
            });
            assert_eq!(taken.join().unwrap(), 3 * LARGE);
            let given = pool.spawn(move || ([5_u8; LARGE], second));
            let (given, second) = given.join().unwrap();
            assert!(given.iter().all(|&byte| byte == 5));
            assert_eq!(drops.count(), 1);
            drop(second);
            let busy = occupy(&pool, 1);
            let third = drops.token();
            assert!(pool.spawn(move || (large, third).0[0]).cancel());
            assert_eq!(drops.count(), 3);
            busy.release();
        });
        submitter.unwrap().join().unwrap();
    });
}

/// Case 58.
#[test]
fn a_detached_value_is_dropped_on_its_worker_and_a_cancelled_closure_where_it_is_cancelled() {
    struct Where(mpsc::Sender<thread::ThreadId>);
    impl Drop for Where {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let worker = pool.spawn(|| thread::current().id()).join().unwrap();
        let (dropping, dropped) = mpsc::channel();
        let value = Where(dropping.clone());
        let busy = occupy(&pool, 1);
        pool.spawn(move || value).detach();
        busy.release();
        assert_eq!(dropped.recv().unwrap(), worker);
        let _busy = occupy(&pool, 1);
        let closure = Where(dropping);
        assert!(pool.spawn(move || drop(closure)).cancel());
        assert_eq!(dropped.recv().unwrap(), thread::current().id());
    });
}
