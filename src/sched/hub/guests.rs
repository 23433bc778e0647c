//! Guests: threads outside the pool that run its tasks, because something on those threads waits
//! for them.
#![forbid(unsafe_code)]

use crate::base::sync::Mutex;

/// The guests and what they run, from before a task is claimed until it is settled.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    state: Mutex<Visits>,
}

#[derive(Debug, Default)]
struct Visits {
    /// How many guests there have ever been. Also the number of the next one.
    visits: u64,
    /// The names of the tasks that they run.
    here: Vec<(u64, String)>,
}

impl Guests {
    /// Adds a guest. Returns its number.
    pub(crate) fn come(&self, runs: String) -> u64 {
        let mut state = self.state.lock();
        let number = state.visits;
        state.here.push((number, runs));
        mutant!("visit_uncounted" => return number);
        state.visits += 1;
        number
    }

    pub(crate) fn go(&self, number: u64) {
        let mut state = self.state.lock();
        let place = state.here.iter().position(|guest| guest.0 == number);
        let gone = place.map(|place| state.here.swap_remove(place));
        drop(state);
        drop(gone);
    }

    /// The names of the tasks that guests are running.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state.lock().here.iter().map(|guest| guest.1.clone()).collect()
    }

    /// How many guests there have ever been, if none is here now.
    pub(super) fn visits_if_empty(&self) -> Option<u64> {
        let state = self.state.lock();
        state.here.is_empty().then_some(state.visits)
    }
}
