//! What the items of the rows do, and the best possible time of a row.

#![forbid(unsafe_code)]

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The cost of a cheap item. An expensive item costs as much as 10,000 of them.
pub(crate) const CHEAP: Duration = Duration::from_nanos(500);

/// How many expensive items have run in this process.
static DEAR: AtomicUsize = AtomicUsize::new(0);

/// The total work of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How many items sleep.
    pub(crate) dear: usize,
    /// How long each of them sleeps.
    pub(crate) sleep: Duration,
    /// What all other items compute, added up.
    pub(crate) cheap: Duration,
    /// How many items can run at a time, however many workers there are.
    pub(crate) at_once: usize,
}

impl Load {
    /// Only expensive items, all of which can run at the same time.
    pub(crate) fn dear(dear: usize, sleep: Duration) -> Self {
        Self { dear, sleep, cheap: Duration::ZERO, at_once: usize::MAX }
    }

    pub(crate) fn beside(self, cheap: Duration) -> Self {
        Self { cheap, ..self }
    }

    pub(crate) fn at_once(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }

    /// The time of a perfect schedule. Any number of workers can sleep, but only one worker per
    /// core can compute.
    ///
    /// `None` if nothing sleeps, because then the time depends on the machine.
    pub(crate) fn ideal(&self, workers: usize) -> Option<Duration> {
        let lanes = workers.min(self.at_once);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let rounds = u32::try_from(self.dear.div_ceil(lanes)).expect("a few rounds");
        let computing = u32::try_from(lanes.min(cores)).expect("a few cores");
        (self.dear > 0).then(|| self.sleep * rounds + self.cheap / computing)
    }
}

/// Runs a piece of work, checks that it ran all its expensive items, and returns how long it took.
pub(crate) fn timed(load: &Load, work: impl FnOnce()) -> Duration {
    let before = DEAR.load(Ordering::Relaxed);
    let start = Instant::now();
    work();
    let took = start.elapsed();
    let ran = DEAR.load(Ordering::Relaxed) - before;
    assert_eq!(ran, load.dear, "each expensive item runs once");
    took
}

/// An expensive item.
pub(crate) fn dear(sleep: Duration) {
    thread::sleep(sleep);
    DEAR.fetch_add(1, Ordering::Relaxed);
}

/// A cheap item.
pub(crate) fn cheap() {
    let start = Instant::now();
    while start.elapsed() < CHEAP {
        hint::spin_loop();
    }
}

/// An item of a few nanoseconds.
pub(crate) fn tiny(at: usize) {
    hint::black_box((0..4).fold(at, |x, _| (x ^ (x >> 29)).wrapping_mul(0x9e37_79b9)));
}

/// Whether an item is expensive: one in 20 is. It is a random one of each 20 neighbours.
pub(crate) fn is_dear(at: usize) -> bool {
    let mixed = (at / 20).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed % 20 == at % 20
}
