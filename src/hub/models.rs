//! Models of lending: a core that somebody lends is used, and given back, and no task waits meanwhile.
//!
//! [`Pool`] is a pool of the smallest kind. Its methods are those of `lend.rs` and of `worker/spare.rs`, step by step. A
//! task is the number of the lender that waits for it, so a task that nobody runs shows as a deadlock, which loom
//! reports. All held with three preemptions too (2026-11-21); the two longest run with two.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use crate::idle::{IdleList, Retract, Searching};
use crate::parker::Parker;
use crate::queue::models::Item;
use crate::queue::{Pop, Queue};
use crate::sync::{AtomicBool, Mutex, Ordering, explore, explore_shallow, handshake};

/// What a hub has, for numbers.
struct Pool {
    workers: usize,
    shared: Queue<Box<Item>>,
    idle: IdleList,
    spares: Mutex<State>,
    /// The workers, and behind them the spare ones.
    slots: Vec<Slot>,
    /// Where each worker waits for its task to be run.
    waits: Vec<Parker>,
}

struct Slot {
    own: Queue<Box<Item>>,
    asleep: AtomicBool,
    lends: AtomicBool,
    relieved: AtomicBool,
    parker: Parker,
}

struct State {
    duties: Vec<Duty>,
    counted: Vec<bool>,
    lends: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Resting,
    For(usize),
    Relieved(usize),
    Leaving,
}

enum Order {
    Serve { home: usize, counted: bool },
    Rest,
    Leave,
}

/// Who runs a loop: its own slot, and whose own tasks it takes.
#[derive(Clone, Copy)]
struct Place {
    slot: usize,
    home: usize,
}

impl Pool {
    fn new(workers: usize, spares: usize) -> Arc<Self> {
        let slot = |_| Slot {
            own: Queue::new(),
            asleep: AtomicBool::new(false),
            lends: AtomicBool::new(false),
            relieved: AtomicBool::new(false),
            parker: Parker::new(),
        };
        let state = State {
            duties: vec![Duty::Resting; spares],
            counted: vec![false; spares],
            lends: vec![0; workers],
        };
        Arc::new(Self {
            workers,
            shared: Queue::new(),
            idle: IdleList::new(),
            spares: Mutex::new(state),
            slots: (0..workers + spares).map(slot).collect(),
            waits: (0..workers).map(|_| Parker::new()).collect(),
        })
    }

    fn submit(&self, task: u32) {
        self.shared.push(Item::new(task));
        self.wake_one();
    }

    /// `Hub::push_for`.
    fn submit_for(&self, index: usize, task: u32) {
        self.slots[index].own.push(Item::new(task));
        handshake();
        let slot = &self.slots[index];
        if slot.asleep.load(Ordering::SeqCst) && self.idle.take(index) {
            slot.parker.unpark();
        } else if slot.lends.load(Ordering::SeqCst) {
            self.wake_deputy(index);
        }
    }

    fn wake_one(&self) {
        if self.idle.look().wants_a_searcher() {
            if let Some(index) = self.idle.take_one(|_| true) {
                self.unpark(index);
            }
        }
    }

    fn unpark(&self, index: usize) {
        match index.checked_sub(self.slots.len()) {
            None => self.slots[index].parker.unpark(),
            Some(lender) => self.employ(lender),
        }
    }

    fn close(&self) {
        self.idle.close();
        while let Some(index) = self.idle.take_any() {
            self.unpark(index);
        }
        let state = self.spares.lock();
        for (spare, duty) in state.duties.iter().enumerate() {
            if *duty == Duty::Resting {
                self.slots[self.workers + spare].parker.unpark();
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.idle.look().is_closed()
    }

    fn lent(&self, index: usize) -> usize {
        self.slots.len() + index
    }

    fn lend_core(&self, index: usize) {
        let mut state = self.spares.lock();
        state.lends[index] += 1;
        self.slots[index].lends.store(true, Ordering::SeqCst);
        if let Some(spare) = state.duties.iter().position(|duty| *duty == Duty::Relieved(index)) {
            state.duties[spare] = Duty::For(index);
            self.slots[self.workers + spare].relieved.store(false, Ordering::SeqCst);
        } else {
            self.idle.enter_last(self.lent(index));
        }
        drop(state);
        if !mutant!("lend_without_a_look") {
            self.last_look(index);
        }
    }

    fn last_look(&self, index: usize) {
        if self.slots[index].own.has_item() {
            self.wake_deputy(index);
        } else if self.shared.has_item() {
            self.wake_one();
        }
    }

    fn take_core_back(&self, index: usize) {
        let mut state = self.spares.lock();
        state.lends[index] -= 1;
        self.slots[index].lends.store(false, Ordering::SeqCst);
        let was_listed = self.idle.take(self.lent(index));
        if let Some(spare) = state.duties.iter().position(|duty| *duty == Duty::For(index)) {
            state.duties[spare] = Duty::Relieved(index);
            let slot = self.workers + spare;
            self.slots[slot].relieved.store(true, Ordering::SeqCst);
            handshake();
            if !mutant!("relieved_asleep") && self.idle.take(slot) {
                self.slots[slot].parker.unpark();
            }
        }
        drop(state);
        if was_listed {
            self.stop_search();
        }
    }

    fn wake_deputy(&self, index: usize) {
        let state = self.spares.lock();
        let spare = state.duties.iter().position(|duty| *duty == Duty::For(index));
        drop(state);
        match spare.map(|spare| self.workers + spare) {
            Some(slot) if self.idle.take(slot) => self.slots[slot].parker.unpark(),
            Some(_) => {}
            None if self.idle.take(self.lent(index)) => self.employ(index),
            None => {}
        }
    }

    fn employ(&self, index: usize) {
        let mut state = self.spares.lock();
        let has_work =
            !self.is_closed() || self.shared.has_item() || self.slots[index].own.has_item();
        let is_served = state.duties.contains(&Duty::For(index));
        let is_wanted = state.lends[index] > 0 && !is_served && has_work;
        let resting = state.duties.iter().position(|duty| *duty == Duty::Resting);
        let Some(spare) = resting.filter(|_| is_wanted) else {
            drop(state);
            self.stop_search();
            return;
        };
        let slot = self.workers + spare;
        state.duties[spare] = Duty::For(index);
        state.counted[spare] = true;
        self.slots[slot].relieved.store(false, Ordering::SeqCst);
        drop(state);
        self.slots[slot].parker.unpark();
    }

    fn offer_again(&self, state: loom::sync::MutexGuard<'_, State>) {
        let unserved = (0..state.lends.len()).find(|&index| {
            state.lends[index] > 0
                && !state.duties.contains(&Duty::For(index))
                && !self.idle.lists(self.lent(index))
        });
        if let Some(index) = unserved {
            self.idle.enter_last(self.lent(index));
            drop(state);
            self.last_look(index);
        }
    }

    fn stop_search(&self) {
        if self.idle.end_search().wants_a_searcher() && self.shared.has_item() {
            self.wake_one();
        }
    }

    fn next_order(&self, slot: usize) -> Order {
        let mut state = self.spares.lock();
        let spare = slot - self.workers;
        let counted = std::mem::take(&mut state.counted[spare]);
        let (duty, order) = match state.duties[spare] {
            Duty::For(home) => (Duty::For(home), Order::Serve { home, counted }),
            _ if !self.is_closed() => (Duty::Resting, Order::Rest),
            _ => (Duty::Leaving, Order::Leave),
        };
        state.duties[spare] = duty;
        let serves = matches!(order, Order::Serve { .. });
        if matches!(order, Order::Rest) && !mutant!("rest_without_an_offer") {
            self.offer_again(state);
        } else {
            drop(state);
        }
        if counted && !serves && !mutant!("count_kept") {
            self.stop_search();
        }
        order
    }

    /// `spare::live`, from a rest.
    fn live(&self, slot: usize) {
        self.slots[slot].parker.park();
        loop {
            match self.next_order(slot) {
                Order::Serve { home, counted } => self.serve(Place { slot, home }, counted),
                Order::Rest => self.slots[slot].parker.park(),
                Order::Leave => return,
            }
        }
    }

    /// `Worker::stand_in` and `Worker::work`, until it is relieved or the pool closed and drained.
    fn serve(&self, place: Place, counted: bool) {
        let mut found =
            if counted { self.search_on(place, Searching::Yes) } else { self.next(place) };
        while let Some(task) = found {
            self.waits[task as usize].unpark();
            if self.is_relieved(place.slot) {
                return;
            }
            found = self.next(place);
        }
    }

    fn next(&self, place: Place) -> Option<u32> {
        self.find(place.home).or_else(|| self.search_on(place, self.idle.start_search()))
    }

    fn search_on(&self, place: Place, mut searching: Searching) -> Option<u32> {
        loop {
            if self.is_relieved(place.slot) {
                if searching == Searching::Yes {
                    self.stop_search();
                }
                return None;
            }
            if searching == Searching::Yes {
                if let Some(task) = self.find(place.home) {
                    self.stop_search();
                    return Some(task);
                }
            }
            if self.is_closed() {
                if searching == Searching::Yes {
                    self.stop_search();
                }
                return None;
            }
            self.rest(place, searching);
            searching = Searching::Yes;
        }
    }

    fn rest(&self, place: Place, searching: Searching) {
        let slot = &self.slots[place.slot];
        slot.asleep.store(true, Ordering::SeqCst);
        self.idle.enter(place.slot, searching);
        let stay_up = self.is_relieved(place.slot)
            || self.slots[place.home].own.has_item()
            || self.shared.has_item()
            || self.is_closed();
        if !(stay_up && self.idle.retract(place.slot) == Retract::Done) {
            slot.parker.park();
            while self.idle.lists(place.slot) {
                slot.parker.park();
            }
        }
        slot.asleep.store(false, Ordering::SeqCst);
    }

    fn is_relieved(&self, slot: usize) -> bool {
        slot >= self.workers && self.slots[slot].relieved.load(Ordering::SeqCst)
    }

    fn find(&self, home: usize) -> Option<u32> {
        pop(&self.slots[home].own).or_else(|| pop(&self.shared))
    }

    /// Does something on a thread of its own.
    fn beside(self: &Arc<Self>, act: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let pool = Arc::clone(self);
        thread::spawn(move || act(&pool))
    }

    fn start_spare(self: &Arc<Self>, slot: usize) -> thread::JoinHandle<()> {
        self.beside(move |pool| pool.live(slot))
    }

    /// A worker's task that waits for the one of this number to be run.
    fn lend_until_run(&self, index: usize) {
        self.lend_core(index);
        self.waits[index].park();
        self.take_core_back(index);
    }

    /// Closes the pool, and sees that nobody is left free or searching.
    fn end(&self, spares: Vec<thread::JoinHandle<()>>) {
        self.close();
        spares.into_iter().for_each(|spare| spare.join().unwrap());
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
fn a_task_pushed_while_a_core_is_lent_is_run_there() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

#[test]
fn a_task_of_the_lenders_own_is_run_there() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit_for(0, 0));
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// Who goes on at once and lends again may find the spare worker of the first time still on its way.
#[test]
fn a_core_that_is_lent_again_at_once_is_used() {
    explore(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.lend_core(0);
        pool.take_core_back(0);
        pool.lend_until_run(0);
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// The second task comes when the spare worker is relieved or about to be: it runs it, or the lender does.
#[test]
fn a_task_that_comes_while_the_core_is_given_back_is_run() {
    explore_shallow(|| {
        let pool = Pool::new(1, 1);
        let spare = pool.start_spare(1);
        pool.lend_core(0);
        pool.submit(0);
        pool.waits[0].park();
        let submitter = pool.beside(|pool| pool.submit(0));
        pool.take_core_back(0);
        // The lender waits no more: it is a worker again, and it may be woken for the task, or the spare one has it.
        let watcher = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.waits[0].park();
                pool.close();
            }
        });
        if pool.next(Place { slot: 0, home: 0 }).is_some() {
            pool.waits[0].unpark();
        }
        watcher.join().unwrap();
        submitter.join().unwrap();
        pool.end(vec![spare]);
    });
}

/// When the spare worker is done with one of them it is offered to the other.
#[test]
fn two_lenders_share_one_spare_worker() {
    explore_shallow(|| {
        let pool = Pool::new(2, 1);
        let spare = pool.start_spare(2);
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.slots[1].own.push(Item::new(1));
                pool.lend_until_run(1);
            }
        });
        pool.slots[0].own.push(Item::new(0));
        pool.lend_until_run(0);
        other.join().unwrap();
        pool.end(vec![spare]);
    });
}
