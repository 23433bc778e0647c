//! Finds the task that has waited longest, which a full pool that drops the oldest refuses.
//!
//! In such a pool all tasks share one queue, whichever thread spawned them (`Layout::OneQueue`). So
//! its front is the oldest task, except for tasks that are placed, dealt, or of another priority.
//! Their queues are looked at only where there is such a task.
#![forbid(unsafe_code)]

use super::Hub;
use crate::parts::queue::Queue;
use crate::parts::spin::Gap;
use crate::task::{Outcome, QueuedTask};

impl Hub {
    /// Makes room for a new task by refusing the one that has waited longest. Returns whether there
    /// was one.
    pub(crate) fn drop_oldest(&self) -> bool {
        let _settling = self.lives.unsettled.begin();
        let mut gap = Gap::default();
        loop {
            self.drop_claimed_fronts();
            let fronts = self.aged_queues().filter_map(|queue| {
                let age = queue.peek(QueuedTask::age)??;
                Some((age, queue))
            });
            let older = |one: (usize, _), other: (usize, _)| {
                if is_older(other.0, one.0) { other } else { one }
            };
            let Some((age, queue)) = fronts.reduce(older) else { return false };
            let is_it = |task: &QueuedTask| task.age() == Some(age);
            let Some(oldest) = queue.pop_when(is_it) else {
                // Either a worker was faster, and then another task is the oldest. Or a submitter
                // is about to link its task behind this one, and may need this core for that.
                gap.wait();
                continue;
            };
            if let Some(outcome) = oldest.settle_unrun(Outcome::Displaced) {
                self.count_settled(outcome);
                return true;
            }
            self.counters.claimed_in_queue.lower();
        }
    }

    /// Removes cancelled tasks from the heads of the queues, because they hide the oldest waiting
    /// task.
    fn drop_claimed_fronts(&self) {
        for queue in self.aged_queues() {
            while queue.pop_when(QueuedTask::is_claimed).is_some() {
                self.counters.claimed_in_queue.lower();
            }
        }
    }

    /// The queues that may hold a task, as far as one look can tell.
    fn aged_queues(&self) -> impl Iterator<Item = &Queue<QueuedTask>> {
        let common = std::iter::once(&self.shared).chain(self.lanes.all());
        let slots = if self.uses_workers_queues() { self.used_slots() } else { &[] };
        let of_workers = slots
            .iter()
            .flat_map(|slot| [&slot.dealt, &slot.inbox].into_iter().chain(Self::own_queues(slot)));
        common.chain(of_workers).filter(|queue| !queue.looks_empty())
    }
}

/// Compares two ages that may lie on both sides of the counter's overflow. On a 32-bit machine it
/// overflows within hours.
fn is_older(age: usize, other: usize) -> bool {
    (age.wrapping_sub(other) as isize) < 0
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn an_age_from_before_the_end_of_the_count_is_older_than_one_from_behind_it() {
        let ages = [usize::MAX - 1, usize::MAX, 0, 1];
        for (place, &age) in ages.iter().enumerate() {
            for &later in &ages[place + 1..] {
                assert!(is_older(age, later) && !is_older(later, age), "{age} {later}");
            }
            assert!(!is_older(age, age));
        }
    }
}
