//! Threads that do what the timer's thread must not: call the user's code, which may take its time
//! or wait for ever.
//!
//! The timer's thread only looks at the clock, marks tokens as ended and claims tasks. What follows
//! from that is an errand: a waker is woken, a closure is dropped. A courier runs one errand after
//! another. While one of them is stuck in the user's code the others run what waits behind it, and
//! if all are stuck the timer's thread starts another, one a [`MOMENT`] at most. So errands that
//! are quick share one thread, and each that is stuck costs a thread of its own, up to [`MOST`].
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::LINGER;
use crate::clock;
use crate::heritage;
use crate::sync::lock::{Condvar, Mutex, MutexGuard};
use crate::sync::thread;
use crate::unwind::{self, AbortOnPanic};

/// Something that may call the user's code.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// So many couriers may be stuck before an errand has to wait for one of them.
const MOST: usize = 64;
/// All couriers are stuck if none has begun an errand for so long though some wait.
const MOMENT: Duration = Duration::from_millis(1);
/// The time between two looks where no courier more is to be had.
const LONG: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Couriers {
    state: Mutex<State>,
    /// An errand has come.
    called: Condvar,
}

#[derive(Default)]
struct State {
    errands: VecDeque<Errand>,
    /// How many couriers there are, and how many of them have nothing to do.
    threads: usize,
    idle: usize,
    /// There are as many as there may be, or the system refused the last one.
    is_full: bool,
    /// How many errands were begun.
    begun: u64,
}

/// When to look whether the couriers get on, and how far they had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) when: Instant,
    begun: u64,
}

impl Couriers {
    /// Takes the errands. Gives when to [look](Self::look_after) whether they get on.
    pub(super) fn send(
        &'static self,
        errands: impl IntoIterator<Item = Errand>,
        now: Instant,
    ) -> Option<Watch> {
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
        Some(state.watch(now))
    }

    /// Starts another courier if errands wait and all couriers are stuck. Gives when to look again,
    /// if that is needed.
    pub(super) fn look_after(&'static self, watch: Watch, now: Instant) -> Option<Watch> {
        let mut state = self.state.lock();
        if state.errands.is_empty() {
            return None;
        }
        if state.begun == watch.begun {
            self.start(&mut state);
        } else {
            state.is_full = false;
        }
        Some(state.watch(now))
    }

    /// If the system refuses the thread, the next look tries again.
    fn start(&'static self, state: &mut State) {
        let thread = || thread::Builder::new().name("corepool-errand".to_owned());
        state.is_full = state.threads >= MOST || thread().spawn(|| self.run()).is_err();
        if !state.is_full {
            state.threads += 1;
        }
    }

    /// The whole life of a courier.
    fn run(&self) {
        let _abort = AbortOnPanic;
        heritage::take_after_first_thread();
        while let Some(errand) = self.next() {
            let _quiet = unwind::quietly(errand);
        }
    }

    /// Waits for an errand. `None` if the courier is to end: there was none for a while, or another
    /// one waits already.
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

    /// Says whether to wait on. One idle courier is enough: the others were there because it had
    /// been stuck.
    fn wait(&self, state: &mut MutexGuard<'_, State>, end: Instant) -> bool {
        if state.idle > 0 {
            return false;
        }
        state.idle += 1;
        let is_over = self.called.wait_until(state, end).timed_out();
        state.idle -= 1;
        !is_over || !state.errands.is_empty()
    }
}

impl State {
    fn watch(&self, now: Instant) -> Watch {
        let wait = if self.is_full { LONG } else { MOMENT };
        Watch { when: clock::later(now, wait), begun: self.begun }
    }
}
