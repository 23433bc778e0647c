//! Loom models of lanes: queues of their own for tasks that are not like the rest. Workers look
//! into them only once such a task was pushed; no worker sleeps while a task waits there either.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use super::{Gate, Pool, pop};
use crate::base::sync::{AtomicBool, Ordering, explore, explore_shallow, handshake};
use crate::parts::queue::Queue;
use crate::parts::queue::models::Item;

/// What a hub and the first worker have of lanes, of one priority.
pub(super) struct Lanes {
    used: AtomicBool,
    common: Queue<Box<Item>>,
    own: Queue<Box<Item>>,
}

impl Lanes {
    fn new() -> Self {
        Self { used: AtomicBool::new(false), common: Queue::new(), own: Queue::new() }
    }

    /// `Worker::find_near`: the hint saves a look into queues that are not in use.
    pub(super) fn find(&self) -> Option<u32> {
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        pop(&self.own).or_else(|| pop(&self.common))
    }

    /// Part of the last look, which does not trust the hint.
    pub(super) fn has_item(&self) -> bool {
        mutant!("lane_last_look" => return self.own.has_item());
        mutant!("lane_own_last_look" => return self.common.has_item());
        self.common.has_item() || self.own.has_item()
    }

    pub(super) fn is_drained(&self) -> bool {
        mutant!("lane_left_behind" => return true);
        self.common.is_empty() && self.own.is_empty()
    }
}

impl Pool {
    fn with_lanes(workers: usize) -> Arc<Self> {
        let mut pool = Self::new(workers);
        Arc::get_mut(&mut pool).expect("it is new").lanes = Some(Lanes::new());
        pool
    }

    fn used_lanes(&self) -> &Lanes {
        let lanes = self.lanes.as_ref().expect("this pool has lanes");
        lanes.used.store(true, Ordering::SeqCst);
        lanes
    }

    /// `Hub::push_to`, for any worker.
    fn submit_urgent(&self, number: u32) -> Gate {
        self.used_lanes().common.push(Item::new(number));
        self.wake_one()
    }

    /// `Hub::push_for`, for the first worker.
    fn deal_urgent(&self, number: u32) {
        self.used_lanes().own.push(Item::new(number));
        handshake();
        let slot = &self.slots[0];
        if slot.asleep.load(Ordering::SeqCst) && self.idle.take(0) {
            slot.parker.unpark();
        }
    }
}

#[test]
fn an_urgent_task_comes_while_a_worker_lies_down() {
    explore(|| {
        let pool = Pool::with_lanes(1);
        let worker = pool.start_worker(0, 1);
        let _gate = pool.submit_urgent(1);
        assert_eq!(worker.join().unwrap(), [1]);
        pool.assert_at_rest();
    });
}

#[test]
fn an_urgent_task_of_its_own_comes_while_a_worker_lies_down() {
    explore(|| {
        let pool = Pool::with_lanes(1);
        let worker = pool.start_worker(0, 1);
        pool.deal_urgent(1);
        assert_eq!(worker.join().unwrap(), [1]);
        pool.assert_at_rest();
    });
}

/// The worker that is woken for one task finds the other too, before it sleeps again.
#[test]
fn an_urgent_task_and_one_like_the_rest() {
    explore_shallow(|| {
        let pool = Pool::with_lanes(1);
        let worker = pool.start_worker(0, 2);
        let submitter = pool.start_submitter(1);
        let _gate = pool.submit_urgent(2);
        let mut done = worker.join().unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        let _gate = submitter.join().unwrap();
        pool.assert_at_rest();
    });
}

/// The task may stand behind another one whose push is not complete, and cannot be taken before
/// that push ends.
#[test]
fn an_urgent_task_pushed_before_the_close_is_run() {
    explore_shallow(|| {
        let pool = Pool::with_lanes(1);
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.submit_urgent(1)
        });
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let gate = pool.submit_urgent(2);
                pool.close();
                gate
            }
        });
        let done: Vec<_> = std::iter::from_fn(|| pool.next(0)).collect();
        assert_eq!(closer.join().unwrap(), Gate::Open);
        assert!(done.contains(&2), "the gate was open, and nobody took it");
        let gate = other.join().unwrap();
        let left = pool.used_lanes().find();
        assert!(gate == Gate::Closed || left.is_none());
        pool.assert_at_rest();
    });
}
