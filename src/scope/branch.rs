//! The closures that one thread has at hand for a scope: its own list, and what it has given away.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::lock::Mutex;

use super::job::{HeldJob, Left, ListedJob};
use super::list::List;
use super::roll::Roll;
use crate::clock;
use crate::first;
use crate::fork::{self, Maker, Pace, Source, Stack, estimate};
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
    roll: Roll,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            strays: Mutex::new(List::new(VecDeque::new())),
            first: Mutex::new(None),
            untold: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::new()),
            roll: Roll::new(),
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

    /// Sleeps until the job is done. A worker lends its core meanwhile: the job may wait for a task that is placed on it.
    pub(super) fn sleep_until<R>(&self, job: &HeldJob<R>) {
        let number = job.number();
        // One for both: where thread-locals are gone each call gives another.
        let parker = parker::current();
        self.sleepers.lock().push((number, Arc::clone(&parker)));
        if job.lie_down() {
            while !job.is_done() {
                parker.park_lending(None);
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
    given: RefCell<Vec<Given>>,
    spawned: Cell<u32>,
    /// What the scope's own thread waits for, once something was given.
    group: RefCell<Option<Arc<Offer>>>,
}

/// Closures on offer, in a box. It belongs to whoever took the offer, or took it back.
struct Batch {
    core: NonNull<Core>,
    group: Arc<Offer>,
    jobs: VecDeque<ListedJob>,
}

/// What a branch has offered, and may withdraw.
struct Given {
    batch: NonNull<Batch>,
    offer: Arc<Offer>,
}

impl<'c> Branch<'c> {
    /// For the scope's own thread.
    pub(super) fn new(core: &'c Core) -> Self {
        Self::with_jobs(core, VecDeque::new(), None)
    }

    fn with_jobs(core: &'c Core, jobs: VecDeque<ListedJob>, group: Option<Arc<Offer>>) -> Self {
        Self {
            core,
            list: RefCell::new(List::new(jobs)),
            given: RefCell::new(Vec::new()),
            spawned: Cell::new(first::SHORT),
            group: RefCell::new(group),
        }
    }

    #[inline]
    fn push(&self, stack: &Stack<'_>, job: ListedJob) {
        let mut list = self.list.borrow_mut();
        let is_only_one = list.len() == 0;
        let is_heavy = is_only_one && self.is_heavy(stack, &job);
        list.push(job);
        drop(list);
        let spawned = self.spawned.get().wrapping_add(1);
        self.spawned.set(spawned);
        if is_only_one {
            if is_heavy {
                stack.call_for_help(None);
            }
        } else if spawned % SPAWNS_A_BEAT == 0 || fork::is_poked() {
            stack.look_for_hunger();
        }
    }

    /// Runs everything, and waits for what others have taken. For the scope's own thread.
    pub(super) fn finish(&self, stack: &Stack<'_>) {
        // What is out there borrows from frames that a panic would leave. User code's is caught further in.
        let bomb = unwind::AbortOnPanic;
        loop {
            self.run_all(stack);
            let group = self.group.borrow().clone();
            let Some(group) = group else { break };
            // SAFETY: this thread was counted, and the roll stays until it returns.
            let is_last = unsafe { Roll::leave(NonNull::from(&self.core.roll)) };
            if !is_last {
                // It may help with parts of this meanwhile, and these may spawn, and give, here again.
                stack.wait_for(&group);
            }
            // For another round a new one: this one is done for good.
            self.group.replace(None);
            self.core.roll.reopen();
        }
        core::mem::forget(bomb);
    }

    /// Runs all that nobody else has taken.
    fn run_all(&self, stack: &Stack<'_>) {
        loop {
            self.run_list(stack);
            // One at a time, and not by way of the list: a handle must find it unless it runs.
            if let Some(stray) = self.core.stray() {
                self.core.run(stray);
                continue;
            }
            let last = self.given.borrow_mut().pop();
            let Some(given) = last else { break };
            if let Some(jobs) = given.take_back(stack) {
                self.core.roll.withdraw();
                self.list.borrow_mut().append(jobs);
            }
        }
    }

    fn run_list(&self, stack: &Stack<'_>) {
        let next = || self.list.borrow_mut().pop();
        let Some(mut job) = next() else { return };
        if self.list.borrow().len() > 0 && self.is_heavy(stack, &job) {
            // The first may take long, and nobody looks meanwhile.
            stack.call_for_help(None);
        }
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
            pace.share(stack, took, None);
            estimate::learn(key, took / u32::try_from(ran).unwrap_or(u32::MAX));
            match more.or_else(next) {
                Some(another) => job = another,
                None => return,
            }
        }
    }

    fn is_heavy(&self, stack: &Stack<'_>, job: &ListedJob) -> bool {
        estimate::guess(job.key(), stack.hub().help.delay()).is_heavy
    }

    /// Forgets what was given away and is done: a scope may stay open for long.
    fn forget_done(&self) {
        let mut given = self.given.borrow_mut();
        if given.len() >= 64 && given.len().is_power_of_two() {
            given.retain(|given| !given.offer.is_done());
        }
    }
}

impl Source for Branch<'_> {
    /// The newer half: the older ones are next here.
    fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>> {
        let jobs = self.list.borrow_mut().split_newer_half();
        if jobs.is_empty() {
            return None;
        }
        ListedJob::send_away(jobs.iter());
        let group = Arc::clone(self.group.borrow_mut().get_or_insert_with(|| maker.group()));
        self.core.roll.enter();
        let core = NonNull::from(self.core);
        let batch = Box::new(Batch { core, group: Arc::clone(&group), jobs });
        let batch = NonNull::from(Box::leak(batch));
        // SAFETY: whoever takes the offer owns the batch. The core, and what the jobs borrow, stay for as long
        // as somebody is on the roll, and the batch's taker is from now on.
        let work = unsafe { Work::new(batch.cast(), Batch::run) };
        let offer = maker.offer_in(&group, work);
        self.forget_done();
        self.given.borrow_mut().push(Given { batch, offer: Arc::clone(&offer) });
        Some(offer)
    }
}

impl Batch {
    /// Waits for nothing: what it gave away others end, so a chain of batches needs no stack.
    ///
    /// # Safety
    /// - `batch` is a boxed `Batch` whose offer the calling thread has taken.
    unsafe fn run(batch: NonNull<()>) {
        // SAFETY: the caller's promise; the giver leaves alone what was taken.
        let batch = unsafe { Box::from_raw(batch.cast::<Self>().as_ptr()) };
        let Self { core, group, jobs } = *batch;
        // SAFETY: this thread is on the roll.
        let here = unsafe { core.as_ref() };
        let branch = Branch::with_jobs(here, jobs, Some(Arc::clone(&group)));
        let run = |stack: &Stack<'_>| {
            // As in `finish`.
            let bomb = unwind::AbortOnPanic;
            stack.with_source(&branch, Some(here.tag()), || branch.run_all(stack));
            core::mem::forget(bomb);
        };
        assert!(fork::with_current(run).is_ok(), "a thread that takes offers has a stack");
        drop(branch);
        // SAFETY: the core is there until this thread has left.
        let roll = NonNull::from(unsafe { &core.as_ref().roll });
        // SAFETY: nothing of the core is used after it.
        if unsafe { Roll::leave(roll) } {
            group.finish();
        }
    }
}

impl Given {
    /// Gives the closures if nobody has taken them.
    fn take_back(self, stack: &Stack<'_>) -> Option<VecDeque<ListedJob>> {
        stack.withdraw(&self.offer).then(|| {
            // SAFETY: from a box, and nobody else reaches it any more: its offer is withdrawn.
            let batch = unsafe { Box::from_raw(self.batch.as_ptr()) };
            batch.jobs
        })
    }
}
