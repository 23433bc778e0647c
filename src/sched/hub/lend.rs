//! Lent cores: a worker that waits leaves its core to a spare worker for that time.
//!
//! `lend.md` beside this file has the terms and the steps. A lent core is on the free list, under a
//! number behind those of all workers. So submitters find it where they look anyway, and lending by
//! itself wakes no thread. Only when a thread takes it from the list is a spare worker woken, or
//! its thread started.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use crate::base::sync::lock::{Mutex, MutexGuard};

use super::{Hub, Slot, registry};
use crate::base::id::WorkerId;
use crate::base::sync::{Ordering, handshake};
use crate::task::Outcome;

/// Starts the thread of a spare worker. Provided by the layer above.
pub(crate) type StartSpare = fn(&Arc<Hub>, usize) -> io::Result<()>;

/// The spare workers of a pool, and which workers are lending a core.
#[derive(Debug)]
pub(crate) struct Spares {
    start: StartSpare,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What each spare worker does. Their slots are behind those of the workers.
    duties: Vec<Duty>,
    /// Whether it was given a searching count that it has not taken yet.
    counted: Vec<bool>,
    /// For each worker, how many requests to lend its core are in effect.
    lends: Vec<u32>,
    /// How often a spare worker was hired. Used by threads that drain: see `quiet.rs`.
    hires: u64,
}

/// What a spare worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// It has no thread.
    Off,
    /// Its thread sleeps, and is on no list.
    Resting,
    /// It works on the core of this worker.
    For(usize),
    /// It worked for this worker, and must rest as soon as its current task has run.
    Relieved(usize),
    /// Its thread is about to end. Until then its place is not free.
    Leaving,
}

/// What a spare worker must do after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Work in the place of this worker.
    Serve {
        home: usize,
        /// Whether it counts as searching already.
        counted: bool,
    },
    Rest,
    /// End the thread.
    Leave,
}

impl Spares {
    pub(super) fn new(workers: usize, spares: usize, start: StartSpare) -> Self {
        let state = State {
            duties: vec![Duty::Off; spares],
            counted: vec![false; spares],
            lends: vec![0; workers + spares],
            hires: 0,
        };
        Self { start, state: Mutex::new(state) }
    }
}

impl Hub {
    /// How many workers the pool was made with. The slots behind them are those of spare workers.
    pub(crate) fn worker_count(&self) -> usize {
        self.config.workers
    }

    /// The slots that any worker has used so far. Those of spare workers are included once they are
    /// first needed.
    pub(crate) fn used_slots(&self) -> &[Slot] {
        // SeqCst: part of the last look before a sleep. The other half is the push of a spare
        // worker's task.
        &self.slots[..self.slots_used.load(Ordering::SeqCst)]
    }

    /// The worker whose own tasks this worker runs. A worker's home is itself; a spare worker's is
    /// the home of its lender.
    pub(crate) fn home_of(&self, index: usize) -> usize {
        // ORDERING: written by the worker's own thread before it serves.
        self.slots[index].home.load(Ordering::Relaxed)
    }

    /// The worker id that tasks which run on this worker are told.
    pub(crate) fn worker_at(&self, index: usize) -> WorkerId {
        WorkerId::from(self.home_of(index))
    }

    /// The number of a worker's core on the free list.
    fn lent(&self, index: usize) -> usize {
        self.slots.len() + index
    }

    /// Lends a worker's core to any spare worker, until [`take_core_back`](Self::take_core_back).
    pub(crate) fn lend_core(&self, index: usize) {
        if self.mark_lent(index) {
            self.look_for_a_deputy(index);
        }
    }

    /// The first half of `lend_core`, which calls no user code. Returns whether the caller must do
    /// the second half. That may run after the core was taken back.
    pub(super) fn mark_lent(&self, index: usize) -> bool {
        let mut state = self.spares.state.lock();
        if state.duties.is_empty() {
            return false;
        }
        state.lends[index] += 1;
        if state.lends[index] > 1 {
            return false;
        }
        self.slots[index].lends.store(true, Ordering::SeqCst);
        // A spare worker that waits itself would not help, and two could end up serving for each
        // other.
        let still_works = |&spare: &usize| {
            state.duties[spare] == Duty::Relieved(index)
                && state.lends[self.config.workers + spare] == 0
                // It may have been sent here and still be on its way.
                && self.home_of(self.config.workers + spare) == self.home_of(index)
        };
        if let Some(spare) = (0..state.duties.len()).find(still_works) {
            // It still has the core, and keeps it.
            state.duties[spare] = Duty::For(index);
            self.slots[self.config.workers + spare].relieved.store(false, Ordering::SeqCst);
        } else {
            self.idle.enter_last(self.lent(index));
        }
        true
    }

    /// The second half of `lend_core`. It may start a thread, which user code names.
    pub(super) fn look_for_a_deputy(&self, index: usize) {
        self.send_helpers();
        self.last_look(index);
    }

    /// Looks for work after the lent core is on the list, like a worker that is about to sleep.
    fn last_look(&self, index: usize) {
        mutant!("lend_without_a_look" => return);
        if self.has_own_tasks(index) {
            self.wake_deputy(index);
        } else if self.has_tasks() {
            let _gate = self.wake_one();
        } else if self.needs_a_look() {
            // What the worker has left in its fork-join calls may be just what it waits for.
            self.wake_helper();
        }
    }

    fn has_own_tasks(&self, index: usize) -> bool {
        let home = &self.slots[self.home_of(index)];
        home.own.has_item() || home.dealt.has_item()
    }

    /// Lists the cores again that are lent but neither served nor on the list, because a spare
    /// worker is available again. Lists all of them, because only a look tells which has work that
    /// is waiting.
    fn offer_again(&self, state: MutexGuard<'_, State>) {
        let unserved = self.list_unserved(&state);
        drop(state);
        for index in unserved {
            self.last_look(index);
        }
    }

    /// Puts those cores on the list, and returns the indices of their lenders.
    fn list_unserved(&self, state: &State) -> Vec<usize> {
        let is_unserved = |&index: &usize| {
            state.lends[index] > 0
                && !state.duties.contains(&Duty::For(index))
                && !self.idle.lists(self.lent(index))
        };
        let unserved: Vec<_> = (0..state.lends.len()).filter(is_unserved).collect();
        for &index in &unserved {
            self.idle.enter_last(self.lent(index));
        }
        unserved
    }

    /// Ends a lending because the worker resumes. A spare worker in its place is relieved: it still
    /// finishes its current task, on another core if one is free.
    pub(crate) fn take_core_back(&self, index: usize) {
        let mut state = self.spares.state.lock();
        if state.duties.is_empty() {
            return;
        }
        state.lends[index] -= 1;
        if state.lends[index] > 0 {
            return;
        }
        self.slots[index].lends.store(false, Ordering::SeqCst);
        let was_listed = self.idle.take(self.lent(index));
        let mut still_works = None;
        // Even if the core was listed: an entry that was promised during the previous lending may
        // have been used for this one.
        if let Some(spare) = state.duties.iter().position(|duty| *duty == Duty::For(index)) {
            state.duties[spare] = Duty::Relieved(index);
            let slot = self.config.workers + spare;
            self.slots[slot].relieved.store(true, Ordering::SeqCst);
            handshake();
            // It may be asleep on the list. If it is awake it sees by itself that it is relieved.
            if self.takes_relieved(slot) {
                self.unpark_worker(slot);
            } else {
                still_works = Some(slot);
            }
        }
        drop(state);
        if let Some(slot) = still_works {
            self.make_room(slot);
        }
        if was_listed {
            self.stop_search();
        }
    }

    fn takes_relieved(&self, slot: usize) -> bool {
        mutant!("relieved_asleep" => return false);
        self.idle.take(slot)
    }

    /// Wakes the spare worker that serves for a worker that lends its core, because the lender has
    /// got a task of its own.
    pub(super) fn wake_deputy(&self, index: usize) {
        let state = self.spares.state.lock();
        let spare = state.duties.iter().position(|duty| *duty == Duty::For(index));
        drop(state);
        // A spare worker that serves already comes first. The core may be on the list as well,
        // because it was promised twice, and a thread that took it from there would find that no
        // spare worker is needed.
        match spare.map(|spare| self.config.workers + spare) {
            Some(slot) if self.idle.take(slot) => self.unpark_worker(slot),
            // The spare worker waits itself.
            Some(slot) if self.slots[slot].lends.load(Ordering::SeqCst) => self.wake_deputy(slot),
            Some(_) => {}
            None if self.idle.take(self.lent(index)) => self.employ(index),
            None => self.recall(self.spares.state.lock(), index),
        }
    }

    /// Sends a spare worker that sleeps for another lender to this one, if this one has tasks of
    /// its own. Called when all spare workers are taken.
    fn recall(&self, state: MutexGuard<'_, State>, index: usize) {
        mutant!("recall_nobody" => return);
        if !self.is_in_need(&state, index) {
            return;
        }
        let sleeps = |&spare: &usize| {
            matches!(state.duties[spare], Duty::For(_))
                && self.idle.take(self.config.workers + spare)
        };
        if let Some(spare) = (0..state.duties.len()).find(sleeps) {
            self.send_to(state, spare, index);
            self.unpark_worker(self.config.workers + spare);
        }
    }

    /// Whether no spare worker serves for this lender, and it has tasks of its own, which no other
    /// worker may run.
    fn is_in_need(&self, state: &State, index: usize) -> bool {
        state.lends[index] > 0
            && !state.duties.contains(&Duty::For(index))
            && self.has_own_tasks(index)
    }

    /// Sends a spare worker that is about to sleep to a lender in need, if there is one. Returns
    /// whether it did. `slot` is the spare worker's own.
    pub(crate) fn send_to_lender_in_need(&self, slot: usize) -> bool {
        mutant!("need_unasked" => return false);
        let state = self.spares.state.lock();
        let spare = slot - self.config.workers;
        if !matches!(state.duties[spare], Duty::For(_)) {
            return false;
        }
        let in_need = (0..state.lends.len()).find(|&index| self.is_in_need(&state, index));
        if let Some(index) = in_need {
            self.send_to(state, spare, index);
        }
        in_need.is_some()
    }

    /// Moves the spare worker from the lender that it serves to another one.
    fn send_to(&self, mut state: MutexGuard<'_, State>, spare: usize, index: usize) {
        state.duties[spare] = Duty::For(index);
        // It leaves its loop as if to rest, and `next_order` tells it to serve instead.
        self.relieve(self.config.workers + spare);
        // This includes the lender that it leaves.
        self.offer_again(state);
    }

    fn relieve(&self, slot: usize) {
        mutant!("sent_unrelieved" => return);
        self.slots[slot].relieved.store(true, Ordering::SeqCst);
    }

    /// Finds a spare worker for a lent core that the caller has taken from the free list. The entry
    /// counts as searching already.
    #[cold]
    pub(super) fn employ(&self, index: usize) {
        let mut lender = Some(index);
        // A loop, because each failed attempt may pass its search on to the next lent core, and
        // there may be thousands.
        while let Some(index) = lender {
            lender = if self.hire(index) { None } else { self.pass_search_on() };
        }
    }

    /// Returns whether the caller's searching count was taken over or given back.
    fn hire(&self, index: usize) -> bool {
        let mut state = self.spares.state.lock();
        let has_work = !self.is_closed() || self.has_tasks() || self.has_own_tasks(index);
        let is_served = state.duties.contains(&Duty::For(index));
        let is_wanted = state.lends[index] > 0 && !is_served && has_work && !self.is_copy();
        let found = is_wanted
            .then(|| {
                let resting = state.duties.iter().position(|duty| *duty == Duty::Resting);
                resting.or_else(|| state.duties.iter().position(|duty| *duty == Duty::Off))
            })
            .flatten();
        let Some(spare) = found else {
            self.recall(state, index);
            return false;
        };
        let slot = self.config.workers + spare;
        let before = std::mem::replace(&mut state.duties[spare], Duty::For(index));
        state.counted[spare] = true;
        state.hires += 1;
        self.slots[slot].relieved.store(false, Ordering::SeqCst);
        self.slots_used.fetch_max(slot + 1, Ordering::SeqCst);
        // Without the lock, because user code names a thread that starts.
        drop(state);
        if before == Duty::Resting {
            self.unpark_worker(slot);
        } else if !self.start_spare(slot) {
            self.note_refused_start(spare);
        }
        true
    }

    /// Called when the system refused the thread of a spare worker that was hired.
    fn note_refused_start(&self, spare: usize) {
        let mut state = self.spares.state.lock();
        state.duties[spare] = Duty::Off;
        state.counted[spare] = false;
        drop(state);
        // A thread that pushed meanwhile relied on this search, so a sleeping worker is woken in
        // its place. Not for the other lent cores: the threads of their spare workers would be
        // refused as well.
        while self.pass_search_on().is_some() {}
        let state = self.spares.state.lock();
        if state.duties.contains(&Duty::Resting) {
            self.offer_again(state);
        } else {
            // The next push tries again.
            let _unserved = self.list_unserved(&state);
        }
    }

    fn start_spare(&self, slot: usize) -> bool {
        let Some(hub) = registry::find(self.id) else { return false };
        self.lives.begin_serving();
        let started = (self.spares.start)(&hub, slot).is_ok();
        if !started {
            self.lives.end_serving(|| {
                self.settle_waiting(Outcome::Closed);
            });
        }
        started
    }

    /// Gives up a searching count. If no other worker searches, wakes one for work that relied on
    /// this search, or for a fork-join call.
    pub(crate) fn stop_search(&self) {
        if let Some(lender) = self.pass_search_on() {
            self.employ(lender);
        }
    }

    /// Like [`stop_search`](Self::stop_search), except that if the next entry is a lent core,
    /// returns its lender and leaves the searching count with it.
    fn pass_search_on(&self) -> Option<usize> {
        let word = self.idle.end_search();
        if !word.wants_a_searcher() || !(self.has_tasks() || self.needs_a_look()) {
            return None;
        }
        let index = self.idle.take_one(|index| index < self.slots.len())?;
        let lender = index.checked_sub(self.slots.len());
        if lender.is_none() {
            self.unpark_worker(index);
        }
        lender
    }

    /// What a spare worker must do after it has rested or was relieved. `slot` is its own.
    pub(crate) fn next_order(&self, slot: usize, is_patient: bool) -> Order {
        let mut state = self.spares.state.lock();
        let spare = slot - self.config.workers;
        let counted = std::mem::take(&mut state.counted[spare]);
        let (duty, order) = match state.duties[spare] {
            Duty::For(home) => {
                // It may have been sent here from another lender.
                self.slots[slot].relieved.store(false, Ordering::SeqCst);
                (Duty::For(home), Order::Serve { home, counted })
            }
            _ if is_patient && !self.is_closed() => (Duty::Resting, Order::Rest),
            _ => (Duty::Leaving, Order::Leave),
        };
        state.duties[spare] = duty;
        if order == Order::Rest {
            self.offer_at_rest(state);
        } else {
            drop(state);
        }
        if !matches!(order, Order::Serve { .. }) {
            self.call_drainers();
            self.give_count_back(counted);
        }
        order
    }

    fn offer_at_rest(&self, state: MutexGuard<'_, State>) {
        mutant!("rest_without_an_offer" => return);
        self.offer_again(state);
    }

    /// A spare worker that was hired and relieved before it was awake does not search.
    fn give_count_back(&self, counted: bool) {
        mutant!("count_kept" => return);
        if counted {
            self.stop_search();
        }
    }

    /// How often a spare worker was hired. `None` while any spare worker serves, or is still at a
    /// task that it took while serving.
    pub(super) fn hires_if_all_rest(&self) -> Option<u64> {
        let is_at_rest = |duty: &Duty| !matches!(duty, Duty::For(_) | Duty::Relieved(_));
        let state = self.spares.state.lock();
        state.duties.iter().all(is_at_rest).then_some(state.hires)
    }

    /// Called when a spare worker's thread ends, whatever it was doing.
    pub(crate) fn spare_ends(&self, slot: usize) {
        let mut state = self.spares.state.lock();
        state.duties[slot - self.config.workers] = Duty::Off;
        self.offer_again(state);
        self.call_drainers();
    }

    /// Wakes the resting spare workers so that they see that the pool is closed.
    pub(super) fn wake_resting_spares(&self) {
        let state = self.spares.state.lock();
        for (spare, duty) in state.duties.iter().enumerate() {
            if *duty == Duty::Resting {
                self.slots[self.config.workers + spare].parker.unpark();
            }
        }
    }
}
