//! Loom models of a line: its owner adds entries and takes them back while thieves come, and waits
//! for what they took.
//!
//! Both fences are full fences here. Each piece counts its runs in a cell, so that loom sees a
//! thread that touches it too late. An owner "leaves the frame" by touching the cell once more.

use core::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use super::{Job, JobTable, Line, Offer, Work};
use crate::base::sync::{UnsafeCell, explore, heavy_fence};
use crate::parts::parker::Parker;

/// A piece of work on a line.
#[repr(C)]
struct Piece {
    job: Job,
    runs: UnsafeCell<u32>,
}

// SAFETY: a line's protocol ensures that one thread at a time touches a piece, and loom checks
// that.
unsafe impl Sync for Piece {}
// SAFETY: as above.
unsafe impl Send for Piece {}

// SAFETY: `run` takes a piece, and does not unwind.
static TABLE: JobTable = unsafe { JobTable::new(Piece::run) };

impl Piece {
    fn new() -> Arc<Self> {
        Arc::new(Self { job: Job::new(&TABLE), runs: UnsafeCell::new(0) })
    }

    fn job(&self) -> NonNull<Job> {
        NonNull::from(self).cast()
    }

    /// # Safety
    /// - `piece` is a `Piece`, and it is the caller's turn.
    unsafe fn run(piece: NonNull<()>) {
        // SAFETY: the caller promises that this is a `Piece` and that it is the caller's turn.
        unsafe { piece.cast::<Self>().as_ref() }.run_here();
    }

    fn run_here(&self) {
        // SAFETY: it is this thread's turn; loom checks that.
        self.runs.with_mut(|runs| unsafe { *runs += 1 });
    }

    /// The owner leaves the frame. Returns how often the piece was run.
    fn end(&self) -> u32 {
        // SAFETY: as above.
        self.runs.with_mut(|runs| unsafe { *runs })
    }
}

/// The model's owner: a line, and the pieces that lie on it.
struct Owner {
    line: Arc<Line>,
    left: Vec<(Arc<Piece>, NonNull<Job>)>,
}

impl Owner {
    fn new() -> Self {
        let line = Arc::new(Line::new());
        line.attach(Arc::new(Parker::new()));
        line.answer_call();
        Self { line, left: Vec::new() }
    }

    /// `Frame::push`, after the owner has written what the frame holds.
    fn push(&mut self, piece: &Arc<Piece>) {
        // SAFETY: no other thread reaches it yet; loom checks that.
        piece.runs.with_mut(|runs| unsafe { *runs = 0 });
        // SAFETY: `settle` pops the pieces in reverse order, and the model keeps them.
        let below = unsafe { self.line.push(piece.job()) };
        if self.line.is_asked() {
            let _asked = self.line.attend();
        }
        self.left.push((Arc::clone(piece), below));
    }

    /// `Frame::take_back`, `wait`, and the run of what no thief took.
    fn settle(&mut self) {
        let (piece, below) = self.left.pop().expect("something was pushed");
        self.line.pop(below);
        if self.line.is_asked() {
            let _asked = self.line.attend();
        }
        if piece.job.was_taken() {
            self.line.retreat(piece.job());
            wait_for(&piece.job.take_offer());
        } else {
            piece.run_here();
        }
        assert_eq!(piece.end(), 1, "runs");
    }

    fn thief(&self) -> thread::JoinHandle<()> {
        let line = Arc::clone(&self.line);
        thread::spawn(move || {
            if let Some(taken) = line.take(None) {
                taken.run();
            }
        })
    }
}

/// `Stack::sleep`, without an end.
fn wait_for(offer: &Offer) {
    while !offer.is_done() {
        if offer.lie_down() {
            offer.park();
            offer.get_up();
        }
    }
}

#[test]
fn a_thief_comes_while_a_piece_is_added_and_taken_back() {
    explore(|| {
        let mut owner = Owner::new();
        let piece = Piece::new();
        let thief = owner.thief();
        owner.push(&piece);
        owner.settle();
        thief.join().unwrap();
    });
}

#[test]
fn two_thieves_come_for_one_piece() {
    explore(|| {
        let mut owner = Owner::new();
        let piece = Piece::new();
        owner.push(&piece);
        let thieves = [owner.thief(), owner.thief()];
        owner.settle();
        thieves.into_iter().for_each(|thief| thief.join().unwrap());
    });
}

/// The owner checks often, so it gives some thieves what they ask for; the others take it.
#[test]
fn an_owner_that_looks_gives_what_a_thief_asks_for() {
    explore(|| {
        let mut owner = Owner::new();
        let (outer, inner) = (Piece::new(), Piece::new());
        owner.push(&outer);
        let thief = owner.thief();
        owner.push(&inner);
        owner.settle();
        owner.settle();
        thief.join().unwrap();
    });
}

/// The owner wants the lock for itself, and the thief that holds it waits for the owner.
#[test]
fn an_owner_that_wants_the_lock_answers_first() {
    explore(|| {
        let mut owner = Owner::new();
        let piece = Piece::new();
        owner.push(&piece);
        let thief = owner.thief();
        owner.line.alone(|| ());
        owner.settle();
        thief.join().unwrap();
    });
}

/// A second piece lies where the first one was, as frames do.
#[test]
fn a_thief_comes_between_two_calls() {
    explore(|| {
        let mut owner = Owner::new();
        let (first, second) = (Piece::new(), Piece::new());
        owner.push(&first);
        let thief = owner.thief();
        owner.settle();
        owner.push(&second);
        owner.settle();
        thief.join().unwrap();
    });
}

/// A thief takes the older piece, and then perhaps one takes the newer one. The owner takes back
/// from the top.
#[test]
fn two_thieves_come_for_two_pieces() {
    explore(|| {
        let mut owner = Owner::new();
        let (outer, inner) = (Piece::new(), Piece::new());
        owner.push(&outer);
        owner.push(&inner);
        let thieves = [owner.thief(), owner.thief()];
        owner.settle();
        owner.settle();
        thieves.into_iter().for_each(|thief| thief.join().unwrap());
    });
}

/// The owner pops what was taken while another thief begins its walk there.
#[test]
fn a_thief_comes_while_the_owner_pops_what_was_taken() {
    explore(|| {
        let mut owner = Owner::new();
        let (outer, next) = (Piece::new(), Piece::new());
        owner.push(&outer);
        owner.line.take(None).expect("it is there").run();
        let thief = owner.thief();
        owner.settle();
        owner.push(&next);
        owner.settle();
        thief.join().unwrap();
    });
}

/// `Hub::ask_for_calls` and the look after it, against a push: either the owner is asked, or the
/// sleeper sees what it added.
#[test]
fn whoever_adds_something_calls_or_is_seen() {
    explore(|| {
        let mut owner = Owner::new();
        let piece = Piece::new();
        let line = Arc::clone(&owner.line);
        let sleeper = thread::spawn(move || {
            line.ask_for_a_call();
            heavy_fence();
            line.call().is_some()
        });
        // SAFETY: it is popped below, and the model keeps the piece.
        let below = unsafe { owner.line.push(piece.job()) };
        let is_called = owner.line.is_asked() && owner.line.attend().is_called;
        let is_seen = sleeper.join().unwrap();
        assert!(is_called || is_seen, "nobody comes");
        owner.left.push((piece, below));
        owner.settle();
    });
}

/// The owner sleeps until the thread that has taken its work is done.
#[test]
fn the_end_wakes_an_owner_that_lies_down() {
    explore(|| {
        let piece = Piece::new();
        let owner = Arc::new(Parker::new());
        // SAFETY: `run` takes a piece.
        let work = unsafe { Work::new(NonNull::from(&*piece).cast(), Piece::run) };
        let offer = Offer::new(work, None, owner);
        let other = {
            let offer = Arc::clone(&offer);
            let piece = Arc::clone(&piece);
            thread::spawn(move || {
                piece.run_here();
                offer.finish();
            })
        };
        wait_for(&offer);
        assert_eq!(piece.end(), 1);
        other.join().unwrap();
    });
}
