//! The workloads, written once for every pool as plain functions over `spawn` and `join`.
//!
//! A task is always a closure of 8 bytes that returns its 8 bytes: `move || value`. So only the
//! pool itself is measured. Every workload collects every result and checks the sum.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::WORKERS;

/// One workload for a pool, with the number of tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// All tasks at once from one thread, then all results.
    Burst(u64),
    /// The same in windows of [`WINDOW`] tasks.
    Windows(u64),
    /// A burst from each of [`SUBMITTERS`] threads, which share the tasks.
    FourSubmitters(u64),
    /// One task that spawns all the others on the pool that runs it, and joins them.
    Inside(u64),
    /// One task with this value, spawned and joined.
    Trip(u64),
    /// One task per millisecond. Each is joined a millisecond later, when it has long finished.
    Paced(u64),
    /// All tasks wait at once, because every worker is held until the last task is queued.
    Queued(u64),
}

/// Tasks per window.
pub(crate) const WINDOW: u64 = 1_000;
/// Threads that submit at the same time.
pub(crate) const SUBMITTERS: u64 = 4;
/// The interval of [`Work::Paced`].
const TICK: Duration = Duration::from_millis(1);

/// Does `work` on one pool. The functions say how the pool spawns a value, is held up, spawns from
/// inside, and joins.
pub(crate) fn run<P: Sync, H: Send>(
    work: Work,
    pool: &P,
    spawn: impl Fn(&P, u64) -> H + Sync,
    hold: impl Fn(&P, Arc<Gate>) -> H,
    inside: fn(&P, u64) -> u64,
    join: impl Fn(H) -> u64 + Sync,
) {
    let spawn = |value| spawn(pool, value);
    match work {
        Work::Burst(tasks) => check(burst(tasks, spawn, join), tasks),
        Work::Windows(tasks) => check(windows(tasks, spawn, join), tasks),
        Work::FourSubmitters(tasks) => four_submitters(tasks, &spawn, &join),
        Work::Inside(tasks) => check(inside(pool, tasks), tasks),
        Work::Trip(value) => assert_eq!(join(spawn(value)), value, "a trip lost its value"),
        Work::Paced(tasks) => check(paced(tasks, spawn, join), tasks),
        Work::Queued(tasks) => {
            let hold = |gate| hold(pool, gate);
            check(queued(tasks, spawn, hold, join), tasks);
        }
    }
}

/// Spawns `0..tasks`, then joins all of them in order. Returns the sum of the results.
pub(crate) fn burst<H>(tasks: u64, spawn: impl Fn(u64) -> H, join: impl Fn(H) -> u64) -> u64 {
    let mut handles = Vec::with_capacity(index(tasks));
    handles.extend((0..tasks).map(spawn));
    handles.into_iter().map(join).sum()
}

fn windows<H>(tasks: u64, spawn: impl Fn(u64) -> H, join: impl Fn(H) -> u64) -> u64 {
    // One vector for all windows, because the memory bench must count the pool's allocations and
    // not ours.
    let mut handles = Vec::with_capacity(index(WINDOW.min(tasks)));
    let mut sum = 0;
    let mut next = 0;
    while next < tasks {
        let end = tasks.min(next + WINDOW);
        handles.extend((next..end).map(&spawn));
        sum += handles.drain(..).map(&join).sum::<u64>();
        next = end;
    }
    sum
}

fn four_submitters<H: Send>(
    tasks: u64,
    spawn: &(impl Fn(u64) -> H + Sync),
    join: &(impl Fn(H) -> u64 + Sync),
) {
    let share = tasks / SUBMITTERS;
    thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            scope.spawn(move || check(burst(share, spawn, join), share));
        }
    });
}

fn paced<H>(tasks: u64, spawn: impl Fn(u64) -> H, join: impl Fn(H) -> u64) -> u64 {
    let mut sum = 0;
    let mut previous = None;
    let mut due = Instant::now();
    for value in 0..tasks {
        due += TICK;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sum += previous.replace(spawn(value)).map_or(0, &join);
    }
    sum + previous.map_or(0, join)
}

fn queued<H>(
    tasks: u64,
    spawn: impl Fn(u64) -> H,
    hold: impl Fn(Arc<Gate>) -> H,
    join: impl Fn(H) -> u64,
) -> u64 {
    let gate = Arc::new(Gate::default());
    let held: Vec<H> = (0..WORKERS).map(|_| hold(Arc::clone(&gate))).collect();
    gate.wait_until_held(WORKERS);
    let mut handles = Vec::with_capacity(index(tasks));
    handles.extend((0..tasks).map(spawn));
    gate.open();
    held.into_iter().chain(handles).map(join).sum()
}

/// Holds workers until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    /// Waits in a task for the gate to open. The result adds nothing to the sum.
    pub(crate) fn pass(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, open)| !*open).unwrap());
        0
    }

    /// Waits until this many tasks are held.
    pub(crate) fn wait_until_held(&self, workers: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |(held, _)| *held < workers).unwrap());
    }

    /// Releases all held tasks.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

fn check(sum: u64, tasks: u64) {
    assert_eq!(black_box(sum), (0..tasks).sum::<u64>(), "a result of the {tasks} tasks is wrong");
}

fn index(tasks: u64) -> usize {
    usize::try_from(tasks).expect("a bench never asks for more tasks than fit in memory")
}
