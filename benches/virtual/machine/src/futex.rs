//! The kernel's futex: threads sleep on a word while it has a given value.

use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::clock;
use crate::world::{block, charge, in_order, with};

/// Sleeps if the word has this value, until woken or until the timeout. Returns whether it was
/// woken.
pub fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) -> bool {
    let until = timeout.map(|time| clock::nanos().saturating_add(clock::nanos_in(time)));
    wait_at(word, value, until)
}

/// Wakes at most this many threads that sleep on this word. Returns how many.
pub fn wake(word: &AtomicU32, most: usize) -> usize {
    wake_at(std::ptr::from_ref(word).addr(), most)
}

pub(crate) fn wait_at(word: &AtomicU32, value: u32, until: Option<u64>) -> bool {
    charge(|costs| costs.futex_wait / 2);
    in_order();
    if word.peek() != value {
        return false;
    }
    let address = std::ptr::from_ref(word).addr();
    with(|world| {
        world.totals.sleeps += 1;
        let me = world.current;
        world.futexes.entry(address).or_default().push_back(me);
    });
    let woken = block(until);
    with(|world| {
        let me = world.current;
        if let Some(line) = world.futexes.get_mut(&address) {
            line.retain(|thread| *thread != me);
        }
        world.charge(|costs| costs.futex_wait / 2);
    });
    woken
}

pub(crate) fn wake_at(address: usize, most: usize) -> usize {
    in_order();
    let woken = with(|world| {
        let mut woken = 0;
        while woken < most {
            let Some(sleeper) = world.futexes.get_mut(&address).and_then(|line| line.pop_front())
            else {
                break;
            };
            world.charge(|costs| costs.futex_wake);
            let time = world.me().clock + world.costs.wake_latency;
            // It may be about to leave because its timeout has passed.
            woken += usize::from(world.wake(sleeper, time));
            world.totals.wakes += 1;
        }
        if woken == 0 {
            world.charge(|costs| costs.futex_wake_nobody);
        }
        woken
    });
    woken.unwrap_or(0)
}

/// How many threads sleep on the word at this address.
pub(crate) fn sleepers(address: usize) -> usize {
    with(|world| world.futexes.get(&address).map_or(0, |line| line.len())).unwrap_or(0)
}
