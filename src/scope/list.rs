//! Jobs in the order of their spawning, without those that their handles have run meanwhile.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use super::job::ListedJob;

/// A list of this length is not worth a look.
const SHORT: usize = 64;
/// How many jobs are looked at to tell whether many of them were run.
const PROBES: usize = 8;

/// Jobs that nobody has taken. A job that its handle runs stays here as a husk; so that a scope may stay open
/// for long, husks are swept out now and then.
pub(super) struct List {
    jobs: VecDeque<ListedJob>,
    /// The length at which to look for husks.
    sweep_at: usize,
}

impl List {
    pub(super) fn new(jobs: VecDeque<ListedJob>) -> Self {
        let mut list = Self { jobs, sweep_at: SHORT };
        list.look_later();
        list
    }

    #[inline]
    pub(super) fn push(&mut self, job: ListedJob) {
        if self.jobs.len() >= self.sweep_at {
            self.sweep();
        }
        self.jobs.push_back(job);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<ListedJob> {
        self.jobs.pop_front()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Puts jobs behind the others.
    pub(super) fn append(&mut self, mut jobs: VecDeque<ListedJob>) {
        self.jobs.append(&mut jobs);
    }

    /// Takes the newer half out. Of one it is the one.
    pub(super) fn split_newer_half(&mut self) -> VecDeque<ListedJob> {
        self.jobs.split_off(self.jobs.len() / 2)
    }

    /// Lets go of the husks, if a look at some of the jobs finds one. If it is unlucky they stay until
    /// the list is twice as long.
    #[cold]
    fn sweep(&mut self) {
        let step = self.jobs.len() / PROBES;
        if self.jobs.iter().step_by(step.max(1)).any(ListedJob::is_claimed) {
            self.jobs.retain(|job| !job.leave_if_claimed());
        }
        self.look_later();
    }

    fn look_later(&mut self) {
        self.sweep_at = SHORT.max(2 * self.jobs.len());
    }
}
