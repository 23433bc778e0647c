//! Branches: one thread's jobs of a scope, and what all threads in the scope share.

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
use crate::base::sync::AtomicBool;
use crate::base::sync::lock::Mutex;
use crate::base::unwind::{self, Payload};
use crate::parts::offer::{Line, Maker, Offer, Source, Work};
use crate::parts::parker::{self, Parker};
use crate::sched::fork_join::{self, Stack};
use crate::sched::hub::Hub;

/// What all threads in a scope share.
pub(super) struct Core {
    /// Strays: jobs spawned by threads that have no branch, for example inside a join that moved.
    strays: Mutex<VecDeque<ListedJob>>,
    /// Whether there may be strays.
    has_strays: AtomicBool,
    /// The line (row of fork-join jobs) of the scope's own thread.
    line: AtomicPtr<Line>,
    hub: AtomicPtr<Hub>,
    /// The payload of the first panic that no handle reported.
    first: Mutex<Option<Payload>>,
    /// Whether `first` may be set. Small scopes would notice the cost of the lock.
    has_first: AtomicBool,
    /// Panics that a handle may still report.
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

    /// The tag by which a thread finds its branch.
    pub(super) fn tag(&self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    /// Puts a job on the calling thread's branch, or else among the strays, where the scope's own
    /// thread finds it. Returns the calling thread's line if the job lies there.
    #[inline]
    pub(super) fn push(&self, job: ListedJob) -> Option<NonNull<Line>> {
        let job = Cell::new(Some(job));
        let near = fork_join::with_current(|stack| {
            let branch = stack.tagged(self.tag())?;
            // SAFETY: only branches have a scope's tag, and an open source still exists.
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
            // Drop strays that their handles have already run: they are of no use, and a scope may
            // stay open for a long time.
            // SAFETY: the list owns the list's half of each stray, and drops each one once.
            strays.retain(|job| !unsafe { ListedJob::leave_if_claimed(job.raw()) });
            let left = strays.len();
            strays.reserve(left);
        }
        strays.push_back(job);
        drop(strays);
        // ORDERING: a thread that misses it finds it later: the scope's thread looks once all
        // others have left the roll.
        self.has_strays.store(true, Ordering::Release);
        // ORDERING: written before other threads could come here.
        let line = NonNull::new(self.line.load(Ordering::Relaxed)).expect("a scope has a line");
        // SAFETY: the scope's own thread keeps its line until the scope has ended.
        let line = unsafe { line.as_ref() };
        line.note_stray();
        if line.asks_for_a_call() {
            // ORDERING: as above.
            let hub = NonNull::new(self.hub.load(Ordering::Relaxed)).expect("a scope has a pool");
            // SAFETY: the thread that keeps that line is inside this pool's call, which keeps the
            // pool.
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

    /// Takes the older half of the strays, for a thief.
    fn take_strays(&self) -> Vec<ListedJob> {
        let mut strays = self.strays.lock();
        let half = strays.len().div_ceil(2);
        strays.drain(..half).collect()
    }

    fn run(&self, job: ListedJob) {
        // ORDERING: read only when every closure has ended, which orders it.
        let panicked = || {
            self.untold.fetch_add(1, Ordering::Relaxed);
        };
        if let Left::Panicked(payload) = job.run(panicked, |number| self.wake(number)) {
            self.tell(payload);
        }
    }

    /// The job with this number is done, and a thread sleeps until it is.
    #[cold]
    fn wake(&self, number: usize) {
        for (_, parker) in self.sleepers.lock().iter().filter(|(other, _)| *other == number) {
            parker.unpark();
        }
    }

    /// Sleeps until the job is done. A worker lends its core meanwhile: the job may wait for a task
    /// that is placed on this worker.
    pub(super) fn sleep_until<R>(&self, job: &HeldJob<R>) {
        let number = job.number();
        // One parker for both uses: where thread-locals are gone, each call returns a different
        // one.
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

    /// Records a panic that the scope should end with.
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
        // Dropped without the lock, because its drop is user code.
        if let Some(late) = late {
            unwind::drop_payload(late);
        }
    }

    /// Notes that a panic is no longer left for a handle to report.
    pub(super) fn told(&self) {
        // ORDERING: as above.
        self.untold.fetch_sub(1, Ordering::Relaxed);
    }

    /// The payload that the scope panics with after all closures have ended, if any.
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

/// One thread's part of a scope. The scope's own thread has one, and so has each thread that took
/// some of the scope's jobs.
pub(super) struct Branch<'c> {
    core: &'c Core,
    line: &'c Line,
    jobs: Deque<Head>,
    /// Whether a thief was given something.
    gave: AtomicBool,
    /// The offer (record of taken work) that the scope's own thread waits for, once something was
    /// given. Accessed with the line's lock held.
    group: UnsafeCell<Option<Arc<Offer>>>,
    /// Whether this is the branch of the scope's own thread.
    is_own: bool,
}

/// Jobs that a thief has taken, in a box.
struct Batch {
    core: NonNull<Core>,
    group: Arc<Offer>,
    jobs: Vec<NonNull<Head>>,
}

impl<'c> Branch<'c> {
    /// The branch of the scope's own thread.
    #[inline]
    pub(super) fn new(core: &'c Core, hub: &Hub, line: &'c Line) -> Self {
        // ORDERING: other threads arrive only through what is spawned.
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
        // SAFETY: the deque owns the list's half of each job, and drops each one once.
        let is_spent = |job| unsafe { ListedJob::leave_if_claimed(job) };
        self.jobs.push(self.line, job.into_raw(), is_spent);
        self.line.note_change();
        if self.line.is_asked() {
            let _asked = stack.attend();
        }
    }

    /// Runs all jobs, and waits for the jobs that others took. Called on the scope's own thread.
    #[inline]
    pub(super) fn finish(&self, stack: &Stack<'_>) {
        // Jobs on other threads borrow from frames that a panic would leave. User code's panics are
        // caught further in.
        let bomb = unwind::AbortOnPanic;
        self.run_all();
        while self.has_given() {
            self.wait_for_others(stack);
            self.run_all();
        }
        core::mem::forget(bomb);
    }

    /// Returns `true` if a thief was given something that this thread has not waited for yet.
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
        // SAFETY: this thread was counted, and the roll exists until it returns.
        let is_last = unsafe { Roll::leave(NonNull::from(&self.core.roll)) };
        if !is_last {
            // This thread may help with parts of the group meanwhile, and these may spawn here
            // again.
            stack.wait_for(&group);
        }
        // The next round needs a new group, because this one is done for good. Thieves are given
        // nothing while the roll is empty.
        self.line.alone(|| {
            // SAFETY: the line's lock is held.
            unsafe { *self.group.get() = None };
            // ORDERING: as in `has_given`.
            self.gave.store(false, Ordering::Relaxed);
        });
        self.core.roll.reopen();
    }

    /// Runs all jobs that no other thread has taken.
    #[inline]
    fn run_all(&self) {
        loop {
            while let Some(job) = self.jobs.pop(self.line) {
                // SAFETY: `push` or a thief put it there, and it was taken out once.
                self.core.run(unsafe { ListedJob::from_raw(job) });
            }
            // Take one stray at a time, and not through the deque: a handle must be able to claim a
            // stray until it runs.
            let Some(stray) = self.core.stray() else { return };
            self.core.run(stray);
        }
    }

    fn may_give_strays(&self) -> bool {
        // ORDERING: as in `stray`.
        self.is_own && self.core.has_strays.load(Ordering::Acquire)
    }

    /// Takes what a thief may have: the older half of the jobs, or else of the strays.
    ///
    /// # Safety
    /// - As for [`Source::give`].
    unsafe fn take_jobs(&self) -> Vec<NonNull<Head>> {
        // A job that its handle is changing right now stays.
        let is_free = |job: NonNull<Head>| !self.line.is_busy_with(job.cast());
        // SAFETY: the caller promises that the line is held (see [`Source::give`]).
        let jobs = unsafe { self.jobs.take_older(is_free) };
        for &job in &jobs {
            // SAFETY: it comes from `push`. The owner reaches it only through its handle, which is
            // not changing it right now.
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
        // All threads write the roll, so a thief touches it only if there may be something to take.
        if self.jobs.looks_empty() && !self.may_give_strays() {
            return None;
        }
        // From now on the taker is on the roll. An empty roll means that the scope's thread is
        // about to go on.
        if !self.core.roll.enter() {
            return None;
        }
        // SAFETY: the caller promises that the line is held (see [`Source::give`]).
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
        // SAFETY: the thread that takes the offer owns the batch. The core, and what the jobs
        // borrow, exist as long as a thread is on the roll, and the batch's taker is on it from now
        // on.
        let work = unsafe { Work::new(batch.cast(), Batch::run) };
        Some(maker.offer_in(&group, work))
    }
}

impl Branch<'_> {
    /// Leaves the roll after nothing was given.
    fn leave_for_nobody(&self) {
        // SAFETY: this thread was counted just now.
        if unsafe { Roll::leave(NonNull::from(&self.core.roll)) } {
            // All others have left meanwhile, and relied on this thread to finish the group.
            // SAFETY: the line's lock is held.
            if let Some(group) = unsafe { &*self.group.get() } {
                group.finish();
            }
        }
    }
}

impl Batch {
    /// Runs the batch. It does not wait for jobs that thieves took from it; they finish those. So a
    /// chain of batches needs no stack.
    ///
    /// # Safety
    /// - `batch` is a boxed `Batch` whose offer the calling thread has taken.
    unsafe fn run(batch: NonNull<()>) {
        // SAFETY: the caller promises that `batch` is a boxed `Batch` whose offer it has taken; the
        // giver no longer touches what was taken.
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
        assert!(fork_join::with_current(run).is_ok(), "a thread that takes offers has a stack");
        // SAFETY: the core exists until this thread has left the roll.
        let roll = NonNull::from(unsafe { &core.as_ref().roll });
        // SAFETY: nothing of the core is used after this.
        if unsafe { Roll::leave(roll) } {
            group.finish();
        }
    }
}
