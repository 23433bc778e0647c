//! An owner that waits: it sleeps, is woken at the end, and helps with parts of the work and nothing else.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use super::{Owned, Piece, Pool, Settled};
use crate::offer::{Offer, Taken};
use crate::sync::explore;

impl Pool {
    /// `Stack::wait_for`. Says how many parts it did.
    pub(super) fn wait_for(&self, offer: &Arc<Offer>) -> u32 {
        let mut helped = 0;
        if offer.is_done() {
            return helped;
        }
        offer.watch();
        while !offer.is_done() {
            if self.help(offer) || self.sleep(offer) {
                helped += 1;
            }
        }
        helped
    }

    fn help(&self, offer: &Arc<Offer>) -> bool {
        let run = |taken: Taken| {
            offer.look_away();
            taken.run();
            offer.watch();
        };
        self.board.take_part_of(offer).map(run).is_some()
    }

    /// `Stack::sleep`, without the pokes: they would cover for the handshake that belongs here.
    fn sleep(&self, offer: &Arc<Offer>) -> bool {
        let finds = || self.board.open() > 0 && self.help(offer);
        let early = mutant!("look_before_lie_down").then(finds);
        if !offer.lie_down() {
            return false;
        }
        let helped = early.unwrap_or_else(finds);
        if !helped {
            offer.owner.park();
        }
        offer.get_up();
        helped
    }
}

/// Runs what was taken, on a thread of its own, after whatever `before` does in that run.
fn start_run(
    pool: &Arc<Pool>,
    taken: Taken,
    before: impl FnOnce(&Pool, &Arc<Offer>) + 'static,
) -> thread::JoinHandle<()> {
    let pool = Arc::clone(pool);
    thread::spawn(move || {
        before(&pool, taken.offer());
        taken.run();
    })
}

#[test]
fn a_sleeping_owner_is_woken_when_the_work_is_done() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let runner = start_run(&pool, owned.taken(&pool), |_, _| ());
        assert_eq!(owned.wait(&pool), 0);
        runner.join().unwrap();
    });
}

/// The wake-up for the first wait may come in the second.
#[test]
fn an_owner_waits_twice_in_the_same_bed() {
    explore(|| {
        let pool = Pool::new();
        let first = Owned::new();
        let mut second = Owned::new();
        second.parker = Arc::clone(&first.parker);
        second.offer = second.piece.offer(None, &second.parker);
        let (one, other) = (first.taken(&pool), second.taken(&pool));
        let runner = thread::spawn(move || {
            one.run();
            other.run();
        });
        assert_eq!((first.wait(&pool), second.wait(&pool)), (0, 0));
        runner.join().unwrap();
    });
}

/// `Stack::feed` of a thread that somebody else than a waiter made promote a part: it posts the part, and
/// then looks who waits. If it looked first, an owner could go to sleep in between, and never be called.
fn post_part(pool: &Pool, whole: &Arc<Offer>) -> Owned {
    let part = Owned::part_of(Some(whole));
    let early = mutant!("waiter_before_post").then(|| whole.nearest_watched());
    part.post(pool);
    if let Some(waits) = early.unwrap_or_else(|| whole.nearest_watched()) {
        waits.call_owner();
    }
    part
}

/// Whoever runs the work relies on the owner to come for a part.
#[test]
fn an_owner_comes_for_a_part() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let runner = start_run(&pool, owned.taken(&pool), |pool, whole| {
            let part = post_part(pool, whole);
            assert_eq!(part.wait(pool), 0);
        });
        assert_eq!(owned.wait(&pool), 1);
        runner.join().unwrap();
        pool.assert_at_rest();
    });
}

#[test]
fn an_owner_comes_for_two_parts() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let runner = start_run(&pool, owned.taken(&pool), |pool, whole| {
            for _ in 0..2 {
                let part = post_part(pool, whole);
                assert_eq!(part.wait(pool), 0);
            }
        });
        assert_eq!(owned.wait(&pool), 2);
        runner.join().unwrap();
        pool.assert_at_rest();
    });
}

#[test]
fn a_part_is_taken_back_or_done_by_the_owner() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let settled = Piece::new();
        let runner = start_run(&pool, owned.taken(&pool), {
            let settled = Arc::clone(&settled);
            move |pool, whole| {
                let part = post_part(pool, whole);
                if part.settle(pool) != Settled::TakenBack {
                    settled.run_here();
                }
            }
        });
        let helped = owned.wait(&pool);
        runner.join().unwrap();
        assert_eq!(helped, settled.end());
        pool.assert_at_rest();
    });
}

/// The owner is called for nothing: it goes back to sleep, and is woken in the end.
#[test]
fn another_comes_for_the_part_that_the_owner_is_called_for() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let runner = start_run(&pool, owned.taken(&pool), |pool, whole| {
            let part = post_part(pool, whole);
            part.settle(pool);
        });
        let taker = pool.start_taker();
        owned.wait(&pool);
        runner.join().unwrap();
        taker.join().unwrap();
        pool.assert_at_rest();
    });
}

/// Two wait, one for a part of what the other waits for. A part of that part is for either.
#[test]
fn one_of_two_who_wait_comes_for_a_part_of_a_part() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let part = Owned::part_of(Some(&owned.offer));
        let (whole, taken) = (owned.taken(&pool), part.taken(&pool));
        let runner = start_run(&pool, taken, |pool, part| {
            let smallest = post_part(pool, part);
            assert_eq!(smallest.wait(pool), 0);
        });
        let helped = Piece::new();
        let middle = start_run(&pool, whole, {
            let helped = Arc::clone(&helped);
            move |pool, _| (0..part.wait(pool)).for_each(|_| helped.run_here())
        });
        let here = owned.wait(&pool);
        runner.join().unwrap();
        middle.join().unwrap();
        assert_eq!(here + helped.end(), 1);
        pool.assert_at_rest();
    });
}

#[test]
fn parts_of_parts_are_parts_and_nothing_else_is() {
    explore(|| {
        let whole = Owned::new().offer;
        let part = Owned::part_of(Some(&whole)).offer;
        let smallest = Owned::part_of(Some(&part)).offer;
        let stranger = Owned::new().offer;
        assert!(part.is_part_of(&whole) && smallest.is_part_of(&whole));
        assert!(smallest.is_part_of(&part));
        for (one, other) in
            [(&whole, &whole), (&whole, &part), (&stranger, &whole), (&part, &stranger)]
        {
            assert!(!one.is_part_of(other));
        }
        assert!(smallest.nearest_watched().is_none());
        whole.watch();
        assert!(smallest.nearest_watched().is_some_and(|watched| Arc::ptr_eq(watched, &whole)));
        smallest.watch();
        assert!(smallest.nearest_watched().is_some_and(|watched| Arc::ptr_eq(watched, &smallest)));
    });
}

#[test]
fn a_waiter_passes_over_a_stranger_for_a_part() {
    explore(|| {
        let pool = Pool::new();
        let (owned, stranger) = (Owned::new(), Owned::new());
        let taken = owned.taken(&pool);
        stranger.post(&pool);
        let runner = start_run(&pool, taken, |pool, whole| {
            let part = post_part(pool, whole);
            assert_eq!(part.wait(pool), 0);
        });
        assert_eq!(owned.wait(&pool), 1);
        runner.join().unwrap();
        assert_eq!(stranger.settle(&pool), Settled::TakenBack);
        pool.assert_at_rest();
    });
}

#[test]
fn a_waiter_sleeps_though_a_stranger_comes() {
    explore(|| {
        let pool = Pool::new();
        let owned = Owned::new();
        let runner = start_run(&pool, owned.taken(&pool), |_, _| ());
        let stranger = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let stranger = Owned::new();
                stranger.post(&pool);
                assert_eq!(stranger.settle(&pool), Settled::TakenBack);
            }
        });
        assert_eq!(owned.wait(&pool), 0);
        runner.join().unwrap();
        stranger.join().unwrap();
        pool.assert_at_rest();
    });
}
