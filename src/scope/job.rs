//! One closure of a scope: its memory, and the two who reach it, a list and a handle.
//!
//! While a job stays with the thread that spawned it nobody else reaches it, and its state is changed by
//! plain loads and stores. Before it is given away it is marked as `away`, and from then on every change is
//! an exchange. The handle never leaves the spawning thread, so it knows which of the two holds.
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
use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::alloc::{alloc, dealloc, handle_alloc_error};

use super::arena;
use crate::sync::{AtomicU32, Ordering};
use crate::unwind::{self, Payload};

const CLAIMED: u32 = 1;
const DONE: u32 = 2;
const HELD: u32 = 4;
const LISTED: u32 = 8;
const ASLEEP: u32 = 16;

/// What every job begins with.
struct Head {
    state: AtomicU32,
    /// Written by the spawning thread, before others can reach the job.
    away: Cell<bool>,
    /// Whether its memory was cut from a chunk.
    is_cut: bool,
    table: &'static Table,
}

/// What differs between types of jobs.
struct Table {
    /// Runs the closure and leaves the result in its place. Says whether it panicked.
    run: unsafe fn(NonNull<Head>) -> bool,
    /// Drops the result, and gives the payload if it was a panic.
    drop_result: unsafe fn(NonNull<Head>) -> Option<Payload>,
    layout: Layout,
    half_offset: usize,
}

#[repr(C)]
struct Job<F, R> {
    head: Head,
    half: UnsafeCell<Half<F, R>>,
}

#[repr(C)]
union Half<F, R> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<Result<R, Payload>>,
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
        away: Cell::new(false),
        is_cut,
        table: const { &Job::<F, R>::TABLE },
    };
    let half = UnsafeCell::new(Half { closure: ManuallyDrop::new(closure) });
    // SAFETY: fresh memory of this layout.
    unsafe { job.write(Job { head, half }) };
    let job = job.cast();
    (ListedJob { job }, HeldJob { job, value: PhantomData })
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R,
{
    const TABLE: Table = Table {
        run: Self::run,
        drop_result: Self::drop_result,
        layout: Layout::new::<Self>(),
        half_offset: core::mem::offset_of!(Self, half),
    };

    /// # Safety
    /// - `job` heads a `Job<F, R>` that the caller has claimed, and it runs once.
    unsafe fn run(job: NonNull<Head>) -> bool {
        // SAFETY: the job is there.
        let half = UnsafeCell::raw_get(unsafe { &raw const (*job.cast::<Self>().as_ptr()).half });
        // SAFETY: the claimant owns the closure, and moves it out once.
        let closure = unsafe { (&raw mut (*half).closure).read() };
        let result = unwind::catch(ManuallyDrop::into_inner(closure));
        let panicked = result.is_err();
        // SAFETY: the place is the claimant's, and the closure has left it.
        unsafe { (&raw mut (*half).result).write(ManuallyDrop::new(result)) };
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
unsafe fn take_result<R>(job: NonNull<Head>) -> Result<R, Payload> {
    // SAFETY: the job is there.
    let offset = unsafe { job.as_ref() }.table.half_offset;
    // SAFETY: the half lies there, whatever the closure's type.
    let half = unsafe { job.byte_add(offset) }.cast::<Result<R, Payload>>();
    // SAFETY: the caller's promise.
    unsafe { half.read() }
}

impl Head {
    /// Changes the state. The change is one exchange if others may reach the job.
    #[inline]
    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        // ORDERING: acquire, partner of the exchange by which a handle lets go: after that only the list's
        // side is left, and at home there is only one thread.
        let mut before = self.state.load(Ordering::Acquire);
        if !self.away.get() || before & HELD == 0 {
            // ORDERING: nobody else looks.
            self.state.store(change(before), Ordering::Relaxed);
            return before;
        }
        loop {
            // ORDERING: acquire and release: whoever finds a bit sees what was done before it was set, the
            // closure's captures, the result, or where somebody sleeps.
            let changed = self.state.compare_exchange_weak(
                before,
                change(before),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match changed {
                Ok(_) => return before,
                Err(now) => before = now,
            }
        }
    }

    #[inline]
    fn claim(&self) -> bool {
        self.change(|state| state | CLAIMED) & CLAIMED == 0
    }
}

/// # Safety
/// - The job is there.
#[inline]
unsafe fn head<'a>(job: NonNull<Head>) -> &'a Head {
    // SAFETY: the caller's promise; heads are only ever shared.
    unsafe { job.as_ref() }
}

/// # Safety
/// - Nobody else reaches the job, and its closure and result are gone.
#[inline]
unsafe fn free(job: NonNull<Head>) {
    // SAFETY: the job is still there.
    let head = unsafe { head(job) };
    match (head.is_cut, head.away.get()) {
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

// SAFETY: closure and result are `Send` (see `make`); whoever gives a job to another thread has marked
// it as away before.
unsafe impl Send for ListedJob {}

/// What became of a job that left its list.
pub(super) enum Left {
    Quietly,
    /// It panicked, and no handle will tell.
    Panicked(Payload),
}

impl ListedJob {
    /// From now on other threads may reach the jobs. Only for their spawning thread.
    pub(super) fn send_away<'j>(jobs: impl Iterator<Item = &'j Self>) {
        let mut tally = arena::Tally::new();
        for listed in jobs {
            // SAFETY: the list's half keeps the job.
            let head = unsafe { head(listed.job) };
            if !head.away.replace(true) && head.is_cut {
                // SAFETY: cut on this thread, and away only now.
                unsafe { tally.add(listed.job.cast()) };
            }
        }
    }

    /// Something that belongs to the closure's type.
    pub(super) fn key(&self) -> usize {
        // SAFETY: the list's half keeps the job.
        unsafe { head(self.job) }.table.run as usize
    }

    /// Runs the closure, unless the handle's thread has. `panicked` is called before the handle can see a
    /// panic; `wake` with the job's number if the handle's thread sleeps.
    #[inline]
    pub(super) fn run(self, panicked: impl FnOnce(), wake: impl FnOnce(usize)) -> Left {
        let job = self.job;
        // SAFETY: the list's half keeps the job.
        let head = unsafe { head(job) };
        if !head.claim() {
            if head.change(|state| state & !LISTED) & HELD == 0 {
                // SAFETY: the handle has had the result, or has dropped it, and is gone.
                unsafe { free(job) };
            }
            return Left::Quietly;
        }
        // SAFETY: claimed just now.
        if unsafe { (head.table.run)(job) } {
            panicked();
        }
        let before = head.change(|state| (state | DONE) & !LISTED);
        if before & HELD != 0 {
            // The handle may free the job from here on.
            if before & ASLEEP != 0 {
                wake(job.addr().get());
            }
            return Left::Quietly;
        }
        // SAFETY: nobody else reaches the job, and the result is there.
        let payload = unsafe { (head.table.drop_result)(job) };
        // SAFETY: nobody else reaches the job.
        unsafe { free(job) };
        payload.map_or(Left::Quietly, Left::Panicked)
    }
}

/// The handle's half.
pub(super) struct HeldJob<R> {
    job: NonNull<Head>,
    value: PhantomData<R>,
}

/// What a handle's look came to.
pub(super) enum Look<R> {
    /// Nobody had started it: it was run here.
    RanHere(Result<R, Payload>),
    Done(Result<R, Payload>),
    /// Another thread runs it.
    Running(HeldJob<R>),
}

impl<R> HeldJob<R> {
    fn head(&self) -> &Head {
        // SAFETY: the handle's half keeps the job.
        unsafe { head(self.job) }
    }

    pub(super) fn is_done(&self) -> bool {
        // ORDERING: acquire, partner of the exchange that sets the bit.
        self.head().state.load(Ordering::Acquire) & DONE != 0
    }

    /// Takes the result if it is there; runs the closure if nobody has.
    pub(super) fn look(self) -> Look<R> {
        let job = self.job;
        if self.is_done() {
            core::mem::forget(self);
            // SAFETY: it is done, so the result is the handle's.
            let result = unsafe { take_result(job) };
            // SAFETY: done, so no list reaches it; the result was taken.
            unsafe { free(job) };
            return Look::Done(result);
        }
        if !self.head().claim() {
            return Look::Running(self);
        }
        core::mem::forget(self);
        // SAFETY: the handle's half keeps the job.
        let head = unsafe { head(job) };
        // SAFETY: claimed just now.
        let _panicked = unsafe { (head.table.run)(job) };
        // SAFETY: we have run it.
        let result = unsafe { take_result(job) };
        if head.change(|state| state & !HELD) & LISTED == 0 {
            // SAFETY: the list has let go of it, and the result was taken.
            unsafe { free(job) };
        }
        Look::RanHere(result)
    }

    /// The job's number, for whoever has to be woken.
    pub(super) fn number(&self) -> usize {
        self.job.addr().get()
    }

    /// The handle's thread is about to sleep, and has said where. Says whether it may: not if the job is done.
    pub(super) fn lie_down(&self) -> bool {
        self.head().change(|state| state | ASLEEP) & DONE == 0
    }

    /// Lets go of the job. Gives its panic, if it has had one that nobody will see.
    #[inline]
    pub(super) fn let_go(&self) -> Option<Payload> {
        let head = self.head();
        if head.change(|state| state & !HELD) & DONE == 0 {
            return None;
        }
        // SAFETY: done, so no list reaches it, and the result is the handle's.
        let payload = unsafe { (head.table.drop_result)(self.job) };
        // SAFETY: nobody else reaches the job.
        unsafe { free(self.job) };
        payload
    }
}
