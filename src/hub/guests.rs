//! Tasks of a pool that run on threads which are none of its workers, because something there waits
//! for them.
#![forbid(unsafe_code)]

use crate::sync::Mutex;

/// Who runs what, from before it is claimed until it is settled.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many there have ever been; also the number of the next one.
    visits: u64,
    /// The names of what they run.
    here: Vec<(u64, String)>,
}

impl Guests {
    /// One comes. Gives its number.
    pub(crate) fn come(&self, runs: String) -> u64 {
        let mut state = self.state.lock();
        let number = state.visits;
        if !mutant!("visit_uncounted") {
            state.visits += 1;
        }
        state.here.push((number, runs));
        number
    }

    pub(crate) fn go(&self, number: u64) {
        let mut state = self.state.lock();
        let place = state.here.iter().position(|guest| guest.0 == number);
        let gone = place.map(|place| state.here.swap_remove(place));
        drop(state);
        drop(gone);
    }

    /// What they run just now.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state.lock().here.iter().map(|guest| guest.1.clone()).collect()
    }

    /// How many there have ever been, if none is here.
    pub(super) fn visits_if_empty(&self) -> Option<u64> {
        let state = self.state.lock();
        state.here.is_empty().then_some(state.visits)
    }
}
