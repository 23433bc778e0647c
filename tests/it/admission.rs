//! A bounded pool holds exactly what it was configured to hold, and beyond that it does exactly
//! what its policy says.

mod conservation;
mod edges;
mod line;
mod oldest;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use corepool::errors::Refusal;
use corepool::{PoolEvent, SpawnError, TaskError, WhenFull, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

fn bounded(workers: usize, capacity: usize, policy: WhenFull) -> WorkerPool {
    let builder = WorkerPool::builder().workers(workers).queue_capacity(capacity);
    builder.when_full(policy).build().unwrap()
}

/// Case 50: each test of a policy uses these.
const SIZES: [(usize, usize); 6] = [(1, 0), (1, 1), (1, 3), (2, 0), (2, 1), (2, 3)];

/// Runs a test for each combination of workers and capacity.
fn for_each_size(test: impl Fn(usize, usize) + Send + 'static) {
    within(PATIENCE, move || {
        for (workers, capacity) in SIZES {
            test(workers, capacity);
        }
    });
}

/// The room left when all workers are busy, measured by filling it. It is free again afterwards.
fn room(pool: &WorkerPool) -> usize {
    let mut waiting = Vec::new();
    while let Ok(task) = pool.try_spawn(|| ()) {
        waiting.push(task);
        assert!(waiting.len() <= 1_000, "no bound");
    }
    assert!(waiting.iter().all(corepool::TaskHandle::cancel), "they cannot have started");
    waiting.len()
}

/// Case 50.
#[test]
fn reject_takes_what_there_is_room_for_and_refuses_the_next() {
    for_each_size(|workers, capacity| {
        let pool = bounded(workers, capacity, WhenFull::Reject);
        let busy = occupy(&pool, workers);
        let waiting: Vec<_> = (0..capacity).map(|n| pool.spawn(move || n)).collect();
        for _ in 0..3 {
            let refused = pool.spawn(|| unreachable!("there is no room"));
            assert!(refused.is_finished());
            assert!(matches!(refused.join(), Err::<(), _>(TaskError::Rejected(Refusal::Full))));
        }
        assert_eq!(pool.metrics().queue_depth, capacity);
        busy.release();
        for (n, task) in waiting.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        assert_eq!(pool.spawn(|| 5).join().unwrap(), 5, "there is room again");
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.rejected, 3);
        assert_eq!(metrics.spawned, (workers + capacity) as u64 + 4);
    });
}

/// Case 50.
#[test]
fn try_spawn_gives_the_closure_back_whatever_the_policy_and_it_still_works() {
    for policy in [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest] {
        for_each_size(move |workers, capacity| {
            let pool = bounded(workers, capacity, policy);
            let _busy = occupy(&pool, workers);
            assert_eq!(room(&pool), capacity);
            let _waiting: Vec<_> = (0..capacity).map(|_| pool.try_spawn(|| ()).unwrap()).collect();
            let text = String::from("captured");
            let refused = pool.try_spawn(move || text).expect_err("there is no room");
            assert!(refused.is_full() && !refused.is_closed());
            assert_eq!(refused.into_inner()(), "captured");
            pool.close();
            let text = String::from("again");
            let refused = pool.try_spawn(move || text).expect_err("it is closed");
            assert!(refused.is_closed());
            assert_eq!(refused.into_inner()(), "again");
        });
    }
}

/// Case 50.
#[test]
fn caller_runs_runs_the_task_in_the_thread_that_spawns_it() {
    for_each_size(|workers, capacity| {
        let pool = bounded(workers, capacity, WhenFull::CallerRuns);
        let busy = occupy(&pool, workers);
        let waiting: Vec<_> =
            (0..capacity).map(|_| pool.spawn(|| thread::current().id())).collect();
        let here = thread::current().id();
        let ran = pool.spawn_with(|cx| (thread::current().id(), cx.worker(), cx.is_cancelled()));
        assert!(ran.is_finished(), "it ran in `spawn`");
        assert_eq!(ran.join().unwrap(), (here, None, false));
        let panicked = pool.spawn(|| -> u8 { panic!("in the caller") });
        assert!(panicked.join().unwrap_err().is_panicked());
        busy.release();
        for task in waiting {
            assert_ne!(task.join().unwrap(), here);
        }
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.completed, metrics.panicked), ((workers + capacity) as u64 + 1, 1));
        assert_eq!(metrics.spawned, metrics.completed + metrics.panicked);
    });
}

/// Case 50.
#[test]
fn block_holds_the_submitter_until_there_is_room() {
    for_each_size(|workers, capacity| {
        let pool = Arc::new(bounded(workers, capacity, WhenFull::Block));
        let busy = occupy(&pool, workers);
        let waiting: Vec<_> = (0..capacity).map(|n| pool.spawn(move || n)).collect();
        let (spawning, spawned) = mpsc::channel();
        let submitter = Arc::clone(&pool);
        let submitter = thread::spawn(move || {
            let task = submitter.spawn(|| "late");
            spawning.send(()).unwrap();
            task.join().unwrap()
        });
        crate::support::until(|| pool.metrics().waiting_for_room == 1);
        assert!(spawned.try_recv().is_err(), "it waits");
        assert_eq!(pool.metrics().queue_depth, capacity);
        busy.release();
        assert_eq!(submitter.join().unwrap(), "late");
        for (n, task) in waiting.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        assert_eq!((pool.metrics().waiting_for_room, pool.metrics().rejected), (0, 0));
    });
}

/// Guarantee 4: a worker that submits to its own full pool never blocks on it.
#[test]
fn a_worker_that_submits_to_its_own_full_pool_runs_the_task_in_place() {
    for_each_size(|workers, capacity| {
        let pool = Arc::new(bounded(workers, capacity, WhenFull::Block));
        let busy = occupy(&pool, workers - 1);
        let inside = Arc::clone(&pool);
        let outer = pool.spawn_with(move |cx| {
            let waiting: Vec<_> = (0..capacity).map(|n| inside.spawn(move || n)).collect();
            let here = (thread::current().id(), cx.worker());
            for _ in 0..10 {
                let task = inside.spawn_with(|cx| (thread::current().id(), cx.worker()));
                assert!(task.is_finished(), "it ran in `spawn`");
                assert_eq!(task.join().unwrap(), here);
                let awaited = pollster::block_on(inside.reserve()).unwrap();
                let awaited = awaited.spawn(|| thread::current().id());
                assert_eq!(awaited.join().unwrap(), here.0);
            }
            waiting.into_iter().map(|task| task.join().unwrap()).sum::<usize>()
        });
        assert_eq!(outer.join().unwrap(), (0..capacity).sum());
        busy.release();
    });
}

/// A burst of tasks that spawn into their own full pool finishes, whatever the pool's size.
#[test]
fn tasks_that_spawn_into_their_own_full_pool_all_run() {
    for policy in [WhenFull::Block, WhenFull::CallerRuns] {
        for_each_size(move |workers, capacity| {
            let pool = Arc::new(bounded(workers, capacity, policy));
            let tasks: Vec<_> = (0..50_u64)
                .map(|n| {
                    let inside = Arc::clone(&pool);
                    pool.spawn(move || {
                        let parts: Vec<_> = (0..5).map(|m| inside.spawn(move || n * m)).collect();
                        parts.into_iter().map(|part| part.join().unwrap()).sum::<u64>()
                    })
                })
                .collect();
            let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, (0..50).sum::<u64>() * 10);
        });
    }
}

/// Case 50: with capacity 0, a task is accepted only while a worker is free for it.
#[test]
fn a_pool_without_a_queue_takes_a_task_for_each_free_worker() {
    within(PATIENCE, || {
        for workers in [1, 2, 3] {
            let pool = bounded(workers, 0, WhenFull::Reject);
            for free in (0..=workers).rev() {
                let busy = occupy(&pool, workers - free);
                assert_eq!(accepted(&pool), free);
                busy.release();
            }
        }
    });
}

/// How many tasks that never end by themselves are accepted. They are ended before this returns.
fn accepted(pool: &WorkerPool) -> usize {
    let gate = crate::support::Gate::default();
    let mut taken = Vec::new();
    loop {
        let wait = gate.clone();
        match pool.try_spawn(move || wait.wait()) {
            Ok(task) => taken.push(task),
            Err(refused) => {
                assert!(matches!(refused, SpawnError::Full(_)));
                break;
            }
        }
    }
    gate.open();
    let count = taken.len();
    for task in taken {
        task.join().unwrap();
    }
    count
}

/// Without a bound, there is always room.
#[test]
fn a_pool_without_a_bound_is_never_full() {
    within(PATIENCE, || {
        for policy in [WhenFull::Block, WhenFull::Reject, WhenFull::DropOldest] {
            let pool = WorkerPool::builder().workers(1).when_full(policy).build().unwrap();
            let busy = occupy(&pool, 1);
            let tasks: Vec<_> = (0..10_000).map(|n| pool.try_spawn(move || n).unwrap()).collect();
            assert_eq!(pool.metrics().queue_depth, 10_000);
            busy.release();
            assert!(tasks.into_iter().enumerate().all(|(n, task)| task.join().unwrap() == n));
        }
    });
}

#[test]
fn full_and_drained_are_told_once_each_in_turn() {
    within(PATIENCE, || {
        let pool = bounded(1, 3, WhenFull::Reject);
        let events = pool.events();
        for _ in 0..3 {
            let busy = occupy(&pool, 1);
            let waiting: Vec<_> = (0..3).map(|_| pool.spawn(|| ())).collect();
            for _ in 0..5 {
                assert!(pool.spawn(|| ()).join().is_err());
            }
            busy.release();
            waiting.into_iter().for_each(|task| task.join().unwrap());
        }
        pool.shutdown();
        drop(pool);
        let edges: Vec<_> = events
            .filter(|event| matches!(event, PoolEvent::QueueFull | PoolEvent::QueueDrained))
            .collect();
        let in_turn = [PoolEvent::QueueFull, PoolEvent::QueueDrained];
        assert_eq!(edges, [in_turn.clone(), in_turn.clone(), in_turn].concat());
    });
}
