//! A thread in plain calls against threads that become hungry: it sees them, or is poked.

use std::sync::Arc;

use loom::thread;

use super::{Owned, Pool};
use crate::idle::Searching;
use crate::offer::{Mode, Offer};
use crate::sync::explore;

impl Pool {
    /// `Stack::beat` of a thread in plain calls, without what the hungry are given. Says whether
    /// somebody is hungry.
    fn beat(&self, mode: &Mode, runs: Option<&Arc<Offer>>) -> bool {
        if !mutant!("plain_after_look") {
            mode.set_plain();
        }
        let word = self.idle.look();
        let open = self.board.open();
        let waits = runs.is_some_and(|offer| offer.nearest_watched().is_some());
        let awake = word.searching() as usize + usize::from(waits) > open;
        let asleep = open == 0 && word.has_free();
        if mutant!("plain_after_look") {
            mode.set_plain();
        }
        if awake || asleep {
            mode.look();
        }
        awake || asleep
    }

    /// `Stack::listen`.
    fn listen(&self, mode: &Mode) {
        // SAFETY: the models keep each mode until all threads have ended.
        unsafe { self.board.listen(mode, false) };
    }
}

/// How a thread becomes hungry, and makes it known.
#[derive(Debug, Clone, Copy)]
enum Hunger {
    Searches,
    GoesToSleep,
    Waits,
    LiesDown,
}

impl Hunger {
    fn show(self, pool: &Pool, waits_for: &Offer) {
        match self {
            Self::Searches => assert_eq!(pool.idle.start_search(), Searching::Yes),
            Self::GoesToSleep => pool.idle.enter(0, Searching::No),
            Self::Waits => waits_for.watch(),
            Self::LiesDown => {
                waits_for.watch();
                assert!(waits_for.lie_down());
            }
        }
        pool.board.poke_all();
    }
}

/// Since when the thread whose calls are plain is told of hunger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listens {
    Already,
    FromNow,
    /// And another does already.
    FromNowToo,
}

/// In the end somebody's hunger was seen, or the thread is to look.
fn hunger_against_a_beat(hunger: Hunger, listens: Listens) {
    explore(move || {
        let pool = Pool::new();
        let (mode, other) = (Arc::new(Mode::new()), Mode::new());
        let runs = Owned::new().offer;
        match listens {
            Listens::Already => pool.listen(&mode),
            Listens::FromNow => {}
            Listens::FromNowToo => pool.listen(&other),
        }
        let hungry = thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            move || hunger.show(&pool, &runs)
        });
        if listens != Listens::Already {
            pool.listen(&mode);
        }
        let seen = pool.beat(&mode, Some(&runs));
        hungry.join().unwrap();
        assert!(seen || mode.is_poked(), "somebody is hungry, and nobody will look");
        assert_eq!(listens == Listens::FromNowToo, other.is_poked());
    });
}

#[test]
fn a_search_begins_at_a_beat() {
    hunger_against_a_beat(Hunger::Searches, Listens::Already);
}

#[test]
fn a_search_begins_when_a_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::Searches, Listens::FromNow);
}

#[test]
fn a_search_begins_when_a_second_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::Searches, Listens::FromNowToo);
}

#[test]
fn a_worker_goes_to_sleep_at_a_beat() {
    hunger_against_a_beat(Hunger::GoesToSleep, Listens::Already);
}

#[test]
fn a_worker_goes_to_sleep_when_a_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::GoesToSleep, Listens::FromNow);
}

#[test]
fn a_worker_goes_to_sleep_when_a_second_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::GoesToSleep, Listens::FromNowToo);
}

#[test]
fn a_wait_begins_at_a_beat() {
    hunger_against_a_beat(Hunger::Waits, Listens::Already);
}

#[test]
fn a_wait_begins_when_a_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::Waits, Listens::FromNow);
}

#[test]
fn a_wait_begins_when_a_second_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::Waits, Listens::FromNowToo);
}

#[test]
fn an_owner_lies_down_at_a_beat() {
    hunger_against_a_beat(Hunger::LiesDown, Listens::Already);
}

#[test]
fn an_owner_lies_down_when_a_thread_starts_to_listen() {
    hunger_against_a_beat(Hunger::LiesDown, Listens::FromNow);
}

/// After that its mode may be gone.
#[test]
fn who_stops_listening_is_poked_no_more() {
    explore(|| {
        let pool = Pool::new();
        let (stays, leaves) = (Mode::new(), Mode::new());
        pool.listen(&leaves);
        pool.listen(&stays);
        let hungry = thread::spawn({
            let pool = Arc::clone(&pool);
            move || Hunger::Searches.show(&pool, &Owned::new().offer)
        });
        pool.board.unlisten(&leaves);
        leaves.set_plain();
        hungry.join().unwrap();
        assert!(leaves.is_plain() && stays.is_poked());
    });
}

/// Calls on the same thread, one inside the other, have one mode.
#[test]
fn the_inner_of_two_calls_on_a_thread_stops_listening_first() {
    explore(|| {
        let board = &Pool::new().board;
        let (other, mode) = (Mode::new(), Mode::new());
        let listen = |mode, is_guest| {
            // SAFETY: both modes are there until the model ends.
            unsafe { board.listen(mode, is_guest) };
        };
        listen(&other, true);
        listen(&mode, false);
        listen(&mode, true);
        assert_eq!(board.guests(), 2);
        board.unlisten(&other);
        board.unlisten(&mode);
        assert_eq!(board.guests(), 0, "the outer one is no guest");
        board.poke_all();
        assert!(mode.is_poked() && !other.is_poked());
    });
}
