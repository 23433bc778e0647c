//! The lines of a pool (each thread's row of fork-join jobs), and the lookout that watches them.
//!
//! `lines.md` beside this file says why nothing stays hidden there, and what that costs.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::Hub;
use crate::base::sync::lock::Mutex;
use crate::base::sync::{AtomicBool, AtomicUsize, Ordering, handshake, heavy_fence};
use crate::os::affinity;
use crate::parts::idle::Word;
use crate::parts::offer::{Line, Offer, Taken};

/// The value of `who` while no worker is the lookout.
const NOBODY: usize = usize::MAX;

/// Watches the lines while all workers that look for work sleep.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// The worker that naps instead of sleeping, to look at the lines now and then.
    who: CachePadded<AtomicUsize>,
    /// Whether every line asks its owner to call a worker when something is added.
    calls: AtomicBool,
    /// The lines of guests: threads outside the pool that take part in its fork-join calls.
    guests: Mutex<Vec<Arc<Line>>>,
    guest_count: AtomicUsize,
    most_searchers: u32,
    /// Whether the pool has more workers than cores.
    has_shared_cores: bool,
    /// Since when lookouts have stood back from guests that compute.
    stood_back_since: Mutex<Option<Instant>>,
}

impl Lookout {
    pub(super) fn new(workers: usize) -> Self {
        // A schedule must replay the same everywhere.
        let cores = if cfg!(corepool_shuttle) { 2 } else { affinity::usable().parallelism };
        Self {
            who: CachePadded::new(AtomicUsize::new(NOBODY)),
            // A new line asks for a call.
            calls: AtomicBool::new(true),
            guests: Mutex::default(),
            guest_count: AtomicUsize::new(0),
            most_searchers: (workers.min(cores) as u32 / 2).max(1),
            has_shared_cores: workers > cores,
            stood_back_since: Mutex::default(),
        }
    }

    /// Makes this worker the lookout if there is none. Returns whether it did.
    pub(crate) fn begin(&self, worker: usize) -> bool {
        self.who.compare_exchange(NOBODY, worker, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Ends this worker's time as the lookout. The caller must then check which workers are free.
    pub(crate) fn end(&self, worker: usize) {
        let _ended = self.who.compare_exchange(worker, NOBODY, Ordering::SeqCst, Ordering::SeqCst);
        handshake();
    }

    /// Notes whether a lookout stands back. Returns how long lookouts have stood back without a
    /// break, even if one followed another meanwhile.
    pub(crate) fn stand_back(&self, since: Option<Instant>) -> Duration {
        let mut stood_back = self.stood_back_since.lock();
        *stood_back = since.map(|now| stood_back.unwrap_or(now));
        let begin = since.zip(*stood_back);
        begin.map_or(Duration::ZERO, |(now, begin)| now.saturating_duration_since(begin))
    }

    /// The worker that is the lookout.
    fn get(&self) -> Option<usize> {
        Some(self.who.load(Ordering::SeqCst)).filter(|&who| who != NOBODY)
    }

    pub(crate) fn is(&self, worker: usize) -> bool {
        self.get() == Some(worker)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.get().is_some()
    }
}

impl Hub {
    /// Adds the line of a guest that takes part in fork-join calls for the first time.
    pub(crate) fn add_guest(&self, line: Arc<Line>) {
        let mut guests = self.lookout.guests.lock();
        // A line whose thread has ended is held only by this list.
        guests.retain(|line| Arc::strong_count(line) > 1);
        guests.push(line);
        self.lookout.guest_count.store(guests.len(), Ordering::SeqCst);
    }

    /// How many workers may search at a time. More than half of the cores would get in one
    /// another's way.
    pub(crate) fn most_searchers(&self) -> u32 {
        self.lookout.most_searchers
    }

    /// Whether workers of this pool share cores.
    pub(crate) fn has_shared_cores(&self) -> bool {
        self.lookout.has_shared_cores
    }

    /// Whether to wake more workers for what is left in fork-join calls. A guest occupies a core,
    /// so the worker of that core may as well go on sleeping.
    pub(crate) fn wants_helpers(&self, word: Word) -> bool {
        self.has_entries()
            && (!self.lookout.is_there() || word.free() as usize > self.busy_guests())
    }

    /// Whether workers help guests. A guest occupies the core of a worker, so the only worker of a
    /// pool does not.
    fn helps_guests(&self) -> bool {
        self.worker_count() > 1
    }

    /// How many guests are inside a call, if they may be helped.
    pub(crate) fn busy_guests(&self) -> usize {
        if !self.helps_guests() {
            return 0;
        }
        self.with_guests(|guests| guests.iter().filter(|line| line.is_in_call()).count())
    }

    /// For a glance only: the list is locked meanwhile.
    fn with_guests<R: Default>(&self, look: impl FnOnce(&[Arc<Line>]) -> R) -> R {
        if self.lookout.guest_count.load(Ordering::SeqCst) == 0 {
            return R::default();
        }
        look(&self.lookout.guests.lock())
    }

    fn guests(&self) -> Vec<Arc<Line>> {
        self.with_guests(<[_]>::to_vec)
    }

    /// How long guests that are inside a call have been on a core so far.
    pub(crate) fn time_of_guests(&self) -> Duration {
        let times = |line: &Arc<Line>| line.call().and_then(|_| line.clock()?.busy());
        self.with_guests(|guests| guests.iter().filter_map(times).sum())
    }

    /// Looks at each line until one yields something: the workers' lines first, starting at
    /// `first`.
    pub(crate) fn find_on_lines<R>(
        &self,
        first: usize,
        mut look: impl FnMut(usize, &Line) -> Option<R>,
    ) -> Option<R> {
        let slots = self.used_slots();
        for step in 0..slots.len() {
            let index = (first + step) % slots.len();
            if let Some(found) = look(index, &slots[index].line) {
                return Some(found);
            }
        }
        let guests = if self.helps_guests() { self.guests() } else { Vec::new() };
        let mut numbered = guests.iter().enumerate();
        numbered.find_map(|(number, line)| look(slots.len() + number, line))
    }

    /// Takes a part of `whole` that has not started and is not on the caller's own line.
    pub(crate) fn take_part_of(
        &self,
        whole: &Arc<Offer>,
        first: usize,
        own: &Line,
    ) -> Option<Taken> {
        let taken = self.find_on_lines(first, |_, line| {
            let is_wanted = !std::ptr::eq(line, own) && line.is_helping();
            if is_wanted { line.take(Some(whole)) } else { None }
        });
        taken.inspect(|_| self.note_taken())
    }

    /// Counts a part of a fork-join call that was taken.
    pub(crate) fn note_taken(&self) {
        self.counters.jobs_offered.raise();
        self.counters.jobs_taken.raise();
    }

    /// Whether any thread is inside a call, or works for one.
    pub(crate) fn has_calls(&self) -> bool {
        self.used_slots().iter().any(|slot| slot.line.is_in_call()) || self.busy_guests() > 0
    }

    /// Whether a thread that is inside a call seems to have left something. A hint.
    fn has_entries(&self) -> bool {
        let has_entries = |line: &Line| line.is_in_call() && !line.is_bare();
        self.used_slots().iter().any(|slot| has_entries(&slot.line))
            || self.with_guests(|guests| guests.iter().any(|line| has_entries(line)))
    }

    /// How many calls all threads have begun and ended, to see whether anything changes.
    pub(crate) fn count_calls(&self) -> usize {
        let of_workers = self.used_slots().iter().map(|slot| slot.line.calls());
        let of_workers = of_workers.fold(0, usize::wrapping_add);
        let of_guests = self.with_guests(|guests| {
            guests.iter().map(|line| line.calls()).fold(0, usize::wrapping_add)
        });
        of_workers.wrapping_add(of_guests)
    }

    /// Whether a free worker must look at the lines, because no worker watches and a thread is
    /// inside a call. If there is no call, the next thread to begin one calls a worker. Call this
    /// when no worker searches any more, or when a worker has become free.
    pub(crate) fn needs_a_look(&self) -> bool {
        if self.lookout.is_there() {
            return false;
        }
        if !self.has_calls() {
            let _asked = self.ask_for_calls();
        }
        self.has_calls()
    }

    /// Makes every line ask for a call, because no worker watches from here on: an owner that adds
    /// something to its line calls a worker. Look at the lines after this, to see what was added
    /// before without a call.
    ///
    /// Returns whether this call made the lines ask.
    pub(crate) fn ask_for_calls(&self) -> bool {
        // A thread that finds it done already need not wait for the other thread's fence: the other
        // thread looks after it.
        if self.lookout.calls.load(Ordering::SeqCst)
            || self.lookout.calls.swap(true, Ordering::SeqCst)
        {
            return false;
        }
        self.used_slots().iter().for_each(|slot| slot.line.ask_for_a_call());
        self.with_guests(|guests| guests.iter().for_each(|line| line.ask_for_a_call()));
        heavy_fence();
        true
    }

    /// Called by a thread that adds something to its line and was asked to call a worker.
    #[cold]
    pub(crate) fn answer_call(&self, line: &Line) {
        // In this order: the next thread to ask must find that this line does not ask any more.
        line.answer_call();
        self.lookout.calls.store(false, Ordering::SeqCst);
        handshake();
        // A guest that may not be helped causes no call.
        self.call_for_help();
    }

    /// Brings a free worker at once, because the calling thread knows that it has left much on its
    /// line.
    #[cold]
    pub(crate) fn call_for_help(&self) {
        let word = self.idle.look();
        if word.has_free() && self.has_calls() {
            match self.lookout.get() {
                // On the caller's core the lookout would be in the way.
                Some(worker) if self.is_here(worker) && word.free() > 1 => {
                    // Not left to a nap that may be long: the worker that is woken becomes the next
                    // lookout.
                    self.lookout.end(worker);
                    self.wake_helper();
                }
                // The lookout is taking a nap.
                Some(worker) if self.idle.take(worker) => self.unpark_worker(worker),
                Some(_) => {}
                // Even if another worker searches, because that search may end for another reason.
                None => self.wake_helper(),
            }
        }
    }

    /// Ends a lookout that goes to work or was called for something else. Makes another free worker
    /// watch, if there is one.
    pub(crate) fn end_lookout(&self, worker: usize) {
        self.lookout.end(worker);
        if !self.idle.look().has_free() {
            // The next worker that goes to sleep takes care of it.
            return;
        }
        if !self.has_calls() {
            let _asked = self.ask_for_calls();
        }
        if self.has_calls() {
            self.wake_helper();
        }
    }
}
