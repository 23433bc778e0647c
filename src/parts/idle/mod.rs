//! The free-worker list: which workers sleep, which ones search, and which one a submitter wakes.
//!
//! `README.md` beside this file has the protocol as steps, and the argument why no worker sleeps
//! while work waits. Workers are numbers here; this module knows nothing of queues, tasks or
//! threads.
#![forbid(unsafe_code)]

#[cfg(all(test, corepool_loom))]
mod models;
mod word;

use crossbeam_utils::CachePadded;

use crate::base::sync::{AtomicU32, Mutex, Ordering, handshake};
use crate::parts::spin::Retry;

pub(crate) use word::{MAX_WORKERS, Word};

// ORDERING: SeqCst, the sleeper's half of the handshake, before the last look. Its partner is the
// load in `IdleList::look`.
ordering!(ENTER = SeqCst, planted "idle_relaxed": Relaxed);

/// The workers of one pool that have nothing to do.
#[derive(Debug)]
pub(crate) struct IdleList {
    /// What a submitter looks at: how many workers are free, how many search, and whether the pool
    /// is closed.
    word: CachePadded<AtomicU32>,
    free: Mutex<Free>,
}

/// The list itself.
#[derive(Debug, Default)]
struct Free {
    /// The free workers. The most recently freed one is last.
    workers: Vec<usize>,
    /// How many takers that wait for the lock will find that the worker promised to them was woken
    /// already.
    forestalled: usize,
}

/// The result of [`IdleList::retract`]: whether a worker is active again without being woken.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Retract {
    /// The worker is off the list, and counts as searching.
    Done,
    /// Another thread has taken the worker from the list: its wake-up is on the way.
    WakeIsComing,
}

impl IdleList {
    pub(crate) fn new() -> Self {
        Self {
            word: CachePadded::new(AtomicU32::new(Word::START.bits())),
            free: Mutex::new(Free::default()),
        }
    }

    /// Loads the counts, as the submitter's half of the handshake. Call it after a push.
    #[inline]
    pub(crate) fn look(&self) -> Word {
        self.handshake_of_submitter();
        Word::from_bits(self.word.load(Ordering::SeqCst))
    }

    #[inline]
    fn handshake_of_submitter(&self) {
        mutant!("submitter_handshake" => return);
        handshake();
    }

    /// Takes one free worker off the list if one should be woken; the caller unparks it.
    ///
    /// No worker should be woken if none is free, or if one is searching already and will find the
    /// work. With `fits` the caller can skip a worker whose core is busy with the caller itself.
    /// This takes the most recently freed worker that fits, or the most recently freed one if none
    /// fits.
    #[must_use = "the worker taken counts on being unparked"]
    pub(crate) fn take_one(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        mutant!("searchers_at_a_time" => return self.take_some(fits));
        self.reserve(Word::wants_a_searcher)?;
        self.remove_fitting(fits)
    }

    /// As [`take_one`](Self::take_one), even if a worker is searching.
    #[must_use = "the worker taken counts on being unparked"]
    pub(crate) fn take_some(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        self.reserve(Word::has_free)?;
        self.remove_fitting(fits)
    }

    /// Only after a reservation, so the list has a worker to spare, or one was woken in the
    /// caller's place.
    fn remove_fitting(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut free = self.free.lock();
        if free.spend_forestalled() {
            return None;
        }
        let workers = &mut free.workers;
        let place = workers.iter().rposition(|&worker| fits(worker)).unwrap_or(workers.len() - 1);
        Some(workers.remove(place))
    }

    /// Takes any free worker off the list, even if one is searching; the caller unparks it. `None`
    /// means that no worker is left.
    pub(crate) fn take_any(&self) -> Option<usize> {
        loop {
            self.reserve(Word::has_free)?;
            let mut free = self.free.lock();
            if !free.spend_forestalled() {
                return free.workers.pop();
            }
        }
    }

    /// Whether this worker is on the list right now.
    pub(crate) fn lists(&self, worker: usize) -> bool {
        self.free.lock().workers.contains(&worker)
    }

    /// Takes this worker off the list if it is there; the caller unparks it.
    pub(crate) fn take(&self, worker: usize) -> bool {
        let mut free = self.free.lock();
        let entry = free.workers.iter().rposition(|&other| other == worker);
        let Some(place) = entry else { return false };
        if !self.reserve_or_forestall(&mut free) {
            return false;
        }
        free.workers.remove(place);
        true
    }

    /// As [`take`](Self::take), for all of the first `count` workers that are on the list.
    #[must_use = "the workers taken count on being unparked"]
    pub(crate) fn take_first(&self, count: usize) -> Vec<usize> {
        let mut free = self.free.lock();
        let all = std::mem::take(&mut free.workers);
        let (taken, left) = all
            .into_iter()
            .partition(|&worker| worker < count && self.reserve_or_forestall(&mut free));
        free.workers = left;
        taken
    }

    /// Reserves for a certain worker on the list. The caller then removes that worker, unless this
    /// returns `false`, as a planted bug does.
    fn reserve_or_forestall(&self, free: &mut Free) -> bool {
        if self.reserve(Word::has_free).is_none() {
            // Every entry is promised to a taker that waits for this lock. Leaving this worker to
            // them is not enough: another worker may enter before they get the lock, and they would
            // take that one. So one of them comes too late, and its reservation counts for this
            // worker.
            mutant!("take_left_to_others" => return false);
            mutant!("take_promised" => return true);
            free.forestalled += 1;
        }
        true
    }

    /// Puts a worker on the list. The worker then takes its last look at the queues, and either
    /// [retracts](Self::retract) or sleeps.
    pub(crate) fn enter(&self, worker: usize, searching: Searching) {
        // The count goes up under the lock. So a thread that holds the lock finds on the list
        // exactly the workers counted as free and those promised to takers that wait for the lock.
        let mut free = self.free.lock();
        free.workers.push(worker);
        match searching {
            Searching::Yes => self.word.fetch_add(Word::SEARCHER_TO_FREE, ENTER),
            Searching::No => self.word.fetch_add(Word::ONE_FREE, ENTER),
        };
        drop(free);
        mutant!("idle_relaxed" => return);
        handshake();
    }

    /// As [`enter`](Self::enter), for a worker that should be taken only when no other is free.
    pub(crate) fn enter_last(&self, worker: usize) {
        let mut free = self.free.lock();
        free.workers.insert(0, worker);
        // SeqCst: as in `enter`.
        self.word.fetch_add(Word::ONE_FREE, Ordering::SeqCst);
        drop(free);
        handshake();
    }

    /// Takes the worker off the list, because its last look found work.
    pub(crate) fn retract(&self, worker: usize) -> Retract {
        mutant!("retract_stays" => return Retract::Done);
        if self.take(worker) { Retract::Done } else { Retract::WakeIsComing }
    }

    /// Starts a search if fewer than `most` workers are searching.
    pub(crate) fn start_search(&self, most: u32) -> Searching {
        let now = self.look();
        let next = now.with_searcher();
        if now.searching() >= at_most(most) || now.is_closed() {
            return Searching::No;
        }
        // ORDERING: a failed exchange may be relaxed. The count takes part in the handshake only
        // where it goes down again.
        match self.word.compare_exchange(
            now.bits(),
            next.bits(),
            Ordering::SeqCst,
            Ordering::Relaxed,
        ) {
            Ok(_) => Searching::Yes,
            Err(_) => Searching::No,
        }
    }

    /// Ends a search that found work. Returns the counts afterwards: the last searcher that leaves
    /// while others sleep must look whether there is more work, and wake the next worker for it.
    #[must_use]
    pub(crate) fn end_search(&self) -> Word {
        let before = Word::from_bits(self.word.fetch_sub(Word::ONE_SEARCHING, Ordering::SeqCst));
        let after = before.without_searcher();
        mutant!("end_search_handshake" => return after);
        handshake();
        after
    }

    /// Marks the pool closed. Returns whether this call did it.
    pub(crate) fn close(&self) -> bool {
        let before = Word::from_bits(self.word.fetch_or(Word::CLOSED, Ordering::SeqCst));
        handshake();
        !before.is_closed()
    }

    #[inline]
    fn change(&self, now: Word, next: Word) -> Result<u32, u32> {
        let (now, next) = (now.bits(), next.bits());
        mutant!("reserve_torn" => {
            self.word.store(next, Ordering::SeqCst);
            return Ok(now);
        });
        self.word.compare_exchange(now, next, Ordering::SeqCst, Ordering::SeqCst)
    }

    /// Turns one free worker into a searching one in the counts, if `wanted` says so.
    fn reserve(&self, wanted: impl Fn(Word) -> bool) -> Option<()> {
        let mut now = self.look();
        let mut retry = Retry::default();
        while wanted(now) {
            let next = now.free_to_searcher();
            match self.change(now, next) {
                Ok(_) => return Some(()),
                Err(_) => {
                    retry.pause();
                    now = self.look();
                }
            }
        }
        None
    }
}

/// How many workers may search before another one does not start.
fn at_most(most: u32) -> u32 {
    mutant!("search_started_twice" => return u32::MAX);
    most
}

impl Free {
    /// For a taker with a reservation: whether the worker that it would have got was woken already,
    /// for another reason. That worker searches, so the taker has nothing more to do.
    fn spend_forestalled(&mut self) -> bool {
        let is_forestalled = self.forestalled > 0;
        self.forestalled -= usize::from(is_forestalled);
        is_forestalled
    }
}

/// Whether a worker counts as searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Searching {
    Yes,
    No,
}
