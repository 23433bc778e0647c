//! A join: one half runs here, while the other lies on the line, in reach of idle workers.

use core::ptr::NonNull;
use std::panic;

use super::stack::{self, with_current};
use crate::base::half::{self, Half};
use crate::base::unwind::{self, Payload};
use crate::parts::offer::{Job, JobTable, Line};

/// A join's frame. It holds the second half before that has run, and its result if it ran
/// elsewhere.
#[repr(C)]
struct Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    job: Job,
    half: Half<B, RB>,
}

impl<B, RB> Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    // SAFETY: `run` does not unwind. The frame waits until it has run, or takes the job back.
    const TABLE: JobTable = unsafe { JobTable::new(Self::run) };

    #[inline(always)]
    fn new(closure: B) -> Self {
        let job = Job::new(const { &Self::TABLE });
        Self { job, half: Half::new(closure) }
    }

    /// # Safety
    /// - `frame` is a `Frame<B, RB>` whose closure is there and belongs to the caller.
    unsafe fn run(frame: NonNull<()>) {
        // SAFETY: the caller promises that `frame` is a `Frame<B, RB>`. Only the half is touched:
        // the job belongs to the frame's thread.
        let half = unsafe { &raw const (*frame.cast::<Self>().as_ptr()).half };
        // SAFETY: the caller promises that the closure is there and belongs to it.
        let _panicked = unsafe { Half::run(half, |closure| closure(true)) };
    }

    /// # Safety
    /// - The closure is there, and belongs to the caller.
    unsafe fn take_closure(&self) -> B {
        // SAFETY: the caller promises that the closure is there and belongs to it.
        unsafe { Half::take_closure(&raw const self.half) }
    }

    /// # Safety
    /// - The frame's offer is done, and the result was not taken.
    unsafe fn take_result(&self) -> Result<RB, Payload> {
        // SAFETY: the caller promises that the offer is done and the result was not taken.
        unsafe { half::take_result((&raw const self.half).cast()) }
    }
}

impl<B, RB> Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    /// Puts the job on the line.
    ///
    /// # Safety
    /// - The frame stays where it is until it is [taken back](Self::take_back), and frames that
    ///   were pushed later are taken back first.
    #[inline(always)]
    unsafe fn push(&self, line: &Line) -> NonNull<Job> {
        // SAFETY: the caller promises that the frame stays until it is taken back.
        let below = unsafe { line.push(NonNull::from(self).cast()) };
        if line.is_asked() {
            stack::attend();
        }
        below
    }

    /// Takes the job off the line. Returns `true` if it is still here. If not, the caller must wait
    /// for it.
    #[inline(always)]
    fn take_back(&self, line: &Line, below: NonNull<Job>) -> bool {
        line.pop(below);
        if line.is_asked() {
            let _asked = line.attend();
        }
        !self.job.was_taken()
    }
}

/// A frame that lies on its thread's line. It is dropped only by a panic of the first half. The
/// drop takes the second half back, or waits for it. Nothing is kept in memory just for this case.
struct Pushed<'f, B, RB>
where
    B: FnOnce(bool) -> RB,
{
    frame: &'f Frame<B, RB>,
    line: &'f Line,
    below: NonNull<Job>,
}

impl<B, RB> Drop for Pushed<'_, B, RB>
where
    B: FnOnce(bool) -> RB,
{
    #[inline(always)]
    fn drop(&mut self) {
        get_out_of_the_way(self.frame, self.line, self.below);
    }
}

/// Takes back or waits for the second half while the first half's panic unwinds. The second half's
/// closure or result is dropped unseen.
#[cold]
#[inline(never)]
fn get_out_of_the_way<B, RB>(frame: &Frame<B, RB>, line: &Line, below: NonNull<Job>)
where
    B: FnOnce(bool) -> RB,
{
    if frame.take_back(line, below) {
        // SAFETY: no thread took it, and no thread can take it any more.
        let closure = unsafe { frame.take_closure() };
        unwind::quietly(|| drop(closure));
        return;
    }
    wait(line, &frame.job);
    // SAFETY: it is done, and only this thread takes the result.
    match unsafe { frame.take_result() } {
        Ok(value) => {
            unwind::quietly(|| drop(value));
        }
        Err(payload) => unwind::drop_payload(payload),
    }
}

/// Waits for the thread that took the job.
#[cold]
#[inline(never)]
fn wait(line: &Line, job: &Job) {
    // A panic here would end the frame while another thread runs what lies in it.
    let bomb = unwind::AbortOnPanic;
    line.retreat(NonNull::from(job));
    let offer = job.take_offer();
    let waited = with_current(|stack| stack.wait_for(&offer));
    assert!(waited.is_ok(), "a thread that has a line has a stack");
    core::mem::forget(bomb);
}

/// Runs both closures, the second on another thread if an idle worker takes it. Each is told
/// whether it moved.
#[inline(always)]
pub(crate) fn join<A, B, RA, RB>(line: &Line, a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    let frame = Frame::new(b);
    // SAFETY: it is taken back below, also if the first half panics.
    let below = unsafe { frame.push(line) };
    let pushed = Pushed { frame: &frame, line, below };
    let ra = a(false);
    core::mem::forget(pushed);
    if frame.take_back(line, below) {
        // SAFETY: no thread took it, and no thread can take it any more.
        let b = unsafe { frame.take_closure() };
        (ra, b(false))
    } else {
        wait(line, &frame.job);
        // SAFETY: it is done, and only this thread takes the result.
        let result = unsafe { frame.take_result() };
        // The first half's result is dropped if the second half panicked.
        (ra, result.unwrap_or_else(|payload| panic::resume_unwind(payload)))
    }
}
