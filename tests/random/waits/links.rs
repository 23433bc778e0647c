//! Continuations: each runs a piece when the task before it has ended, on any thread.

use std::panic::resume_unwind;
use std::sync::Arc;

use fastrand::Rng;

use super::tree::{Part, pause_in};
use super::{Place, Sum, World};

/// A task and some links behind it. The links take no room. They report through a sum of their own,
/// because some of their values get lost.
pub(super) fn linked(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let worker = random.bool().then(|| random.usize(..place.workers));
    let kinds: Vec<_> = (0..random.usize(1..4)).map(|_| random.u8(..3)).collect();
    let mut pauses = random.fork();
    let Some(pool) = place.pool else {
        let parts = 0..=kinds.len() as u64;
        return parts.map(|n| part.number(n).run(world)).fold(0, u64::wrapping_add);
    };
    let sum = Arc::new(Sum::default());
    let piece = |part: Part| {
        let (run, sum) = (part.task(world), Arc::clone(&sum));
        move || sum.add(run())
    };
    let with_room = part.with_room(place).filter(|_| worker.is_none());
    let mut last = match with_room {
        Some(part) => pool.spawn(piece(part)),
        None => pool.task().on_worker(worker.unwrap_or(0)).spawn(piece(part)),
    };
    for (n, kind) in (1..).zip(kinds) {
        let next = piece(part.number(n));
        last = match kind {
            0 => last.then(move |()| next()),
            1 => last.finally(next),
            _ => last.then(|()| resume_unwind(Box::new("on purpose"))).recover(move |_| next()),
        };
        pause_in(world, &mut pauses);
    }
    last.join().expect("what panics is recovered from");
    sum.get()
}
