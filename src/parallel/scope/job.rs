//! A job: one closure of a scope, its memory, and its two holders, a list and a handle.
//!
//! While a job stays with the thread that spawned it, its state is changed by plain loads and
//! stores. A thief marks it as `away` before it takes it. From then on every change is an atomic
//! exchange. The handle never leaves the spawning thread. Before the handle changes a job that a
//! thief could take at that moment, it announces that on the thread's line, and thieves pass over
//! that job (see `parts/offer/README.md`).
//!
//! | bit | meaning |
//! | --- | --- |
//! | `CLAIMED` | a thread runs it, or has run it |
//! | `DONE` | the result is there, for the handle |
//! | `HELD` | the handle holds the job |
//! | `LISTED` | a list holds the job, or the thread that took it from the list |
//! | `ASLEEP` | the handle's thread sleeps until the job is done |
//!
//! The holder that clears the last of `HELD` and `LISTED` frees the job.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::handle_alloc_error;

#[cfg(corepool_loom)]
use loom::alloc::{alloc, dealloc};
#[cfg(not(corepool_loom))]
use std::alloc::{alloc, dealloc};

use super::arena;
use super::held::HeldJob;
use crate::base::half::{self, Half};
use crate::base::sync::{AtomicBool, AtomicU32, Ordering, UnsafeCell};
use crate::base::unwind::{self, Payload};

pub(super) const CLAIMED: u32 = 1;
pub(super) const DONE: u32 = 2;
pub(super) const HELD: u32 = 4;
pub(super) const LISTED: u32 = 8;
pub(super) const ASLEEP: u32 = 16;

// ORDERING: acquire, partner of the exchange by which a handle lets go (`CHANGE`): after that only
// the list's side is left. A job that is not away is used by only one thread.
ordering!(SEE_ALONE = Acquire, planted "job_alone_relaxed": Relaxed);
// ORDERING: acquire, as `SEE_ALONE`: the handle has let go, and no thread can get one again.
ordering!(SEE_UNHELD = Acquire, planted "job_unheld_relaxed": Relaxed);
// ORDERING: acquire and release: a thread that finds a bit sees what was done before the bit was
// set, which is the closure's captures, the result, or where a thread sleeps.
ordering!(CHANGE = AcqRel, planted "job_unreleased": Acquire, planted "job_unacquired": Release);

/// The header of every job.
pub(super) struct Head {
    pub(super) state: AtomicU32,
    /// Set once: by the thief that takes the job, or by the spawning thread before other threads
    /// can reach the job.
    away: AtomicBool,
    /// Entered by a thread that touches the closure or the result, so that a model detects two
    /// threads that do so at once. Zero-sized in a real build.
    contents: UnsafeCell<()>,
    /// The same for a thread that uses the job or frees it.
    memory: UnsafeCell<()>,
    /// Whether its memory was cut from a chunk.
    is_cut: bool,
    pub(super) table: &'static Table,
}

/// What differs between the types of jobs.
pub(super) struct Table {
    /// Runs the closure and leaves the result in its place. Returns `true` if it panicked.
    pub(super) run: unsafe fn(NonNull<Head>) -> bool,
    /// Runs the closure and drops its result. Returns the payload if the closure panicked.
    run_alone: unsafe fn(NonNull<Head>) -> Option<Payload>,
    /// Drops the result. Returns the payload if it was a panic.
    pub(super) drop_result: unsafe fn(NonNull<Head>) -> Option<Payload>,
    layout: Layout,
    half_offset: usize,
}

#[repr(C)]
struct Job<F, R> {
    head: Head,
    half: Half<F, R>,
}

/// Makes a job: one half for a list, one for a handle.
#[inline]
pub(super) fn make<F, R>(closure: F) -> (ListedJob, HeldJob<R>)
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let layout = const { Layout::new::<Job<F, R>>() };
    let cut =
        if const { arena::suits(Layout::new::<Job<F, R>>()) } { arena::cut(layout) } else { None };
    let is_cut = cut.is_some();
    let job = cut.unwrap_or_else(|| allocate(layout)).cast::<Job<F, R>>();
    let head = Head {
        state: AtomicU32::new(HELD | LISTED),
        away: AtomicBool::new(false),
        contents: UnsafeCell::new(()),
        memory: UnsafeCell::new(()),
        is_cut,
        table: const { &Job::<F, R>::TABLE },
    };
    // SAFETY: the memory is fresh, and has this layout.
    unsafe { job.write(Job { head, half: Half::new(closure) }) };
    let job = job.cast();
    (ListedJob { job }, HeldJob::new(job))
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R,
{
    const TABLE: Table = Table {
        run: Self::run,
        run_alone: Self::run_alone,
        drop_result: Self::drop_result,
        layout: Layout::new::<Self>(),
        half_offset: core::mem::offset_of!(Self, half),
    };

    /// # Safety
    /// - `job` heads a `Job<F, R>`.
    unsafe fn half(job: NonNull<Head>) -> *const Half<F, R> {
        // SAFETY: the caller promises that `job` heads a `Job<F, R>`.
        unsafe { &raw const (*job.cast::<Self>().as_ptr()).half }
    }

    /// # Safety
    /// - As for `run`, and no other thread reaches the job.
    unsafe fn run_alone(job: NonNull<Head>) -> Option<Payload> {
        // SAFETY: the caller promises that it has claimed the job, so the job is there.
        unsafe { touch(job) };
        // SAFETY: the caller promises that `job` heads a `Job<F, R>`.
        let half = unsafe { Self::half(job) };
        // SAFETY: the caller promises that it runs the job once, so the closure is still there.
        let closure = unsafe { Half::take_closure(half) };
        match unwind::catch(closure) {
            Ok(value) => {
                if core::mem::needs_drop::<R>() {
                    unwind::quietly(|| drop(value));
                }
                None
            }
            Err(payload) => Some(payload),
        }
    }

    /// # Safety
    /// - `job` heads a `Job<F, R>` that the caller has claimed, and it runs once.
    unsafe fn run(job: NonNull<Head>) -> bool {
        // SAFETY: the caller promises that it has claimed the job, so the job is there.
        unsafe { touch(job) };
        // SAFETY: the caller promises that `job` heads a `Job<F, R>`.
        let half = unsafe { Self::half(job) };
        // SAFETY: the caller promises that it runs the job once, so the closure is still there.
        let panicked = unsafe { Half::run(half, |closure| closure()) };
        // SAFETY: the claimant's half keeps the job.
        unsafe { touch(job) };
        panicked
    }

    /// # Safety
    /// - `job` heads a `Job<F, R>` whose result is there and belongs to the caller.
    unsafe fn drop_result(job: NonNull<Head>) -> Option<Payload> {
        // SAFETY: the caller promises that the result is there and belongs to it.
        match unsafe { take_result::<R>(job) } {
            Ok(value) => {
                unwind::quietly(|| drop(value));
                None
            }
            Err(payload) => Some(payload),
        }
    }
}

/// Allocates memory for a job that is not cut from a chunk.
#[cold]
fn allocate(layout: Layout) -> NonNull<()> {
    // SAFETY: a job has a head, so it is not zero-sized.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// - The job's result is an `R`, is there, and belongs to the caller.
pub(super) unsafe fn take_result<R>(job: NonNull<Head>) -> Result<R, Payload> {
    // SAFETY: the job is there.
    unsafe { touch(job) };
    // SAFETY: the caller promises that the result is there, so the job is.
    let offset = unsafe { job.as_ref() }.table.half_offset;
    // SAFETY: the half lies there, whatever the closure's type.
    let half = unsafe { job.byte_add(offset) };
    // SAFETY: the caller promises that the result is an `R`, is there, and belongs to the caller.
    unsafe { half::take_result(half.as_ptr().cast_const().cast()) }
}

impl Head {
    #[inline]
    fn is_away(&self) -> bool {
        // ORDERING: the line has told this thread that the thief that set it is gone, or no thief
        // has been here.
        self.away.load(Ordering::Relaxed)
    }
}

/// # Safety
/// - The job is there.
#[inline]
pub(super) unsafe fn head<'a>(job: NonNull<Head>) -> &'a Head {
    // SAFETY: the caller promises that the job is there; heads are only ever shared.
    unsafe { job.as_ref() }
}

/// Tells a model that the caller accesses the job's closure or result.
///
/// # Safety
/// - The job is there.
#[inline]
unsafe fn touch(job: NonNull<Head>) {
    // SAFETY: the caller promises that the job is there.
    unsafe { head(job) }.contents.with_mut(|_| ());
}

/// Changes the state. The change is one exchange if other threads may reach the job.
///
/// It takes the job's address, because a reference would promise that the job exists until this
/// function returns. After an exchange that lets go of the job, the other holder may free it at
/// once.
///
/// # Safety
/// - The caller is one of the job's two holders.
#[inline]
pub(super) unsafe fn change(job: NonNull<Head>, change: impl Fn(u32) -> u32) -> u32 {
    // SAFETY: the job exists as long as the caller is one of its holders.
    let head = unsafe { head(job) };
    head.memory.with(|_| ());
    let mut before = head.state.load(SEE_ALONE);
    if !head.is_away() || is_alone(before) {
        // ORDERING: no other thread looks.
        head.state.store(change(before), Ordering::Relaxed);
        return before;
    }
    loop {
        // ORDERING: a failed exchange only tells what to try next.
        match head.state.compare_exchange(before, change(before), CHANGE, Ordering::Relaxed) {
            Ok(_) => return before,
            Err(now) => before = now,
        }
    }
}

/// Whether the handle has let go, so that only the list's side is left.
#[inline]
fn is_alone(state: u32) -> bool {
    mutant!("job_plain_while_held" => return true);
    state & HELD == 0
}

/// Claims the job. Returns `true` if the caller must run it.
///
/// # Safety
/// - As for [`change`].
#[inline]
unsafe fn claim(job: NonNull<Head>) -> bool {
    // SAFETY: the caller promises that it is one of the job's two holders.
    unsafe { change(job, |state| state | CLAIMED) & CLAIMED == 0 }
}

/// # Safety
/// - No other thread reaches the job, and its closure and result are gone.
#[inline]
pub(super) unsafe fn free(job: NonNull<Head>) {
    // SAFETY: the job is still there.
    unsafe { touch(job) };
    // SAFETY: the caller promises that only it reaches the job, which is freed below.
    let head = unsafe { head(job) };
    head.memory.with_mut(|_| ());
    match (head.is_cut, head.is_away()) {
        // SAFETY: it was cut on this thread, since no other thread reaches a job that is not away.
        (true, false) => unsafe { arena::free_at_home(job.cast()) },
        // SAFETY: it was cut from a chunk, and sent away.
        (true, true) => unsafe { arena::free_away(job.cast()) },
        // SAFETY: `make` allocated it with this layout.
        (false, _) => unsafe { dealloc(job.as_ptr().cast(), head.table.layout) },
    }
}

/// The list's half of a job. Its holder runs the job. If the half is dropped, the job leaks, and
/// the scope does not notice.
#[must_use = "the scope waits until every closure was run"]
pub(super) struct ListedJob {
    job: NonNull<Head>,
}

// SAFETY: closure and result are `Send` (see `make`). A thread that gives a job to another thread
// has marked it as away before.
unsafe impl Send for ListedJob {}

/// The outcome of a job that left its list.
pub(super) enum Left {
    Quietly,
    /// It panicked, and no handle will report that.
    Panicked(Payload),
}

impl ListedJob {
    pub(super) fn into_raw(self) -> NonNull<Head> {
        self.job
    }

    /// # Safety
    /// - The job is from [`into_raw`](Self::into_raw), and comes back once.
    pub(super) unsafe fn from_raw(job: NonNull<Head>) -> Self {
        Self { job }
    }

    pub(super) fn raw(&self) -> NonNull<Head> {
        self.job
    }

    /// Lets go of a job if its handle has claimed it. Returns `true` if so.
    ///
    /// # Safety
    /// - The list's half belongs to the caller, and is not used again if this returns `true`.
    pub(super) unsafe fn leave_if_claimed(job: NonNull<Head>) -> bool {
        // ORDERING: the bit is never cleared, and nothing is read that depends on it.
        // SAFETY: the list's half keeps the job.
        let is_claimed = unsafe { head(job) }.state.load(Ordering::Relaxed) & CLAIMED != 0;
        if is_claimed {
            // SAFETY: the list's half is one of the holders, until here.
            unsafe { leave(job) };
        }
        is_claimed
    }

    /// Marks the job as away. It then goes where other threads reach it.
    pub(super) fn send_away(&self) {
        // SAFETY: the list's half keeps the job, and no other thread reaches it.
        unsafe { Self::mark_away(self.job) };
    }

    /// From now on the job's state is changed by exchanges.
    ///
    /// # Safety
    /// - The list's half belongs to the caller, and keeps the job. The handle's thread does not
    ///   change the job at this moment.
    pub(super) unsafe fn mark_away(job: NonNull<Head>) {
        // ORDERING: the job is passed on by way of a lock. The handle's thread looks after it has
        // seen that the thief is gone.
        // SAFETY: the caller promises that the list's half belongs to it and keeps the job.
        unsafe { head(job) }.away.store(true, Ordering::Relaxed);
    }

    /// Runs the closure, unless the handle's thread has. `panicked` is called before the handle can
    /// see a panic. `wake` is called with the job's number if the handle's thread sleeps.
    #[inline]
    pub(super) fn run(self, panicked: impl FnOnce(), wake: impl FnOnce(usize)) -> Left {
        let job = self.job;
        // SAFETY: the list's half keeps the job.
        let here = unsafe { head(job) };
        if here.state.load(SEE_UNHELD) & (HELD | CLAIMED) == 0 {
            // SAFETY: the handle has let go of the unclaimed job, so only the list's half reaches
            // it.
            let payload = unsafe { (here.table.run_alone)(job) };
            // SAFETY: no other thread reaches the job.
            unsafe { free(job) };
            return payload.map_or(Left::Quietly, |payload| {
                panicked();
                Left::Panicked(payload)
            });
        }
        // SAFETY: the list's half is one of the holders.
        if !unsafe { claim(job) } {
            // SAFETY: the list's half keeps the job until here.
            unsafe { leave(job) };
            return Left::Quietly;
        }
        // SAFETY: the list's half keeps the job.
        let table = unsafe { head(job) }.table;
        // SAFETY: claimed just now.
        if unsafe { (table.run)(job) } {
            panicked();
        }
        // SAFETY: the list's half is one of the holders, until here.
        let before = unsafe { change(job, |state| (state | DONE) & !LISTED) };
        if before & HELD != 0 {
            // From here on the handle may have freed the job.
            if before & ASLEEP != 0 {
                wake(job.addr().get());
            }
            return Left::Quietly;
        }
        // SAFETY: no other thread reaches the job, and the result is there.
        let payload = unsafe { (table.drop_result)(job) };
        // SAFETY: no other thread reaches the job.
        unsafe { free(job) };
        payload.map_or(Left::Quietly, Left::Panicked)
    }
}

/// Lets go of a job that the handle's thread has claimed, for the list's side.
///
/// # Safety
/// - The caller has the list's half, and does not use it again.
unsafe fn leave(job: NonNull<Head>) {
    // SAFETY: the list's half is one of the holders, until here.
    if unsafe { change(job, |state| state & !LISTED) } & HELD == 0 {
        // SAFETY: the handle has taken or dropped the result, and is gone.
        unsafe { free(job) };
    }
}
