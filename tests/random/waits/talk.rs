//! Joins whose halves communicate: the first waits for what the second sends, and the second waits
//! for nothing.

use std::sync::mpsc;

use corepool::WorkerPool;
use fastrand::Rng;

use super::{pause, random_pool};
use crate::support;

/// A pool in which at least one worker is idle all the time, and one thread that makes such joins
/// on it.
pub(super) fn program(random: &mut Rng) {
    let pool = random_pool(random.usize(2..=3), 4, false, random);
    let rounds = random.u32(1..50);
    let mut draws = random.fork();
    let mut rounds = || (0..rounds).for_each(|_| round(&pool, &mut draws));
    if random.bool() {
        pool.install(rounds);
    } else {
        rounds();
    }
    support::tally(0, 1);
}

fn round(pool: &WorkerPool, random: &mut Rng) {
    match random.u8(..4) {
        0 => {
            let depth = random.u32(..8);
            assert_eq!(count(pool, depth), 1 << depth);
        }
        1 => pause(random),
        _ => {}
    }
    let sent = random.u64(..20);
    let mut pauses = random.fork();
    // Never more than the channel has room for: a second half that waited for the first could wait
    // forever.
    let (sender, receiver) = mpsc::sync_channel(20);
    let (sum, ()) = pool.join(
        move || receiver.iter().sum::<u64>(),
        move || {
            for n in 0..sent {
                if n == 0 {
                    pause(&mut pauses);
                }
                sender.send(n).expect("the first half waits");
            }
        },
    );
    assert_eq!(sum, (0..sent).sum::<u64>());
}

/// Many small calls, which say nothing about the calls that follow.
fn count(pool: &WorkerPool, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let (a, b) = pool.join(|| count(pool, depth - 1), || count(pool, depth - 1));
    a + b
}
