//! Many tasks by one call, and many handles as one: batches, broadcasts, sets, promises and
//! windows.

use corepool::{TaskSet, promise};
use fastrand::Rng;

use super::flood::{Deed, Open, spawn};
use super::storm::{Storm, Value, some};

pub(super) fn batch(storm: &Storm, random: &mut Rng) {
    let tickets = storm.book.tickets(some(random));
    let first = tickets.first().map_or(0, |ticket| ticket.id());
    let last = tickets.last().map_or(0, |ticket| ticket.id());
    let deeds: Vec<_> = tickets.iter().map(|_| Deed::any(random, storm)).collect();
    let closures =
        tickets.into_iter().zip(deeds).map(|(ticket, deed)| move || deed.run(ticket, None));
    take_some(storm.pool.spawn_batch(closures), first..=last, random);
}

pub(super) fn broadcast(storm: &Storm, random: &mut Rng) {
    // One number per worker. No number belongs to a particular worker.
    let tickets = storm.book.tickets(storm.workers);
    if tickets.len() < storm.workers {
        tickets.iter().for_each(|_| storm.book.take_back());
        return;
    }
    let tickets = std::sync::Mutex::new(tickets);
    let set: TaskSet<Value> = storm.pool.broadcast(move |_worker| {
        let ticket = tickets.lock().unwrap().pop().expect("one a worker");
        Deed::Give.run(ticket, None)
    });
    take_some(set, 0..=u32::MAX, random);
}

/// Takes results in random ways, and drops the rest.
fn take_some(mut set: TaskSet<Value>, ids: std::ops::RangeInclusive<u32>, random: &mut Rng) {
    if random.u8(..4) == 0 {
        set = set.cancel_on_drop();
    }
    let wanted = if random.bool() { set.len() } else { random.usize(..=set.len()) };
    for _ in 0..wanted {
        let before = set.len();
        let result = match random.u8(..16) {
            0 => set.try_next(),
            1 => pollster::block_on(set.next_async()),
            2 => set.next_timeout(std::time::Duration::from_micros(50)),
            3 if random.u8(..64) == 0 => {
                set.cancel_all();
                None
            }
            _ => set.next(),
        };
        assert_eq!(set.len(), before - usize::from(result.is_some()));
        if let Some(Ok(Some(ticket))) = result {
            assert!(ids.contains(&ticket.id()), "the value of another task");
        }
    }
}

fn opened(storm: &Storm, count: usize, random: &mut Rng) -> Vec<Open> {
    (0..count).map_while(|_| spawn(storm, random)).collect()
}

pub(super) fn promises(storm: &Storm, random: &mut Rng) {
    for _ in 0..random.usize(..20) {
        let width = some(random).min(200);
        let (ids, tasks): (Vec<_>, Vec<_>) = opened(storm, width, random).into_iter().unzip();
        match random.u8(..4) {
            0 => {
                if let Ok(values) = promise::all(tasks).join() {
                    ids.into_iter()
                        .zip(values)
                        .for_each(|(id, value)| storm.book.saw(id, Ok(value)));
                }
            }
            1 => {
                let results = pollster::block_on(promise::all_settled(tasks));
                ids.into_iter().zip(results).for_each(|(id, result)| storm.book.saw(id, result));
            }
            2 => match promise::any(tasks).join() {
                Ok(value) => assert!(value.is_none_or(|ticket| ids.contains(&ticket.id()))),
                Err(errors) => assert_eq!(errors.len(), ids.len()),
            },
            _ if ids.is_empty() => {}
            _ => drop(promise::race(tasks).cancel_on_drop().join()),
        }
    }
}

pub(super) fn set(storm: &Storm, random: &mut Rng) {
    let mut set = TaskSet::new();
    let mut pushed = 0;
    for (_, task) in opened(storm, some(random), random) {
        set.push(task);
        pushed += 1;
        if random.u8(..3) == 0 && set.next().is_some() {
            pushed -= 1;
        }
    }
    assert_eq!(set.len(), pushed);
    take_some(set, 0..=u32::MAX, random);
}

pub(super) fn windowed(storm: &Storm, random: &mut Rng) {
    let book = std::sync::Arc::clone(&storm.book);
    let count = some(random);
    let items = (0..count).map_while(move |_| book.ticket());
    let (window, taken) = (random.usize(..64), random.usize(..=count));
    let function = |ticket| Deed::Give.run(ticket, None);
    if random.bool() {
        let mut before = None;
        for result in storm.pool.map_ordered(items, window, function).take(taken) {
            let Ok(Some(ticket)) = result else { continue };
            assert!(before < Some(ticket.id()), "in order");
            before = Some(ticket.id());
        }
    } else {
        storm.pool.map_unordered(items, window, function).take(taken).for_each(drop);
    }
}
