//! Where values end: on their worker's thread when that ends, or with the local.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;

use corepool::{TaskContext, WorkerLocal, WorkerPool};

use super::{numbered, on_each, travellers};
use crate::support::{PATIENCE, within};

#[test]
fn the_end_of_the_pool_drops_values_on_their_workers() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let (local, ends) = travellers();
        let used = Arc::clone(&local);
        // Two values on each worker.
        let mut threads = on_each(&pool, move || {
            used.with(|_| used.with(|_| ()));
            thread::current().id()
        });
        assert!(ends.lock().unwrap().is_empty());
        pool.shutdown();
        let mut ended = std::mem::take(&mut *ends.lock().unwrap());
        assert!(ended.iter().all(|(made_on, dropped_on)| made_on == dropped_on), "{ended:?}");
        threads.extend_from_within(..);
        threads.sort_unstable_by_key(|thread| format!("{thread:?}"));
        ended.sort_unstable_by_key(|(thread, _)| format!("{thread:?}"));
        assert_eq!(ended.iter().map(|end| end.0).collect::<Vec<_>>(), threads);
        // The local goes on without them.
        assert!(local.drain().is_empty());
        local.with(|value| assert_eq!(value.made_on, thread::current().id()));
        assert_eq!(format!("{local:?}"), "WorkerLocal { workers: 0, unused_values: 1, .. }");
    });
}

#[test]
fn a_local_serves_one_pool_after_another() {
    within(PATIENCE, || {
        let (local, ends) = travellers();
        for round in 1..=50 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let used = Arc::clone(&local);
            let made_here = move || used.with(|value| value.made_on == thread::current().id());
            assert_eq!(on_each(&pool, made_here), [true, true]);
            drop(pool);
            assert_eq!(ends.lock().unwrap().len(), 2 * round);
        }
    });
}

#[test]
fn the_end_of_the_local_drops_all_values_there_and_then() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let (local, ends) = travellers();
        let used = Arc::clone(&local);
        on_each(&pool, move || used.with(|_| ()));
        local.with(|_| ());
        let local =
            Arc::into_inner(local).expect("tasks drop what they hold before they are joined");
        drop(local);
        let me = thread::current().id();
        let ended = std::mem::take(&mut *ends.lock().unwrap());
        assert_eq!(ended.len(), 3);
        assert!(ended.iter().all(|(_, dropped_on)| *dropped_on == me));
        pool.shutdown();
        assert!(ends.lock().unwrap().is_empty(), "nothing ends twice");
    });
}

#[test]
fn a_replaced_thread_takes_its_values_along() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, ends) = travellers();
        let look = |local: &Arc<WorkerLocal<_>>| {
            let local = Arc::clone(local);
            pool.spawn(move || local.with(|value: &mut super::Traveller| value.made_on)).join()
        };
        let first = look(&local).unwrap();
        let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
        assert!(ended.join().is_err());
        let second = look(&local).unwrap();
        assert_ne!(first, second, "the new thread has made its own");
        pool.shutdown();
        assert_eq!(*ends.lock().unwrap(), [(first, first), (second, second)]);
    });
}

#[test]
fn a_worker_may_be_ended_while_a_value_is_in_use() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, ends) = travellers();
        let used = Arc::clone(&local);
        let ended = pool.spawn_with(move |cx| used.with(|_| -> () { cx.end_worker() }));
        assert!(ended.join().is_err());
        pool.shutdown();
        let ends = ends.lock().unwrap();
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].0, ends[0].1);
    });
}

#[test]
fn a_hook_at_the_workers_end_still_finds_its_value() {
    within(PATIENCE, || {
        let (local, made) = numbered();
        let (told, hears) = mpsc::channel();
        let used = Arc::clone(&local);
        let hook = move |_: &_| told.send(used.with(|number| *number)).unwrap();
        let pool = WorkerPool::builder().workers(1).on_worker_exit(hook).build().unwrap();
        let used = Arc::clone(&local);
        let seen = pool.spawn(move || used.with(|number| *number)).join().unwrap();
        pool.shutdown();
        assert_eq!((hears.recv(), made.load(Ordering::SeqCst)), (Ok(seen), 1));
    });
}

/// Uses the local itself when it is dropped.
struct Returns(&'static OnceLock<WorkerLocal<Returns>>, &'static AtomicUsize);

impl Drop for Returns {
    fn drop(&mut self) {
        // Some of the values that this makes are dropped in turn when the local is drained.
        if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            self.0.get().expect("it made this value").with(|_| ());
        }
    }
}

#[test]
fn a_values_drop_may_use_the_local() {
    static LOCAL: OnceLock<WorkerLocal<Returns>> = OnceLock::new();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    within(PATIENCE, || {
        let local = LOCAL.get_or_init(|| WorkerLocal::new(|| Returns(&LOCAL, &DROPS)));
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.spawn(|| local.with(|_| ())).join().unwrap();
        pool.shutdown();
        assert_eq!(DROPS.load(Ordering::SeqCst), 1);
        // The thread was no longer a worker, so it took a value from the common stock and put it
        // back there.
        assert_eq!(local.drain().len(), 1);
    });
}

#[test]
fn locals_and_pools_that_end_at_once_drop_each_value_once() {
    within(PATIENCE, || {
        for round in 0..300 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let (local, ends) = travellers();
            let used = Arc::clone(&local);
            on_each(&pool, move || used.with(|_| ()));
            thread::scope(|scope| {
                scope.spawn(move || drop(pool));
                match round % 3 {
                    0 => drop(local),
                    1 => assert!(local.drain().len() <= 2),
                    _ => {
                        scope.spawn(move || drop(local.drain()));
                    }
                }
            });
            assert_eq!(ends.lock().unwrap().len(), 2);
        }
    });
}
