//! A model of a task's place in a bounded pool.
#![forbid(unsafe_code)]

use super::*;
use crate::parts::admission::{Admission, Entry};

#[test]
fn a_place_is_given_back_once() {
    explore(|| {
        let room = Admission::new(2, Box::new(|_| Vec::new()));
        let seen = Seen::new();
        let (queued, held) = seen.task_with(room.try_enter(), false);
        let worker = run_elsewhere(queued);
        let cancelled = held.settle_unrun(Outcome::Cancelled).is_some();
        drop(held);
        assert_ne!(worker.join().unwrap(), cancelled);
        let places = [(); 3].map(|()| room.try_enter());
        let free = places.iter().flatten().count();
        assert_eq!(free, 2);
        assert!(matches!(room.enter(Waker::noop()), Entry::Wait(_)));
        drop(places);
        seen.assert_over(usize::from(!cancelled));
    });
}
