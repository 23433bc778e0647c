//! The lines of a pool's fork-join calls, and who looks after what is left on them.
//!
//! `lines.md` beside this file says why nothing stays hidden there, and what that costs.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::Hub;
use crate::affinity;
use crate::idle::Word;
use crate::offer::{Line, Offer, Taken};
use crate::sync::lock::Mutex;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, handshake, heavy_fence};

/// Nobody is the lookout.
const NOBODY: usize = usize::MAX;

/// Who watches the lines while all that look for work sleep.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// The worker that naps instead of sleeping, to look at the lines now and then.
    who: CachePadded<AtomicUsize>,
    /// Whether every line asks its owner to call a worker when something is added.
    calls: AtomicBool,
    /// The lines of threads that are no workers.
    guests: Mutex<Vec<Arc<Line>>>,
    guest_count: AtomicUsize,
    most_searchers: u32,
    /// Since when lookouts have stood back from guests that compute.
    stood_back_since: Mutex<Option<Instant>>,
}

impl Lookout {
    pub(super) fn new(workers: usize) -> Self {
        // A schedule has to be the same wherever it is run again.
        let cores = if cfg!(corepool_shuttle) { 2 } else { affinity::usable().parallelism };
        Self {
            who: CachePadded::new(AtomicUsize::new(NOBODY)),
            // Lines begin so.
            calls: AtomicBool::new(true),
            guests: Mutex::default(),
            guest_count: AtomicUsize::new(0),
            most_searchers: (workers.min(cores) as u32 / 2).max(1),
            stood_back_since: Mutex::default(),
        }
    }

    /// Makes this worker the lookout, if there is none.
    pub(crate) fn begin(&self, worker: usize) -> bool {
        self.who.compare_exchange(NOBODY, worker, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// This worker is the lookout no more. Look who is free after it.
    pub(crate) fn end(&self, worker: usize) {
        let _ended = self.who.compare_exchange(worker, NOBODY, Ordering::SeqCst, Ordering::SeqCst);
        handshake();
    }

    /// A lookout stands back, or does not. Says for how long all of them have. One may follow the
    /// other meanwhile.
    pub(crate) fn stand_back(&self, since: Option<Instant>) -> Duration {
        let mut stood_back = self.stood_back_since.lock();
        *stood_back = since.map(|now| stood_back.unwrap_or(now));
        let begin = since.zip(*stood_back);
        begin.map_or(Duration::ZERO, |(now, begin)| now.saturating_duration_since(begin))
    }

    /// Who is the lookout.
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
    /// A thread takes part in fork-join calls for the first time.
    pub(crate) fn add_guest(&self, line: Arc<Line>) {
        let mut guests = self.lookout.guests.lock();
        // Whose thread has ended, nobody else keeps.
        guests.retain(|line| Arc::strong_count(line) > 1);
        guests.push(line);
        self.lookout.guest_count.store(guests.len(), Ordering::SeqCst);
    }

    /// How many workers may search at a time: more than half of the cores would be in one another's
    /// way.
    pub(crate) fn most_searchers(&self) -> u32 {
        self.lookout.most_searchers
    }

    /// Whether more workers are to be woken for what is left in fork-join calls. A guest has a core
    /// of its own, so the worker that belongs there may as well sleep on.
    pub(crate) fn wants_helpers(&self, word: Word) -> bool {
        self.has_calls() && (!self.lookout.is_there() || word.free() as usize > self.busy_guests())
    }

    /// A guest has the core of a worker. So the only worker of a pool is not for guests.
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

    /// Looks at each line, the workers' first, from this one on, until one gives something.
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

    /// A part of this work that nobody has begun, but for what lies on the caller's own line.
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

    /// A part of a fork-join call was taken.
    pub(crate) fn note_taken(&self) {
        self.counters.jobs_offered.raise();
        self.counters.jobs_taken.raise();
    }

    /// Whether any thread is inside a call, or works for one.
    pub(crate) fn has_calls(&self) -> bool {
        self.used_slots().iter().any(|slot| slot.line.is_in_call()) || self.busy_guests() > 0
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

    /// Nobody searches any more, or somebody is free who was not. Says whether one of those who are
    /// free has to look at the lines: nobody watches, and a thread is inside a call. If not,
    /// whoever begins one calls a worker.
    pub(crate) fn needs_a_look(&self) -> bool {
        if self.lookout.is_there() {
            return false;
        }
        if !self.has_calls() {
            let _asked = self.ask_for_calls();
        }
        self.has_calls()
    }

    /// Nobody watches from here on: whoever adds something to a line calls a worker. Look at the
    /// lines after this: what was added before and called nobody is seen.
    ///
    /// Says whether the lines were asked just now.
    pub(crate) fn ask_for_calls(&self) -> bool {
        // Who finds it done already need not wait for the other one's fence: that one looks after
        // it.
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

    /// A thread that was asked to adds something to its line.
    #[cold]
    pub(crate) fn answer_call(&self, line: &Line) {
        // In this order: who asks next has to find that this line does not ask any more.
        line.answer_call();
        self.lookout.calls.store(false, Ordering::SeqCst);
        handshake();
        // Of a guest that may not be helped there is no call.
        self.call_for_help();
    }

    /// The calling thread has left much on its line, and knows it: somebody who is free comes at
    /// once.
    #[cold]
    pub(crate) fn call_for_help(&self) {
        let word = self.idle.look();
        if word.has_free() && self.has_calls() {
            match self.lookout.get() {
                // On the caller's core it would be in the way.
                Some(worker) if self.is_here(worker) && word.free() > 1 => {
                    // Not left to a nap that may be long: whoever is woken watches after this one.
                    self.lookout.end(worker);
                    self.wake_helper();
                }
                // It is taking a nap.
                Some(worker) if self.idle.take(worker) => self.unpark_worker(worker),
                Some(_) => {}
                // Also if somebody searches: that one may end its search for another reason.
                None => self.wake_helper(),
            }
        }
    }

    /// The lookout goes to work, or was called for something else. Somebody else is to watch, if
    /// there is anybody.
    pub(crate) fn end_lookout(&self, worker: usize) {
        self.lookout.end(worker);
        if !self.idle.look().has_free() {
            // Whoever goes to sleep next sees to it.
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
