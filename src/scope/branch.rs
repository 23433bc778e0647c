//! The closures that one thread has at hand for a scope, and what all threads in the scope share.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::arena;
use super::deque::Deque;
use super::held::HeldJob;
use super::job::{Head, Left, ListedJob};
use super::roll::Roll;
use crate::fork::{self, Stack};
use crate::hub::Hub;
use crate::offer::{Line, Maker, Offer, Source, Work};
use crate::parker::{self, Parker};
use crate::sync::AtomicBool;
use crate::sync::lock::Mutex;
use crate::unwind::{self, Payload};

/// What all threads in a scope share.
pub(super) struct Core {
    /// Spawned by threads that have no branch: inside a join that moved, say.
    strays: Mutex<VecDeque<ListedJob>>,
    /// Whether there may be some.
    has_strays: AtomicBool,
    /// The line of the scope's own thread.
    line: AtomicPtr<Line>,
    hub: AtomicPtr<Hub>,
    /// The first panic that no handle told of.
    first: Mutex<Option<Payload>>,
    /// Whether there may be one: small scopes would feel the lock.
    has_first: AtomicBool,
    /// Panics that a handle has still to tell of.
    untold: AtomicUsize,
    /// Threads that sleep until a job is done, by the job's number.
    sleepers: Mutex<Vec<(usize, Arc<Parker>)>>,
    roll: Roll,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            strays: Mutex::default(),
            has_strays: AtomicBool::new(false),
            line: AtomicPtr::new(ptr::null_mut()),
            hub: AtomicPtr::new(ptr::null_mut()),
            first: Mutex::new(None),
            has_first: AtomicBool::new(false),
            untold: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::new()),
            roll: Roll::new(),
        }
    }

    /// By this a thread finds its branch.
    pub(super) fn tag(&self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    /// Puts a closure where the calling thread, or else the scope's own, will find it. Gives the
    /// calling thread's line if it lies there.
    #[inline]
    pub(super) fn push(&self, job: ListedJob) -> Option<NonNull<Line>> {
        let job = Cell::new(Some(job));
        let near = fork::with_current(|stack| {
            let branch = stack.tagged(self.tag())?;
            // SAFETY: only branches have a scope's tag, and an open source is still there.
            let branch = unsafe { branch.cast::<Branch<'_>>().as_ref() };
            branch.push(stack, job.take()?);
            Some(NonNull::from(branch.line))
        });
        let near = near.unwrap_or(None);
        if let Some(job) = job.take() {
            self.push_stray(job);
        }
        near
    }

    #[cold]
    fn push_stray(&self, job: ListedJob) {
        job.send_away();
        let mut strays = self.strays.lock();
        if strays.len() == strays.capacity() {
            // Those that their handles have run are of no use any more, and a scope may stay open
            // for long.
            // SAFETY: what is in the list has the list's half, and is left out once.
            strays.retain(|job| !unsafe { ListedJob::leave_if_claimed(job.raw()) });
            let left = strays.len();
            strays.reserve(left);
        }
        strays.push_back(job);
        drop(strays);
        // ORDERING: whoever misses it finds it later: the scope's thread, once all others have left
        // the roll.
        self.has_strays.store(true, Ordering::Release);
        // ORDERING: written before others could come here.
        let line = NonNull::new(self.line.load(Ordering::Relaxed)).expect("a scope has a line");
        // SAFETY: the scope's own thread keeps its line until the scope has ended.
        let line = unsafe { line.as_ref() };
        line.note_stray();
        if line.asks_for_a_call() {
            // ORDERING: as above.
            let hub = NonNull::new(self.hub.load(Ordering::Relaxed)).expect("a scope has a pool");
            // SAFETY: as above, its pool.
            unsafe { hub.as_ref() }.answer_call(line);
        }
    }

    fn stray(&self) -> Option<ListedJob> {
        // ORDERING: acquire, partner of the release above.
        if !self.has_strays.load(Ordering::Acquire) {
            return None;
        }
        self.strays.lock().pop_front()
    }

    /// The older half of the strays, for a thief.
    fn take_strays(&self) -> Vec<ListedJob> {
        let mut strays = self.strays.lock();
        let half = strays.len().div_ceil(2);
        strays.drain(..half).collect()
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

    /// Sleeps until the job is done. A worker lends its core meanwhile: the job may wait for a task
    /// that is placed on it.
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
        // ORDERING: as above.
        self.has_first.store(true, Ordering::Relaxed);
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
        // ORDERING: as above.
        let has_first = self.has_first.load(Ordering::Relaxed);
        if !has_first && !forgotten {
            return None;
        }
        let stand_in = || Box::new("a closure of a scope panicked, and its handle was forgotten");
        self.first.lock().take().or_else(|| forgotten.then(|| stand_in() as Payload))
    }
}

/// One thread's part of a scope: the scope's own thread has one, and whoever took some closures.
pub(super) struct Branch<'c> {
    core: &'c Core,
    line: &'c Line,
    jobs: Deque<Head>,
    /// Whether a thief was given something.
    gave: AtomicBool,
    /// What the scope's own thread waits for, once something was given. Touched with the line's
    /// lock held.
    group: UnsafeCell<Option<Arc<Offer>>>,
    /// Whether it is the scope's own thread's.
    is_own: bool,
}

/// Closures that a thief has taken, in a box.
struct Batch {
    core: NonNull<Core>,
    group: Arc<Offer>,
    jobs: Vec<NonNull<Head>>,
}

impl<'c> Branch<'c> {
    /// For the scope's own thread.
    #[inline]
    pub(super) fn new(core: &'c Core, hub: &Hub, line: &'c Line) -> Self {
        // ORDERING: others come by what is spawned.
        core.line.store(ptr::from_ref(line).cast_mut(), Ordering::Relaxed);
        // ORDERING: as above.
        core.hub.store(ptr::from_ref(hub).cast_mut(), Ordering::Relaxed);
        Self {
            core,
            line,
            jobs: Deque::new(),
            gave: AtomicBool::new(false),
            group: UnsafeCell::new(None),
            is_own: true,
        }
    }

    fn with_jobs(
        core: &'c Core,
        line: &'c Line,
        jobs: &[NonNull<Head>],
        group: Arc<Offer>,
    ) -> Self {
        Self {
            core,
            line,
            jobs: Deque::with_items(jobs),
            gave: AtomicBool::new(false),
            group: UnsafeCell::new(Some(group)),
            is_own: false,
        }
    }

    #[inline]
    fn push(&self, stack: &Stack<'_>, job: ListedJob) {
        // SAFETY: what is in the deque has the list's half, and is left out once.
        let is_spent = |job| unsafe { ListedJob::leave_if_claimed(job) };
        self.jobs.push(self.line, job.into_raw(), is_spent);
        self.line.note_change();
        if self.line.is_asked() {
            let _asked = stack.attend();
        }
    }

    /// Runs everything, and waits for what others have taken. For the scope's own thread.
    #[inline]
    pub(super) fn finish(&self, stack: &Stack<'_>) {
        // What is out there borrows from frames that a panic would leave. User code's is caught
        // further in.
        let bomb = unwind::AbortOnPanic;
        self.run_all();
        while self.has_given() {
            self.wait_for_others(stack);
            self.run_all();
        }
        core::mem::forget(bomb);
    }

    /// Whether a thief was given something that was not waited for yet.
    #[inline]
    fn has_given(&self) -> bool {
        if self.line.is_asked() {
            let _asked = self.line.attend();
        }
        // ORDERING: thieves that saw the last of the jobs are gone, or were just waited for.
        self.gave.load(Ordering::Relaxed)
    }

    #[cold]
    fn wait_for_others(&self, stack: &Stack<'_>) {
        // SAFETY: the line's lock is held.
        let group = self.line.alone(|| unsafe { &*self.group.get() }.clone());
        let group = group.expect("a thief that is given something makes the group");
        // SAFETY: this thread was counted, and the roll stays until it returns.
        let is_last = unsafe { Roll::leave(NonNull::from(&self.core.roll)) };
        if !is_last {
            // It may help with parts of this meanwhile, and these may spawn here again.
            stack.wait_for(&group);
        }
        // For another round a new one: this one is done for good. Thieves are given nothing while
        // the roll is empty.
        self.line.alone(|| {
            // SAFETY: the line's lock is held.
            unsafe { *self.group.get() = None };
            // ORDERING: as in `has_given`.
            self.gave.store(false, Ordering::Relaxed);
        });
        self.core.roll.reopen();
    }

    /// Runs all that nobody else has taken.
    #[inline]
    fn run_all(&self) {
        loop {
            while let Some(job) = self.jobs.pop(self.line) {
                // SAFETY: `push` or a thief put it there, and it was taken out once.
                self.core.run(unsafe { ListedJob::from_raw(job) });
            }
            // One at a time, and not by way of the list: a handle must find it unless it runs.
            let Some(stray) = self.core.stray() else { return };
            self.core.run(stray);
        }
    }

    fn may_give_strays(&self) -> bool {
        // ORDERING: as in `stray`.
        self.is_own && self.core.has_strays.load(Ordering::Acquire)
    }

    /// What a thief may have: the older half of the jobs, or else of the strays.
    ///
    /// # Safety
    /// - As for [`Source::give`].
    unsafe fn take_jobs(&self) -> Vec<NonNull<Head>> {
        // What its handle is at just now stays.
        let is_free = |job: NonNull<Head>| !self.line.is_busy_with(job.cast());
        // SAFETY: the caller's promise.
        let jobs = unsafe { self.jobs.take_older(is_free) };
        for &job in &jobs {
            // SAFETY: from `push`; the owner reaches it by its handle only, which is not at it just
            // now.
            unsafe { ListedJob::mark_away(job) };
        }
        if jobs.is_empty() && self.may_give_strays() {
            return self.core.take_strays().into_iter().map(ListedJob::into_raw).collect();
        }
        jobs
    }
}

impl Source for Branch<'_> {
    unsafe fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>> {
        // The roll is written by all, so nobody comes there in vain.
        if self.jobs.looks_empty() && !self.may_give_strays() {
            return None;
        }
        // Whoever takes it is on the roll from now on. An empty one means that the scope's thread
        // is about to go on.
        if !self.core.roll.enter() {
            return None;
        }
        // SAFETY: the caller's promise.
        let jobs = unsafe { self.take_jobs() };
        if jobs.is_empty() {
            self.leave_for_nobody();
            return None;
        }
        // SAFETY: the line's lock is held.
        let group = unsafe { &mut *self.group.get() };
        let group = Arc::clone(group.get_or_insert_with(|| maker.group()));
        // ORDERING: the owner looks after it has seen that the thief is gone.
        self.gave.store(true, Ordering::Relaxed);
        let core = NonNull::from(self.core);
        let batch = Box::new(Batch { core, group: Arc::clone(&group), jobs });
        let batch = NonNull::from(Box::leak(batch));
        // SAFETY: whoever takes the offer owns the batch. The core, and what the jobs borrow, stay
        // for as long as somebody is on the roll, and the batch's taker is from now on.
        let work = unsafe { Work::new(batch.cast(), Batch::run) };
        Some(maker.offer_in(&group, work))
    }
}

impl Branch<'_> {
    /// Nothing was given after all.
    fn leave_for_nobody(&self) {
        // SAFETY: counted just now.
        if unsafe { Roll::leave(NonNull::from(&self.core.roll)) } {
            // All others have left meanwhile, and counted on this one to say so.
            // SAFETY: the line's lock is held.
            if let Some(group) = unsafe { &*self.group.get() } {
                group.finish();
            }
        }
    }
}

impl Batch {
    /// Waits for nothing: what thieves took of it they end, so a chain of batches needs no stack.
    ///
    /// # Safety
    /// - `batch` is a boxed `Batch` whose offer the calling thread has taken.
    unsafe fn run(batch: NonNull<()>) {
        // SAFETY: the caller's promise; the giver leaves alone what was taken.
        let batch = unsafe { Box::from_raw(batch.cast::<Self>().as_ptr()) };
        let Self { core, group, jobs } = *batch;
        // SAFETY: this thread is on the roll.
        let here = unsafe { core.as_ref() };
        let run = |stack: &Stack<'_>| {
            let branch = Branch::with_jobs(here, stack.line(), &jobs, Arc::clone(&group));
            // As in `finish`.
            let bomb = unwind::AbortOnPanic;
            let gathering = arena::gather();
            stack.with_tagged(&branch, here.tag(), || branch.run_all());
            drop(gathering);
            core::mem::forget(bomb);
        };
        assert!(fork::with_current(run).is_ok(), "a thread that takes offers has a stack");
        // SAFETY: the core is there until this thread has left.
        let roll = NonNull::from(unsafe { &core.as_ref().roll });
        // SAFETY: nothing of the core is used after it.
        if unsafe { Roll::leave(roll) } {
            group.finish();
        }
    }
}
