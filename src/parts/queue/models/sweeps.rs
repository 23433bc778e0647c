//! Models of sweeps against pushers and poppers, in one step and in several.
#![forbid(unsafe_code)]

use super::*;
use crate::parts::queue::sweep::Swept;

/// Sweeps the whole queue in one step.
fn sweep(queue: &Numbers, is_dead: impl Fn(&Box<Item>) -> bool) -> Vec<Box<Item>> {
    let Swept { dead, next, .. } = queue.sweep(None, usize::MAX, is_dead);
    assert!(next.is_none());
    dead
}

#[test]
fn a_sweep_against_a_pusher() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2, 3]));
        let pusher = start_pusher(&queue, &[4, 5]);
        let dead = sweep(&queue, |item| item.number() % 2 == 1);
        let dead: Vec<_> = dead.iter().map(|item| item.number()).collect();
        assert!(dead.starts_with(&[1]), "all but the last are looked at");
        pusher.join().unwrap();
        let left = drain(&queue);
        assert!(left.is_sorted(), "those that stay keep their order");
        assert_all(&[dead, left].concat(), &[1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_sweep_of_nothing_against_a_pusher() {
    explore(|| {
        let queue = Arc::new(Numbers::new());
        let pusher = start_pusher(&queue, &[1, 2]);
        let dead = sweep(&queue, |_| true);
        let dead: Vec<_> = dead.iter().map(|item| item.number()).collect();
        pusher.join().unwrap();
        assert_eq!([dead, drain(&queue)].concat(), [1, 2]);
    });
}

#[test]
fn a_sweep_against_a_popper_and_a_pusher() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2]));
        let popper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || pop_some(&queue, 2)
        });
        let pusher = start_pusher(&queue, &[3]);
        let dead = sweep(&queue, |item| item.number() == 1);
        let mut all: Vec<_> = dead.iter().map(|item| item.number()).collect();
        all.extend(popper.join().unwrap());
        pusher.join().unwrap();
        all.extend(drain(&queue));
        assert_all(&all, &[1, 2, 3]);
    });
}

#[test]
fn a_sweep_in_steps_against_a_popper() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2, 3]));
        let popper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || pop_some(&queue, 1)
        });
        let (mut all, mut cursor) = (Vec::new(), None);
        for _ in 0..3 {
            let swept = queue.sweep(cursor.take(), 1, |item| item.number() == 2);
            assert!(swept.looked <= 1);
            all.extend(swept.dead.iter().map(|item| item.number()));
            let Some(next) = swept.next else { break };
            cursor = Some(next);
        }
        all.extend(popper.join().unwrap());
        all.extend(drain(&queue));
        assert_all(&all, &[1, 2, 3]);
    });
}

#[test]
fn two_sweeps_in_steps() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2, 3]));
        let step = |queue: &Numbers, cursor, dead| {
            let swept = queue.sweep(cursor, 1, |item| item.number() == dead);
            let numbers: Vec<_> = swept.dead.iter().map(|item| item.number()).collect();
            (numbers, swept.next)
        };
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || step(&queue, None, 1).0
        });
        let (mut all, cursor) = step(&queue, None, 2);
        all.extend(step(&queue, cursor, 2).0);
        all.extend(other.join().unwrap());
        all.extend(drain(&queue));
        assert_all(&all, &[1, 2, 3]);
    });
}
