//! The pool's threads: how many still serve, and who has to be joined.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How many ended threads are kept for `shutdown` to join.
const SPENT_THREADS: usize = 32;

/// Counts the workers that will still look at the queues, and keeps their threads' join handles.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Workers that will look at the queues again, those whose thread is being replaced included.
    serving: usize,
    closed: bool,
    /// A shutdown with a deadline has left tasks behind.
    given_up: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Lives {
    /// Starts a worker's first thread, or its next one, which takes the count over.
    ///
    /// # Errors
    /// What the system said when it refused the thread.
    pub(crate) fn start_thread(
        &self,
        start: impl FnOnce() -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        // The lock is held meanwhile: the new thread cannot end before it is known who joins it.
        let mut state = self.state.lock();
        let thread = start()?;
        // A thread counts as finished before the destructors of its thread-locals have run, and `shutdown`
        // is to wait for those as well: so finished ones are let go only where replacements pile up.
        if state.threads.len() >= state.serving + SPENT_THREADS {
            state.threads.retain(|thread| !thread.is_finished());
        }
        state.threads.push(thread);
        Ok(())
    }

    pub(crate) fn begin_serving(&self) {
        self.state.lock().serving += 1;
    }

    /// A worker is gone for good. Says whether it was the last; what it does with the answer happens
    /// before anybody who waits goes on.
    pub(crate) fn end_serving(&self, when_last: impl FnOnce()) {
        let mut state = self.state.lock();
        if state.serving == 1 {
            // Without the lock: dropping tasks is user code. Nobody else can become the last.
            drop(state);
            when_last();
            state = self.state.lock();
        }
        state.serving -= 1;
        self.changed.notify_all();
    }

    /// Marks the pool closed. Says whether this call did it.
    pub(crate) fn close(&self) -> bool {
        let before = std::mem::replace(&mut self.state.lock().closed, true);
        self.changed.notify_all();
        !before
    }

    /// What still runs is not waited for when the pool is dropped.
    pub(crate) fn give_up(&self) {
        self.state.lock().given_up = true;
    }

    pub(crate) fn was_given_up(&self) -> bool {
        self.state.lock().given_up
    }

    /// Waits until every worker is gone. With an end, says whether they were by then.
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

    /// Waits for a while, or until the pool is closed. Says whether it is.
    pub(crate) fn rest_unless_closed(&self, rest: Duration) -> bool {
        let end = crate::clock::after(rest);
        let mut state = self.state.lock();
        while !state.closed {
            if self.changed.wait_until(&mut state, end).timed_out() {
                break;
            }
        }
        state.closed
    }

    /// As [`join_threads`](Self::join_threads), but gives up at `end`: a thread has served to its end when
    /// it runs the destructors of the user's thread-locals, and those may take as long as they like.
    pub(crate) fn join_threads_until(self: &Arc<Self>, end: Instant) {
        let lives = Arc::clone(self);
        let joined = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&joined);
        let joiner = std::thread::Builder::new().spawn(move || {
            lives.join_threads();
            *told.0.lock() = true;
            told.1.notify_one();
        });
        // Without a thread to spare nothing is lost: the others end by themselves.
        if joiner.is_ok() {
            let mut done = joined.0.lock();
            while !*done && !joined.1.wait_until(&mut done, end).timed_out() {}
        }
    }

    /// Joins the threads that nobody joined yet, but for the calling one.
    pub(crate) fn join_threads(&self) {
        let threads = std::mem::take(&mut self.state.lock().threads);
        let me = std::thread::current().id();
        for thread in threads {
            if thread.thread().id() != me {
                // A worker's thread ends without a panic, or the process has aborted. What a thread
                // killed from outside leaves behind makes `join` panic; there is nothing to save then.
                let _ended = crate::unwind::catch(|| thread.join());
            }
        }
    }
}
