//! The pool's threads: how many still serve, and which ones have to be joined.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::base::sync::lock::{Condvar, Mutex, MutexGuard};
use crate::base::sync::thread::{self, JoinHandle, ThreadId};
use crate::os::affinity;
use crate::task::Unsettled;

use super::end_waiters::{EndWaiter, EndWaiters, discard, wake_each};

/// How many ended threads are kept for `shutdown` to join.
const SPENT_THREADS: usize = 32;

/// Counts the workers that will still look at the queues, and keeps their threads' join handles.
#[derive(Debug, Default)]
pub(crate) struct ThreadRoster {
    state: Mutex<RosterState>,
    changed: Condvar,
    /// Tasks that threads other than workers are about to settle.
    pub(crate) unsettled: Arc<Unsettled>,
}

#[derive(Debug, Default)]
struct RosterState {
    /// Workers that will look at the queues again, including those whose thread is being replaced.
    serving: usize,
    /// How often a worker began to serve.
    arrivals: u64,
    closed: bool,
    /// A shutdown with a deadline has left tasks behind.
    given_up: bool,
    threads: Vec<JoinHandle<()>>,
    /// The threads that are being joined.
    joining: Vec<ThreadId>,
    /// Whether a thread was started to join the others for callers that must not block.
    has_joiner: bool,
    /// Whether a thread was started to wait for what other threads settle.
    has_settler: bool,
    /// Wakers that wait for the end of all threads without blocking.
    end_waiters: EndWaiters,
}

impl ThreadRoster {
    /// Starts a worker's first thread, or its next one, which takes over the count.
    ///
    /// # Errors
    /// The system's error if it refused the thread.
    pub(crate) fn start_thread(
        &self,
        start: impl FnOnce() -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        // Hold the lock meanwhile, so that the new thread cannot end before its handle is stored.
        let mut state = self.state.lock();
        let thread = start()?;
        // A thread counts as finished before the destructors of its thread-locals have run, and
        // `shutdown` must wait for those too. So finished threads are released only where
        // replacements pile up.
        if state.threads.len() >= state.serving + SPENT_THREADS {
            state.threads.retain(|thread| !thread::has_ended(thread));
        }
        state.threads.push(thread);
        Ok(())
    }

    pub(crate) fn begin_serving(&self) {
        let mut state = self.state.lock();
        state.serving += 1;
        state.arrivals += 1;
    }

    /// Called when a worker has left for good. The last worker runs `when_last` before any waiting
    /// thread resumes.
    pub(crate) fn end_serving(&self, when_last: impl Fn()) {
        let mut state = self.state.lock();
        while state.serving == 1 {
            let arrivals = state.arrivals;
            // Without the lock, because dropping tasks is user code.
            drop(state);
            when_last();
            state = self.state.lock();
            // A worker that arrived meanwhile and is still here is now the last one. A worker that
            // arrived and left was not the last, because this one was here. It may have left a task
            // where this one had already looked.
            if state.arrivals == arrivals {
                break;
            }
        }
        state.serving -= 1;
        if state.serving == 0 {
            self.tell_all(state);
        }
    }

    /// Marks the pool closed. Returns whether this call did it.
    pub(crate) fn close(&self) -> bool {
        let before = std::mem::replace(&mut self.state.lock().closed, true);
        self.changed.notify_all();
        !before
    }

    /// Makes a later drop of the pool not wait for what still runs.
    pub(crate) fn give_up(&self) {
        self.state.lock().given_up = true;
    }

    pub(crate) fn was_given_up(&self) -> bool {
        self.state.lock().given_up
    }

    /// Waits until every worker has left. With an `end`, returns whether they had left by then.
    pub(crate) fn wait_for_all(&self, end: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.serving > 0 {
            match end {
                None => self.changed.wait(&mut state),
                Some(end) => {
                    if self.changed.wait_until(&mut state, end).timed_out() {
                        return state.serving == 0;
                    }
                }
            }
        }
        true
    }

    /// Waits for a while, or until the pool is closed. Returns whether it is.
    pub(crate) fn rest_unless_closed(&self, rest: Duration) -> bool {
        let end = crate::base::clock::after(rest);
        let mut state = self.state.lock();
        while !state.closed {
            if self.changed.wait_until(&mut state, end).timed_out() {
                break;
            }
        }
        state.closed
    }

    /// As [`join_threads`](Self::join_threads), but gives up at `end`. A thread has finished
    /// serving when it runs the destructors of the user's thread-locals, and those may take any
    /// amount of time. So may the destructor of a closure that a token has claimed. Returns whether
    /// it gave up.
    pub(crate) fn join_threads_until(self: &Arc<Self>, end: Instant) -> bool {
        let are_joined = self.join_only_threads_until(end);
        !are_joined || !self.unsettled.wait(Some(end))
    }

    /// Returns whether they were joined by then.
    fn join_only_threads_until(self: &Arc<Self>, end: Instant) -> bool {
        let lives = Arc::clone(self);
        let me = thread::current().id();
        let joined = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&joined);
        let joiner = thread::Builder::new().spawn(move || {
            lives.join_threads_but(me, |_| ());
            *told.0.lock() = true;
            told.1.notify_one();
        });
        // If the system refuses the thread, nothing is lost: the others end by themselves.
        if joiner.is_err() {
            return true;
        }
        let mut done = joined.0.lock();
        while !*done && !joined.1.wait_until(&mut done, end).timed_out() {}
        *done
    }

    /// Joins the threads that have not been joined, except the calling one, and waits for those
    /// that other threads are joining. Then waits for the tasks that threads outside the pool
    /// settle.
    pub(crate) fn join_threads(&self) {
        let me = thread::current().id();
        self.join_threads_but(me, |_| ());
        let mut state = self.state.lock();
        while state.are_joined() && !state.joining.contains(&me) {
            self.changed.wait(&mut state);
        }
        drop(state);
        let _all = self.unsettled.wait(None);
    }

    /// Joins all threads except this one, and changes the state when that is done.
    fn join_threads_but(&self, me: ThreadId, at_end: impl FnOnce(&mut RosterState)) {
        let mut state = self.state.lock();
        let mut threads = std::mem::take(&mut state.threads);
        threads.retain(|thread| thread.thread().id() != me);
        let names: Vec<_> = threads.iter().map(|thread| thread.thread().id()).collect();
        state.joining.extend(&names);
        // A thread that waits in a destructor of one of these threads must learn that it must not.
        self.tell_all(state);
        for thread in threads {
            // A worker's thread ends without a panic, or the process has aborted. What a thread
            // killed from outside leaves behind makes `join` panic. Nothing can be saved then.
            let _ended = crate::base::unwind::catch(|| thread.join());
        }
        let mut state = self.state.lock();
        state.joining.retain(|name| !names.contains(name));
        at_end(&mut state);
        self.tell_all(state);
    }

    /// Wakes all waiters, blocked or not.
    fn tell_all(&self, mut state: MutexGuard<'_, RosterState>) {
        let end_waiters = state.end_waiters.take_all();
        drop(state);
        self.changed.notify_all();
        wake_each(end_waiters);
    }

    /// Returns whether all threads have ended. If not, the waker is woken when it is time to ask
    /// again. Does not block: a separate thread waits for the threads' destructors.
    pub(crate) fn poll_end(self: &Arc<Self>, place: &mut Option<EndWaiter>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let me = thread::current().id();
        let mut state = self.state.lock();
        let wants_joiner = state.wants_joiner(me);
        let are_gone = !wants_joiner && !state.is_to_be_waited_for(me);
        if are_gone && !self.unsettled.is_to_be_waited_for() {
            drop(state);
            discard(Some(waker));
            return true;
        }
        let unneeded = state.end_waiters.stand(place, waker);
        state.has_joiner |= wants_joiner;
        let wants_settler = are_gone && !std::mem::replace(&mut state.has_settler, are_gone);
        drop(state);
        discard(unneeded);
        let lives = Arc::clone(self);
        if wants_joiner {
            wait_beside(move || lives.join_threads_but(me, |state| state.has_joiner = false));
        } else if wants_settler {
            wait_beside(move || {
                let _all = lives.unsettled.wait(None);
                let mut state = lives.state.lock();
                state.has_settler = false;
                lives.tell_all(state);
            });
        }
        false
    }

    /// Removes the waker that [`poll_end`](Self::poll_end) has kept.
    pub(crate) fn stop_waiting(&self, waiter: EndWaiter) {
        let unneeded = self.state.lock().end_waiters.step_out(waiter);
        discard(unneeded);
    }
}

/// Runs something that may block on a separate thread.
fn wait_beside(wait: impl FnOnce() + Clone + Send + 'static) {
    let handed_on = affinity::handed_on();
    let beside = {
        let wait = wait.clone();
        move || {
            handed_on.undo();
            wait();
        }
    };
    if thread::Builder::new().spawn(beside).is_err() {
        // The system refuses the thread. Usually there is next to nothing to wait for.
        wait();
    }
}

impl RosterState {
    /// Whether a thread has to join the others, and this thread must not.
    fn wants_joiner(&self, me: ThreadId) -> bool {
        let is_left = |thread: &JoinHandle<()>| thread.thread().id() != me;
        self.serving == 0 && !self.has_joiner && self.threads.iter().any(is_left)
    }

    /// Whether threads are being joined, or are about to be.
    fn are_joined(&self) -> bool {
        self.has_joiner || !self.joining.is_empty()
    }

    /// Whether there are threads to wait for. The destructors of a thread that is being joined must
    /// not wait for the others, because the joining threads wait for it.
    fn is_to_be_waited_for(&self, me: ThreadId) -> bool {
        self.serving > 0 || self.are_joined() && !self.joining.contains(&me)
    }
}

#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
mod tests {
    use std::cell::Cell;
    use std::thread;

    use super::{SPENT_THREADS, ThreadRoster};

    #[test]
    fn the_last_one_looks_again_if_somebody_came_and_went_meanwhile() {
        let (lives, looks) = (ThreadRoster::default(), Cell::new(0));
        lives.begin_serving();
        lives.end_serving(|| {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                lives.begin_serving();
                lives.end_serving(|| panic!("there is one more"));
            }
        });
        assert_eq!(looks.get(), 2);
    }
    #[test]
    fn the_threads_of_workers_that_were_replaced_do_not_pile_up() {
        let lives = ThreadRoster::default();
        for _ in 0..4 * SPENT_THREADS {
            lives.start_thread(|| thread::Builder::new().spawn(|| ())).unwrap();
            let newest_has_ended =
                || lives.state.lock().threads.last().is_some_and(thread::JoinHandle::is_finished);
            while !newest_has_ended() {
                thread::yield_now();
            }
        }
        assert!(lives.state.lock().threads.len() <= SPENT_THREADS + 1);
        lives.join_threads();
        assert!(lives.state.lock().threads.is_empty());
    }
}
