//! The closures that one thread has at hand for a scope: its own list, and what it has given away.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::job::{HeldJob, Left, ListedJob};
use super::list::List;
use crate::clock;
use crate::fork::{self, Pace, Source, Stack, estimate};
use crate::offer::{Offer, Work};
use crate::parker::{self, Parker};
use crate::unwind::{self, Payload};

/// While so many closures were spawned nobody looks who is hungry.
const SPAWNS_A_BEAT: u32 = 64;

/// What all threads in a scope share.
pub(super) struct Core {
    /// Spawned by threads that have no branch: inside a join that moved, say.
    strays: Mutex<List>,
    /// The first panic that no handle told of.
    first: Mutex<Option<Payload>>,
    /// Panics that a handle has still to tell of.
    untold: AtomicUsize,
    /// Threads that sleep until a job is done, by the job's number.
    sleepers: Mutex<Vec<(usize, Arc<Parker>)>>,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            strays: Mutex::new(List::new(VecDeque::new())),
            first: Mutex::new(None),
            untold: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::new()),
        }
    }

    /// By this a thread finds its branch.
    pub(super) fn tag(&self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    /// Puts a closure where the calling thread, or else the scope's own, will find it.
    #[inline]
    pub(super) fn push(&self, job: ListedJob) {
        let mut job = Some(job);
        let near = fork::with_current(|stack| {
            let branch = stack.tagged(self.tag())?;
            // SAFETY: only branches have a scope's tag, and an open source is still there.
            let branch = unsafe { branch.cast::<Branch<'_>>().as_ref() };
            branch.push(stack, job.take()?);
            Some(())
        });
        drop(near);
        if let Some(job) = job {
            ListedJob::send_away(std::iter::once(&job));
            self.strays.lock().push(job);
        }
    }

    fn stray(&self) -> Option<ListedJob> {
        self.strays.lock().pop()
    }

    fn run(&self, job: ListedJob) {
        // ORDERING: read when every closure has ended, which orders it.
        let panicked = || {
            self.untold.fetch_add(1, Ordering::Relaxed);
        };
        if let Left::Panicked(payload) = job.run(panicked, |number| self.wake(number)) {
            self.tell(payload);
        }
    }

    /// The job of this number is done, and somebody sleeps until it is.
    #[cold]
    fn wake(&self, number: usize) {
        for (_, parker) in self.sleepers.lock().iter().filter(|(other, _)| *other == number) {
            parker.unpark();
        }
    }

    /// Sleeps until the job is done.
    pub(super) fn sleep_until<R>(&self, job: &HeldJob<R>) {
        let number = job.number();
        // One for both: where thread-locals are gone each call gives another.
        let parker = parker::current();
        self.sleepers.lock().push((number, Arc::clone(&parker)));
        if job.lie_down() {
            while !job.is_done() {
                parker.park();
            }
        }
        let mut sleepers = self.sleepers.lock();
        if let Some(place) = sleepers.iter().position(|(other, _)| *other == number) {
            sleepers.swap_remove(place);
        }
    }

    /// A panic that the scope is to end with.
    pub(super) fn tell(&self, payload: Payload) {
        self.told();
        let late = match &mut *self.first.lock() {
            first @ None => {
                *first = Some(payload);
                None
            }
            Some(_) => Some(payload),
        };
        // Without the lock: its drop is user code.
        if let Some(late) = late {
            unwind::drop_payload(late);
        }
    }

    /// A handle told of a panic.
    pub(super) fn told(&self) {
        // ORDERING: as above.
        self.untold.fetch_sub(1, Ordering::Relaxed);
    }

    /// What the scope ends with, after all closures have ended.
    pub(super) fn panic(&self) -> Option<Payload> {
        // ORDERING: as above.
        let forgotten = self.untold.load(Ordering::Relaxed) > 0;
        let stand_in = || Box::new("a closure of a scope panicked, and its handle was forgotten");
        self.first.lock().take().or_else(|| forgotten.then(|| stand_in() as Payload))
    }
}

/// One thread's part of a scope: the scope's own thread has one, and whoever took some closures.
pub(super) struct Branch<'c> {
    core: &'c Core,
    list: RefCell<List>,
    given: RefCell<Vec<Given<'c>>>,
    spawned: Cell<u32>,
}

/// Closures on offer.
struct Batch<'c> {
    core: &'c Core,
    /// Taken out by whoever took the offer, or took it back.
    jobs: UnsafeCell<VecDeque<ListedJob>>,
}

struct Given<'c> {
    /// From a box. Not one itself: whoever took the offer reaches the batch as well.
    batch: NonNull<Batch<'c>>,
    offer: Arc<Offer>,
}

impl<'c> Branch<'c> {
    pub(super) fn new(core: &'c Core, list: VecDeque<ListedJob>) -> Self {
        Self {
            core,
            list: RefCell::new(List::new(list)),
            given: RefCell::new(Vec::new()),
            spawned: Cell::new(0),
        }
    }

    #[inline]
    fn push(&self, stack: &Stack<'_>, job: ListedJob) {
        let key = job.key();
        let mut list = self.list.borrow_mut();
        list.push(job);
        let is_only_one = list.len() == 1;
        drop(list);
        let spawned = self.spawned.get().wrapping_add(1);
        self.spawned.set(spawned);
        if is_only_one {
            if estimate::guess(key, stack.hub().help.delay()).is_heavy {
                stack.call_for_help(None);
            }
        } else if spawned % SPAWNS_A_BEAT == 0 || fork::is_poked() {
            stack.look_for_hunger();
        }
    }

    /// Runs everything, takes back what nobody took, and waits for the rest.
    pub(super) fn finish(&self, stack: &Stack<'_>) {
        // What is out there borrows from frames that a panic would leave. User code's is caught further in.
        let bomb = unwind::AbortOnPanic;
        loop {
            self.run_list(stack);
            // One at a time, and not by way of the list: a handle must find it unless it runs.
            if let Some(stray) = self.core.stray() {
                self.core.run(stray);
                continue;
            }
            let last = self.given.borrow_mut().pop();
            let Some(given) = last else { break };
            let jobs = given.end(stack);
            self.list.borrow_mut().append(jobs);
        }
        core::mem::forget(bomb);
    }

    fn run_list(&self, stack: &Stack<'_>) {
        let next = || self.list.borrow_mut().pop();
        let Some(mut job) = next() else { return };
        let mut pace = Pace::new(1, clock::now());
        loop {
            let key = job.key();
            let mut ran = 0;
            let more = loop {
                self.core.run(job);
                ran += 1;
                match next() {
                    Some(another) if ran < pace.items() => job = another,
                    more => break more,
                }
            };
            let took = pace.learn(ran);
            pace.share(stack, took);
            estimate::learn(key, took / u32::try_from(ran).unwrap_or(u32::MAX));
            match more.or_else(next) {
                Some(another) => job = another,
                None => return,
            }
        }
    }

    /// Forgets what was given away and is done: a scope may stay open for long.
    fn forget_done(&self) {
        let mut given = self.given.borrow_mut();
        if given.len() >= 64 && given.len().is_power_of_two() {
            let (done, open): (Vec<_>, _) =
                given.drain(..).partition(|given| given.offer.is_done());
            *given = open;
            done.into_iter().for_each(|given| drop(given.unpack()));
        }
    }
}

impl Source for Branch<'_> {
    /// The newer half: the older ones are next here.
    fn give(&self, offer: &mut dyn FnMut(Work) -> Arc<Offer>) -> Option<Arc<Offer>> {
        let jobs = self.list.borrow_mut().split_newer_half();
        if jobs.is_empty() {
            return None;
        }
        ListedJob::send_away(jobs.iter());
        let batch = Box::new(Batch { core: self.core, jobs: UnsafeCell::new(jobs) });
        let batch = NonNull::from(Box::leak(batch));
        // SAFETY: `finish` withdraws the offer or waits for its end before the batch is gone, and before the
        // frame is that the core lies in. A job's closure may borrow from outside of the scope only.
        let work = unsafe { Work::new(batch.cast(), Batch::run) };
        let offer = offer(work);
        self.forget_done();
        self.given.borrow_mut().push(Given { batch, offer: Arc::clone(&offer) });
        Some(offer)
    }
}

impl Batch<'_> {
    /// # Safety
    /// - `batch` is a `Batch` whose offer the calling thread has taken.
    unsafe fn run(batch: NonNull<()>) {
        // SAFETY: the caller's promise; the batch stays until the offer is done.
        let batch = unsafe { batch.cast::<Self>().as_ref() };
        // SAFETY: only the thread that took the offer reaches the jobs now.
        let jobs = std::mem::take(unsafe { &mut *batch.jobs.get() });
        let branch = Branch::new(batch.core, jobs);
        let run = |stack: &Stack<'_>| {
            stack.with_source(&branch, Some(batch.core.tag()), || branch.finish(stack));
        };
        assert!(fork::with_current(run).is_ok(), "a thread that takes offers has a stack");
    }
}

impl<'c> Given<'c> {
    /// Takes the batch back, or waits for its end. Gives the closures that nobody has taken.
    fn end(self, stack: &Stack<'_>) -> VecDeque<ListedJob> {
        stack.take_back(&self.offer);
        self.unpack()
    }

    /// Only for what was withdrawn or is done.
    fn unpack(self) -> VecDeque<ListedJob> {
        // SAFETY: from a box, and nobody else reaches it any more: its offer is withdrawn or done.
        let batch = unsafe { Box::from_raw(self.batch.as_ptr()) };
        batch.jobs.into_inner()
    }
}
