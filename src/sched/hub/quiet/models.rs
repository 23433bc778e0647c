//! Models of a drain: no thread takes a pool for quiet while something is left to do.
//!
//! In all models except the last, one thread takes the only task and leaves another one, which from
//! then on is in a queue or runs. So whenever the drainer looks, the pool is not quiet.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use super::{Drainers, Rests, all_at_rest, rested_throughout};
use crate::base::sync::explore;
use crate::parts::queue::models::Item;
use crate::parts::queue::{Pop, Queue};
use crate::sched::hub::guests::Guests;
use crate::task::Unsettled;

/// Two workers that rest, and any other threads that may take a task.
struct Pool {
    workers: [Rests; 2],
    /// The queues, in the order in which a drainer looks at them.
    queues: [Queue<Box<Item>>; 2],
    guests: Guests,
    unsettled: Arc<Unsettled>,
    drainers: Drainers,
}

impl Pool {
    /// Makes a pool with one task, in the second queue.
    fn new() -> Arc<Self> {
        let workers = [Rests::new(), Rests::new()];
        workers.iter().for_each(Rests::begin);
        let pool = Self {
            workers,
            queues: [Queue::new(), Queue::new()],
            guests: Guests::default(),
            unsettled: Arc::default(),
            drainers: Drainers::default(),
        };
        pool.queues[1].push(Item::new(0));
        Arc::new(pool)
    }

    /// Looks like `Hub::is_quiet`.
    fn is_quiet(&self) -> bool {
        let resting = || {
            let others = self.guests.visits_if_empty()? + self.unsettled.begun_if_none()?;
            Some(all_at_rest(&self.workers)?.wrapping_add(others))
        };
        rested_throughout(resting, || self.queues.iter().all(Queue::is_empty))
    }

    /// Takes a queue's task, if there is one.
    fn take(&self, queue: usize) -> bool {
        matches!(self.queues[queue].pop(), Pop::Item(_))
    }

    /// Takes the first task, which spawns the second one.
    fn run(&self) {
        assert!(self.take(1), "only one thread takes from here");
        self.queues[0].push(Item::new(1));
    }

    /// Runs something on a separate thread.
    fn beside(self: &Arc<Self>, act: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let pool = Arc::clone(self);
        thread::spawn(move || act(&pool))
    }
}

/// The second task is for the other worker, which is about to be woken. It stays in its queue.
#[test]
fn a_worker_leaves_a_task_and_rests_again() {
    explore(|| {
        let pool = Pool::new();
        let worker = pool.beside(|pool| {
            pool.workers[0].end();
            pool.run();
            pool.workers[0].begin();
        });
        assert!(!pool.is_quiet(), "a task waits or runs");
        worker.join().unwrap();
    });
}

/// The second task goes to the other worker, and runs without end.
#[test]
fn a_worker_leaves_a_task_to_another() {
    explore(|| {
        let pool = Pool::new();
        let first = pool.beside(|pool| {
            pool.workers[0].end();
            pool.run();
            pool.workers[0].begin();
        });
        let second = pool.beside(|pool| {
            pool.workers[1].end();
            // If it comes too early it rests again, and the task stays in its queue.
            if !pool.take(0) {
                pool.workers[1].begin();
            }
        });
        assert!(!pool.is_quiet(), "a task waits or runs");
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A thread that is none of the workers runs the task in place.
#[test]
fn a_guest_leaves_a_task() {
    explore(|| {
        let pool = Pool::new();
        let guest = pool.beside(|pool| {
            let number = pool.guests.come(String::new());
            pool.run();
            pool.guests.go(number);
        });
        assert!(!pool.is_quiet(), "a task waits or runs");
        guest.join().unwrap();
    });
}

/// A thread takes the task out of its queue to refuse it, and dropping its closure spawns another.
#[test]
fn who_settles_a_task_leaves_another() {
    explore(|| {
        let pool = Pool::new();
        let settler = pool.beside(|pool| {
            let settling = pool.unsettled.begin();
            pool.run();
            drop(settling);
        });
        assert!(!pool.is_quiet(), "a task waits, or is being settled");
        settler.join().unwrap();
    });
}

/// A drainer that finds something left to do is called when that changes, or finds it changed.
#[test]
fn the_last_to_rest_calls_who_drains() {
    explore(|| {
        let pool = Pool::new();
        let worker = pool.beside(|pool| {
            pool.workers[0].end();
            assert!(pool.take(1));
            pool.workers[0].begin();
            pool.drainers.call_if_any();
        });
        let standing = pool.drainers.stand();
        let calls = pool.drainers.calls();
        let is_quiet = pool.is_quiet();
        worker.join().unwrap();
        assert!(is_quiet || pool.drainers.calls() > calls, "who drains sleeps, and nobody calls");
        assert!(pool.is_quiet());
        drop(standing);
    });
}
