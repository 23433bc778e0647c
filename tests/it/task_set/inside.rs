//! Sets inside tasks: one worker is enough for progress, and no more tasks run in place than
//! necessary.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corepool::{TaskSet, WorkerPool};

use crate::support::{Gate, PATIENCE, occupy, until, within};

fn one_worker() -> WorkerPool {
    WorkerPool::with_workers(1).unwrap()
}

/// Tasks of the calling worker, and the number of them that have run.
fn children(many: usize) -> (TaskSet<usize>, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let child = |n| {
        let ran = Arc::clone(&ran);
        corepool::spawn(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            n
        })
    };
    ((0..many).map(child).collect(), ran)
}

#[test]
fn one_task_is_run_in_place_for_each_result() {
    within(PATIENCE, || {
        let pool = one_worker();
        let parent = pool.spawn(|| {
            let (mut set, ran) = children(100);
            for taken in 1..=100 {
                set.next().unwrap().unwrap();
                assert_eq!(ran.load(Ordering::SeqCst), taken);
            }
            assert!(set.next().is_none());
        });
        parent.join().unwrap();
    });
}

#[test]
fn so_it_is_with_a_time_limit_and_in_async_code() {
    within(PATIENCE, || {
        let pool = one_worker();
        let parent = pool.spawn(|| {
            let (mut set, ran) = children(20);
            for taken in 1..=10 {
                set.next_timeout(PATIENCE).unwrap().unwrap();
                assert_eq!(ran.load(Ordering::SeqCst), taken);
            }
            for taken in 11..=20 {
                pollster::block_on(set.next_async()).unwrap().unwrap();
                assert_eq!(ran.load(Ordering::SeqCst), taken);
            }
            assert!(pollster::block_on(set.next_async()).is_none());
        });
        parent.join().unwrap();
    });
}

#[test]
fn who_does_not_wait_runs_nothing_in_place() {
    within(PATIENCE, || {
        let pool = one_worker();
        let parent = pool.spawn(|| {
            let (mut set, ran) = children(3);
            for _ in 0..3 {
                assert!(set.try_next().is_none());
                assert!(set.next_timeout(Duration::ZERO).is_none() && set.len() == 3);
            }
            assert_eq!(ran.load(Ordering::SeqCst), 0);
            assert_eq!(set.map(Result::unwrap).sum::<usize>(), 3);
        });
        parent.join().unwrap();
    });
}

#[test]
fn what_has_finished_comes_before_anything_is_run_in_place() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let inner = Arc::clone(&pool);
        let parent = pool.spawn(move || {
            let finished = inner.spawn(|| "finished");
            until(|| finished.is_finished());
            // The other worker is held, so only this worker can run the second child.
            let busy = occupy(&inner, 1);
            let mut set = TaskSet::from_iter([inner.spawn(|| "run in place"), finished]);
            assert_eq!(set.next().unwrap().unwrap(), "finished");
            assert_eq!(set.next().unwrap().unwrap(), "run in place");
            busy.release();
        });
        parent.join().unwrap();
    });
}

/// The wakers were left by a thread that is not a worker and so runs nothing in place.
#[test]
fn a_set_that_comes_from_another_thread_makes_progress() {
    within(PATIENCE, || {
        let (to_outside, from_worker) = mpsc::channel::<TaskSet<usize>>();
        let (to_worker, from_outside) = mpsc::channel();
        let pool = one_worker();
        let parent = pool.spawn(move || {
            let (set, _) = children(100);
            to_outside.send(set).unwrap();
            let mut set: TaskSet<usize> = from_outside.recv().unwrap();
            // Some more tasks, which have no waker.
            set.extend((100..110).map(|n| corepool::spawn(move || n)));
            set.map(Result::unwrap).sum::<usize>()
        });
        let mut set = from_worker.recv().unwrap();
        assert!(set.next_timeout(Duration::from_millis(1)).is_none());
        to_worker.send(set).unwrap();
        assert_eq!(parent.join().unwrap(), 109 * 110 / 2);
    });
}

#[test]
fn a_task_that_runs_elsewhere_is_waited_for() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let inner = Arc::clone(&pool);
        let parent = pool.spawn(move || {
            let (gate, started) = (Gate::default(), Gate::default());
            let (wait, start) = (gate.clone(), started.clone());
            let elsewhere = inner.spawn(move || {
                start.open();
                wait.wait();
                1
            });
            started.wait();
            let opener = thread::spawn(move || gate.open());
            let mut set = TaskSet::from_iter([elsewhere]);
            assert_eq!(set.next().unwrap().unwrap(), 1);
            opener.join().unwrap();
        });
        parent.join().unwrap();
    });
}

#[test]
fn sets_may_nest() {
    fn tree(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let set: TaskSet<u64> = (0..3).map(|_| corepool::spawn(move || tree(depth - 1))).collect();
        set.map(Result::unwrap).sum()
    }
    within(PATIENCE, || {
        for workers in [1, 2, 3] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            assert_eq!(pool.spawn(|| tree(6)).join().unwrap(), 729);
        }
    });
}
