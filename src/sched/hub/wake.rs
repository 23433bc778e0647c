//! Wakes many workers for many tasks.
#![forbid(unsafe_code)]

use super::Hub;
use crate::parts::idle::Word;

/// No more workers are woken while this many search or are on their way to searching.
const UNDER_WAY: u32 = 8;

impl Hub {
    /// Wakes two workers if there are tasks for both. Returns whether it did. A worker that slept
    /// calls this when it has found a task, so all are awake after a few rounds. If each worker
    /// woke only the next, that chain would take one wake-up's time per worker.
    pub(crate) fn wake_two(&self, word: Word) -> bool {
        let is_wanted = word.free() > 1 && word.searching() < UNDER_WAY && self.has_more_tasks();
        if is_wanted {
            self.wake_helper();
            self.wake_helper();
        }
        is_wanted
    }

    /// Whether there seem to be tasks for more than one worker.
    fn has_more_tasks(&self) -> bool {
        self.shared.len() > 1 || self.used_slots().iter().any(|slot| slot.inbox.len() > 1)
    }
}
