//! Waking many workers for many tasks.
#![forbid(unsafe_code)]

use super::Hub;
use crate::idle::Word;

/// No more are woken while so many search, or are on their way to.
const UNDER_WAY: u32 = 8;

impl Hub {
    /// Wakes two workers, if there are tasks for both. A worker that slept calls it when it has
    /// found a task, so all are up after a few rounds; one that wakes the next is a chain, and
    /// takes a wake-up's time for each worker. Says whether it did.
    pub(crate) fn wake_two(&self, word: Word) -> bool {
        let is_wanted = word.free() > 1 && word.searching() < UNDER_WAY && self.has_more_tasks();
        if is_wanted {
            self.wake_helper();
            self.wake_helper();
        }
        is_wanted
    }

    /// Whether there seem to be tasks for more workers than one.
    fn has_more_tasks(&self) -> bool {
        self.shared.len() > 1 || self.used_slots().iter().any(|slot| slot.inbox.len() > 1)
    }
}
