//! The cost of waiting for ten thousand handles at once, of cancelling a hundred thousand queued
//! tasks, of chaining tasks with `then`, and of spawning them as one batch.
//!
//! ```text
//! cargo bench --bench combinators                         all rows: about a minute
//! cargo bench --bench combinators -- --quick --rows all_  fewer rounds, some rows
//! ```
//!
//! Each promise is compared with the plain loop that one would write without it, and with its
//! counterpart in `futures-util`, on the same handles. The handles settle either before the wait or
//! during it. In the second case the workers begin when the wait begins.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::{TaskError, TaskHandle, WorkerPool, promise};
use futures_util::future::{join_all, select_all, select_ok, try_join_all};

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use rivals::awaited::TwoThreads;
use rivals::tasks::{ours, rayon_oneshot, tokio_blocking};
use support::WORKERS;
use support::interleave::{Contestant, Row, interleave};
use support::json::Journal;
use support::options::Options;
use support::rival::{self, Role};
use support::verdict::Verdict;
use support::work::{Gate, burst};

/// One way to do what the row asks for.
struct Way<F> {
    name: &'static str,
    role: Role,
    run: F,
}

type Handles = Vec<TaskHandle<u64>>;

/// Waits for handles whose tasks return their numbers. Returns the sum of all, or the number of
/// one.
type Collect = fn(Handles) -> u64;

/// Does something with this many tasks, and returns how long that took.
type Timed = fn(u64) -> Duration;

/// A row that compares ways to wait.
struct Question {
    row: Row,
    tasks_run: Run,
    wanted: Wanted,
    ways: &'static [Way<Collect>],
}

/// When the tasks run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Before,
    Meanwhile,
}

/// The expected result.
#[derive(Clone, Copy)]
enum Wanted {
    /// The sum of all numbers.
    Sum,
    /// Any one of the numbers.
    One,
}

const ROUNDS: usize = 21;
/// A sample is this many waits, each for this many handles.
const WAITS: u32 = 10;
const HANDLES: u64 = 10_000;
const MANY: u64 = 100_000;

const QUESTIONS: &[Question] = &[
    Question::new("all_ready", Run::Before, Wanted::Sum, ALL),
    Question::new("all_running", Run::Meanwhile, Wanted::Sum, ALL),
    Question::new("all_settled_ready", Run::Before, Wanted::Sum, ALL_SETTLED),
    Question::new("all_settled_running", Run::Meanwhile, Wanted::Sum, ALL_SETTLED),
    Question::new("any_ready", Run::Before, Wanted::One, ANY),
    Question::new("any_running", Run::Meanwhile, Wanted::One, ANY),
    Question::new("race_ready", Run::Before, Wanted::One, RACE),
    Question::new("race_running", Run::Meanwhile, Wanted::One, RACE),
];

/// Rows whose contestants measure the time themselves.
const TIMED: &[(&str, &[Way<Timed>])] = &[
    ("cancel_queued", CANCEL),
    ("then_each", THEN_EACH),
    ("then_chain", THEN_CHAIN),
    ("spawn_batch", BATCH),
];

const ALL: &[Way<Collect>] = &[
    Way::new("loop", Role::Baseline, |handles| {
        let values: Result<Vec<u64>, TaskError> =
            handles.into_iter().map(TaskHandle::join).collect();
        sum(values)
    }),
    Way::new("corepool", Role::Ours, |handles| sum(promise::all(handles).join())),
    Way::new("futures-util", Role::Pool, |handles| sum(pollster::block_on(try_join_all(handles)))),
];

const ALL_SETTLED: &[Way<Collect>] = &[
    Way::new("loop", Role::Baseline, |handles| {
        sum_of_results(handles.into_iter().map(TaskHandle::join).collect())
    }),
    Way::new("corepool", Role::Ours, |handles| {
        sum_of_results(promise::all_settled(handles).join())
    }),
    Way::new("futures-util", Role::Pool, |handles| {
        sum_of_results(pollster::block_on(join_all(handles)))
    }),
];

const ANY: &[Way<Collect>] = &[
    Way::new("the first handle", Role::Baseline, the_first),
    Way::new("corepool", Role::Ours, |handles| promise::any(handles).join().expect("all succeed")),
    Way::new("futures-util", Role::Pool, |handles| {
        pollster::block_on(select_ok(handles)).expect("all succeed").0
    }),
];

const RACE: &[Way<Collect>] = &[
    Way::new("the first handle", Role::Baseline, the_first),
    Way::new("corepool", Role::Ours, |handles| promise::race(handles).join().expect("it ran")),
    Way::new("futures-util", Role::Pool, |handles| {
        pollster::block_on(select_all(handles)).0.expect("it ran")
    }),
];

/// Cancels tasks while none of them can start.
const CANCEL: &[Way<Timed>] = &[
    Way::new("corepool", Role::Ours, cancel_ours),
    Way::new("tokio", Role::Pool, cancel_tokio),
    Way::new("async-executor", Role::Pool, cancel_executor),
];

/// Two steps per task and half as many tasks: `then` against a second spawn.
const THEN_EACH: &[Way<Timed>] = &[
    Way::new("two spawns", Role::Baseline, two_spawns_each),
    Way::new("corepool", Role::Ours, then_each),
];

/// Each step depends on the previous one: a link against a task that no thread has to wait for.
const THEN_CHAIN: &[Way<Timed>] = &[
    Way::new("spawns", Role::Baseline, spawns_in_turn),
    Way::new("corepool", Role::Ours, then_chain),
];

const BATCH: &[Way<Timed>] = &[
    Way::new("spawns", Role::Baseline, spawns_in_turn),
    Way::new("corepool", Role::Ours, spawn_batch),
    Way::new("rayon", Role::Pool, rayon_spawns),
];

fn main() {
    let options = Options::read();
    let mut journal = options.journal();
    let mut verdict = Verdict::default();
    for question in QUESTIONS.iter().filter(|question| options.wants(question.row.name)) {
        question.side_by_side(&options, &mut journal, &mut verdict);
    }
    for (name, ways) in TIMED.iter().filter(|(name, _)| options.wants(name)) {
        timed(name, ways, &options, &mut journal, &mut verdict);
    }
    if !options.test {
        verdict.print();
    }
}

impl<F> Way<F> {
    const fn new(name: &'static str, role: Role, run: F) -> Self {
        Self { name, role, run }
    }
}

impl<F> Contestant for &Way<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

impl Question {
    const fn new(
        name: &'static str,
        tasks_run: Run,
        wanted: Wanted,
        ways: &'static [Way<Collect>],
    ) -> Self {
        let row = Row { bench: "combinators", name, metrics: &["ns a handle"] };
        Self { row, tasks_run, wanted, ways }
    }

    fn side_by_side(&self, options: &Options, journal: &mut Journal, verdict: &mut Verdict) {
        let handles = options.size(1_000, HANDLES);
        let waits = options.size(1, WAITS);
        let ways = options.among(self.ways.iter().collect(), |_| true);
        let measured = interleave(self.row, &ways, options.rounds(ROUNDS), |way| {
            rival::alone(ours::start, |pool| {
                self.wait(pool, handles, way.run); // Warm-up.
                let took: Duration = (0..waits).map(|_| self.wait(pool, handles, way.run)).sum();
                vec![took.as_nanos() as f64 / f64::from(waits) / handles as f64]
            })
        });
        measured.report(options, journal);
        verdict.note(&measured);
    }

    /// Returns how long one wait took.
    fn wait(&self, pool: &WorkerPool, tasks: u64, collect: Collect) -> Duration {
        let gate = Arc::new(Gate::default());
        let held = (self.tasks_run == Run::Meanwhile)
            .then(|| hold(&gate, |gate| pool.spawn(move || gate.pass())));
        let handles: Handles = (0..tasks).map(|value| pool.spawn(move || value)).collect();
        if self.tasks_run == Run::Before {
            while !handles.iter().all(TaskHandle::is_finished) {
                thread::yield_now();
            }
        }
        let start = Instant::now();
        gate.open();
        let value = black_box(collect(handles));
        let took = start.elapsed();
        let right = match self.wanted {
            Wanted::Sum => value == (0..tasks).sum(),
            Wanted::One => value < tasks,
        };
        assert!(right, "a wait for {tasks} handles gave {value}");
        held.into_iter().flatten().for_each(|task| assert_eq!(task.join().ok(), Some(0)));
        took
    }
}

/// Measures all contestants in turn, with this many tasks.
fn timed(
    name: &'static str,
    ways: &'static [Way<Timed>],
    options: &Options,
    journal: &mut Journal,
    verdict: &mut Verdict,
) {
    let row = Row { bench: "combinators", name, metrics: &["ns a task"] };
    let tasks = options.size(1_000, MANY);
    let ways = options.among(ways.iter().collect(), |_| true);
    let measured = interleave(row, &ways, options.rounds(ROUNDS), |way| {
        vec![(way.run)(tasks).as_nanos() as f64 / tasks as f64]
    });
    measured.report(options, journal);
    verdict.note(&measured);
}

/// Puts one task in front of the gate on each worker.
fn hold<H>(gate: &Arc<Gate>, spawn: impl Fn(Arc<Gate>) -> H) -> Vec<H> {
    let held = (0..WORKERS).map(|_| spawn(Arc::clone(gate))).collect();
    gate.wait_until_held(WORKERS);
    held
}

fn sum(values: Result<Vec<u64>, TaskError>) -> u64 {
    values.expect("no task fails").into_iter().sum()
}

fn sum_of_results(results: Vec<Result<u64, TaskError>>) -> u64 {
    results.into_iter().map(|result| result.expect("no task fails")).sum()
}

/// The way without a combinator: it cannot know which task settles first, so it takes the first in
/// order.
fn the_first(handles: Handles) -> u64 {
    let first = handles.into_iter().next().expect("there are handles");
    first.join().expect("no task fails")
}

fn cancel_ours(tasks: u64) -> Duration {
    rival::alone(ours::start, |pool| {
        let gate = Arc::new(Gate::default());
        let held = hold(&gate, |gate| pool.spawn(move || gate.pass()));
        let handles: Handles = (0..tasks).map(|value| pool.spawn(move || value)).collect();
        let start = Instant::now();
        let cancelled = handles.iter().filter(|handle| handle.cancel()).count();
        let took = start.elapsed();
        assert_eq!(cancelled as u64, tasks, "a queued task was not cancelled");
        assert!(handles.iter().all(TaskHandle::is_finished), "a cancelled task is not settled");
        gate.open();
        held.into_iter().for_each(|task| assert_eq!(task.join().ok(), Some(0)));
        let settled = |handle: TaskHandle<u64>| handle.join().is_err_and(|why| why.is_cancelled());
        assert!(handles.into_iter().all(settled), "a cancelled task ran");
        took
    })
}

/// The tasks settle later, when a thread of the runtime reaches them.
fn cancel_tokio(tasks: u64) -> Duration {
    rival::alone(tokio_blocking::start, |runtime| {
        let gate = Arc::new(Gate::default());
        let _held = hold(&gate, |gate| runtime.spawn_blocking(move || gate.pass()));
        let handles: Vec<_> =
            (0..tasks).map(|value| runtime.spawn_blocking(move || value)).collect();
        let start = Instant::now();
        handles.iter().for_each(tokio::task::JoinHandle::abort);
        let took = start.elapsed();
        gate.open();
        for handle in handles {
            let stopped = pollster::block_on(handle).is_err_and(|why| why.is_cancelled());
            assert!(stopped, "an aborted task ran");
        }
        took
    })
}

/// Dropping a task cancels it. The executor drops its future when a thread reaches it.
fn cancel_executor(tasks: u64) -> Duration {
    rival::alone(TwoThreads::start, |threads| {
        let executor = &threads.executor;
        let gate = Arc::new(Gate::default());
        let held = hold(&gate, |gate| executor.spawn(async move { gate.pass() }));
        let handles: Vec<_> =
            (0..tasks).map(|value| executor.spawn(async move { value })).collect();
        let start = Instant::now();
        drop(handles);
        let took = start.elapsed();
        gate.open();
        held.into_iter().for_each(|task| assert_eq!(pollster::block_on(task), 0));
        took
    })
}

/// Returns how long the work takes on a warm pool. Checks its result.
fn on_ours(sum: u64, work: impl Fn(&WorkerPool) -> u64) -> Duration {
    rival::alone(ours::start, |pool| {
        assert_eq!(work(pool), sum, "the warm-up gave something else");
        let start = Instant::now();
        let came_to = black_box(work(pool));
        let took = start.elapsed();
        assert_eq!(came_to, sum, "a result is wrong");
        took
    })
}

fn joined(handles: impl IntoIterator<Item = TaskHandle<u64>>) -> u64 {
    handles.into_iter().map(|handle| handle.join().expect("no task fails")).sum()
}

fn then_each(tasks: u64) -> Duration {
    let pairs = tasks / 2;
    on_ours((0..pairs).sum::<u64>() + pairs, |pool| {
        let two = |value| pool.spawn(move || value).then(|value| value + 1);
        joined((0..pairs).map(two).collect::<Handles>())
    })
}

fn two_spawns_each(tasks: u64) -> Duration {
    let pairs = tasks / 2;
    on_ours((0..pairs).sum::<u64>() + pairs, |pool| {
        let two = |value| [pool.spawn(move || value), pool.spawn(|| 1)];
        joined((0..pairs).flat_map(two).collect::<Handles>())
    })
}

fn then_chain(tasks: u64) -> Duration {
    on_ours(tasks - 1, |pool| {
        let first = pool.spawn(|| 0);
        let last = (1..tasks).fold(first, |link, _| link.then(|value| value + 1));
        last.join().expect("no link fails")
    })
}

fn spawns_in_turn(tasks: u64) -> Duration {
    // In a chain every link except the first adds one.
    on_ours(tasks - 1, |pool| {
        let one = |value: u64| pool.spawn(move || u64::from(value > 0));
        joined((0..tasks).map(one).collect::<Handles>())
    })
}

fn spawn_batch(tasks: u64) -> Duration {
    on_ours((0..tasks).sum(), |pool| {
        let results = pool.spawn_batch((0..tasks).map(|value| move || value));
        results.map(|result| result.expect("no task fails")).sum()
    })
}

fn rayon_spawns(tasks: u64) -> Duration {
    rival::alone(rayon_oneshot::start, |pool| {
        let work = || {
            let spawn = |value| rayon_oneshot::spawn(pool, move || value);
            burst(tasks, spawn, rayon_oneshot::join)
        };
        assert_eq!(work(), (0..tasks).sum());
        let start = Instant::now();
        let came_to = black_box(work());
        let took = start.elapsed();
        assert_eq!(came_to, (0..tasks).sum(), "a result is wrong");
        took
    })
}
