//! The handle's half of a job; `job.rs` says which thread reaches a job when.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::job::{ASLEEP, CLAIMED, DONE, HELD, Head, LISTED, change, free, head, take_result};
use crate::base::unwind::Payload;
use crate::parts::offer::Line;

// ORDERING: acquire, partner of the exchange in `change` that sets the bit.
ordering!(SEE_DONE = Acquire, planted "job_done_relaxed": Relaxed);

/// The handle's half of a job, the other half being the list's.
pub(super) struct HeldJob<R> {
    job: NonNull<Head>,
    /// The line of the handle's thread on which the job was left. `None` if it went away at once.
    line: Option<NonNull<Line>>,
    value: PhantomData<R>,
}

/// The result of a look at a job through its handle.
pub(super) enum Look<R> {
    /// No thread had started it: it ran here.
    RanHere(Result<R, Payload>),
    Done(Result<R, Payload>),
    /// Another thread runs it.
    Running(HeldJob<R>),
}

impl<R> HeldJob<R> {
    pub(super) fn new(job: NonNull<Head>) -> Self {
        Self { job, line: None, value: PhantomData }
    }

    /// Notes on which line the job was left.
    ///
    /// # Safety
    /// - The line exists as long as the handle.
    pub(super) unsafe fn lies_on(&mut self, line: Option<NonNull<Line>>) {
        self.line = line;
    }

    /// Like [`change`], for the handle's side, where a thief may be about to take the job.
    #[inline]
    fn change(&self, change_to: impl Fn(u32) -> u32) -> u32 {
        let Some(line) = self.line else {
            // SAFETY: the handle's half is one of the holders. Either the job is away, or no other
            // thread reaches it.
            return unsafe { change(self.job, change_to) };
        };
        // SAFETY: the caller of `lies_on` promised that the line exists as long as the handle.
        let line = unsafe { line.as_ref() };
        line.announce(self.job.cast());
        // SAFETY: the handle's half is one of the holders, and no thief takes the job before
        // `conclude`.
        let before = unsafe { change(self.job, change_to) };
        line.conclude();
        before
    }

    pub(super) fn is_done(&self) -> bool {
        // SAFETY: the handle's half keeps the job.
        unsafe { head(self.job) }.state.load(SEE_DONE) & DONE != 0
    }

    /// Takes the result if it is there. Runs the closure if no thread has claimed it.
    pub(super) fn look(self) -> Look<R> {
        let job = self.job;
        if self.is_done() {
            // SAFETY: it is done, so the result belongs to the handle.
            let result = unsafe { take_result(job) };
            // SAFETY: it is done, so no list reaches it; the result was taken.
            unsafe { free(job) };
            return Look::Done(result);
        }
        if self.change(|state| state | CLAIMED) & CLAIMED != 0 {
            return Look::Running(self);
        }
        // SAFETY: the handle's half keeps the job.
        let table = unsafe { head(job) }.table;
        // SAFETY: claimed just now.
        let _panicked = unsafe { (table.run)(job) };
        // SAFETY: it ran on this thread.
        let result = unsafe { take_result(job) };
        if self.change(|state| state & !HELD) & LISTED == 0 {
            // SAFETY: the list has let go of it, and the result was taken.
            unsafe { free(job) };
        }
        Look::RanHere(result)
    }

    /// The job's number, by which its sleeping waiter is found.
    pub(super) fn number(&self) -> usize {
        self.job.addr().get()
    }

    /// Marks the handle's thread as about to sleep; where it sleeps must be noted before. Returns
    /// `true` if it may sleep, and `false` if the job is done.
    pub(super) fn lie_down(&self) -> bool {
        self.change(|state| state | ASLEEP) & DONE == 0
    }

    /// Lets go of the job. Returns the payload if it panicked and nothing else will report that.
    #[inline]
    pub(super) fn let_go(self) -> Option<Payload> {
        let job = self.job;
        if self.change(|state| state & !HELD) & DONE == 0 {
            return None;
        }
        // SAFETY: it is done, so no list reaches it.
        let table = unsafe { head(job) }.table;
        // SAFETY: the result belongs to the handle.
        let payload = unsafe { (table.drop_result)(job) };
        // SAFETY: no other thread reaches the job.
        unsafe { free(job) };
        payload
    }
}
