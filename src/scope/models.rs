//! Models of a job that went away: who runs it against the handle, in every way they can meet; and of the
//! counts by which a chunk of jobs is kept.
//!
//! Each job says how often its closure ran, and how often closure and result were dropped. Its cells say whether two
//! threads touched it at once, and loom's allocator whether it was freed once.

use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::alloc::Track;
use loom::thread;

use super::arena::{self, Arena, Chunk};
use super::job::{self, HeldJob, Left, ListedJob, Look};
use super::roll::Roll;
use crate::offer::Offer;
use crate::parker::Parker;
use crate::sync::{Mutex, UnsafeCell, explore};
use crate::unwind::Payload;

/// A closure's, a result's or a payload's contents.
struct Token {
    dropped: Arc<Count>,
    touched: UnsafeCell<()>,
    /// Loom fails when this is leaked.
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

/// One job, and what was seen of it.
struct Seen {
    ends: Ends,
    closures_dropped: Arc<Count>,
    results_made: Arc<Count>,
    results_dropped: Arc<Count>,
    /// Panics that nobody has told of so far.
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
        let captured = Token::new(&self.closures_dropped);
        let (made, dropped) = (Arc::clone(&self.results_made), Arc::clone(&self.results_dropped));
        let ends = self.ends;
        let (listed, held) = job::make(move || {
            drop(captured);
            made.fetch_add(1, Relaxed);
            let result = Token::new(&dropped);
            match ends {
                Ends::Well => result,
                // Without the hook, which would fail the model.
                Ends::ByPanic => std::panic::resume_unwind(Box::new(result)),
            }
        });
        ListedJob::send_away(std::iter::once(&listed));
        (listed, held)
    }

    /// `Core::run`. Says whether this thread was to tell of a panic.
    fn run(&self, listed: ListedJob) -> bool {
        let panicked = || {
            self.untold.fetch_add(1, Relaxed);
        };
        let wake = |number| {
            // As `Core::wake`.
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

    /// On a thread that took it.
    fn run_elsewhere(self: &Arc<Self>, listed: ListedJob) -> thread::JoinHandle<bool> {
        let seen = Arc::clone(self);
        thread::spawn(move || seen.run(listed))
    }

    /// `ScopedHandle::drop`. Says whether this thread was to tell of a panic.
    fn drop_handle(&self, held: HeldJob<Token>) -> bool {
        held.let_go().is_some_and(|payload| self.tell(payload))
    }

    /// `ScopedHandle::join`. Says whether it gave a panic.
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

    /// It ran once and nothing is left of it.
    #[track_caller]
    fn assert_over(&self) {
        let counts = [&self.closures_dropped, &self.results_made, &self.results_dropped];
        let counts = counts.map(|count| count.load(Relaxed));
        assert_eq!(counts, [1, 1, 1], "closures dropped, results made and dropped");
        assert_eq!(self.untold.load(Relaxed), 0, "panics that nobody told of");
    }

    /// As [`assert_over`](Self::assert_over), after so many of those who could told of a panic.
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

/// The handle lets go first; from then on there is one holder, whose changes are plain stores, but it may be one
/// thread after another.
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

/// Who took it gives it away again, while the handle's thread looks whether it is away.
#[test]
fn a_job_that_goes_away_twice() {
    explore_both(|ends| {
        let seen = Seen::new(ends);
        let (listed, held) = seen.job();
        let elsewhere = Arc::clone(&seen);
        let runner = thread::spawn(move || {
            ListedJob::send_away(std::iter::once(&listed));
            elsewhere.run(listed)
        });
        let here = seen.join(held);
        seen.assert_told([here, runner.join().unwrap()]);
    });
}

/// A list is swept where the job was taken to, while the handle runs the job or has run it.
#[test]
fn a_sweep_against_a_join() {
    explore_both(|ends| {
        let seen = Seen::new(ends);
        let (listed, held) = seen.job();
        let elsewhere = Arc::clone(&seen);
        let sweeper =
            thread::spawn(
                move || {
                    if listed.leave_if_claimed() { false } else { elsewhere.run(listed) }
                },
            );
        let here = seen.join(held);
        seen.assert_told([here, sweeper.join().unwrap()]);
    });
}

/// Two jobs of one thread, each run by another one; their sleeper is one after the other.
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

/// A piece of a chunk, on its way to another thread.
struct Piece(NonNull<()>);

// SAFETY: its chunk counts it as away.
unsafe impl Send for Piece {}

/// What `ListedJob::send_away` does to a chunk.
fn send_away(arena: &Arena, pieces: &[NonNull<()>]) -> Vec<Piece> {
    let chunk = Chunk::of(pieces[0]);
    // SAFETY: it has these pieces.
    if unsafe { chunk.as_ref() }.send_away(pieces.len()) {
        arena.empty_at_home(chunk);
    }
    pieces.iter().map(|piece| Piece(*piece)).collect()
}

/// `arena::free_at_home`, on this arena.
fn free_at_home(arena: &Arena, piece: NonNull<()>) {
    let chunk = Chunk::of(piece);
    // SAFETY: it has this piece.
    if unsafe { chunk.as_ref() }.leave_home(1) {
        arena.empty_at_home(chunk);
    }
}

fn free_elsewhere(pieces: Vec<Piece>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for Piece(piece) in pieces {
            // SAFETY: it was sent away, and is freed once.
            unsafe { arena::free_away(piece) };
        }
    })
}

const SIZE: usize = 64;

/// Fills the current chunk, so that the next piece is cut from another one.
fn fill(arena: &Arena, first: NonNull<()>) -> Vec<NonNull<()>> {
    let mut pieces = Vec::new();
    loop {
        let piece = arena.cut(16 << 10);
        pieces.push(piece);
        if Chunk::of(piece) != Chunk::of(first) {
            return pieces;
        }
    }
}

/// Whoever is the last frees the chunk: another thread, or the one that ends.
#[test]
fn a_thread_ends_while_jobs_of_its_are_away() {
    explore(|| {
        let arena = Arena::new();
        let pieces = [arena.cut(SIZE), arena.cut(SIZE)];
        let mut away = send_away(&arena, &pieces);
        let others = [vec![away.remove(0)], away].map(free_elsewhere);
        drop(arena);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// One stays at home; the chunk begins anew only if the one that went away is back.
#[test]
fn a_chunk_begins_anew_when_the_last_is_back() {
    explore(|| {
        let arena = Arena::new();
        let (goes, stays) = (arena.cut(SIZE), arena.cut(SIZE));
        let other = free_elsewhere(send_away(&arena, &[goes]));
        free_at_home(&arena, stays);
        let next = arena.cut(SIZE);
        free_at_home(&arena, next);
        drop(arena);
        other.join().unwrap();
    });
}

/// The last job of a full chunk goes away while others come back: its thread has nothing to do with it any more.
#[test]
fn the_last_job_at_home_goes_away() {
    explore(|| {
        let arena = Arena::new();
        let first = arena.cut(SIZE);
        let mut rest = fill(&arena, first);
        let elsewhere = rest.pop().expect("the last lies in the next chunk");
        let others = [rest, vec![first]].map(|pieces| free_elsewhere(send_away(&arena, &pieces)));
        free_at_home(&arena, elsewhere);
        drop(arena);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// A full chunk, whose last job at home is freed while the others come back.
#[test]
fn a_full_chunk_is_kept_or_let_go() {
    explore(|| {
        let arena = Arena::new();
        let first = arena.cut(SIZE);
        let mut rest = fill(&arena, first);
        let elsewhere = rest.pop().expect("the last lies in the next chunk");
        let other = free_elsewhere(send_away(&arena, &rest));
        free_at_home(&arena, first);
        free_at_home(&arena, elsewhere);
        // From the chunk that was kept, if it was.
        let again = fill(&arena, elsewhere);
        again.into_iter().for_each(|piece| free_at_home(&arena, piece));
        drop(arena);
        other.join().unwrap();
    });
}

/// A scope whose closures write what they may.
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
        // SAFETY: a model keeps the roll.
        if unsafe { Roll::leave(NonNull::from(&self.roll)) } {
            group.finish();
        }
    }

    /// The end of a round of `Branch::finish`, without the help.
    fn finish(&self) {
        // SAFETY: as above.
        if !unsafe { Roll::leave(NonNull::from(&self.roll)) } {
            self.group.watch();
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

/// Whoever took some closures gives some on, and does not wait for them.
#[test]
fn the_scopes_thread_waits_for_all_who_are_on_the_roll() {
    explore(|| {
        let written = [(); 3].map(|()| UnsafeCell::new(0));
        let group = Offer::group(None, Arc::new(Parker::new()));
        let scope = Arc::new(Rolled { roll: Roll::new(), group, written });
        scope.roll.enter();
        let taker = thread::spawn({
            let scope = Arc::clone(&scope);
            move || {
                scope.roll.enter();
                let next = thread::spawn({
                    let scope = Arc::clone(&scope);
                    move || scope.leave(2)
                });
                scope.leave(1);
                next
            }
        });
        // What nobody takes is not waited for.
        scope.roll.enter();
        scope.roll.withdraw();
        scope.written[0].with_mut(|_| ());
        scope.finish();
        taker.join().unwrap().join().unwrap();
    });
}
