//! Models of the queue: threads that push, pop, steal or sweep while others do the same.
//!
//! The items are numbers in boxes. Each records that it was dropped, and whether two threads
//! touched it at once. Each must come out once, in its pusher's order.

mod sweeps;

use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};

use loom::alloc::Track;
use loom::thread;

use super::front::FrontLock;
use super::{Link, Linked, Pop, Queue};
use crate::base::sync::{AtomicBool, Ordering, UnsafeCell, explore};

/// A number on its way through a queue.
#[repr(C)]
pub(crate) struct Item {
    link: Link,
    number: UnsafeCell<u32>,
    dropped: Option<Arc<Count>>,
    /// Loom fails when this is leaked.
    _track: Track<()>,
}

impl Item {
    pub(crate) fn new(number: u32) -> Box<Self> {
        Self::counted(number, None)
    }

    fn counted(number: u32, dropped: Option<Arc<Count>>) -> Box<Self> {
        let item = Box::new(Self {
            link: Link::new(),
            number: UnsafeCell::new(0),
            dropped,
            _track: Track::new(()),
        });
        // SAFETY: no other thread knows the item yet.
        item.number.with_mut(|place| unsafe { *place = number });
        item
    }

    pub(crate) fn number(&self) -> u32 {
        // SAFETY: the thread that holds an item holds it alone; loom checks it.
        self.number.with(|place| unsafe { *place })
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.number.with_mut(|_| ());
        if let Some(dropped) = &self.dropped {
            dropped.fetch_add(1, Relaxed);
        }
    }
}

// SAFETY: the link is the first field of a box, which stays in place until `from_link` makes it a
// box again.
unsafe impl Linked for Box<Item> {
    fn into_link(self) -> NonNull<Link> {
        NonNull::from(Box::leak(self)).cast()
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: the caller promises that `link` came from `into_link` and is passed here only
        // once.
        unsafe { Box::from_raw(link.cast::<Item>().as_ptr()) }
    }
}

type Numbers = Queue<Box<Item>>;

/// Two queues: tasks wait in the first, and a thief moves them to the second.
struct Pair {
    from: Numbers,
    home: Numbers,
}

fn filled(numbers: &[u32]) -> Numbers {
    let queue = Numbers::new();
    push_all(&queue, numbers);
    queue
}

fn push_all(queue: &Numbers, numbers: &[u32]) {
    for &number in numbers {
        queue.push(Item::new(number));
    }
}

fn start_pusher(queue: &Arc<Numbers>, numbers: &'static [u32]) -> thread::JoinHandle<()> {
    let queue = Arc::clone(queue);
    thread::spawn(move || push_all(&queue, numbers))
}

fn pop(queue: &Numbers) -> Option<u32> {
    number(queue.pop())
}

fn number(popped: Pop<Box<Item>>) -> Option<u32> {
    match popped {
        Pop::Item(item) => Some(item.number()),
        Pop::Empty | Pop::Gap => None,
    }
}

/// Pops `tries` times, whatever it finds.
fn pop_some(queue: &Numbers, tries: usize) -> Vec<u32> {
    (0..tries).filter_map(|_| pop(queue)).collect()
}

/// Pops all that is left when no pusher is under way.
fn drain(queue: &Numbers) -> Vec<u32> {
    let mut left = Vec::new();
    loop {
        assert_eq!(queue.has_item(), !queue.looks_empty(), "without pushers the looks agree");
        match queue.pop() {
            Pop::Item(item) => left.push(item.number()),
            Pop::Gap => panic!("a gap, and no pusher in it"),
            Pop::Empty => break,
        }
    }
    assert!(queue.is_empty() && queue.looks_empty());
    assert_eq!(queue.len(), 0);
    left
}

/// Checks that each of `all` came out once, and that those of each hundred came out in this order.
#[track_caller]
fn assert_all_in_order(popped: &[u32], all: &[u32]) {
    assert_all(popped, all);
    for pusher in 0..=9 {
        let of = |numbers: &[u32]| {
            numbers.iter().copied().filter(|n| n / 100 == pusher).collect::<Vec<_>>()
        };
        assert_eq!(of(popped), of(all), "first in, first out");
    }
}

#[track_caller]
fn assert_all(popped: &[u32], all: &[u32]) {
    let mut popped = popped.to_vec();
    popped.sort_unstable();
    assert_eq!(popped, all, "each item comes out once");
}

#[test]
fn one_pusher_one_popper() {
    explore(|| {
        let queue = Arc::new(Numbers::new());
        let pusher = start_pusher(&queue, &[1, 2]);
        let mut popped = pop_some(&queue, 3);
        pusher.join().unwrap();
        popped.extend(drain(&queue));
        assert_eq!(popped, [1, 2]);
    });
}

#[test]
fn two_pushers_one_popper() {
    explore(|| {
        let queue = Arc::new(Numbers::new());
        let pushers = [start_pusher(&queue, &[1, 2]), start_pusher(&queue, &[100])];
        let mut popped = pop_some(&queue, 2);
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        popped.extend(drain(&queue));
        assert_all_in_order(&popped, &[1, 2, 100]);
    });
}

#[test]
fn the_last_item_goes_while_one_comes() {
    explore(|| {
        let queue = Arc::new(filled(&[1]));
        let pusher = start_pusher(&queue, &[2, 3]);
        let mut popped = pop_some(&queue, 3);
        pusher.join().unwrap();
        popped.extend(drain(&queue));
        assert_eq!(popped, [1, 2, 3]);
    });
}

#[test]
fn the_last_item_goes_while_two_come() {
    explore(|| {
        let queue = Arc::new(filled(&[1]));
        let pushers = [start_pusher(&queue, &[2]), start_pusher(&queue, &[100])];
        let mut popped = pop_some(&queue, 3);
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        popped.extend(drain(&queue));
        assert_all_in_order(&popped, &[1, 2, 100]);
    });
}

#[test]
fn two_poppers_and_a_pusher() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2]));
        let popper = || {
            let queue = Arc::clone(&queue);
            thread::spawn(move || pop_some(&queue, 1))
        };
        let poppers = [popper(), popper()];
        push_all(&queue, &[3]);
        let mut popped: Vec<_> = poppers.into_iter().flat_map(|p| p.join().unwrap()).collect();
        assert!(popped.contains(&1), "only the last item can hide behind the pusher's gap");
        popped.extend(drain(&queue));
        assert_all(&popped, &[1, 2, 3]);
    });
}

#[test]
fn a_batch_against_two_pushers() {
    explore(|| {
        let queue = Arc::new(filled(&[1]));
        let home = Numbers::new();
        let pushers = [start_pusher(&queue, &[2]), start_pusher(&queue, &[100])];
        let (first, moved) = queue.pop_batch(32, &home);
        assert_eq!(home.len(), moved);
        let mut popped: Vec<_> = number(first).into_iter().chain(drain(&home)).collect();
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        popped.extend(drain(&queue));
        assert_all_in_order(&popped, &[1, 2, 100]);
    });
}

#[test]
fn a_batch_against_a_pusher_of_many() {
    explore(|| {
        let queue = Arc::new(filled(&[1, 2]));
        let home = Numbers::new();
        let pusher = start_pusher(&queue, &[3, 4]);
        let (first, _) = queue.pop_batch(32, &home);
        let mut popped: Vec<_> = number(first).into_iter().chain(drain(&home)).collect();
        pusher.join().unwrap();
        popped.extend(drain(&queue));
        assert_eq!(popped, [1, 2, 3, 4]);
    });
}

#[test]
fn a_chain_arrives_complete_while_its_home_is_popped() {
    explore(|| {
        let pair = Arc::new(Pair { from: filled(&[1, 2, 3, 4]), home: Numbers::new() });
        let other = thread::spawn({
            let pair = Arc::clone(&pair);
            move || pop_some(&pair.home, 2)
        });
        let (first, moved) = pair.from.pop_batch(32, &pair.home);
        assert_eq!((number(first), moved), (Some(1), 1));
        let mut popped = other.join().unwrap();
        popped.extend(drain(&pair.home));
        assert_eq!(popped, [2]);
        assert_eq!(drain(&pair.from), [3, 4]);
    });
}

#[test]
fn a_chain_arrives_complete_while_its_home_is_pushed_to() {
    explore(|| {
        let pair = Arc::new(Pair { from: filled(&[1, 2, 3, 4, 5]), home: Numbers::new() });
        let other = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                push_all(&pair.home, &[100]);
                pop_some(&pair.home, 1)
            }
        });
        let (first, moved) = pair.from.pop_batch(32, &pair.home);
        assert_eq!((number(first), moved), (Some(1), 2));
        let mut popped = other.join().unwrap();
        popped.extend(drain(&pair.home));
        assert_all_in_order(&popped, &[2, 3, 100]);
        assert_eq!(drain(&pair.from), [4, 5]);
    });
}

#[test]
fn two_thieves() {
    explore(|| {
        let from = Arc::new(filled(&[1, 2, 3, 4]));
        let thief = || {
            let from = Arc::clone(&from);
            thread::spawn(move || {
                let home = Numbers::new();
                let (first, _) = from.pop_batch(32, &home);
                let mut stolen: Vec<_> = number(first).into_iter().collect();
                stolen.extend(drain(&home));
                stolen
            })
        };
        let thieves = [thief(), thief()];
        let mut stolen: Vec<_> = thieves.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert!(stolen.len() >= 2, "a thief never goes without while items are there");
        stolen.extend(drain(&from));
        assert_all(&stolen, &[1, 2, 3, 4]);
    });
}

#[test]
fn a_long_batch_is_reversed() {
    explore(|| {
        let pair = Arc::new(Pair { from: filled(&[1, 2, 3, 4, 5]), home: Numbers::new() });
        let other = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                push_all(&pair.from, &[6]);
                pop_some(&pair.home, 2)
            }
        });
        let (first, moved) = pair.from.steal_batch(32, 2, &pair.home);
        assert_eq!((number(first), moved), (Some(3), 2));
        let mut popped = other.join().unwrap();
        popped.extend(drain(&pair.home));
        assert_eq!(popped, [2, 1]);
        assert_eq!(drain(&pair.from), [4, 5, 6]);
    });
}

#[test]
fn a_certain_item_against_a_pusher() {
    explore(|| {
        let queue = Arc::new(Numbers::new());
        let item = Item::new(1);
        let link = NonNull::from(&*item).cast();
        queue.push(item);
        let pusher = start_pusher(&queue, &[2]);
        let mut popped: Vec<_> = queue.pop_if(link).map(|item| item.number()).into_iter().collect();
        pusher.join().unwrap();
        popped.extend(drain(&queue));
        assert_eq!(popped, [1, 2]);
    });
}

#[test]
fn a_certain_item_against_a_thief() {
    explore(|| {
        let item = Item::new(1);
        let link = NonNull::from(&*item).cast();
        let from = Numbers::new();
        from.push(item);
        push_all(&from, &[2, 3]);
        let pair = Arc::new(Pair { from, home: Numbers::new() });
        let thief = thread::spawn({
            let pair = Arc::clone(&pair);
            move || number(pair.from.pop_batch(32, &pair.home).0)
        });
        let own = pair.from.pop_if(link).map(|item| item.number());
        assert!(own.is_none_or(|number| number == 1), "only the item that was asked for");
        let stolen = thief.join().unwrap();
        assert_eq!(stolen, Some(if own.is_some() { 2 } else { 1 }));
        let mut popped: Vec<_> = own.into_iter().chain(stolen).collect();
        popped.extend(drain(&pair.home));
        popped.extend(drain(&pair.from));
        assert_eq!(popped, [1, 2, 3]);
    });
}

#[test]
fn a_look_at_the_oldest_item_against_a_popper_and_a_pusher() {
    explore(|| {
        let queue = Arc::new(filled(&[1]));
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                push_all(&queue, &[2]);
                pop_some(&queue, 1)
            }
        });
        let seen = queue.peek(|item| item.number());
        let taken = queue.pop_when(|item| Some(item.number()) == seen);
        let mut popped: Vec<_> = taken.iter().map(|item| item.number()).collect();
        assert!(popped.iter().all(|number| Some(*number) == seen), "the one that was asked about");
        popped.extend(other.join().unwrap());
        popped.extend(drain(&queue));
        assert_all(&popped, &[1, 2]);
    });
}

#[test]
fn no_look_misses_a_push_that_is_over() {
    explore(|| {
        let shared = Arc::new((filled(&[1]), AtomicBool::new(false)));
        let pusher = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                push_all(&shared.0, &[2]);
                // ORDERING: release, partner of the load below.
                shared.1.store(true, Ordering::Release);
            }
        });
        let (queue, pushed) = &*shared;
        let mut popped = pop_some(queue, 1);
        // ORDERING: acquire, partner of the pusher's store.
        let is_over = pushed.load(Ordering::Acquire);
        let looks = (queue.looks_empty(), queue.has_item(), queue.is_empty());
        if is_over {
            assert_eq!(looks, (false, true, false), "item 2 is there at the least");
        }
        pusher.join().unwrap();
        popped.extend(drain(queue));
        assert_eq!(popped, [1, 2]);
    });
}

#[test]
fn the_length_never_runs_away() {
    explore(|| {
        let queue = Arc::new(filled(&[1]));
        let pusher = start_pusher(&queue, &[2]);
        let popped = pop_some(&queue, 2);
        assert!(queue.len() + popped.len() <= 2);
        pusher.join().unwrap();
        assert_eq!(queue.len() + popped.len(), 2);
    });
}

#[test]
fn a_queue_that_is_dropped_drops_its_items() {
    explore(|| {
        let dropped = Arc::new(Count::new(0));
        let queue = Arc::new(Numbers::new());
        let pusher = thread::spawn({
            let (queue, dropped) = (Arc::clone(&queue), Arc::clone(&dropped));
            move || {
                queue.push(Item::counted(1, Some(Arc::clone(&dropped))));
                queue.push(Item::counted(2, Some(dropped)));
            }
        });
        drop(queue.pop());
        pusher.join().unwrap();
        drop(queue);
        assert_eq!(dropped.load(Relaxed), 2);
    });
}

#[test]
fn the_lock_of_the_front_shuts_others_out() {
    explore(|| {
        let lock = Arc::new(FrontLock::new(0));
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                *lock.lock() += 1;
                *lock.lock() += 1;
            }
        });
        *lock.lock() += 1;
        other.join().unwrap();
        assert_eq!(*lock.lock(), 3);
    });
}
