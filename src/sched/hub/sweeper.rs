//! Keeps dead tasks (those cancelled or run in place while still queued) from piling up in queues.
//!
//! When more than half of the queued tasks are dead, a pass goes through the queues and frees them,
//! one step at a time. The thread that makes the next dead tasks does the next step. So no cancel
//! and no lock is held up for long, however much is queued. A pass over all tasks is done before an
//! eighth as many new dead ones have appeared.
#![forbid(unsafe_code)]

use super::Hub;
use crate::base::sync::lock::Mutex;
use crate::parts::queue::{Cursor, Queue};
use crate::task::QueuedTask;

/// After this many more dead tasks, a thread does a step, or checks whether it is time for a pass.
const DEAD_ENOUGH: u64 = 64;
/// How many tasks or empty queues a step looks at.
const STEP: usize = 512;

/// What the thread that does the next step must know.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    state: Mutex<SweepState>,
}

#[derive(Debug, Default)]
struct SweepState {
    /// The number of the queue that is swept, and the position in it. `None` between two passes.
    at: Option<(usize, Option<Cursor>)>,
    /// How many checks for whether a pass is due are skipped. A check looks at each queue, and
    /// there may be a thousand.
    rest: usize,
}

impl Hub {
    /// Counts a task that was claimed while still in its queue, and keeps dead ones from piling up.
    pub(crate) fn note_claimed_in_queue(&self) {
        if self.counters.claimed_in_queue.raise() % DEAD_ENOUGH == 0 {
            self.sweep_some();
        }
    }

    #[cold]
    fn sweep_some(&self) {
        // One step at a time: a thread that arrives during another thread's step skips its own.
        let Some(mut state) = self.sweeper.state.try_lock() else { return };
        if state.at.is_none() && self.count_down_to_pass(&mut state) {
            state.at = Some((0, None));
        }
        let dead = self.step(&mut state);
        drop(state);
        for task in dead {
            drop(task);
            self.counters.claimed_in_queue.lower();
        }
    }

    /// Counts one rest step down. Returns whether a pass begins now.
    fn count_down_to_pass(&self, state: &mut SweepState) -> bool {
        if state.rest > 0 {
            state.rest -= 1;
            return false;
        }
        state.rest = self.queues().count() / DEAD_ENOUGH as usize;
        // Below zero for a moment, as in `depth`.
        let dead = (self.counters.claimed_in_queue.get() as i64).max(0) as usize;
        dead > self.queued() / 2
    }

    /// Does the next step of a pass, if one is under way.
    fn step(&self, state: &mut SweepState) -> Vec<QueuedTask> {
        let mut dead = Vec::new();
        let Some((number, mut cursor)) = state.at.take() else { return dead };
        let mut left = STEP;
        for (number, queue) in self.queues().enumerate().skip(number) {
            if left == 0 {
                state.at = Some((number, None));
                break;
            }
            left -= 1;
            if Queue::looks_empty(queue) {
                continue;
            }
            let swept = queue.sweep(cursor.take(), left, QueuedTask::is_claimed);
            left -= swept.looked;
            dead.extend(swept.dead);
            if swept.next.is_some() {
                state.at = Some((number, swept.next));
                break;
            }
        }
        dead
    }
}
