//! A value for each worker: each worker makes one, no other thread gets it, and it ends where it
//! should.

mod ends;
mod nested;
mod panics;

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::thread::{self, ThreadId};

use corepool::{TaskHandle, WorkerLocal, WorkerPool};

use crate::support::{PATIENCE, within};

/// Runs the closure on each of the pool's workers once, all at the same time.
fn on_each<R: Send + 'static>(
    pool: &WorkerPool,
    closure: impl Fn() -> R + Send + Sync + 'static,
) -> Vec<R> {
    let workers = pool.workers().len();
    let all = Arc::new((closure, Barrier::new(workers)));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let all = Arc::clone(&all);
            pool.spawn(move || {
                // No worker can run a second task before each runs one.
                all.1.wait();
                (all.0)()
            })
        })
        .collect();
    tasks.into_iter().map(|task: TaskHandle<R>| task.join().unwrap()).collect()
}

/// A local of numbers, made in sequence from zero.
fn numbered() -> (Arc<WorkerLocal<usize>>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let local = WorkerLocal::new(move || count.fetch_add(1, Ordering::SeqCst));
    (Arc::new(local), made)
}

/// Reports at its drop on which thread it was made and on which it is dropped.
#[derive(Debug)]
struct Traveller {
    made_on: ThreadId,
    ends: Ends,
}

type Ends = Arc<Mutex<Vec<(ThreadId, ThreadId)>>>;

impl Drop for Traveller {
    fn drop(&mut self) {
        self.ends.lock().unwrap().push((self.made_on, thread::current().id()));
    }
}

/// A local of values that report where they end.
fn travellers() -> (Arc<WorkerLocal<Traveller>>, Ends) {
    let ends = Ends::default();
    let told = Arc::clone(&ends);
    let make = move || Traveller { made_on: thread::current().id(), ends: Arc::clone(&told) };
    (Arc::new(WorkerLocal::new(make)), ends)
}

#[test]
fn nothing_is_made_before_it_is_wanted() {
    let (local, made) = numbered();
    drop(local);
    assert_eq!(made.load(Ordering::SeqCst), 0);
}

#[test]
fn each_worker_makes_one_and_keeps_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let (local, made) = numbered();
        let mut seen = Vec::new();
        for _ in 0..50 {
            let local = Arc::clone(&local);
            let look = move || (thread::current().id(), local.with(|number| *number));
            seen.extend(on_each(&pool, look));
        }
        assert_eq!((seen.len(), made.load(Ordering::SeqCst)), (150, 3));
        for (thread, number) in &seen {
            let same = seen.iter().filter(|(other, _)| other == thread);
            assert!(same.clone().all(|(_, other)| other == number), "{seen:?}");
            assert_eq!(same.count(), 50);
        }
    });
}

#[test]
fn what_is_written_stays_written() {
    within(PATIENCE, || {
        // A spare worker would have a value too, and one comes when a worker waits for a part.
        let pool = WorkerPool::builder().workers(2).spare_workers(0).build().unwrap();
        let counts = WorkerLocal::new(|| 0_u32);
        pool.for_each(0..10_000, |_| counts.with(|count| *count += 1));
        let drained = counts.drain();
        // The two workers and the calling thread.
        assert!(drained.len() <= 3, "{drained:?}");
        assert_eq!(drained.iter().sum::<u32>(), 10_000);
        assert!(counts.drain().is_empty());
    });
}

#[test]
fn a_drain_takes_what_all_threads_have_left() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(3).unwrap();
        let (local, made) = numbered();
        let on_workers = Arc::clone(&local);
        on_each(&pool, move || on_workers.with(|_| ()));
        local.with(|_| ());
        let mut drained = local.drain();
        drained.sort_unstable();
        assert_eq!(drained, [0, 1, 2, 3]);
        let on_workers = Arc::clone(&local);
        on_each(&pool, move || on_workers.with(|_| ()));
        assert_eq!(made.load(Ordering::SeqCst), 7, "each worker makes a new one");
    });
}

#[test]
fn a_drain_leaves_what_is_in_use() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, _) = numbered();
        let used = Arc::clone(&local);
        let drained = pool.spawn(move || used.with(|number| (*number, used.drain()))).join();
        assert_eq!(drained.unwrap(), (0, vec![]));
        assert_eq!(local.drain(), [0], "it was put back");
    });
}

#[test]
fn threads_that_are_no_workers_share_a_stock() {
    within(PATIENCE, || {
        let (local, made) = numbered();
        for _ in 0..3 {
            let local = Arc::clone(&local);
            assert_eq!(thread::spawn(move || local.with(|number| *number)).join().unwrap(), 0);
        }
        let both = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| local.with(|_| both.wait()));
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 2, "two were in use at a time");
        let mut drained = local.drain();
        drained.sort_unstable();
        assert_eq!(drained, [0, 1]);
    });
}

#[test]
fn a_worker_takes_nothing_out_of_the_stock() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, _) = numbered();
        local.with(|_| ());
        let used = Arc::clone(&local);
        assert_eq!(pool.spawn(move || used.with(|number| *number)).join().unwrap(), 1);
        assert_eq!(local.with(|number| *number), 0);
    });
}

#[test]
fn two_pools_have_values_of_their_own() {
    within(PATIENCE, || {
        let pools = [WorkerPool::with_workers(2).unwrap(), WorkerPool::with_workers(2).unwrap()];
        let (local, made) = numbered();
        let mut seen = Vec::new();
        for pool in &pools {
            for _ in 0..3 {
                let local = Arc::clone(&local);
                seen.extend(on_each(pool, move || local.with(|number| *number)));
            }
        }
        assert_eq!(made.load(Ordering::SeqCst), 4);
        assert!(seen[..6].iter().all(|number| *number < 2), "{seen:?}");
        assert!(seen[6..].iter().all(|number| *number >= 2), "{seen:?}");
    });
}

#[test]
fn many_locals_on_one_worker_are_kept_apart() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let locals: Vec<_> = (0..100).map(|n| Arc::new(WorkerLocal::new(move || n))).collect();
        let texts = Arc::new(WorkerLocal::new(String::new));
        for round in 0..3 {
            for (n, local) in locals.iter().enumerate() {
                let (local, texts) = (Arc::clone(local), Arc::clone(&texts));
                let raised = move || {
                    texts.with(|text| text.push('x'));
                    local.with(|value| std::mem::replace(value, *value + 1))
                };
                assert_eq!(pool.spawn(raised).join().unwrap(), n + round);
            }
        }
        assert_eq!(texts.drain(), ["x".repeat(300)]);
    });
}

#[test]
fn locals_may_come_and_go() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let lasting = Arc::new(WorkerLocal::new(|| 0));
        for n in 0..1000 {
            // New locals take the places of old ones, with values of another type.
            let (number, text) =
                (WorkerLocal::new(move || n), WorkerLocal::new(move || n.to_string()));
            let lasting = Arc::clone(&lasting);
            let look = move || {
                let count = lasting.with(|count| std::mem::replace(count, *count + 1));
                (number.with(|number| *number), text.with(|text| text.clone()), count)
            };
            assert_eq!(pool.spawn(look).join().unwrap(), (n, n.to_string(), n));
        }
    });
}

#[test]
fn a_static_one_is_shared_by_all() {
    static SCRATCH: LazyLock<WorkerLocal<RefCell<Vec<u8>>>> =
        LazyLock::new(|| WorkerLocal::new(|| RefCell::new(vec![7])));
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let lengths = on_each(&pool, || {
            SCRATCH.with(|scratch| {
                scratch.borrow_mut().push(8);
                scratch.get_mut().len()
            })
        });
        assert_eq!(lengths, [2, 2]);
    });
}

#[test]
fn debug_tells_how_many_there_are() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let (local, _) = numbered();
        let used = Arc::clone(&local);
        on_each(&pool, move || used.with(|_| used.with(|_| ())));
        let text = format!("{local:?}");
        assert_eq!(text, "WorkerLocal { workers: 2, unused_values: 4, .. }");
    });
}
