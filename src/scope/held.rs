//! The handle's half of a job: `job.rs` says who reaches it when.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::job::{ASLEEP, CLAIMED, DONE, HELD, Head, LISTED, change, free, head, take_result};
use crate::offer::Line;
use crate::sync::{Ordering, planted};
use crate::unwind::Payload;

/// The handle's half.
pub(super) struct HeldJob<R> {
    job: NonNull<Head>,
    /// The line of the handle's thread on which the job was left. `None` if it went away at once.
    line: Option<NonNull<Line>>,
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
    pub(super) fn new(job: NonNull<Head>) -> Self {
        Self { job, line: None, value: PhantomData }
    }

    /// Where the job was left.
    ///
    /// # Safety
    /// - The line is there for as long as the handle.
    pub(super) unsafe fn lies_on(&mut self, line: Option<NonNull<Line>>) {
        self.line = line;
    }

    /// As [`change`], for the handle's side: a thief may be about to take the job.
    #[inline]
    fn change(&self, change_to: impl Fn(u32) -> u32) -> u32 {
        let Some(line) = self.line else {
            // SAFETY: the handle's half is one of the holders. The job is away, or nobody else
            // reaches it.
            return unsafe { change(self.job, change_to) };
        };
        // SAFETY: `lies_on` was promised that it is there.
        let line = unsafe { line.as_ref() };
        line.announce(self.job.cast());
        // SAFETY: as above; no thief takes the job before the end of this.
        let before = unsafe { change(self.job, change_to) };
        line.conclude();
        before
    }

    pub(super) fn is_done(&self) -> bool {
        // ORDERING: acquire, partner of the exchange that sets the bit.
        let order = planted(mutant!("job_done_relaxed"), Ordering::Acquire, Ordering::Relaxed);
        // SAFETY: the handle's half keeps the job.
        unsafe { head(self.job) }.state.load(order) & DONE != 0
    }

    /// Takes the result if it is there; runs the closure if nobody has.
    pub(super) fn look(self) -> Look<R> {
        let job = self.job;
        if self.is_done() {
            // SAFETY: it is done, so the result is the handle's.
            let result = unsafe { take_result(job) };
            // SAFETY: done, so no list reaches it; the result was taken.
            unsafe { free(job) };
            return Look::Done(result);
        }
        if self.change(|state| state | CLAIMED) & CLAIMED != 0 {
            return Look::Running(self);
        }
        // SAFETY: as above.
        let table = unsafe { head(job) }.table;
        // SAFETY: claimed just now.
        let _panicked = unsafe { (table.run)(job) };
        // SAFETY: we have run it.
        let result = unsafe { take_result(job) };
        if self.change(|state| state & !HELD) & LISTED == 0 {
            // SAFETY: the list has let go of it, and the result was taken.
            unsafe { free(job) };
        }
        Look::RanHere(result)
    }

    /// The job's number, for whoever has to be woken.
    pub(super) fn number(&self) -> usize {
        self.job.addr().get()
    }

    /// The handle's thread is about to sleep, and has said where. Says whether it may: not if the
    /// job is done.
    pub(super) fn lie_down(&self) -> bool {
        self.change(|state| state | ASLEEP) & DONE == 0
    }

    /// Lets go of the job. Gives its panic, if it has had one that nobody will see.
    #[inline]
    pub(super) fn let_go(self) -> Option<Payload> {
        let job = self.job;
        if self.change(|state| state & !HELD) & DONE == 0 {
            return None;
        }
        // SAFETY: done, so no list reaches it.
        let table = unsafe { head(job) }.table;
        // SAFETY: the result is the handle's.
        let payload = unsafe { (table.drop_result)(job) };
        // SAFETY: nobody else reaches the job.
        unsafe { free(job) };
        payload
    }
}
