//! One closure of a scope: its memory, and the two who reach it, a list and a handle.
//!
//! While a job stays with the thread that spawned it, its state is changed by plain loads and
//! stores. A thief marks it as `away` before it takes it, and from then on every change is an
//! exchange. The handle never leaves the spawning thread. Before it changes a job that a thief
//! could take just now, it announces that on the thread's line, and thieves pass over that job (see
//! `offer/README.md`).
//!
//! | bit | meaning |
//! | --- | --- |
//! | `CLAIMED` | somebody runs it, or has run it |
//! | `DONE` | the result is there, for the handle |
//! | `HELD` | the handle reaches it |
//! | `LISTED` | a list reaches it, or the thread that took it from there |
//! | `ASLEEP` | the handle's thread sleeps until the job is done |
//!
//! Who clears the last of `HELD` and `LISTED` frees the job.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::alloc::handle_alloc_error;

#[cfg(corepool_loom)]
use loom::alloc::{alloc, dealloc};
#[cfg(not(corepool_loom))]
use std::alloc::{alloc, dealloc};

use super::arena;
use super::held::HeldJob;
use crate::sync::{AtomicBool, AtomicU32, Ordering, UnsafeCell, planted};
use crate::unwind::{self, Payload};

pub(super) const CLAIMED: u32 = 1;
pub(super) const DONE: u32 = 2;
pub(super) const HELD: u32 = 4;
pub(super) const LISTED: u32 = 8;
pub(super) const ASLEEP: u32 = 16;

/// What every job begins with.
pub(super) struct Head {
    pub(super) state: AtomicU32,
    /// Set once, by the thief that takes the job, or by the spawning thread before others can reach
    /// it.
    away: AtomicBool,
    /// Entered by whoever touches closure or result, so that a model sees two who do so at once. Of
    /// no size in a real build.
    contents: UnsafeCell<()>,
    /// The same for whoever uses the job, or frees it.
    memory: UnsafeCell<()>,
    /// Whether its memory was cut from a chunk.
    is_cut: bool,
    pub(super) table: &'static Table,
}

/// What differs between types of jobs.
pub(super) struct Table {
    /// Runs the closure and leaves the result in its place. Says whether it panicked.
    pub(super) run: unsafe fn(NonNull<Head>) -> bool,
    /// Runs the closure and drops what it gives. Gives the payload of its panic.
    run_alone: unsafe fn(NonNull<Head>) -> Option<Payload>,
    /// Drops the result, and gives the payload if it was a panic.
    pub(super) drop_result: unsafe fn(NonNull<Head>) -> Option<Payload>,
    layout: Layout,
    half_offset: usize,
}

#[repr(C)]
struct Job<F, R> {
    head: Head,
    half: core::cell::UnsafeCell<Half<F, R>>,
}

#[repr(C)]
union Half<F, R> {
    closure: ManuallyDrop<F>,
    /// Never named: it stands for the room it needs.
    _result: ManuallyDrop<Result<R, Payload>>,
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
    let half = core::cell::UnsafeCell::new(Half { closure: ManuallyDrop::new(closure) });
    // SAFETY: fresh memory of this layout.
    unsafe { job.write(Job { head, half }) };
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
    unsafe fn half(job: NonNull<Head>) -> *mut Half<F, R> {
        // SAFETY: the job is there.
        let half = unsafe { &raw const (*job.cast::<Self>().as_ptr()).half };
        core::cell::UnsafeCell::raw_get(half)
    }

    /// # Safety
    /// - `job` heads a `Job<F, R>` that the caller has claimed, and its closure is taken once.
    unsafe fn take_closure(job: NonNull<Head>) -> F {
        // SAFETY: the caller's promise.
        unsafe { touch(job) };
        // SAFETY: as above.
        let half = unsafe { Self::half(job) };
        // SAFETY: as above.
        unsafe { half.cast::<F>().read() }
    }

    /// # Safety
    /// - As for `run`, and nobody else reaches the job.
    unsafe fn run_alone(job: NonNull<Head>) -> Option<Payload> {
        // SAFETY: the caller's promise.
        let closure = unsafe { Self::take_closure(job) };
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
        // SAFETY: the caller's promise.
        let closure = unsafe { Self::take_closure(job) };
        let result = unwind::catch(closure);
        let panicked = result.is_err();
        // SAFETY: as above.
        unsafe { touch(job) };
        // SAFETY: as above.
        let half = unsafe { Self::half(job) };
        // SAFETY: the place is the claimant's, and the closure has left it.
        unsafe { half.cast::<Result<R, Payload>>().write(result) };
        panicked
    }

    /// # Safety
    /// - `job` heads a `Job<F, R>` whose result is there and is the caller's.
    unsafe fn drop_result(job: NonNull<Head>) -> Option<Payload> {
        // SAFETY: the caller's promise.
        match unsafe { take_result::<R>(job) } {
            Ok(value) => {
                unwind::quietly(|| drop(value));
                None
            }
            Err(payload) => Some(payload),
        }
    }
}

/// Memory for a job that suits no chunk.
#[cold]
fn allocate(layout: Layout) -> NonNull<()> {
    // SAFETY: a job's head has a size.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// - The job's result is an `R`, is there, and is the caller's.
pub(super) unsafe fn take_result<R>(job: NonNull<Head>) -> Result<R, Payload> {
    // SAFETY: the job is there.
    unsafe { touch(job) };
    // SAFETY: as above.
    let offset = unsafe { job.as_ref() }.table.half_offset;
    // SAFETY: the half lies there, whatever the closure's type.
    let half = unsafe { job.byte_add(offset) }.cast::<Result<R, Payload>>();
    // SAFETY: the caller's promise.
    unsafe { half.read() }
}

impl Head {
    #[inline]
    fn is_away(&self) -> bool {
        // ORDERING: the thief that set it is gone by the line's word, or has never been here.
        self.away.load(Ordering::Relaxed)
    }
}

/// # Safety
/// - The job is there.
#[inline]
pub(super) unsafe fn head<'a>(job: NonNull<Head>) -> &'a Head {
    // SAFETY: the caller's promise; heads are only ever shared.
    unsafe { job.as_ref() }
}

/// Says to a model that the caller is at the job's closure or result.
///
/// # Safety
/// - The job is there.
#[inline]
unsafe fn touch(job: NonNull<Head>) {
    // SAFETY: the caller's promise.
    unsafe { head(job) }.contents.with_mut(|_| ());
}

/// Changes the state. The change is one exchange if others may reach the job.
///
/// It gets the job by its address, because a reference would promise that the job is there until
/// this returns; after an exchange that lets go of it the other holder may free it at once.
///
/// # Safety
/// - The caller is one of the job's two holders.
#[inline]
pub(super) unsafe fn change(job: NonNull<Head>, change: impl Fn(u32) -> u32) -> u32 {
    // SAFETY: it is there as long as it has the caller for a holder.
    let head = unsafe { head(job) };
    head.memory.with(|_| ());
    // ORDERING: acquire, partner of the exchange by which a handle lets go: after that only the
    // list's side is left, and at home there is only one thread.
    let order = planted(mutant!("job_alone_relaxed"), Ordering::Acquire, Ordering::Relaxed);
    let mut before = head.state.load(order);
    let is_alone = before & HELD == 0 || mutant!("job_plain_while_held");
    if !head.is_away() || is_alone {
        // ORDERING: nobody else looks.
        head.state.store(change(before), Ordering::Relaxed);
        return before;
    }
    // ORDERING: acquire and release: whoever finds a bit sees what was done before it was set, the
    // closure's captures, the result, or where somebody sleeps.
    let order = planted(mutant!("job_unreleased"), Ordering::AcqRel, Ordering::Acquire);
    let order = planted(mutant!("job_unacquired"), order, Ordering::Release);
    loop {
        // ORDERING: a failed one only tells what to try next.
        let changed = head.state.compare_exchange(before, change(before), order, Ordering::Relaxed);
        match changed {
            Ok(_) => return before,
            Err(now) => before = now,
        }
    }
}

/// Says whether the caller is the one who runs the job.
///
/// # Safety
/// - As for [`change`].
#[inline]
unsafe fn claim(job: NonNull<Head>) -> bool {
    // SAFETY: the caller's promise.
    unsafe { change(job, |state| state | CLAIMED) & CLAIMED == 0 }
}

/// # Safety
/// - Nobody else reaches the job, and its closure and result are gone.
#[inline]
pub(super) unsafe fn free(job: NonNull<Head>) {
    // SAFETY: the job is still there.
    unsafe { touch(job) };
    // SAFETY: as above.
    let head = unsafe { head(job) };
    head.memory.with_mut(|_| ());
    match (head.is_cut, head.is_away()) {
        // SAFETY: cut on this thread, since nobody else reaches what stays at home.
        (true, false) => unsafe { arena::free_at_home(job.cast()) },
        // SAFETY: cut, and sent away.
        (true, true) => unsafe { arena::free_away(job.cast()) },
        // SAFETY: `make` allocated it with this layout.
        (false, _) => unsafe { dealloc(job.as_ptr().cast(), head.table.layout) },
    }
}

/// The list's half. Its holder runs it; dropped it would leak, and the scope would not know.
#[must_use = "the scope waits until every closure was run"]
pub(super) struct ListedJob {
    job: NonNull<Head>,
}

// SAFETY: closure and result are `Send` (see `make`); whoever gives a job to another thread has
// marked it as away before.
unsafe impl Send for ListedJob {}

/// What became of a job that left its list.
pub(super) enum Left {
    Quietly,
    /// It panicked, and no handle will tell.
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

    /// Lets go of a job if its handle has claimed it. Says whether it did.
    ///
    /// # Safety
    /// - The list's half is the caller's, and is not used again if this says so.
    pub(super) unsafe fn leave_if_claimed(job: NonNull<Head>) -> bool {
        // ORDERING: a bit that is never taken back; nothing is read on the strength of it.
        // SAFETY: the list's half keeps the job.
        let is_claimed = unsafe { head(job) }.state.load(Ordering::Relaxed) & CLAIMED != 0;
        if is_claimed {
            // SAFETY: the list's half is one of the holders, until here.
            unsafe { leave(job) };
        }
        is_claimed
    }

    /// The job goes where other threads reach it.
    pub(super) fn send_away(&self) {
        // SAFETY: the list's half keeps the job, and nobody else reaches it.
        unsafe { Self::mark_away(self.job) };
    }

    /// From now on the job's state is changed by exchanges.
    ///
    /// # Safety
    /// - The list's half is the caller's, and keeps the job. The handle's thread does not change
    ///   the job just now.
    pub(super) unsafe fn mark_away(job: NonNull<Head>) {
        // ORDERING: the job goes on by way of a lock; the handle's thread looks after it has seen
        // that the thief is gone.
        // SAFETY: the caller's promise.
        unsafe { head(job) }.away.store(true, Ordering::Relaxed);
    }

    /// Runs the closure, unless the handle's thread has. `panicked` is called before the handle can
    /// see a panic; `wake` with the job's number if the handle's thread sleeps.
    #[inline]
    pub(super) fn run(self, panicked: impl FnOnce(), wake: impl FnOnce(usize)) -> Left {
        let job = self.job;
        // SAFETY: the list's half keeps the job.
        let here = unsafe { head(job) };
        // ORDERING: acquire, as in `change`: the handle has let go, and nobody can get one again.
        let order = planted(mutant!("job_unheld_relaxed"), Ordering::Acquire, Ordering::Relaxed);
        if here.state.load(order) & (HELD | CLAIMED) == 0 {
            // SAFETY: the handle has let go of it unclaimed, so the list's half alone reaches it.
            let payload = unsafe { (here.table.run_alone)(job) };
            // SAFETY: nobody else reaches the job.
            unsafe { free(job) };
            return payload.map_or(Left::Quietly, |payload| {
                panicked();
                Left::Panicked(payload)
            });
        }
        // SAFETY: the list's half is one of the holders.
        if !unsafe { claim(job) } {
            // SAFETY: as above, until here.
            unsafe { leave(job) };
            return Left::Quietly;
        }
        // SAFETY: the list's half keeps the job.
        let table = unsafe { head(job) }.table;
        // SAFETY: claimed just now.
        if unsafe { (table.run)(job) } {
            panicked();
        }
        // SAFETY: as above, until here.
        let before = unsafe { change(job, |state| (state | DONE) & !LISTED) };
        if before & HELD != 0 {
            // The handle may have freed the job already.
            if before & ASLEEP != 0 {
                wake(job.addr().get());
            }
            return Left::Quietly;
        }
        // SAFETY: nobody else reaches the job, and the result is there.
        let payload = unsafe { (table.drop_result)(job) };
        // SAFETY: nobody else reaches the job.
        unsafe { free(job) };
        payload.map_or(Left::Quietly, Left::Panicked)
    }
}

/// The list's side lets go of a job that the handle's thread has claimed.
///
/// # Safety
/// - The caller has the list's half, and does not use it again.
unsafe fn leave(job: NonNull<Head>) {
    // SAFETY: the list's half is one of the holders, until here.
    if unsafe { change(job, |state| state & !LISTED) } & HELD == 0 {
        // SAFETY: the handle has had the result, or has dropped it, and is gone.
        unsafe { free(job) };
    }
}
