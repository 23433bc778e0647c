//! A join: one half is run here, the other lies on the line meanwhile for whoever is idle.

use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::panic;

use super::stack::{self, with_current};
use crate::offer::{Job, JobTable, Line};
use crate::unwind::{self, Payload};

/// A join's frame: the second half before its run, its result after one elsewhere.
#[repr(C)]
struct Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    job: Job,
    half: UnsafeCell<Half<B, RB>>,
}

/// Both lie at its beginning, so a pointer to it is a pointer to either.
#[repr(C)]
union Half<B, RB> {
    closure: ManuallyDrop<B>,
    /// Never named: it stands for the room it needs.
    _result: ManuallyDrop<Result<RB, Payload>>,
}

impl<B, RB> Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    // SAFETY: `run` does not unwind; the frame waits until it was run, or takes the job back.
    const TABLE: JobTable = unsafe { JobTable::new(Self::run) };

    #[inline(always)]
    fn new(closure: B) -> Self {
        let job = Job::new(const { &Self::TABLE });
        let half = UnsafeCell::new(Half { closure: ManuallyDrop::new(closure) });
        Self { job, half }
    }

    /// # Safety
    /// - `frame` is a `Frame<B, RB>` whose closure is there and is the caller's.
    unsafe fn run(frame: NonNull<()>) {
        // SAFETY: the caller's promise. Only the half is touched: the job belongs to the frame's thread.
        let half = unsafe { &raw mut (*frame.cast::<Self>().as_ptr()).half };
        // SAFETY: the frame is there.
        let half = UnsafeCell::raw_get(half);
        // SAFETY: the closure is the caller's, and moved out once.
        let closure = unsafe { half.cast::<B>().read() };
        let result = unwind::catch(|| closure(true));
        // SAFETY: the place is the caller's, and the closure has left it.
        unsafe { half.cast::<Result<RB, Payload>>().write(result) };
    }

    /// # Safety
    /// - The closure is there, and is the caller's.
    unsafe fn take_closure(&self) -> B {
        // SAFETY: the caller's promise.
        unsafe { self.half.get().cast::<B>().read() }
    }

    /// # Safety
    /// - The frame's offer is done, and the result was not taken.
    unsafe fn take_result(&self) -> Result<RB, Payload> {
        // SAFETY: the caller's promise.
        unsafe { self.half.get().cast::<Result<RB, Payload>>().read() }
    }
}

impl<B, RB> Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    /// Puts the job on the line.
    ///
    /// # Safety
    /// - The frame stays where it is until it was [taken back](Self::take_back), or is dropped there; and frames that were
    ///   pushed later come first.
    #[inline(always)]
    unsafe fn push(&self, line: &Line) -> NonNull<Job> {
        // SAFETY: the caller's promise.
        let below = unsafe { line.push(NonNull::from(self).cast()) };
        if line.is_asked() {
            stack::attend();
        }
        below
    }

    /// Takes the job off the line. Says whether it is still here: if not, wait for it.
    #[inline(always)]
    fn take_back(&self, line: &Line, below: NonNull<Job>) -> bool {
        line.pop(below);
        if line.is_asked() {
            let _asked = line.attend();
        }
        !self.job.was_taken()
    }
}

/// A frame is dropped by a panic of the first half only: it gets the second out of the way. The frame itself is the
/// guard, so that nothing has to be kept in memory for this case.
impl<B, RB> Drop for Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        let line = stack::current_line().expect("a frame lies on the line of its thread");
        // SAFETY: it was pushed.
        let below = unsafe { self.job.below() };
        // The first half's panic goes on; what the second made of itself nobody will see.
        if self.take_back(line, below) {
            // SAFETY: nobody took it, and nobody can any more.
            let closure = unsafe { self.take_closure() };
            unwind::quietly(|| drop(closure));
            return;
        }
        wait(line, &self.job);
        // SAFETY: it is done, and nobody else asks.
        match unsafe { self.take_result() } {
            Ok(value) => {
                unwind::quietly(|| drop(value));
            }
            Err(payload) => unwind::drop_payload(payload),
        }
    }
}

/// Waits for whoever has taken the job.
#[cold]
#[inline(never)]
fn wait(line: &Line, job: &Job) {
    // The frame would be dropped, and wait once more.
    let bomb = unwind::AbortOnPanic;
    line.retreat(NonNull::from(job));
    let offer = job.take_offer();
    let waited = with_current(|stack| stack.wait_for(&offer));
    assert!(waited.is_ok(), "a thread that has a line has a stack");
    core::mem::forget(bomb);
}

/// Runs both closures, the second elsewhere if an idle worker takes it. Each is told whether it moved.
#[inline(always)]
pub(crate) fn join<A, B, RA, RB>(line: &Line, a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    let frame = Frame::new(b);
    // SAFETY: it is taken back below, or dropped by a panic of the first half.
    let below = unsafe { frame.push(line) };
    let ra = a(false);
    if frame.take_back(line, below) {
        // SAFETY: nobody took it, and nobody can any more.
        let b = unsafe { frame.take_closure() };
        core::mem::forget(frame);
        (ra, b(false))
    } else {
        wait(line, &frame.job);
        // SAFETY: it is done, and nobody else asks.
        let result = unsafe { frame.take_result() };
        core::mem::forget(frame);
        // The first half's result is dropped if the second has panicked.
        (ra, result.unwrap_or_else(|payload| panic::resume_unwind(payload)))
    }
}
