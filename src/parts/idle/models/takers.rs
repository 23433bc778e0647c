//! Loom models of the list alone: threads that take a worker from it, any worker or a certain one,
//! against each other.
#![forbid(unsafe_code)]

use std::ops::RangeInclusive;
use std::sync::Arc;

use loom::thread;

use super::Pool;
use crate::base::sync::explore;
use crate::parts::idle::{IdleList, Retract, Searching};

/// Each worker on the list leaves it once, whichever of these threads takes it. The numbers are the
/// least and the most workers that they take.
fn two_takers<A, B>(
    taken_in_all: RangeInclusive<usize>,
    first: impl Fn(&IdleList) -> A + Send + Sync + Copy + 'static,
    second: impl Fn(&IdleList) -> B + Send + Sync + Copy + 'static,
) where
    A: IntoIterator<Item = usize> + Send + 'static,
    B: IntoIterator<Item = usize>,
{
    explore(move || {
        let idle = Arc::new(IdleList::new());
        idle.enter(0, Searching::No);
        idle.enter(1, Searching::No);
        let taker = thread::spawn({
            let idle = Arc::clone(&idle);
            move || first(&idle)
        });
        let mut taken: Vec<_> = second(&idle).into_iter().collect();
        taken.extend(taker.join().unwrap());
        assert!(taken_in_all.contains(&taken.len()), "{taken:?}");
        let word = idle.look();
        assert_eq!(
            (word.free() as usize, word.searching() as usize),
            (2 - taken.len(), taken.len())
        );
        taken.extend(std::iter::from_fn(|| idle.take_any()));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}

fn one(idle: &IdleList) -> Option<usize> {
    idle.take_one(|worker| worker == 0)
}

fn any(idle: &IdleList) -> Option<usize> {
    idle.take_any()
}

fn zero(idle: &IdleList) -> Option<usize> {
    idle.take(0).then_some(0)
}

fn all(idle: &IdleList) -> Vec<usize> {
    idle.take_first(2)
}

fn retracted(idle: &IdleList) -> Option<usize> {
    (idle.retract(0) == Retract::Done).then_some(0)
}

#[test]
fn one_searcher_is_taken_at_a_time() {
    two_takers(1..=1, one, one);
}

#[test]
fn taking_one_against_taking_any() {
    two_takers(1..=2, one, any);
}

#[test]
fn taking_one_against_taking_a_certain_one() {
    two_takers(1..=2, one, zero);
}

#[test]
fn taking_any_against_taking_a_certain_one() {
    two_takers(1..=2, any, zero);
}

#[test]
fn taking_all_against_taking_one() {
    two_takers(2..=2, all, one);
}

#[test]
fn taking_all_against_retracting() {
    two_takers(2..=2, all, retracted);
}

#[test]
fn taking_one_against_retracting() {
    two_takers(1..=2, one, retracted);
}

#[test]
fn taking_any_twice_against_retracting() {
    two_takers(1..=2, retracted, |idle| {
        let first = idle.take_any();
        assert!(first.is_some(), "one is left whatever the other does");
        first
    });
}

/// A worker that is alone on the list either takes itself off or is woken: never both, never
/// neither.
#[test]
fn a_retreat_against_two_takers() {
    explore(|| {
        let pool = Pool::new(1);
        pool.idle.enter(0, Searching::No);
        let taker = |take: fn(&IdleList) -> Option<usize>| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let taken = take(&pool.idle);
                if let Some(index) = taken {
                    pool.slots[index].parker.unpark();
                }
                taken
            })
        };
        let takers = [taker(one), taker(zero)];
        let retreat = pool.idle.retract(0);
        if retreat == Retract::WakeIsComing {
            pool.slots[0].parker.park();
        }
        let taken = takers.into_iter().filter_map(|taker| taker.join().unwrap()).count();
        assert_eq!(taken, usize::from(retreat == Retract::WakeIsComing));
        assert_eq!(pool.idle.look().searching(), 1);
    });
}

#[test]
fn one_of_two_starts_the_search() {
    explore(|| {
        let idle = Arc::new(IdleList::new());
        let other = thread::spawn({
            let idle = Arc::clone(&idle);
            move || idle.start_search(1)
        });
        let here = idle.start_search(1);
        let there = other.join().unwrap();
        assert_ne!(here, there);
        assert_eq!(idle.look().searching(), 1);
        assert_eq!(idle.end_search().searching(), 0);
    });
}
