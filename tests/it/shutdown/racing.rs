//! Spawners race against the end of their pool: a task either runs, or its handle says why it did
//! not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, PoolBuilder, SpawnError, TaskError, TaskHandle, WhenFull, WorkerPool};

use crate::random::setting;
use crate::support::{PATIENCE, within};

const SPAWNERS: usize = 4;

/// What became of the tasks of one round.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    values: usize,
    cancelled: usize,
    rejected: usize,
}

impl Tally {
    /// `join` would hang on a handle that never settles, and the test's watchdog would report that.
    fn add(&mut self, handle: TaskHandle<()>) {
        match handle.join() {
            Ok(()) => self.values += 1,
            Err(TaskError::Cancelled) => self.cancelled += 1,
            Err(TaskError::Rejected(_)) => self.rejected += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

/// A hundred rounds for each second of `COREPOOL_STRESS`, which is one by default.
fn rounds() -> u64 {
    100 * setting("COREPOOL_STRESS").unwrap_or(1)
}

/// Spawns from four threads until the pool is closed, and ends the pool meanwhile.
fn race(describe: impl Fn(PoolBuilder) -> PoolBuilder, end: impl Fn(&WorkerPool)) {
    for _ in 0..rounds() {
        let pool = describe(WorkerPool::builder().workers(2)).build().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let start = Barrier::new(SPAWNERS + 1);
        let tallies: Vec<_> = thread::scope(|scope| {
            let spawner = || {
                scope.spawn(|| {
                    start.wait();
                    spawn_until_closed(&pool, &ran)
                })
            };
            let spawners: Vec<_> = (0..SPAWNERS).map(|_| spawner()).collect();
            start.wait();
            end(&pool);
            spawners.into_iter().map(|spawner| spawner.join().unwrap()).collect()
        });
        check(&pool, &tallies, ran.load(Ordering::SeqCst));
    }
}

fn spawn_until_closed(pool: &WorkerPool, ran: &Arc<AtomicUsize>) -> Tally {
    let mut handles = Vec::new();
    for turn in 0_usize.. {
        let ran = Arc::clone(ran);
        let task = move || {
            ran.fetch_add(1, Ordering::SeqCst);
        };
        let closed = pool.is_closed();
        match turn % 3 {
            0 => handles.push(pool.spawn(task)),
            1 => match pool.try_spawn(task) {
                Ok(handle) => handles.push(handle),
                Err(SpawnError::Full(_) | SpawnError::Closed(_)) => {}
                Err(other) => panic!("{other}"),
            },
            _ => handles.extend(pollster::block_on(pool.reserve()).ok().map(|p| p.spawn(task))),
        }
        if closed {
            break;
        }
    }
    let mut tally = Tally { accepted: handles.len(), ..Tally::default() };
    handles.into_iter().for_each(|handle| tally.add(handle));
    tally
}

fn check(pool: &WorkerPool, tallies: &[Tally], ran: usize) {
    pool.shutdown();
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let values = sum(|tally| tally.values);
    assert_eq!(values, ran, "a handle has a value exactly if its task ran");
    let settled = values + sum(|tally| tally.cancelled) + sum(|tally| tally.rejected);
    assert_eq!(settled, sum(|tally| tally.accepted));
    let metrics = pool.metrics();
    assert_eq!(metrics.completed, values as u64, "{metrics}");
    assert_eq!(metrics.cancelled, sum(|tally| tally.cancelled) as u64, "{metrics}");
    let ended = metrics.completed + metrics.cancelled + metrics.rejected;
    assert_eq!(metrics.spawned, ended, "{metrics}");
    assert_eq!(metrics.queue_depth, 0, "{metrics}");
}

#[test]
fn spawners_against_shutdown() {
    within(PATIENCE, || race(|builder| builder, WorkerPool::shutdown));
}

#[test]
fn spawners_against_close() {
    within(PATIENCE, || race(|builder| builder, WorkerPool::close));
}

#[test]
fn spawners_against_a_shutdown_without_patience() {
    within(PATIENCE, || {
        race(|builder| builder, |pool| drop(pool.shutdown_timeout(Duration::ZERO)))
    });
}

#[test]
fn dealing_spawners_against_shutdown() {
    within(PATIENCE, || {
        race(|builder| builder.dispatch(Dispatch::RoundRobin), WorkerPool::shutdown)
    });
}

#[test]
fn spawners_of_a_small_queue_against_shutdown() {
    within(PATIENCE, || race(|builder| builder.queue_capacity(2), WorkerPool::shutdown));
}

#[test]
fn spawners_that_displace_one_another_against_shutdown() {
    let describe = |builder: PoolBuilder| builder.queue_capacity(2).when_full(WhenFull::DropOldest);
    within(PATIENCE, move || race(describe, WorkerPool::shutdown));
}

#[test]
fn a_task_that_spawns_its_like_for_ever_does_not_hold_up_a_shutdown() {
    fn again(ran: Arc<AtomicUsize>, refused: Arc<AtomicUsize>) {
        ran.fetch_add(1, Ordering::SeqCst);
        let (next_ran, next_refused) = (Arc::clone(&ran), Arc::clone(&refused));
        let mut next = corepool::spawn(move || again(next_ran, next_refused));
        if matches!(next.try_join(), Some(Err(TaskError::Rejected(_)))) {
            refused.fetch_add(1, Ordering::SeqCst);
        }
    }
    within(PATIENCE, || {
        for _ in 0..300 {
            let pool = WorkerPool::with_workers(2).unwrap();
            let ran = Arc::new(AtomicUsize::new(0));
            let refused = Arc::new(AtomicUsize::new(0));
            for _ in 0..3 {
                let (ran, refused) = (Arc::clone(&ran), Arc::clone(&refused));
                pool.spawn(move || again(ran, refused)).join().unwrap();
            }
            pool.shutdown();
            // Each of the three chains ends with a task that could not spawn the next one, or with
            // a task that was taken back while it was pushed.
            let metrics = pool.metrics();
            assert_eq!(metrics.rejected, 3, "{metrics}");
            assert!(refused.load(Ordering::SeqCst) <= 3);
            assert_eq!(metrics.completed, ran.load(Ordering::SeqCst) as u64);
        }
    });
}

/// A worker that finds the queues of a closed pool empty must not leave while another worker moves
/// tasks from one queue to the next.
#[test]
fn tasks_that_meet_do_so_in_a_pool_that_is_closed_too() {
    for round in 0..rounds() {
        within(PATIENCE, move || {
            let pool = WorkerPool::with_workers(2).unwrap();
            let meet = Arc::new(Barrier::new(2));
            let meets = || {
                let meet = Arc::clone(&meet);
                move || {
                    meet.wait();
                }
            };
            let tasks = [pool.spawn(meets()), pool.spawn(meets()), pool.spawn(|| ())];
            pool.close();
            for task in tasks {
                task.join().unwrap_or_else(|end| panic!("round {round}: {end}"));
            }
        });
    }
}
