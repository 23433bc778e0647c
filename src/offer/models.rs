//! Models of offers: who takes, withdraws, waits, sleeps, helps and pokes while others do the same.
//!
//! This file has the stage, and the models of taking; `wait` has those of an owner that waits, `hunger`
//! those of the mode. [`Pool`] is a pool of the smallest kind. Its methods are those of the hub, of the
//! worker and of a thread's fork-join stack, step by step; a lost wake-up shows as a deadlock, which loom
//! reports.

mod hunger;
mod wait;

use core::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use super::{Board, Offer, Taken, Work};
use crate::idle::{IdleList, Retract, Searching};
use crate::parker::Parker;
use crate::sync::{UnsafeCell, explore};

/// What an offer is about: a count of runs, in a frame that its owner leaves when it is done.
struct Piece {
    runs: UnsafeCell<u32>,
}

// SAFETY: loom checks that no two threads touch the cell at once.
unsafe impl Sync for Piece {}
// SAFETY: it is a number.
unsafe impl Send for Piece {}

impl Piece {
    fn new() -> Arc<Self> {
        Arc::new(Self { runs: UnsafeCell::new(0) })
    }

    /// `Job::work`. The models keep each piece until its offer is settled, or they end.
    fn offer(&self, whole: Option<&Arc<Offer>>, owner: &Arc<Parker>) -> Arc<Offer> {
        // SAFETY: `run` is meant for a piece; loom finds a second run, or one at the wrong time.
        let work = unsafe { Work::new(NonNull::from(self).cast(), Self::run) };
        Offer::new(work, whole.cloned(), Arc::clone(owner), None)
    }

    /// # Safety
    /// - `piece` is a `Piece`, and it is the caller's turn.
    unsafe fn run(piece: NonNull<()>) {
        // SAFETY: the caller's promise.
        let piece = unsafe { piece.cast::<Self>().as_ref() };
        piece.run_here();
    }

    fn run_here(&self) {
        // SAFETY: it is this thread's turn; loom checks it.
        self.runs.with_mut(|runs| unsafe { *runs += 1 });
    }

    /// The owner's frame ends: whoever touches the piece still or later is caught by loom. Gives how
    /// often it was run.
    fn end(&self) -> u32 {
        // SAFETY: as above.
        self.runs.with_mut(|runs| unsafe { *runs })
    }
}

/// What a hub has, without tasks.
struct Pool {
    board: Board,
    idle: IdleList,
    /// Where the workers sleep.
    beds: Vec<Parker>,
}

/// What came of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    TakenBack,
    /// It was done elsewhere, and so many parts of it were done here meanwhile.
    Done {
        helped: u32,
    },
}

impl Pool {
    fn new() -> Arc<Self> {
        Self::with_workers(0)
    }

    fn with_workers(workers: usize) -> Arc<Self> {
        let beds = (0..workers).map(|_| Parker::new()).collect();
        Arc::new(Self { board: Board::new(), idle: IdleList::new(), beds })
    }

    /// `Stack::take_back`.
    fn take_back(&self, offer: &Arc<Offer>) -> Settled {
        if self.board.withdraw(offer) {
            return Settled::TakenBack;
        }
        Settled::Done { helped: self.wait_for(offer) }
    }

    /// `Stack::call_for_help`: `Hub::offer`, a look, and `Hub::wake_helper`.
    fn offer_and_wake(&self, offer: &Arc<Offer>) {
        let early = mutant!("sleeper_before_post").then(|| self.idle.look());
        self.board.post(Arc::clone(offer));
        if early.unwrap_or_else(|| self.idle.look()).wants_a_searcher() {
            if let Some(worker) = self.idle.take_one(|_| true) {
                self.beds[worker].unpark();
            }
        }
    }

    /// `Hub::close`.
    fn close(&self) {
        self.idle.close();
        while let Some(worker) = self.idle.take_any() {
            self.beds[worker].unpark();
        }
    }

    /// `Worker::find_or_rest`, and the run of what it found. Says whether it found something: not when
    /// the pool is closed.
    fn work(&self, worker: usize) -> bool {
        let mut searching = self.idle.start_search();
        loop {
            let found = if searching == Searching::Yes { self.board.take() } else { None };
            if found.is_some() || self.idle.look().is_closed() {
                if searching == Searching::Yes {
                    let _word = self.idle.end_search();
                }
                return found.map(Taken::run).is_some();
            }
            self.rest(worker, searching);
            searching = Searching::Yes;
        }
    }

    /// `Worker::rest`, without the pokes: they would cover for the handshake of `enter`.
    fn rest(&self, worker: usize, searching: Searching) {
        self.idle.enter(worker, searching);
        let stay_up = self.board.open() > 0 || self.idle.look().is_closed();
        if !(stay_up && self.idle.retract(worker) == Retract::Done) {
            self.beds[worker].park();
        }
    }

    /// Looks for so many offers. Says how many it found before the pool was closed.
    fn start_worker(self: &Arc<Self>, worker: usize, offers: usize) -> thread::JoinHandle<usize> {
        let pool = Arc::clone(self);
        thread::spawn(move || (0..offers).take_while(|_| pool.work(worker)).count())
    }

    /// Takes what is on offer, if something is. Says whether it got something.
    fn start_taker(self: &Arc<Self>) -> thread::JoinHandle<bool> {
        let pool = Arc::clone(self);
        thread::spawn(move || pool.board.take().map(Taken::run).is_some())
    }

    /// When all threads have left nothing hangs on the board, and nobody searches or is free.
    fn assert_at_rest(&self) {
        assert_eq!(self.board.open(), 0);
        let word = self.idle.look();
        assert_eq!((word.free(), word.searching()), (0, 0));
    }
}

/// One thread, one offer, and what it is about.
struct Owned {
    piece: Arc<Piece>,
    parker: Arc<Parker>,
    offer: Arc<Offer>,
}

impl Owned {
    fn new() -> Self {
        Self::part_of(None)
    }

    fn part_of(whole: Option<&Arc<Offer>>) -> Self {
        let (piece, parker) = (Piece::new(), Arc::new(Parker::new()));
        let offer = piece.offer(whole, &parker);
        Self { piece, parker, offer }
    }

    fn post(&self, pool: &Pool) {
        pool.board.post(Arc::clone(&self.offer));
    }

    /// As if another thread had come for it before the model begins.
    fn taken(&self, pool: &Pool) -> Taken {
        self.post(pool);
        pool.board.take().expect("it was just posted")
    }

    /// Takes the offer back and does the work here, or waits for it. It was run once in any case.
    fn settle(&self, pool: &Pool) -> Settled {
        let settled = pool.take_back(&self.offer);
        if settled == Settled::TakenBack {
            self.piece.run_here();
        }
        assert_eq!(self.piece.end(), 1);
        settled
    }

    /// Waits for it, and relies on somebody coming for it. Says how many parts of it were done here.
    fn wait(&self, pool: &Pool) -> u32 {
        let helped = pool.wait_for(&self.offer);
        assert_eq!(self.piece.end(), 1);
        helped
    }
}

#[test]
fn an_offer_is_taken_or_withdrawn() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let taker = pool.start_taker();
        owned.post(&pool);
        let settled = owned.settle(&pool);
        assert_eq!(taker.join().unwrap(), settled == Settled::Done { helped: 0 });
        pool.assert_at_rest();
    });
}

#[test]
fn two_takers_of_one_offer() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        owned.post(&pool);
        let takers = [pool.start_taker(), pool.start_taker()];
        let settled = owned.settle(&pool);
        let taken = takers.map(|taker| taker.join().unwrap());
        assert_ne!(taken, [true, true]);
        assert_eq!(taken.contains(&true), settled != Settled::TakenBack);
        pool.assert_at_rest();
    });
}

#[test]
fn two_offers_two_takers_one_withdrawal() {
    explore(|| {
        let pool = Pool::new();
        let (first, second) = (Owned::new(), Owned::new());
        first.post(&pool);
        second.post(&pool);
        let takers = [pool.start_taker(), pool.start_taker()];
        let settled = second.settle(&pool);
        let taken = takers.map(|taker| taker.join().unwrap());
        assert_eq!(taken == [true, true], settled != Settled::TakenBack);
        let left = first.settle(&pool);
        assert_ne!(left, Settled::TakenBack, "two came, and the oldest goes first");
        pool.assert_at_rest();
    });
}

#[test]
fn an_offer_is_posted_while_another_is_taken() {
    explore(|| {
        let pool = Pool::new();
        let (first, second) = (Owned::new(), Owned::new());
        first.post(&pool);
        let taker = pool.start_taker();
        second.post(&pool);
        assert!(taker.join().unwrap());
        assert_eq!(pool.board.open(), 1);
        assert_eq!(first.wait(&pool), 0);
        assert_eq!(second.settle(&pool), Settled::TakenBack);
        pool.assert_at_rest();
    });
}

#[test]
fn a_worker_comes_for_an_offer() {
    explore(|| {
        let pool = Pool::with_workers(1);
        let worker = pool.start_worker(0, 1);
        let owned = Owned::new();
        pool.offer_and_wake(&owned.offer);
        assert_eq!(owned.wait(&pool), 0);
        assert_eq!(worker.join().unwrap(), 1);
        pool.assert_at_rest();
    });
}

#[test]
fn a_worker_comes_for_two_offers() {
    explore(|| {
        let pool = Pool::with_workers(1);
        let worker = pool.start_worker(0, 2);
        let (first, second) = (Owned::new(), Owned::new());
        pool.offer_and_wake(&first.offer);
        pool.offer_and_wake(&second.offer);
        assert_eq!((first.wait(&pool), second.wait(&pool)), (0, 0));
        assert_eq!(worker.join().unwrap(), 2);
        pool.assert_at_rest();
    });
}

#[test]
fn one_of_two_workers_comes_for_an_offer() {
    explore(|| {
        let pool = Pool::with_workers(2);
        let workers = [pool.start_worker(0, 1), pool.start_worker(1, 1)];
        let owned = Owned::new();
        pool.offer_and_wake(&owned.offer);
        assert_eq!(owned.wait(&pool), 0);
        pool.close();
        let found: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        assert_eq!(found, 1);
        pool.assert_at_rest();
    });
}

#[test]
fn a_worker_is_woken_for_an_offer_that_is_withdrawn() {
    explore(|| {
        let pool = Pool::with_workers(1);
        let worker = pool.start_worker(0, 1);
        let owned = Owned::new();
        pool.offer_and_wake(&owned.offer);
        let settled = owned.settle(&pool);
        pool.close();
        assert_eq!(worker.join().unwrap() == 1, settled != Settled::TakenBack);
        pool.assert_at_rest();
    });
}
