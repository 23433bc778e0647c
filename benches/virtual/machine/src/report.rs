//! The statistics: sums, and the places that waited longest for a cache line.

use std::collections::HashMap;
use std::panic::Location;

use crate::world::{Place, Thread, World, with};

/// Sums over all threads since the machine began. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// The user's own work.
    pub work: u64,
    /// Accesses to data that threads share.
    pub accesses: u64,
    /// How many of these were read-modify-writes and `SeqCst` stores.
    pub locked: u64,
    /// Exchanges that found another value than expected.
    pub failed: u64,
    /// Transfers of cache lines from core to core.
    pub transfers: u64,
    /// How long threads waited for them.
    pub stalled: u64,
    /// How often the kernel put a thread to sleep.
    pub sleeps: u64,
    /// How often a thread woke another.
    pub wakes: u64,
    /// How often a lock was not free.
    pub lock_waits: u64,
    /// In how many of these cases the thread slept.
    pub lock_sleeps: u64,
    /// Barriers on all cores.
    pub barriers: u64,
    /// How long threads held cores, up to when each last released its core.
    pub held: u64,
    /// Spin-loop hints.
    pub pauses: u64,
    /// Switches between coroutines: the cost of the simulation itself.
    pub switches: u64,
}

impl Totals {
    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            work: self.work - earlier.work,
            accesses: self.accesses - earlier.accesses,
            locked: self.locked - earlier.locked,
            failed: self.failed - earlier.failed,
            transfers: self.transfers - earlier.transfers,
            stalled: self.stalled - earlier.stalled,
            sleeps: self.sleeps - earlier.sleeps,
            wakes: self.wakes - earlier.wakes,
            lock_waits: self.lock_waits - earlier.lock_waits,
            lock_sleeps: self.lock_sleeps - earlier.lock_sleeps,
            barriers: self.barriers - earlier.barriers,
            pauses: self.pauses - earlier.pauses,
            held: self.held - earlier.held,
            switches: self.switches - earlier.switches,
        }
    }
}

/// A cache line, and where in the code threads waited for it.
#[derive(Debug, Clone)]
pub struct Spot {
    /// The line's address. The same number means the same line.
    pub line: usize,
    /// How long threads waited for it, in nanoseconds.
    pub stalled: u64,
    /// How often it went from core to core.
    pub transfers: u64,
    /// The places in the code with their shares of both, the worst first.
    pub places: Vec<(&'static Location<'static>, u64, u64)>,
}

/// How one thread has spent its time since the statistics were reset.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    since: u64,
    pub(crate) work: u64,
    pub(crate) asleep: u64,
    /// For each place: how long the thread waited there for a line or for its stores, and how
    /// often.
    waits: HashMap<*const Location<'static>, (Place, u64, u64)>,
}

impl Spent {
    pub(crate) fn wait(&mut self, place: Place, time: u64) {
        let wait = self.waits.entry(place).or_insert((place, 0, 0));
        wait.1 += time;
        wait.2 += 1;
    }
}

/// How a thread spent its time, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The thread's name.
    pub name: String,
    /// The user's work.
    pub work: u64,
    /// Sleep, and waiting for a core.
    pub asleep: u64,
    /// The total time.
    pub all: u64,
    /// The places in the code, with how long the thread waited there for a line or for its stores,
    /// and how often. The worst comes first.
    pub places: Vec<(&'static Location<'static>, u64, u64)>,
}

/// How each thread has spent its time since the statistics were reset, in the order in which the
/// threads were started.
pub fn profiles() -> Vec<Profile> {
    let look = |world: &mut World| {
        let profile = |thread: &Thread| {
            let spent = &thread.spent;
            let mut waits: Vec<_> = spent.waits.values().copied().collect();
            waits.sort_by_key(|wait: &(Place, u64, u64)| std::cmp::Reverse((wait.1, wait.0)));
            let name = thread.name.clone().unwrap_or_default();
            let all = thread.clock - spent.since;
            Profile { name, work: spent.work, asleep: spent.asleep, all, places: waits }
        };
        world.threads.iter().map(profile).collect()
    };
    with(look).unwrap_or_default()
}

/// The sums so far.
pub fn totals() -> Totals {
    with(|world| world.totals).unwrap_or_default()
}

/// Resets the statistics of lines.
pub fn forget_spots() {
    with(|world| {
        world.spots.clear();
        for thread in &mut world.threads {
            thread.spent = Spent { since: thread.clock, ..Spent::default() };
        }
    });
}

/// The lines that threads waited for, the worst first.
pub fn spots() -> Vec<Spot> {
    let seen: Vec<(usize, Place, u64, u64)> = with(|world| {
        let spots = world.spots.iter();
        spots.map(|((line, _), (place, count, time))| (*line, *place, *count, *time)).collect()
    })
    .unwrap_or_default();
    let mut lines: HashMap<usize, Spot> = HashMap::new();
    for (line, place, transfers, stalled) in seen {
        let new = || Spot { line: line * 64, stalled: 0, transfers: 0, places: Vec::new() };
        let spot = lines.entry(line).or_insert_with(new);
        spot.stalled += stalled;
        spot.transfers += transfers;
        spot.places.push((place, stalled, transfers));
    }
    let mut spots: Vec<Spot> = lines.into_values().collect();
    spots.sort_by_key(|spot| std::cmp::Reverse((spot.stalled, spot.line)));
    for spot in &mut spots {
        spot.places.sort_by_key(|place| std::cmp::Reverse(place.1));
    }
    spots
}

/// Forgets the work done so far.
pub fn forget_works() {
    with(|world| world.works.clear());
}

/// The average number of cores that did the user's work, in each of `spans` equal spans between two
/// times.
pub fn cores_at_work(from: u64, to: u64, spans: usize) -> Vec<f64> {
    let works = with(|world| world.works.clone()).unwrap_or_default();
    let width = (to.saturating_sub(from) / spans.max(1) as u64).max(1);
    let mut sums = vec![0_u64; spans];
    for (start, took) in works {
        let (mut at, end) = (start.max(from), (start + took).min(to));
        while at < end {
            let span = (((at - from) / width) as usize).min(spans - 1);
            let until =
                if span + 1 == spans { end } else { end.min(from + width * (span as u64 + 1)) };
            sums[span] += until - at;
            at = until;
        }
    }
    sums.into_iter().map(|sum| sum as f64 / width as f64).collect()
}
