//! Loom models of the free-worker list, alone and with a queue: no worker sleeps while work waits.
//!
//! [`Pool`] is a pool of the smallest kind. Its methods are those of the hub and of the worker,
//! step by step. A lost wake-up shows as a deadlock, which loom reports.
#![forbid(unsafe_code)]

mod lanes;
mod takers;

use std::sync::Arc;

use loom::thread;

use super::{IdleList, Retract, Searching};
use crate::base::sync::{AtomicBool, Ordering, explore, explore_shallow, handshake};
use crate::parts::parker::Parker;
use crate::parts::queue::models::Item;
use crate::parts::queue::{Pop, Queue};

/// What a hub has, for numbers instead of tasks.
struct Pool {
    shared: Queue<Box<Item>>,
    idle: IdleList,
    slots: Vec<Slot>,
    /// Only in models of lanes, to spare the other models the steps.
    lanes: Option<lanes::Lanes>,
}

/// `hub::Gate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

struct Slot {
    dealt: Queue<Box<Item>>,
    asleep: AtomicBool,
    parker: Parker,
}

fn handshake_of_end() {
    mutant!("wind_up_handshake" => return);
    handshake();
}

impl Pool {
    fn new(workers: usize) -> Arc<Self> {
        let slot =
            |_| Slot { dealt: Queue::new(), asleep: AtomicBool::new(false), parker: Parker::new() };
        Arc::new(Self {
            shared: Queue::new(),
            idle: IdleList::new(),
            slots: (0..workers).map(slot).collect(),
            lanes: None,
        })
    }

    /// `Hub::push`.
    fn submit(&self, number: u32) -> Gate {
        self.shared.push(Item::new(number));
        self.wake_one()
    }

    fn wake_one(&self) -> Gate {
        let word = self.idle.look();
        if word.wants_a_searcher() {
            if let Some(index) = self.idle.take_one(|_| true) {
                self.slots[index].parker.unpark();
            }
        }
        if word.is_closed() { Gate::Closed } else { Gate::Open }
    }

    /// `Hub::deal`.
    fn deal(&self, number: u32, index: usize) {
        let slot = &self.slots[index];
        slot.dealt.push(Item::new(number));
        handshake();
        if slot.asleep.load(Ordering::SeqCst) && self.idle.take(index) {
            slot.parker.unpark();
        }
    }

    /// `Hub::close`.
    fn close(&self) -> bool {
        let first = self.idle.close();
        while let Some(index) = self.idle.take_any() {
            self.slots[index].parker.unpark();
        }
        first
    }

    /// `Worker::find_or_rest`: the next task, or `None` when the pool is closed and drained.
    fn next(&self, index: usize) -> Option<u32> {
        self.search_on(index, self.idle.start_search(2))
    }

    fn search_on(&self, index: usize, mut searching: Searching) -> Option<u32> {
        loop {
            if searching == Searching::Yes {
                if let Some(number) = self.find(index) {
                    self.stop_searching();
                    return Some(number);
                }
            }
            if self.idle.look().is_closed() {
                return self.wind_up(index, searching);
            }
            self.rest(index, searching);
            searching = Searching::Yes;
        }
    }

    fn find(&self, index: usize) -> Option<u32> {
        let in_lanes = self.lanes.as_ref().and_then(lanes::Lanes::find);
        in_lanes.or_else(|| pop(&self.slots[index].dealt)).or_else(|| pop(&self.shared))
    }

    fn has_work(&self, index: usize) -> bool {
        self.slots[index].dealt.has_item() || self.has_common_work()
    }

    /// `Hub::has_tasks`.
    fn has_common_work(&self) -> bool {
        self.shared.has_item() || self.lanes.as_ref().is_some_and(lanes::Lanes::has_item)
    }

    fn stop_searching(&self) {
        let word = self.idle.end_search();
        if word.wants_a_searcher() && self.has_common_work() {
            let _gate = self.wake_one();
        }
    }

    fn rest(&self, index: usize, searching: Searching) {
        let slot = &self.slots[index];
        slot.asleep.store(true, Ordering::SeqCst);
        let stay_up = self.enter_and_look(index, searching) || self.idle.look().is_closed();
        if !(stay_up && self.idle.retract(index) == Retract::Done) {
            slot.parker.park();
        }
        slot.asleep.store(false, Ordering::SeqCst);
    }

    fn enter_and_look(&self, index: usize, searching: Searching) -> bool {
        mutant!("look_before_enter" => {
            let early = self.has_work(index);
            self.idle.enter(index, searching);
            return early;
        });
        self.idle.enter(index, searching);
        self.has_work(index)
    }

    fn wind_up(&self, index: usize, searching: Searching) -> Option<u32> {
        // "Closed" was read with `SeqCst`, and the queues are read with it now: a submitter that
        // saw the gate open has pushed before. Loom needs a fence to know that.
        handshake_of_end();
        let left = loop {
            match self.find(index) {
                Some(number) => break Some(number),
                None if self.is_drained(index) => break None,
                None => thread::yield_now(),
            }
        };
        if searching == Searching::Yes {
            self.stop_searching();
        }
        left
    }

    fn is_drained(&self, index: usize) -> bool {
        let lanes_are = self.lanes.as_ref().is_none_or(lanes::Lanes::is_drained);
        lanes_are && self.shared.is_empty() && self.slots[index].dealt.is_empty()
    }

    /// Takes `tasks` tasks, one after the other, and then leaves.
    fn start_worker(self: &Arc<Self>, index: usize, tasks: usize) -> thread::JoinHandle<Vec<u32>> {
        let pool = Arc::clone(self);
        thread::spawn(move || (0..tasks).filter_map(|_| pool.next(index)).collect())
    }

    fn start_submitter(self: &Arc<Self>, number: u32) -> thread::JoinHandle<Gate> {
        let pool = Arc::clone(self);
        thread::spawn(move || pool.submit(number))
    }

    /// When all workers have left, no worker is free, none is searching, and nothing waits.
    fn assert_at_rest(&self) {
        let word = self.idle.look();
        assert_eq!((word.free(), word.searching()), (0, 0));
        assert_eq!(self.idle.take_any(), None);
        assert!(self.shared.is_empty());
    }
}

fn pop(queue: &Queue<Box<Item>>) -> Option<u32> {
    if queue.looks_empty() {
        return None;
    }
    match queue.pop() {
        Pop::Item(item) => Some(item.number()),
        Pop::Empty | Pop::Gap => None,
    }
}

#[test]
fn one_submitter_one_worker() {
    explore(|| {
        let pool = Pool::new(1);
        let worker = pool.start_worker(0, 1);
        let _gate = pool.submit(1);
        assert_eq!(worker.join().unwrap(), [1]);
        pool.assert_at_rest();
    });
}

#[test]
fn two_tasks_one_worker() {
    explore(|| {
        let pool = Pool::new(1);
        let worker = pool.start_worker(0, 2);
        let _gate = pool.submit(1);
        let _gate = pool.submit(2);
        assert_eq!(worker.join().unwrap(), [1, 2]);
        pool.assert_at_rest();
    });
}

#[test]
fn two_submitters_one_worker() {
    explore(|| {
        let pool = Pool::new(1);
        let submitter = pool.start_submitter(1);
        let worker = pool.start_worker(0, 2);
        let _gate = pool.submit(2);
        let _gate = submitter.join().unwrap();
        let mut done = worker.join().unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        pool.assert_at_rest();
    });
}

/// Each worker leaves with the first task that it gets, like a worker that runs the task forever.
/// So the first one to find a task must wake the second if there is more.
#[test]
fn a_searcher_that_finds_wakes_the_next() {
    explore(|| {
        let pool = Pool::new(2);
        let _gate = pool.submit(1);
        let workers = [pool.start_worker(0, 1), pool.start_worker(1, 1)];
        let _gate = pool.submit(2);
        let mut done: Vec<_> = workers.into_iter().flat_map(|w| w.join().unwrap()).collect();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        pool.assert_at_rest();
    });
}

#[test]
fn two_free_workers_two_tasks() {
    explore(|| {
        let pool = Pool::new(2);
        pool.idle.enter(0, Searching::No);
        pool.idle.enter(1, Searching::No);
        let asleep = |index: usize| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.slots[index].parker.park();
                pool.search_on(index, Searching::Yes)
            })
        };
        let workers = [asleep(0), asleep(1)];
        let _gate = pool.submit(1);
        let _gate = pool.submit(2);
        let mut done: Vec<_> = workers.into_iter().filter_map(|w| w.join().unwrap()).collect();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        pool.assert_at_rest();
    });
}

#[test]
fn a_task_dealt_to_a_worker() {
    explore(|| {
        let pool = Pool::new(1);
        let worker = pool.start_worker(0, 1);
        pool.deal(1, 0);
        assert_eq!(worker.join().unwrap(), [1]);
        pool.assert_at_rest();
    });
}

#[test]
fn two_dealers_one_worker() {
    explore(|| {
        let pool = Pool::new(1);
        let dealer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.deal(1, 0)
        });
        let worker = pool.start_worker(0, 2);
        pool.deal(2, 0);
        dealer.join().unwrap();
        let mut done = worker.join().unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        pool.assert_at_rest();
    });
}

#[test]
fn a_dealer_and_a_submitter() {
    explore(|| {
        let pool = Pool::new(1);
        let submitter = pool.start_submitter(1);
        let worker = pool.start_worker(0, 2);
        pool.deal(2, 0);
        let _gate = submitter.join().unwrap();
        let mut done = worker.join().unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);
        pool.assert_at_rest();
    });
}

/// A submitter has reserved a worker and waits for the lock when a task is dealt to the only worker
/// on the list. Another worker enters before the submitter gets the lock. Each worker that a thread
/// relies on must be woken, above all the one with the task.
#[test]
fn a_task_dealt_to_a_worker_that_is_promised_already() {
    explore_shallow(|| {
        let pool = Pool::new(2);
        pool.slots[0].asleep.store(true, Ordering::SeqCst);
        pool.idle.enter(0, Searching::No);
        let asleep = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.slots[0].parker.park();
                pool.slots[0].asleep.store(false, Ordering::SeqCst);
                let mut number = pool.search_on(0, Searching::Yes);
                while number != Some(7) {
                    number = pool.next(0);
                }
            }
        });
        let entering = thread::spawn({
            let pool = Arc::clone(&pool);
            move || while pool.next(1).is_some() {}
        });
        let submitter = pool.start_submitter(1);
        pool.deal(7, 0);
        asleep.join().unwrap();
        let _gate = submitter.join().unwrap();
        pool.close();
        entering.join().unwrap();
        pool.assert_at_rest();
    });
}

#[test]
fn a_worker_that_goes_to_sleep_while_the_pool_closes() {
    explore(|| {
        let pool = Pool::new(1);
        let worker = pool.start_worker(0, 1);
        assert!(pool.close());
        assert_eq!(worker.join().unwrap(), []);
        pool.assert_at_rest();
    });
}

#[test]
fn two_workers_leave_when_the_pool_closes() {
    explore(|| {
        let pool = Pool::new(2);
        let workers = [pool.start_worker(0, 1), pool.start_worker(1, 1)];
        pool.close();
        workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), []));
        pool.assert_at_rest();
    });
}

#[test]
fn a_pool_is_closed_once_and_what_it_accepted_is_run() {
    explore(|| {
        let pool = Pool::new(1);
        let worker = pool.start_worker(0, 2);
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.close()
        });
        let _gate = pool.submit(1);
        let closed = pool.close();
        assert_ne!(closed, other.join().unwrap(), "one of the two closed it");
        // The other close may have come first, and the worker may have left before the push.
        let mut done = worker.join().unwrap();
        done.extend(pop(&pool.shared));
        assert_eq!(done, [1]);
        pool.assert_at_rest();
    });
}

/// A submitter that saw the gate open after its push can rely on a worker to take the task.
#[test]
fn a_task_pushed_before_the_close_is_run() {
    explore(|| {
        let pool = Pool::new(1);
        let submitter = pool.start_submitter(1);
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.close()
        });
        let done: Vec<_> = std::iter::from_fn(|| pool.next(0)).collect();
        let gate = submitter.join().unwrap();
        closer.join().unwrap();
        let left = pop(&pool.shared);
        assert_eq!(done.len() + usize::from(left.is_some()), 1);
        assert!(gate == Gate::Closed || left.is_none(), "the gate was open, and nobody took it");
        pool.assert_at_rest();
    });
}
