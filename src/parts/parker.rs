//! The parker: one thread's place to sleep, and the token that wakes it.
//!
//! The standard library has one token for each thread, and it belongs to the user. A pool that
//! waited on it would consume a wake-up that user code was waiting for. A [`Parker`] has its own
//! token. On Linux it sleeps on a futex. On other systems it sleeps on a lock and a condition
//! variable of `parking_lot`, which use `WaitOnAddress` on Windows and the C library's on macOS and
//! the BSDs. Models of code that parks also use the lock and the condition variable, because these
//! take fewer steps. The futex version has models of its own.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

#[cfg(all(target_os = "linux", not(any(corepool_loom, corepool_shuttle, corepool_virtual))))]
mod futex;
#[cfg(all(test, corepool_loom))]
mod models;
#[cfg(any(
    all(target_os = "linux", not(any(corepool_loom, corepool_shuttle))),
    all(test, corepool_loom)
))]
mod word;

use crate::base::clock;
use crate::base::sync::thread_local;
#[cfg(any(not(target_os = "linux"), corepool_loom, corepool_shuttle))]
use sleeper::Sleeper;
#[cfg(all(target_os = "linux", not(any(corepool_loom, corepool_shuttle))))]
use word::Sleeper;

/// A token that can be given once, and a thread that may sleep until it is given.
#[derive(Debug)]
pub(crate) struct Parker {
    sleeper: Sleeper,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { sleeper: Sleeper::new() }
    }

    /// Sleeps until the token is there, and takes it. Only the owning thread may call this.
    pub(crate) fn park(&self) {
        let woken = self.sleeper.wait(None);
        debug_assert!(woken, "a wait without an end came back without the token");
    }

    /// As [`park`](Self::park), but gives up at `end`. Returns whether it took the token.
    pub(crate) fn park_until(&self, end: Instant) -> bool {
        self.sleeper.wait(Some(end))
    }

    /// As [`park_until`](Self::park_until), or as [`park`](Self::park) if there is no end. A worker
    /// lends its core to a spare worker while it sleeps, because what it waits for may need a task
    /// that only this worker may run. Every wait that user code can make sleeps through this
    /// function.
    pub(crate) fn park_lending(&self, end: Option<Instant>) -> bool {
        lending(end, |end| match end {
            Some(end) => self.park_until(end),
            None => {
                self.park();
                true
            }
        })
    }

    /// Gives the token, and wakes the owner if it sleeps. Tokens do not accumulate.
    pub(crate) fn unpark(&self) {
        self.sleeper.notify();
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

/// A wait shorter than this does not lend the core, because waking a spare worker costs more.
pub(crate) const MOMENT: Duration = Duration::from_micros(50);

/// How a thread lends its core. The code that sleeps knows nothing of workers, so a
/// worker registers these functions here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lending {
    pub(crate) lend: fn(),
    pub(crate) take_back: fn(),
}

thread_local! {
    /// Set by the worker if this thread is one.
    static LENDING: Cell<Option<Lending>> = const { Cell::new(None) };

    static MINE: (Arc<Parker>, Waker) = {
        let parker = Arc::new(Parker::new());
        (Arc::clone(&parker), Waker::from(parker))
    };
}

/// Sets how the calling thread lends its core while it waits; `None` means not at all.
pub(crate) fn lend_by(lending: Option<Lending>) {
    // If the thread-locals are already destroyed, the thread is no longer a worker.
    let _known = LENDING.try_with(|known| known.set(lending));
}

/// Waits with `park`, which receives the time at which to give up and returns whether it was woken.
/// If the calling thread is a worker and the wait lasts longer than a moment, it lends its core
/// meanwhile. See [`Parker::park_lending`].
pub(crate) fn lending(end: Option<Instant>, park: impl Fn(Option<Instant>) -> bool) -> bool {
    if way_of_lending().is_none() {
        return park(end);
    }
    let soon = clock::after(MOMENT);
    if end.is_some_and(|end| end <= soon) {
        return park(end);
    }
    if park(Some(soon)) {
        return true;
    }
    lend();
    let woken = park(end);
    take_back();
    woken
}

fn way_of_lending() -> Option<Lending> {
    LENDING.try_with(Cell::get).unwrap_or(None)
}

/// Lends the calling thread's core until [`take_back`], if the thread is a worker.
pub(crate) fn lend() {
    if let Some(worker) = way_of_lending() {
        (worker.lend)();
    }
}

/// Takes back the core that was [lent](lend).
pub(crate) fn take_back() {
    if let Some(worker) = way_of_lending() {
        (worker.take_back)();
    }
}

/// Returns the calling thread's parker, which the caller may keep. Returns a new one if the
/// thread-locals are already destroyed.
pub(crate) fn current() -> Arc<Parker> {
    MINE.try_with(|(parker, _)| Arc::clone(parker)).unwrap_or_else(|_| Arc::new(Parker::new()))
}

/// Passes the calling thread's parker and a waker for it to the closure, or a new pair if the
/// thread-locals are already destroyed.
pub(crate) fn with_current<R>(wait: impl FnOnce(&Parker, &Waker) -> R) -> R {
    let mut wait = Some(wait);
    let done = MINE.try_with(|(parker, waker)| wait.take().map(|wait| wait(parker, waker)));
    if let Ok(Some(result)) = done {
        return result;
    }
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    let wait = wait.take().expect("the closure runs once: here only if not there");
    wait(&parker, &waker)
}

#[cfg(all(any(not(target_os = "linux"), corepool_loom), not(corepool_shuttle)))]
mod sleeper {
    use std::time::Instant;

    #[cfg(not(corepool_loom))]
    use crate::base::sync::lock::{Condvar, Mutex};
    #[cfg(corepool_loom)]
    use loom::sync::{Condvar, Mutex};

    #[derive(Debug)]
    pub(super) struct Sleeper {
        token: Mutex<bool>,
        given: Condvar,
    }

    #[cfg(not(corepool_loom))]
    impl Sleeper {
        pub(super) fn new() -> Self {
            Self { token: Mutex::new(false), given: Condvar::new() }
        }

        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            let mut token = self.token.lock();
            while !*token {
                match end {
                    None => self.given.wait(&mut token),
                    Some(end) => {
                        if self.given.wait_until(&mut token, end).timed_out() {
                            break;
                        }
                    }
                }
            }
            std::mem::take(&mut *token)
        }

        pub(super) fn notify(&self) {
            *self.token.lock() = true;
            self.given.notify_one();
        }
    }

    #[cfg(corepool_loom)]
    impl Sleeper {
        pub(super) fn new() -> Self {
            Self { token: Mutex::new(false), given: Condvar::new() }
        }

        /// Time does not advance in a model, so an end that has not passed by now never comes.
        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            let is_over = end.is_some_and(|end| end <= crate::base::clock::now());
            let mut token = self.token.lock().expect("no model panics here");
            while !*token && !is_over {
                token = self.given.wait(token).expect("no model panics here");
            }
            std::mem::take(&mut *token)
        }

        pub(super) fn notify(&self) {
            *self.token.lock().expect("no model panics here") = true;
            self.given.notify_one();
        }
    }
}

#[cfg(corepool_shuttle)]
mod sleeper {
    use std::time::Instant;

    use crate::base::sync::real::Mutex;
    use shuttle::thread::{self, Thread};

    use crate::base::sync::schedule::gives_up;
    use crate::base::sync::{AtomicBool, Ordering};

    /// Made of parts that may outlive a schedule, because the timer's sleeper is in a static.
    #[derive(Debug)]
    pub(super) struct Sleeper {
        token: AtomicBool,
        /// A real lock: the scheduler does not switch threads while it is held.
        sleeper: Mutex<Option<Thread>>,
    }

    impl Sleeper {
        pub(super) fn new() -> Self {
            Self { token: AtomicBool::new(false), sleeper: Mutex::new(None) }
        }

        pub(super) fn wait(&self, end: Option<Instant>) -> bool {
            while !self.take() {
                match end {
                    None => {
                        // The scheduler cannot switch between the check of the token and this
                        // sleep.
                        *self.sleeper.lock() = Some(thread::current());
                        thread::park();
                    }
                    Some(end) if gives_up(end) => return self.take(),
                    Some(_) => thread::yield_now(),
                }
            }
            *self.sleeper.lock() = None;
            true
        }

        pub(super) fn notify(&self) {
            self.token.swap(true, Ordering::SeqCst);
            let sleeper = self.sleeper.lock().take();
            if let Some(sleeper) = sleeper {
                sleeper.unpark();
            }
        }

        fn take(&self) -> bool {
            self.token.swap(false, Ordering::SeqCst)
        }
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::Parker;
    use crate::base::clock;

    /// `COREPOOL_ROUNDS` is the number of rounds; the default is small enough for everyday runs.
    fn rounds() -> u32 {
        std::env::var("COREPOOL_ROUNDS").map_or(5_000, |count| count.parse().unwrap())
    }

    #[test]
    fn a_token_at_the_moment_of_the_timeout_is_neither_lost_nor_spent_twice() {
        let parker = Arc::new(Parker::new());
        let (begin, begun) = mpsc::channel::<()>();
        let given = Arc::clone(&parker);
        let giver = thread::spawn(move || begun.iter().for_each(|()| given.unpark()));
        let mut wait = Duration::from_micros(1);
        let (mut early, mut in_time) = (0_u32, 0_u32);
        for round in 1..=rounds() {
            begin.send(()).unwrap();
            // The timeout approaches the moment at which the token comes.
            if parker.park_until(clock::after(wait)) {
                in_time += 1;
                wait = (wait - wait / 16).max(Duration::from_nanos(50));
            } else {
                early += 1;
                wait = (wait + wait / 16).min(Duration::from_millis(1));
                // If the token were lost, this wait would time out.
                assert!(parker.park_until(clock::after(Duration::from_secs(60))), "{round}");
            }
            assert!(!parker.park_until(clock::now()), "the token of round {round} came twice");
        }
        drop(begin);
        giver.join().unwrap();
        println!("{early} times too early, {in_time} in time");
        assert!(early > 0 && in_time > 0, "only one side was tried");
    }
}
