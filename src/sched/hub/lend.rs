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

use super::duties::{Duty, Spare, SpareState};
use super::free_entry::FreeEntry;
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
    state: Mutex<SpareState>,
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
        let state = SpareState::new(workers, spares);
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
    fn lent(&self, lender: usize) -> usize {
        FreeEntry::LentCore(lender).number(self.slots.len())
    }

    /// What the number of an entry of the free list stands for.
    pub(super) fn free_entry(&self, number: usize) -> FreeEntry {
        FreeEntry::of(number, self.slots.len())
    }

    /// The index of a spare worker's slot, behind those of the workers.
    fn slot_of(&self, spare: Spare) -> usize {
        self.config.workers + spare.0
    }

    /// The spare worker that has this slot.
    fn spare_at(&self, slot: usize) -> Spare {
        Spare(slot - self.config.workers)
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
        let still_works = |spare: Spare, duty: Duty| {
            duty == Duty::Relieved(index)
                && state.lends[self.slot_of(spare)] == 0
                // It may have been sent here and still be on its way.
                && self.home_of(self.slot_of(spare)) == self.home_of(index)
        };
        if let Some(spare) = state.find(still_works) {
            // It still has the core, and keeps it.
            state.duties[spare.0] = Duty::For(index);
            self.slots[self.slot_of(spare)].relieved.store(false, Ordering::SeqCst);
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
    fn offer_again(&self, state: MutexGuard<'_, SpareState>) {
        let unserved = self.list_unserved(&state);
        drop(state);
        for index in unserved {
            self.last_look(index);
        }
    }

    /// Puts those cores on the list, and returns the indices of their lenders.
    fn list_unserved(&self, state: &SpareState) -> Vec<usize> {
        let is_unserved = |&index: &usize| {
            state.lends[index] > 0
                && state.deputy_of(index).is_none()
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
        if let Some(spare) = state.deputy_of(index) {
            state.duties[spare.0] = Duty::Relieved(index);
            let slot = self.slot_of(spare);
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
        let deputy = state.deputy_of(index);
        drop(state);
        // A spare worker that serves already comes first. The core may be on the list as well,
        // because it was promised twice, and a thread that took it from there would find that no
        // spare worker is needed.
        match deputy.map(|spare| self.slot_of(spare)) {
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
    fn recall(&self, state: MutexGuard<'_, SpareState>, index: usize) {
        mutant!("recall_nobody" => return);
        if !self.is_in_need(&state, index) {
            return;
        }
        if let Some(spare) = self.take_one_asleep(&state) {
            self.send_to(state, spare, index);
            self.unpark_worker(self.slot_of(spare));
        }
    }

    /// Takes a spare worker that sleeps while it serves off the free list, if there is one.
    fn take_one_asleep(&self, state: &SpareState) -> Option<Spare> {
        for (spare, duty) in state.all() {
            if matches!(duty, Duty::For(_)) && self.idle.take(self.slot_of(spare)) {
                return Some(spare);
            }
        }
        None
    }

    /// Whether no spare worker serves for this lender, and it has tasks of its own, which no other
    /// worker may run.
    fn is_in_need(&self, state: &SpareState, index: usize) -> bool {
        state.lends[index] > 0 && state.deputy_of(index).is_none() && self.has_own_tasks(index)
    }

    /// Sends a spare worker that is about to sleep to a lender in need, if there is one. Returns
    /// whether it did. `slot` is the spare worker's own.
    pub(crate) fn send_to_lender_in_need(&self, slot: usize) -> bool {
        mutant!("need_unasked" => return false);
        let state = self.spares.state.lock();
        let spare = self.spare_at(slot);
        if !matches!(state.duties[spare.0], Duty::For(_)) {
            return false;
        }
        let in_need = (0..state.lends.len()).find(|&index| self.is_in_need(&state, index));
        if let Some(index) = in_need {
            self.send_to(state, spare, index);
        }
        in_need.is_some()
    }

    /// Moves the spare worker from the lender that it serves to another one.
    fn send_to(&self, mut state: MutexGuard<'_, SpareState>, spare: Spare, index: usize) {
        state.duties[spare.0] = Duty::For(index);
        // It leaves its loop as if to rest, and `next_order` tells it to serve instead.
        self.relieve(self.slot_of(spare));
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
        let is_served = state.deputy_of(index).is_some();
        let is_wanted = state.lends[index] > 0 && !is_served && has_work && !self.is_copy();
        let found = is_wanted
            .then(|| state.first(Duty::Resting).or_else(|| state.first(Duty::Off)))
            .flatten();
        let Some(spare) = found else {
            self.recall(state, index);
            return false;
        };
        let slot = self.slot_of(spare);
        let before = std::mem::replace(&mut state.duties[spare.0], Duty::For(index));
        state.counted[spare.0] = true;
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
    fn note_refused_start(&self, spare: Spare) {
        let mut state = self.spares.state.lock();
        state.duties[spare.0] = Duty::Off;
        state.counted[spare.0] = false;
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
        let is_worker = |number| matches!(self.free_entry(number), FreeEntry::Worker(_));
        match self.free_entry(self.idle.take_one(is_worker)?) {
            FreeEntry::Worker(index) => {
                self.unpark_worker(index);
                None
            }
            FreeEntry::LentCore(lender) => Some(lender),
        }
    }

    /// What a spare worker must do after it has rested or was relieved. `slot` is its own.
    pub(crate) fn next_order(&self, slot: usize, is_patient: bool) -> Order {
        let mut state = self.spares.state.lock();
        let spare = self.spare_at(slot);
        let counted = std::mem::take(&mut state.counted[spare.0]);
        let (duty, order) = match state.duties[spare.0] {
            Duty::For(home) => {
                // It may have been sent here from another lender.
                self.slots[slot].relieved.store(false, Ordering::SeqCst);
                (Duty::For(home), Order::Serve { home, counted })
            }
            _ if is_patient && !self.is_closed() => (Duty::Resting, Order::Rest),
            _ => (Duty::Leaving, Order::Leave),
        };
        state.duties[spare.0] = duty;
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

    fn offer_at_rest(&self, state: MutexGuard<'_, SpareState>) {
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
        state.duties[self.spare_at(slot).0] = Duty::Off;
        self.offer_again(state);
        self.call_drainers();
    }

    /// Wakes the resting spare workers so that they see that the pool is closed.
    pub(super) fn wake_resting_spares(&self) {
        let state = self.spares.state.lock();
        for (spare, _) in state.all().filter(|(_, duty)| *duty == Duty::Resting) {
            self.slots[self.slot_of(spare)].parker.unpark();
        }
    }
}
