//! Couriers: threads that call user code for the timer's thread, because user code may be slow or
//! never return.
//!
//! The timer's thread only looks at the clock, marks tokens as ended and claims tasks. What follows
//! from that is an errand: a waker is woken or a closure is dropped. A courier runs one errand
//! after another. While one courier is stuck in user code, the others run the errands behind it. If
//! all are stuck, the timer's thread starts another one, at most one in each [`MOMENT`]. So quick
//! errands share one thread, and each stuck errand costs a thread of its own, up to [`MOST`].
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::LINGER;
use crate::base::clock;
use crate::base::sync::lock::{Condvar, Mutex, MutexGuard};
use crate::base::sync::thread;
use crate::base::unwind::{self, AbortOnPanic};
use crate::os::heritage;

/// A job that may call user code.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// How many couriers may be stuck before an errand has to wait for one of them.
const MOST: usize = 64;
/// All couriers count as stuck if none has started an errand for this long although errands wait.
const MOMENT: Duration = Duration::from_millis(1);
/// The time between two checks when no further courier can be started.
const LONG: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Couriers {
    state: Mutex<CourierState>,
    /// Notified when an errand has arrived.
    called: Condvar,
}

#[derive(Default)]
struct CourierState {
    errands: VecDeque<Errand>,
    /// How many couriers exist, and how many of them have nothing to do.
    threads: usize,
    idle: usize,
    /// The maximum number of couriers exists, or the system refused the last one.
    is_full: bool,
    /// How many errands were started.
    begun: u64,
}

/// When to check whether the couriers make progress, and how far they had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) when: Instant,
    begun: u64,
}

impl Couriers {
    /// Accepts the errands. Returns when to [check](Self::look_after) whether the couriers make
    /// progress.
    pub(super) fn send(
        &'static self,
        errands: impl IntoIterator<Item = Errand>,
        now: Instant,
    ) -> Option<Progress> {
        let mut state = self.state.lock();
        let before = state.errands.len();
        state.errands.extend(errands);
        if state.errands.len() == before {
            return None;
        }
        if state.threads == 0 {
            self.start(&mut state);
        } else if state.idle > 0 {
            self.called.notify_one();
        }
        Some(state.progress(now))
    }

    /// Starts another courier if errands wait and all couriers are stuck. Returns when to check
    /// again, if that is needed.
    pub(super) fn look_after(&'static self, progress: Progress, now: Instant) -> Option<Progress> {
        let mut state = self.state.lock();
        if state.errands.is_empty() {
            return None;
        }
        if state.begun == progress.begun {
            self.start(&mut state);
        } else {
            state.is_full = false;
        }
        Some(state.progress(now))
    }

    /// If the system refuses the thread, the next check tries again.
    fn start(&'static self, state: &mut CourierState) {
        let thread = || thread::Builder::new().name("corepool-errand".to_owned());
        state.is_full = state.threads >= MOST || thread().spawn(|| self.run()).is_err();
        if !state.is_full {
            state.threads += 1;
        }
    }

    /// A courier's main function.
    fn run(&self) {
        let _abort = AbortOnPanic;
        heritage::take_after_first_thread();
        while let Some(errand) = self.next() {
            let _quiet = unwind::quietly(errand);
        }
    }

    /// Waits for an errand. Returns `None` if the courier should end, because there was no errand
    /// for a while or another courier is already idle.
    fn next(&self) -> Option<Errand> {
        let mut state = self.state.lock();
        let end = clock::after(LINGER);
        while state.errands.is_empty() {
            if !self.wait(&mut state, end) {
                state.threads -= 1;
                return None;
            }
        }
        state.begun = state.begun.wrapping_add(1);
        state.errands.pop_front()
    }

    /// Returns whether to keep waiting. One idle courier is enough; the others were only needed
    /// because it had been stuck.
    fn wait(&self, state: &mut MutexGuard<'_, CourierState>, end: Instant) -> bool {
        if state.idle > 0 {
            return false;
        }
        state.idle += 1;
        let is_over = self.called.wait_until(state, end).timed_out();
        state.idle -= 1;
        !is_over || !state.errands.is_empty()
    }
}

impl CourierState {
    fn progress(&self, now: Instant) -> Progress {
        let wait = if self.is_full { LONG } else { MOMENT };
        Progress { when: clock::later(now, wait), begun: self.begun }
    }
}
