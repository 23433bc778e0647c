//! Models of the room: no place is lost or given twice, and waiters are served in order.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool as Flag, AtomicUsize as Count, Ordering::Relaxed};
use std::task::{Wake, Waker};

use loom::thread;

use super::{Admission, Edge, Entry, InLine, Place};
use crate::base::sync::{AtomicBool, Ordering, explore};
use crate::parts::parker::Parker;

fn room(places: usize) -> Arc<Admission> {
    Admission::new(places, Box::new(|_| Vec::new()))
}

fn enter(room: &Arc<Admission>) -> Place {
    room.try_enter().expect("a place is free")
}

fn stand_in_line(room: &Arc<Admission>, waker: &Waker) -> InLine {
    match room.enter(waker) {
        Entry::Wait(line) => line,
        other => panic!("the room is full and open, but: {other:?}"),
    }
}

/// Waits for a place as a blocking spawn does. Returns `None` if the room was closed.
fn wait(room: &Arc<Admission>) -> Option<Place> {
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    wait_on(room.enter(&waker), &parker, &waker)
}

fn wait_on(mut entry: Entry, parker: &Parker, waker: &Waker) -> Option<Place> {
    loop {
        match entry {
            Entry::Place(place) => return Some(place),
            Entry::Closed => return None,
            Entry::Wait(line) => {
                parker.park();
                entry = line.check(waker);
            }
        }
    }
}

fn waits(room: &Arc<Admission>) -> thread::JoinHandle<Option<Place>> {
    let room = Arc::clone(room);
    thread::spawn(move || wait(&room))
}

/// Checks that, with all of them given back, all places are free and there are no more of them.
#[track_caller]
fn assert_free(room: &Arc<Admission>, places: usize) {
    assert_eq!(room.waiting(), 0);
    let taken: Vec<_> = std::iter::from_fn(|| room.try_enter()).take(places + 1).collect();
    assert_eq!(taken.len(), places);
}

/// Counts how many threads are inside at once.
#[derive(Default)]
struct Crowd(Count);

impl Crowd {
    fn visit(&self, place: Place, places: usize) {
        assert!(self.0.fetch_add(1, Relaxed) < places, "more are inside than there are places");
        thread::yield_now();
        self.0.fetch_sub(1, Relaxed);
        drop(place);
    }
}

#[derive(Default)]
struct Bell(Count);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

#[test]
fn one_gives_back_while_one_waits() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let waiter = waits(&room);
        drop(place);
        drop(waiter.join().unwrap().expect("the room stays open"));
        assert_free(&room, 1);
    });
}

#[test]
fn three_share_one_place() {
    explore(|| {
        let room = room(1);
        let crowd = Arc::new(Crowd::default());
        let others = [(); 2].map(|()| {
            let (room, crowd) = (Arc::clone(&room), Arc::clone(&crowd));
            thread::spawn(move || {
                crowd.visit(wait(&room).expect("the room stays open"), 1);
            })
        });
        if let Some(place) = room.try_enter() {
            crowd.visit(place, 1);
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_free(&room, 1);
    });
}

#[test]
fn two_give_back_while_two_wait() {
    explore(|| {
        let room = room(2);
        let taken = [enter(&room), enter(&room)];
        let waiter = waits(&room);
        let giver = thread::spawn(move || drop(taken));
        let here = wait(&room);
        let there = waiter.join().unwrap();
        giver.join().unwrap();
        assert!(room.try_enter().is_none());
        drop([here, there].map(|place| place.expect("the room stays open")));
        assert_free(&room, 2);
    });
}

#[test]
fn who_stands_first_goes_first() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let (first_bell, first_waker) = bell();
        let (second_bell, second_waker) = bell();
        let first = stand_in_line(&room, &first_waker);
        let second = stand_in_line(&room, &second_waker);
        let giver = thread::spawn(move || drop(place));
        assert!(room.try_enter().is_none(), "nobody takes a place from under the line");
        let second = match second.check(&second_waker) {
            Entry::Wait(line) => line,
            other => panic!("the first has its place still, but: {other:?}"),
        };
        giver.join().unwrap();
        assert_eq!((first_bell.0.load(Relaxed), second_bell.0.load(Relaxed)), (1, 0));
        let Entry::Place(place) = first.check(&first_waker) else { panic!("it was granted") };
        drop(place);
        assert_eq!(second_bell.0.load(Relaxed), 1);
        let Entry::Place(place) = second.check(&second_waker) else { panic!("it was granted") };
        drop(place);
        assert_free(&room, 1);
    });
}

#[test]
fn one_steps_out_while_its_place_comes() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let line = stand_in_line(&room, Waker::noop());
        let giver = thread::spawn(move || drop(place));
        drop(line);
        giver.join().unwrap();
        assert_free(&room, 1);
    });
}

#[test]
fn the_first_steps_out_and_the_second_gets_its_place() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let first = stand_in_line(&room, Waker::noop());
        let parker = Arc::new(Parker::new());
        let waker = Waker::from(Arc::clone(&parker));
        let second = Entry::Wait(stand_in_line(&room, &waker));
        let giver = thread::spawn(move || drop(place));
        let leaver = thread::spawn(move || drop(first));
        drop(wait_on(second, &parker, &waker).expect("the room stays open"));
        giver.join().unwrap();
        leaver.join().unwrap();
        assert_free(&room, 1);
    });
}

#[test]
fn two_step_out_of_the_line() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let lines = [(); 2].map(|()| stand_in_line(&room, Waker::noop()));
        let others = lines.map(|line| thread::spawn(move || drop(line)));
        drop(place);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_free(&room, 1);
    });
}

#[test]
fn the_room_closes_while_one_comes() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let waiter = waits(&room);
        room.close();
        assert!(waiter.join().unwrap().is_none());
        drop(place);
        assert!(matches!(room.enter(Waker::noop()), Entry::Closed));
        assert_free(&room, 1);
    });
}

#[test]
fn the_room_closes_while_a_place_is_given_back() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let waiter = waits(&room);
        let giver = thread::spawn(move || drop(place));
        room.close();
        drop(waiter.join().unwrap());
        giver.join().unwrap();
        assert_free(&room, 1);
    });
}

#[test]
fn the_room_closes_while_one_steps_out() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let (bell, waker) = bell();
        let line = stand_in_line(&room, &waker);
        drop(waker);
        let leaver = thread::spawn(move || drop(line));
        room.close();
        leaver.join().unwrap();
        assert!(bell.0.load(Relaxed) <= 1);
        assert_eq!(Arc::strong_count(&bell), 1, "the waker is dropped");
        drop(place);
        assert_free(&room, 1);
    });
}

#[test]
fn the_last_waker_hears_of_the_place() {
    explore(|| {
        let room = room(1);
        let place = enter(&room);
        let (old, new) = (bell(), bell());
        let line = stand_in_line(&room, &old.1);
        let giver = thread::spawn(move || drop(place));
        let entry = line.check(&new.1);
        giver.join().unwrap();
        let rings = (old.0.0.load(Relaxed), new.0.0.load(Relaxed));
        match entry {
            Entry::Place(place) => {
                assert_eq!(rings, (1, 0));
                assert!(room.try_enter().is_none(), "the place is taken");
                drop(place);
            }
            Entry::Wait(line) => {
                assert_eq!(rings, (0, 1));
                drop(line);
            }
            Entry::Closed => panic!("the room stays open"),
        }
        assert_free(&room, 1);
    });
}

#[test]
fn a_room_that_has_drained_is_not_left_as_full() {
    explore(|| {
        let is_full = Arc::new(Flag::new(false));
        let told = Arc::clone(&is_full);
        let observer = move |edge| {
            told.store(edge == Edge::Full, Relaxed);
            Vec::new()
        };
        let room = Admission::new(1, Box::new(observer));
        let place = enter(&room);
        let giver = thread::spawn(move || drop(place));
        drop(room.try_enter());
        giver.join().unwrap();
        assert!(!is_full.load(Relaxed), "all places are free");
    });
}

/// The question of a full pool that drops its oldest task: no task waits any more, so was a place
/// given back?
#[test]
fn who_sees_what_came_after_a_place_sees_that_it_was_given() {
    explore(|| {
        let room = Admission::that_counts(1, Box::new(|_| Vec::new()));
        let place = enter(&room);
        let took_the_next = Arc::new(AtomicBool::new(false));
        let giver = {
            let took_the_next = Arc::clone(&took_the_next);
            thread::spawn(move || {
                drop(place);
                took_the_next.store(true, Ordering::Release);
            })
        };
        let given_back = room.given_back();
        if room.try_enter().is_none() && took_the_next.load(Ordering::Acquire) {
            assert_ne!(room.given_back(), given_back);
        }
        giver.join().unwrap();
    });
}
