//! `spawn_batch`: each closure runs once and gives one result, on every kind of pool and whatever
//! becomes of that result.

mod ends;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use corepool::{Dispatch, PoolEvent, TaskError, TaskSet, WhenFull, WorkerId, WorkerPool, blocking};

use crate::support::{Drops, Gate, PATIENCE, occupy, within};

/// A pool of each kind: those with real batches, and those that spawn one task after another.
fn each_pool(workers: usize) -> Vec<(&'static str, WorkerPool)> {
    let builder = || WorkerPool::builder().workers(workers);
    let full = |policy| builder().queue_capacity(4).when_full(policy);
    let kinds = [
        ("plain", builder()),
        ("round robin", builder().dispatch(Dispatch::RoundRobin)),
        ("timed", builder().record_timing(true)),
        ("watched", builder().watchdog(Duration::from_secs(3_600))),
        ("bounded, blocks", full(WhenFull::Block)),
        ("bounded, the caller runs", full(WhenFull::CallerRuns)),
    ];
    kinds.map(|(name, builder)| (name, builder.build().unwrap())).into()
}

fn ended(pool: &WorkerPool) -> (u64, u64) {
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!(metrics.queue_depth, 0);
    let ended = metrics.completed + metrics.panicked + metrics.cancelled;
    (metrics.spawned, ended + metrics.expired + metrics.rejected + metrics.lost)
}

#[test]
fn every_closure_runs_once_and_gives_one_result() {
    within(PATIENCE * 2, || {
        for workers in [1, 2, 8] {
            for (kind, pool) in each_pool(workers) {
                for count in [0_usize, 1, 2, 33, 1_000] {
                    let ran = Arc::new(AtomicUsize::new(0));
                    let mut set = pool.spawn_batch((0..count).map(|n| {
                        let ran = Arc::clone(&ran);
                        move || {
                            ran.fetch_add(1, Ordering::SeqCst);
                            n
                        }
                    }));
                    let mut seen = HashSet::new();
                    for left in (0..count).rev() {
                        assert!(seen.insert(set.next().unwrap().unwrap()), "{kind}");
                        assert_eq!(set.len(), left, "{kind}");
                    }
                    assert!(set.next().is_none() && set.try_next().is_none(), "{kind}");
                    assert_eq!(seen, (0..count).collect(), "{kind}");
                    assert_eq!(ran.load(Ordering::SeqCst), count, "{kind}");
                }
                assert_eq!(ended(&pool), (1_036, 1_036), "{kind}");
            }
        }
    });
}

#[test]
fn a_hundred_thousand() {
    within(PATIENCE * 3, || {
        for workers in [1, 4] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let set = pool.spawn_batch((0..100_000_u64).map(|n| move || n));
            assert_eq!(set.map(Result::unwrap).sum::<u64>(), 100_000 * 99_999 / 2);
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!((metrics.spawned, metrics.completed), (100_000, 100_000));
        }
    });
}

#[test]
fn results_are_there_for_every_way_to_wait() {
    within(PATIENCE, || {
        for (_, pool) in each_pool(2) {
            let mut set = pool.spawn_batch((0..40_u32).map(|n| move || n));
            let mut sum = 0;
            while !set.is_empty() {
                sum += set.next().unwrap().unwrap();
                sum += pollster::block_on(set.next_async()).unwrap().unwrap();
                sum += set.next_timeout(PATIENCE).unwrap().unwrap();
                sum += loop {
                    if let Some(result) = set.try_next() {
                        break result.unwrap();
                    }
                };
            }
            assert_eq!(sum, 40 * 39 / 2);
        }
    });
}

#[test]
fn a_batch_and_single_tasks_share_a_set() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let mut set = pool.spawn_batch((0..50_u32).map(|n| move || n));
        set.extend((50..100).map(|n| pool.spawn(move || n)));
        assert_eq!(set.len(), 100);
        assert_eq!(set.map(Result::unwrap).collect::<HashSet<_>>(), (0..100).collect());
    });
}

#[test]
fn a_panic_is_one_result_among_others() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            let drops = Drops::default();
            let set = pool.spawn_batch((0..30_u32).map(|n| {
                let held = drops.token();
                move || {
                    if n % 3 == 0 {
                        resume_unwind(Box::new("planned"));
                    }
                    drop(held);
                    n
                }
            }));
            let (good, bad): (Vec<_>, Vec<_>) = set.partition(Result::is_ok);
            assert_eq!((good.len(), bad.len()), (20, 10), "{kind}");
            for result in bad {
                let Err(TaskError::Panicked(panic)) = result else { panic!("{kind}: {result:?}") };
                assert_eq!(panic.message(), "planned");
            }
            assert_eq!(drops.count(), 30, "{kind}");
            pool.shutdown();
            assert_eq!((pool.metrics().completed, pool.metrics().panicked), (20, 10), "{kind}");
        }
    });
}

#[test]
fn an_iterator_that_panics_leaves_no_closure_behind() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            let drops = Drops::default();
            let closures = (0..10_u32).map(|n| {
                let held = drops.token();
                if n == 7 {
                    resume_unwind(Box::new("planned"));
                }
                move || drop(held)
            });
            let caught = catch_unwind(AssertUnwindSafe(|| pool.spawn_batch(closures)));
            let payload = caught.unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"planned"), "{kind}");
            // Some pools have spawned seven tasks and others none; all closures are dropped.
            let (spawned, ended) = ended(&pool);
            assert_eq!(spawned, ended, "{kind}");
            assert_eq!(spawned, if kind == "plain" { 0 } else { 7 }, "{kind}");
            assert_eq!(drops.count(), 8, "{kind}");
        }
    });
}

#[test]
fn inside_a_task_it_makes_progress_on_one_worker() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(1) {
            let pool = Arc::new(pool);
            let inner = Arc::clone(&pool);
            let outer = pool.spawn(move || {
                let set = inner.spawn_batch((0..100_u32).map(|n| move || n));
                set.map(Result::unwrap).sum::<u32>()
            });
            assert_eq!(outer.join().unwrap(), 4_950, "{kind}");
        }
    });
}

/// A task that waits for its batch takes items one by one, so the ranges behind them begin
/// anywhere.
#[test]
fn a_set_that_a_task_has_begun_gives_the_rest_outside() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for (count, taken) in [(8, 3), (12, 1), (35, 3), (64, 7), (100, 3), (500, 33)] {
            let runs: Arc<Vec<AtomicU32>> =
                Arc::new((0..count).map(|_| AtomicU32::new(0)).collect());
            let mut set = pool.install(|| {
                let mut set = pool.spawn_batch((0..count).map(|n| {
                    // The closure and its value differ in size and type, and each owns memory.
                    let (runs, text) = (Arc::clone(&runs), Box::new(n as u64));
                    move || {
                        runs[n].fetch_add(1, Ordering::SeqCst);
                        *text
                    }
                }));
                (0..taken).for_each(|_| assert!(set.next().unwrap().is_ok()));
                set
            });
            for left in (0..count - taken).rev() {
                assert!(set.next_timeout(PATIENCE).unwrap().is_ok(), "{count}");
                assert_eq!(set.len(), left);
            }
            assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1), "{count}: once each");
        }
    });
}

#[test]
fn workers_and_the_task_that_waits_run_each_item_once() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(4).unwrap();
        for round in 0..100_usize {
            let count = 150 + round;
            let runs: Arc<Vec<AtomicU32>> =
                Arc::new((0..count).map(|_| AtomicU32::new(0)).collect());
            let results = pool.install(|| {
                let set = pool.spawn_batch((0..count).map(|n| {
                    let runs = Arc::clone(&runs);
                    move || runs[n].fetch_add(1, Ordering::SeqCst)
                }));
                set.filter(|result| matches!(result, Ok(0))).count()
            });
            assert_eq!(results, count);
            assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1));
        }
    });
}

#[test]
fn batches_inside_batches_make_progress_on_one_worker() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        fn count(pool: &Arc<WorkerPool>, depth: u32) -> u32 {
            if depth == 0 {
                return 1;
            }
            let child = |_| {
                let pool = Arc::clone(pool);
                move || count(&pool, depth - 1)
            };
            pool.spawn_batch((0..4).map(child)).map(Result::unwrap).sum()
        }
        let inner = Arc::clone(&pool);
        assert_eq!(pool.spawn(move || count(&inner, 4)).join().unwrap(), 256);
    });
}

/// The first item waits for the last one, which must not wait behind it, as long as there are more
/// workers than waiting items.
#[test]
fn an_item_that_blocks_holds_no_other_up() {
    within(PATIENCE, || {
        for (kind, pool) in each_pool(2) {
            if kind == "round robin" || kind.starts_with("bounded") {
                // In these pools a worker keeps its own tasks, or the caller may be the thread that
                // waits.
                continue;
            }
            let gate = Gate::default();
            let set: TaskSet<()> = pool.spawn_batch((0..100_u32).map(|n| {
                let gate = gate.clone();
                move || match n {
                    0 => gate.wait(),
                    99 => gate.open(),
                    _ => {}
                }
            }));
            assert_eq!(set.filter(Result::is_ok).count(), 100, "{kind}");
        }
    });
}

#[test]
fn on_one_worker_too_if_it_says_that_it_blocks() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let gate = Gate::default();
        let set = pool.spawn_batch((0..100_u32).map(|n| {
            let gate = gate.clone();
            move || match n {
                0 => blocking(|| gate.wait()),
                99 => gate.open(),
                _ => {}
            }
        }));
        assert_eq!(set.filter(Result::is_ok).count(), 100);
    });
}

#[test]
fn tasks_that_are_spawned_later_get_their_turns() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let ran = Arc::new(AtomicUsize::new(0));
        let set = pool.spawn_batch((0..50_000).map(|_| {
            let ran = Arc::clone(&ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        }));
        let seen = Arc::clone(&ran);
        let later = pool.spawn(move || seen.load(Ordering::SeqCst));
        busy.release();
        let before = later.join().unwrap();
        assert!(before < 50_000, "all {before} items ran before the task behind them");
        assert_eq!(set.count(), 50_000);
    });
}

/// The first item waits on the only worker, so a spare worker runs the others.
#[test]
fn they_get_their_turns_from_a_spare_worker_that_helps_with_the_batch() {
    within(PATIENCE, || {
        const ITEMS: usize = 10_000;
        let pool = WorkerPool::builder().workers(1).spare_workers(1).build().unwrap();
        let (ran, waits, spawned) =
            (Arc::new(AtomicUsize::new(0)), Gate::default(), Gate::default());
        let (comes, is_at_it) = mpsc::channel();
        let set = pool.spawn_batch((0..ITEMS).map(|n| {
            let (ran, waits, spawned) = (Arc::clone(&ran), waits.clone(), spawned.clone());
            let comes = comes.clone();
            move || match n {
                0 => blocking(|| waits.wait()),
                100 => {
                    comes.send(()).unwrap();
                    spawned.wait();
                }
                _ => drop(ran.fetch_add(1, Ordering::SeqCst)),
            }
        }));
        is_at_it.recv().unwrap();
        let seen = Arc::clone(&ran);
        let later = pool.spawn(move || seen.load(Ordering::SeqCst));
        spawned.open();
        let ran_before = later.join().unwrap();
        assert!((50..ITEMS - 2).contains(&ran_before), "{ran_before} items had run");
        waits.open();
        assert_eq!(set.filter(Result::is_ok).count(), ITEMS);
    });
}

#[test]
fn a_batch_wakes_workers_that_sleep() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for _ in 0..200 {
            // Each item waits for the other, so two workers must come.
            let (left, right) = (mpsc::channel(), mpsc::channel());
            let ends = [(left.0, right.1), (right.0, left.1)];
            let set = pool.spawn_batch(ends.map(|(tell, hear)| {
                move || {
                    tell.send(()).unwrap();
                    hear.recv().unwrap();
                }
            }));
            assert_eq!(set.filter(Result::is_ok).count(), 2);
        }
    });
}

#[test]
fn a_panic_is_told_of_the_worker_that_a_spare_one_stands_in_for() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let mut events = pool.events();
        let (go, wait) = mpsc::channel::<()>();
        let blocked = pool.spawn(move || blocking(|| wait.recv().unwrap_err()));
        let set = pool.spawn_batch([|| resume_unwind(Box::new("planned"))]);
        assert_eq!(set.filter(Result::<(), _>::is_err).count(), 1);
        drop(go);
        blocked.join().unwrap();
        let told = events.by_ref().find_map(|event| match event {
            PoolEvent::TaskPanicked { worker, .. } => Some(worker),
            _ => None,
        });
        assert_eq!(told, Some(Some(WorkerId::from(0))));
    });
}
