//! A minimal pool for the lending models. Its methods follow `lend.rs` and `sched/worker/spare.rs`
//! step by step.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::sync::MutexGuard;
use loom::thread;

use crate::base::sync::{AtomicBool, Mutex, Ordering, handshake};
use crate::parts::idle::{IdleList, Retract, Searching};
use crate::parts::parker::Parker;
use crate::parts::queue::models::Item;
use crate::parts::queue::{Pop, Queue};

/// What a hub has, with numbers as tasks.
pub(super) struct Pool {
    workers: usize,
    shared: Queue<Box<Item>>,
    idle: IdleList,
    spares: Mutex<SpareState>,
    /// The workers, followed by the spare workers.
    pub(super) slots: Vec<Slot>,
    /// Where each worker waits for its task to be run.
    pub(super) waits: Vec<Parker>,
}

pub(super) struct Slot {
    pub(super) own: Queue<Box<Item>>,
    asleep: AtomicBool,
    lends: AtomicBool,
    relieved: AtomicBool,
    parker: Parker,
}

struct SpareState {
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

/// The place of a thread that runs a loop: its own slot, and the worker whose own tasks it takes.
#[derive(Clone, Copy)]
pub(super) struct Post {
    pub(super) slot: usize,
    pub(super) home: usize,
}

impl Pool {
    pub(super) fn new(workers: usize, spares: usize) -> Arc<Self> {
        let slot = |_| Slot {
            own: Queue::new(),
            asleep: AtomicBool::new(false),
            lends: AtomicBool::new(false),
            relieved: AtomicBool::new(false),
            parker: Parker::new(),
        };
        let state = SpareState {
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

    pub(super) fn submit(&self, task: u32) {
        self.shared.push(Item::new(task));
        self.wake_one();
    }

    /// `Hub::push_for`.
    pub(super) fn submit_for(&self, index: usize, task: u32) {
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

    pub(super) fn close(&self) {
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

    pub(super) fn lend_core(&self, index: usize) {
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
        self.last_look(index);
    }

    fn last_look(&self, index: usize) {
        mutant!("lend_without_a_look" => return);
        if self.slots[index].own.has_item() {
            self.wake_deputy(index);
        } else if self.shared.has_item() {
            self.wake_one();
        }
    }

    pub(super) fn take_core_back(&self, index: usize) {
        let mut state = self.spares.lock();
        state.lends[index] -= 1;
        self.slots[index].lends.store(false, Ordering::SeqCst);
        let was_listed = self.idle.take(self.lent(index));
        if let Some(spare) = state.duties.iter().position(|duty| *duty == Duty::For(index)) {
            state.duties[spare] = Duty::Relieved(index);
            let slot = self.workers + spare;
            self.slots[slot].relieved.store(true, Ordering::SeqCst);
            handshake();
            if self.takes_relieved(slot) {
                self.slots[slot].parker.unpark();
            }
        }
        drop(state);
        if was_listed {
            self.stop_search();
        }
    }

    fn takes_relieved(&self, slot: usize) -> bool {
        mutant!("relieved_asleep" => return false);
        self.idle.take(slot)
    }

    fn wake_deputy(&self, index: usize) {
        let state = self.spares.lock();
        let spare = state.duties.iter().position(|duty| *duty == Duty::For(index));
        drop(state);
        match spare.map(|spare| self.workers + spare) {
            Some(slot) if self.idle.take(slot) => self.slots[slot].parker.unpark(),
            Some(_) => {}
            None if self.idle.take(self.lent(index)) => self.employ(index),
            None => self.recall(self.spares.lock(), index),
        }
    }

    fn recall(&self, state: MutexGuard<'_, SpareState>, index: usize) {
        mutant!("recall_nobody" => return);
        if !self.is_in_need(&state, index) {
            return;
        }
        let sleeps = |&spare: &usize| {
            matches!(state.duties[spare], Duty::For(_)) && self.idle.take(self.workers + spare)
        };
        if let Some(spare) = (0..state.duties.len()).find(sleeps) {
            self.send_to(state, spare, index);
            self.slots[self.workers + spare].parker.unpark();
        }
    }

    fn is_in_need(&self, state: &SpareState, index: usize) -> bool {
        state.lends[index] > 0
            && !state.duties.contains(&Duty::For(index))
            && self.slots[index].own.has_item()
    }

    fn send_to_lender_in_need(&self, slot: usize) -> bool {
        mutant!("need_unasked" => return false);
        let state = self.spares.lock();
        let spare = slot - self.workers;
        if !matches!(state.duties[spare], Duty::For(_)) {
            return false;
        }
        let in_need = (0..state.lends.len()).find(|&index| self.is_in_need(&state, index));
        if let Some(index) = in_need {
            self.send_to(state, spare, index);
        }
        in_need.is_some()
    }

    fn send_to(&self, mut state: MutexGuard<'_, SpareState>, spare: usize, index: usize) {
        state.duties[spare] = Duty::For(index);
        self.relieve(self.workers + spare);
        self.offer_again(state);
    }

    fn relieve(&self, slot: usize) {
        mutant!("sent_unrelieved" => return);
        self.slots[slot].relieved.store(true, Ordering::SeqCst);
    }

    fn employ(&self, index: usize) {
        let mut state = self.spares.lock();
        let has_work =
            !self.is_closed() || self.shared.has_item() || self.slots[index].own.has_item();
        let is_served = state.duties.contains(&Duty::For(index));
        let is_wanted = state.lends[index] > 0 && !is_served && has_work;
        let resting = state.duties.iter().position(|duty| *duty == Duty::Resting);
        let Some(spare) = resting.filter(|_| is_wanted) else {
            self.recall(state, index);
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

    fn offer_again(&self, state: MutexGuard<'_, SpareState>) {
        let is_unserved = |&index: &usize| {
            state.lends[index] > 0
                && !state.duties.contains(&Duty::For(index))
                && !self.idle.lists(self.lent(index))
        };
        let unserved: Vec<_> = (0..state.lends.len()).filter(is_unserved).collect();
        for &index in &unserved {
            self.idle.enter_last(self.lent(index));
        }
        drop(state);
        for index in unserved {
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
            Duty::For(home) => {
                self.slots[slot].relieved.store(false, Ordering::SeqCst);
                (Duty::For(home), Order::Serve { home, counted })
            }
            _ if !self.is_closed() => (Duty::Resting, Order::Rest),
            _ => (Duty::Leaving, Order::Leave),
        };
        state.duties[spare] = duty;
        if matches!(order, Order::Rest) {
            self.offer_at_rest(state);
        } else {
            drop(state);
        }
        if !matches!(order, Order::Serve { .. }) {
            self.give_count_back(counted);
        }
        order
    }

    fn offer_at_rest(&self, state: MutexGuard<'_, SpareState>) {
        mutant!("rest_without_an_offer" => return);
        self.offer_again(state);
    }

    fn give_count_back(&self, counted: bool) {
        mutant!("count_kept" => return);
        if counted {
            self.stop_search();
        }
    }

    /// `spare::live`, starting from a rest.
    fn live(&self, slot: usize) {
        self.slots[slot].parker.park();
        loop {
            match self.next_order(slot) {
                Order::Serve { home, counted } => self.serve(Post { slot, home }, counted),
                Order::Rest => self.slots[slot].parker.park(),
                Order::Leave => return,
            }
        }
    }

    /// `Worker::stand_in` and `Worker::work`, until it is relieved, or the pool is closed and
    /// drained.
    fn serve(&self, place: Post, counted: bool) {
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

    pub(super) fn next(&self, place: Post) -> Option<u32> {
        self.find(place.home).or_else(|| self.search_on(place, self.idle.start_search(1)))
    }

    fn search_on(&self, place: Post, mut searching: Searching) -> Option<u32> {
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

    fn rest(&self, place: Post, searching: Searching) {
        let slot = &self.slots[place.slot];
        slot.asleep.store(true, Ordering::SeqCst);
        self.idle.enter(place.slot, searching);
        let stay_up = self.is_relieved(place.slot)
            || self.slots[place.home].own.has_item()
            || self.shared.has_item()
            || self.is_closed()
            || place.slot >= self.workers && self.send_to_lender_in_need(place.slot);
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

    /// Runs something on a separate thread.
    pub(super) fn beside(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) + 'static,
    ) -> thread::JoinHandle<()> {
        let pool = Arc::clone(self);
        thread::spawn(move || act(&pool))
    }

    pub(super) fn start_spare(self: &Arc<Self>, slot: usize) -> thread::JoinHandle<()> {
        self.beside(move |pool| pool.live(slot))
    }

    /// Lends on behalf of a worker's task that waits until the task with this number has run.
    pub(super) fn lend_until_run(&self, index: usize) {
        self.lend_core(index);
        self.waits[index].park();
        self.take_core_back(index);
    }

    /// Closes the pool, and checks that no worker is left free or searching.
    pub(super) fn end(&self, spares: Vec<thread::JoinHandle<()>>) {
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
