//! Loom models of a job: the thread that runs it against the handle, in every way they can meet.
//!
//! Each job records how often its closure ran, and how often its closure and its result were
//! dropped. Its cells detect two threads that touch it at once, and loom's allocator detects
//! whether it was freed exactly once. The submodule `memory` has the models of the counts by which
//! a chunk of jobs is kept.

mod memory;

use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::alloc::Track;
use loom::thread;

use super::deque::Deque;
use super::held::{HeldJob, Look};
use super::job::{self, Head, Left, ListedJob};
use super::roll::Roll;
use crate::base::sync::{Mutex, UnsafeCell, explore};
use crate::base::unwind::Payload;
use crate::parts::offer::{Line, Maker, Offer, Source, SourceJob, Work};
use crate::parts::parker::Parker;

/// The contents of a closure, a result or a payload.
struct Token {
    dropped: Arc<Count>,
    touched: UnsafeCell<()>,
    /// Loom fails if this is leaked.
    _track: Track<()>,
}

impl Token {
    fn new(dropped: &Arc<Count>) -> Self {
        let touched = UnsafeCell::new(());
        touched.with_mut(|_| ());
        Self { dropped: Arc::clone(dropped), touched, _track: Track::new(()) }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.touched.with_mut(|_| ());
        self.dropped.fetch_add(1, Relaxed);
    }
}

/// How the job ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    ByPanic,
}

/// One job, and what was observed of it.
struct Seen {
    ends: Ends,
    closures_dropped: Arc<Count>,
    results_made: Arc<Count>,
    results_dropped: Arc<Count>,
    /// Panics that have not been reported yet.
    untold: Arc<Count>,
    /// Where the handle's thread sleeps, by the job's number.
    sleeper: Mutex<Option<(usize, Arc<Parker>)>>,
}

impl Seen {
    fn new(ends: Ends) -> Arc<Self> {
        let count = || Arc::new(Count::new(0));
        Arc::new(Self {
            ends,
            closures_dropped: count(),
            results_made: count(),
            results_dropped: count(),
            untold: count(),
            sleeper: Mutex::new(None),
        })
    }

    /// A job that went away.
    fn job(&self) -> (ListedJob, HeldJob<Token>) {
        let (listed, held) = self.home_job();
        listed.send_away();
        (listed, held)
    }

    fn home_job(&self) -> (ListedJob, HeldJob<Token>) {
        let captured = Token::new(&self.closures_dropped);
        let (made, dropped) = (Arc::clone(&self.results_made), Arc::clone(&self.results_dropped));
        let ends = self.ends;
        job::make(move || {
            drop(captured);
            made.fetch_add(1, Relaxed);
            let result = Token::new(&dropped);
            match ends {
                Ends::Well => result,
                // `resume_unwind` does not call the panic hook, which would fail the model.
                Ends::ByPanic => std::panic::resume_unwind(Box::new(result)),
            }
        })
    }

    /// `Core::run`. Returns `true` if this thread had to report a panic.
    fn run(&self, listed: ListedJob) -> bool {
        let panicked = || {
            self.untold.fetch_add(1, Relaxed);
        };
        let wake = |number| {
            // Same as `Core::wake`.
            if let Some((other, parker)) = &*self.sleeper.lock() {
                if *other == number {
                    parker.unpark();
                }
            }
        };
        match listed.run(panicked, wake) {
            Left::Quietly => false,
            Left::Panicked(payload) => self.tell(payload),
        }
    }

    fn tell(&self, payload: Payload) -> bool {
        self.untold.fetch_sub(1, Relaxed);
        drop(payload);
        true
    }

    /// Runs the job on a thread that took it.
    fn run_elsewhere(self: &Arc<Self>, listed: ListedJob) -> thread::JoinHandle<bool> {
        let seen = Arc::clone(self);
        thread::spawn(move || seen.run(listed))
    }

    /// `ScopedHandle::drop`. Returns `true` if this thread had to report a panic.
    fn drop_handle(&self, held: HeldJob<Token>) -> bool {
        held.let_go().is_some_and(|payload| self.tell(payload))
    }

    /// `ScopedHandle::join`. Returns `true` if it returned a panic.
    fn join(&self, mut held: HeldJob<Token>) -> bool {
        loop {
            match held.look() {
                Look::RanHere(result) => return result.is_err(),
                Look::Done(result) => {
                    if result.is_err() {
                        self.untold.fetch_sub(1, Relaxed);
                    }
                    return result.is_err();
                }
                Look::Running(running) => held = running,
            }
            self.sleep_until(&held);
        }
    }

    /// `Core::sleep_until`.
    fn sleep_until(&self, held: &HeldJob<Token>) {
        let parker = Arc::new(Parker::new());
        *self.sleeper.lock() = Some((held.number(), Arc::clone(&parker)));
        if held.lie_down() {
            while !held.is_done() {
                parker.park();
            }
        }
        *self.sleeper.lock() = None;
    }

    /// Asserts that the job ran once and that nothing is left of it.
    #[track_caller]
    fn assert_over(&self) {
        let counts = [&self.closures_dropped, &self.results_made, &self.results_dropped];
        let counts = counts.map(|count| count.load(Relaxed));
        assert_eq!(counts, [1, 1, 1], "closures dropped, results made and dropped");
        assert_eq!(self.untold.load(Relaxed), 0, "panics that nobody told of");
    }

    /// Like [`assert_over`](Self::assert_over). Each item of `told` says whether one of the parties
    /// that could report a panic did so.
    #[track_caller]
    fn assert_told(&self, told: impl IntoIterator<Item = bool>) {
        let told = told.into_iter().filter(|told| *told).count();
        assert_eq!(told, usize::from(self.ends == Ends::ByPanic), "a panic is told once");
        self.assert_over();
    }
}

fn explore_both(model: impl Fn(Ends) + Copy + Sync + Send + 'static) {
    explore(move || model(Ends::Well));
    explore(move || model(Ends::ByPanic));
}

#[test]
fn a_run_against_a_dropped_handle() {
    explore_both(|ends| {
        let seen = Seen::new(ends);
        let (listed, held) = seen.job();
        let runner = seen.run_elsewhere(listed);
        let here = seen.drop_handle(held);
        seen.assert_told([here, runner.join().unwrap()]);
    });
}

#[test]
fn a_run_against_a_join() {
    explore_both(|ends| {
        let seen = Seen::new(ends);
        let (listed, held) = seen.job();
        let runner = seen.run_elsewhere(listed);
        let here = seen.join(held);
        seen.assert_told([here, runner.join().unwrap()]);
    });
}

/// The handle lets go first. From then on there is one holder at a time, which changes the state by
/// plain stores. The holders may be several threads, one after another.
#[test]
fn a_job_without_a_handle_is_passed_on() {
    explore_both(|ends| {
        let seen = Seen::new(ends);
        let (listed, held) = seen.job();
        let list = Arc::new(Mutex::new(Some(listed)));
        let takers = [(); 2].map(|()| {
            let (seen, list) = (Arc::clone(&seen), Arc::clone(&list));
            thread::spawn(move || {
                let taken = list.lock().take();
                taken.is_some_and(|listed| seen.run(listed))
            })
        });
        let here = seen.drop_handle(held);
        let told = takers.map(|taker| taker.join().unwrap());
        seen.assert_told(told.into_iter().chain([here]));
    });
}

/// A scope's branch: its jobs on a line, where thieves find them.
struct Listed {
    line: Arc<Line>,
    jobs: Deque<Head>,
    seen: Arc<Seen>,
}

/// What a thief has taken: [`Batch`](super::branch) without the roll.
struct Taken {
    seen: Arc<Seen>,
    jobs: Vec<NonNull<Head>>,
}

impl Source for Listed {
    unsafe fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>> {
        let is_free = |job: NonNull<Head>| {
            mutant!("busy_unseen" => return true);
            !self.line.is_busy_with(job.cast())
        };
        // SAFETY: the caller promises that the line is frozen and its lock is held (see
        // [`Source::give`]).
        let jobs = unsafe { self.jobs.take_older(is_free) };
        for &job in &jobs {
            // SAFETY: as in `Branch::take_jobs`.
            unsafe { ListedJob::mark_away(job) };
        }
        if jobs.is_empty() {
            return None;
        }
        let taken = Box::new(Taken { seen: Arc::clone(&self.seen), jobs });
        let taken = NonNull::from(Box::leak(taken));
        // SAFETY: the thread that takes the offer owns what was taken.
        Some(maker.offer(unsafe { Work::new(taken.cast(), Taken::run) }))
    }
}

impl Taken {
    /// # Safety
    /// - `taken` is a boxed `Taken`, and belongs to the caller.
    unsafe fn run(taken: NonNull<()>) {
        // SAFETY: the caller promises that `taken` is a boxed `Taken` that belongs to it.
        let taken = unsafe { Box::from_raw(taken.cast::<Self>().as_ptr()) };
        for job in taken.jobs {
            // SAFETY: it was taken once.
            let told = taken.seen.run(unsafe { ListedJob::from_raw(job) });
            assert!(!told || taken.seen.ends == Ends::ByPanic);
        }
    }
}

impl Listed {
    fn new(seen: &Arc<Seen>) -> Self {
        let line = Arc::new(Line::new());
        line.attach(Arc::new(Parker::new()));
        line.answer_call();
        Self { line, jobs: Deque::new(), seen: Arc::clone(seen) }
    }

    /// A scope with one job, while a thief comes. The handle is used up, and then the scope's
    /// thread runs what is left.
    fn run(&self, use_up: impl FnOnce(&Seen, HeldJob<Token>)) {
        // SAFETY: this outlives the entry.
        let entry = unsafe { SourceJob::new(self) };
        // SAFETY: popped below.
        let below = unsafe { self.line.push(entry.job()) };
        let line = Arc::clone(&self.line);
        let thief = thread::spawn(move || {
            if let Some(taken) = line.take(None) {
                taken.run();
            }
        });
        let (listed, mut held) = self.seen.home_job();
        self.jobs.push(&self.line, listed.into_raw(), |_| false);
        // SAFETY: the line outlives the handle.
        unsafe { held.lies_on(Some(NonNull::from(&*self.line))) };
        use_up(&self.seen, held);
        while let Some(job) = self.jobs.pop(&self.line) {
            // SAFETY: it was pushed, and taken out once.
            let _told = self.seen.run(unsafe { ListedJob::from_raw(job) });
        }
        self.line.pop(below);
        if self.line.is_asked() {
            let _asked = self.line.attend();
        }
        thief.join().unwrap();
    }
}

#[test]
fn a_thief_comes_while_a_handle_is_dropped() {
    explore(|| {
        let seen = Seen::new(Ends::Well);
        Listed::new(&seen).run(|seen, held| {
            let _told = seen.drop_handle(held);
        });
        seen.assert_over();
    });
}

#[test]
fn a_thief_comes_while_a_handle_is_joined() {
    explore(|| {
        let seen = Seen::new(Ends::Well);
        Listed::new(&seen).run(|seen, held| assert!(!seen.join(held)));
        seen.assert_over();
    });
}

/// Of two jobs, the owner takes back the newest. The older one goes to the owner or to the thief.
#[test]
fn a_thief_comes_while_jobs_are_added_and_taken_back() {
    explore(|| {
        let first = Seen::new(Ends::Well);
        let listed = Listed::new(&first);
        listed.run(|first, held| {
            let (job, second) = first.home_job();
            listed.jobs.push(&listed.line, job.into_raw(), |_| false);
            drop(held.let_go());
            drop(second.let_go());
        });
        let counts = [&first.closures_dropped, &first.results_made, &first.results_dropped];
        assert_eq!(counts.map(|count| count.load(Relaxed)), [2, 2, 2]);
    });
}

/// Two jobs of one thread, each run by another thread. The spawning thread sleeps for one after the
/// other.
#[test]
fn two_runs_against_two_joins() {
    explore(|| {
        let seen = [(); 2].map(|()| Seen::new(Ends::Well));
        let jobs = seen.each_ref().map(|seen| seen.job());
        let mut handles = Vec::new();
        let mut runners = Vec::new();
        for (seen, (listed, held)) in seen.iter().zip(jobs) {
            runners.push(seen.run_elsewhere(listed));
            handles.push((seen, held));
        }
        for (seen, held) in handles {
            assert!(!seen.join(held));
        }
        runners.into_iter().for_each(|runner| assert!(!runner.join().unwrap()));
        seen.iter().for_each(|seen| seen.assert_over());
    });
}

/// A scope whose closures each write to their own cell.
struct Rolled {
    roll: Roll,
    group: Arc<Offer>,
    written: [UnsafeCell<u32>; 3],
}

impl Rolled {
    /// The end of `Batch::run`.
    fn leave(self: &Arc<Self>, wrote: usize) {
        self.written[wrote].with_mut(|_| ());
        let group = Arc::clone(&self.group);
        // SAFETY: the model keeps the roll.
        if unsafe { Roll::leave(NonNull::from(&self.roll)) } {
            group.finish();
        }
    }

    /// The end of a round of `Branch::finish`, without helping.
    fn finish(&self) {
        // SAFETY: as above.
        if !unsafe { Roll::leave(NonNull::from(&self.roll)) } {
            while !self.group.is_done() {
                if self.group.lie_down() {
                    self.group.park();
                    self.group.get_up();
                }
            }
        }
        self.roll.reopen();
        for written in &self.written {
            written.with_mut(|_| ());
        }
    }
}

/// A thread that took some closures gives some of them away, and does not wait for them.
#[test]
fn the_scopes_thread_waits_for_all_who_are_on_the_roll() {
    explore(|| {
        let written = [(); 3].map(|()| UnsafeCell::new(0));
        let group = Offer::group(None, Arc::new(Parker::new()));
        let scope = Arc::new(Rolled { roll: Roll::new(), group, written });
        assert!(scope.roll.enter());
        let taker = thread::spawn({
            let scope = Arc::clone(&scope);
            move || {
                assert!(scope.roll.enter());
                let next = thread::spawn({
                    let scope = Arc::clone(&scope);
                    move || scope.leave(2)
                });
                scope.leave(1);
                next
            }
        });
        scope.written[0].with_mut(|_| ());
        scope.finish();
        taker.join().unwrap().join().unwrap();
    });
}
