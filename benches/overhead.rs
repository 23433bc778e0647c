//! The cost of a task beyond its own work, compared with the pools in common use.
//!
//! ```text
//! cargo bench --bench overhead                          the interleaved table
//! cargo bench --bench overhead -- --quick --rows burst  fewer rounds, one row
//! cargo bench --bench overhead -- --criterion           then the same workloads under criterion
//! cargo bench --bench overhead -- --rounds 0 --criterion     criterion alone
//! cargo bench --bench overhead -- --count burst rayon 2000   run that and exit (callgrind)
//! ```
//!
//! Criterion cannot alternate between contestants, and only alternation makes a ratio meaningful on
//! a shared machine. So the table comes from `support/interleave.rs`.

use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use support::interleave::{Row, interleave};
use support::json::Journal;
use support::options::{Options, refuse};
use support::rival::{Rival, Role, Running};
use support::trips::{self, TRIP};
use support::work::Work;

/// One row of the table: the workload and how it is measured.
struct Question {
    row: Row,
    measured_by: Measure,
    /// The number of tasks in a test, and in a measurement.
    test: u64,
    full: u64,
}

enum Measure {
    /// The time of the whole workload, divided by the number of tasks.
    Throughput(fn(u64) -> Work),
    /// The time of each round trip, with a pause before it.
    Trips(Duration),
}

/// Where a thread is placed can make a whole round fast or slow, above all for round trips. So many
/// short rounds with new threads each say more than a few long ones.
const ROUNDS: usize = 21;

const NS: &[&str] = &["ns a task"];

const QUESTIONS: &[Question] = &[
    Question::throughput("burst", Work::Burst, 200_000),
    Question::throughput("windows", Work::Windows, 200_000),
    Question::throughput("four_submitters", Work::FourSubmitters, 200_000),
    Question::throughput("inside", Work::Inside, 100_000),
    Question::trips("one_at_a_time", Duration::ZERO, 1_000, 5_000),
    Question::trips("with_pause", Duration::from_millis(1), 20, 200),
];

fn main() {
    let options = Options::read();
    if let Some((work, rival, tasks)) = &options.count {
        return count(&options, work, rival, *tasks);
    }
    let asked = QUESTIONS.iter().filter(|question| options.wants(question.row.name));
    let mut journal = options.journal();
    for question in asked.clone() {
        question.side_by_side(&options, &mut journal);
    }
    if options.criterion && !options.test {
        let mut criterion = criterion_settings();
        asked.for_each(|question| question.under_criterion(&options, &mut criterion));
        criterion.final_summary();
    }
}

impl Question {
    const fn throughput(name: &'static str, work: fn(u64) -> Work, full: u64) -> Self {
        let row = Row { bench: "overhead", name, metrics: NS };
        Self { row, measured_by: Measure::Throughput(work), test: 1_000, full }
    }

    const fn trips(name: &'static str, pause: Duration, test: u64, full: u64) -> Self {
        let row = Row { bench: "overhead", name, metrics: TRIP };
        Self { row, measured_by: Measure::Trips(pause), test, full }
    }

    fn contestants(&self, options: &Options) -> Vec<Rival> {
        let by_trips = matches!(self.measured_by, Measure::Trips(_));
        options.contestants(|rival| by_trips || rival.role != Role::TripsOnly)
    }

    /// Returns one value per metric.
    fn ask(&self, pool: &Running, tasks: u64) -> Vec<f64> {
        match self.measured_by {
            Measure::Throughput(work) => {
                let start = Instant::now();
                pool(work(tasks));
                vec![start.elapsed().as_nanos() as f64 / tasks as f64]
            }
            Measure::Trips(pause) => {
                let nanos = |value| trip(pool, pause, value).as_nanos() as f64;
                trips::said_of(|| (0..tasks).map(nanos).collect())
            }
        }
    }

    /// Measures all contestants in turn. The workloads check their own results, so a small run is a
    /// test.
    fn side_by_side(&self, options: &Options, journal: &mut Journal) {
        let rounds = options.rounds(ROUNDS);
        if rounds == 0 {
            return; // Only criterion was asked for.
        }
        let rivals = self.contestants(options);
        let tasks = options.size(self.test, self.full);
        let ask = |rival: &Rival| rival.alone(|pool| self.ask(pool, tasks));
        interleave(self.row, &rivals, rounds, ask).report(options, journal);
    }

    fn under_criterion(&self, options: &Options, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group(self.row.name);
        let one_go = match self.measured_by {
            Measure::Throughput(_) => self.full,
            Measure::Trips(_) => 1,
        };
        group.throughput(Throughput::Elements(one_go));
        for rival in self.contestants(options) {
            rival.alone(|pool| {
                group.bench_function(rival.name, |bencher| {
                    bencher.iter_custom(|goes| self.goes(pool, goes));
                });
            });
        }
        group.finish();
    }

    /// What criterion times: the workload, or the trips without their pauses.
    fn goes(&self, pool: &Running, goes: u64) -> Duration {
        match self.measured_by {
            Measure::Throughput(work) => {
                let start = Instant::now();
                (0..goes).for_each(|_| pool(work(self.full)));
                start.elapsed()
            }
            Measure::Trips(pause) => (0..goes).map(|value| trip(pool, pause, value)).sum(),
        }
    }
}

/// Pauses, then times one round trip.
fn trip(pool: &Running, pause: Duration, value: u64) -> Duration {
    if !pause.is_zero() {
        thread::sleep(pause);
    }
    let start = Instant::now();
    pool(Work::Trip(value));
    start.elapsed()
}

/// Runs exactly this many tasks without a warm-up, so that two runs can be subtracted.
fn count(options: &Options, work: &str, rival: &str, tasks: u64) {
    let rivals = options.contestants(|known| known.name == rival);
    let Some(rival) = rivals.first() else { refuse(&format!("no rival is called {rival:?}")) };
    let pool = rival.start_cold();
    match work {
        "burst" if rival.role == Role::TripsOnly => refuse("this one only makes round trips"),
        "burst" => pool(Work::Burst(tasks)),
        "round_trip" => (0..tasks).for_each(|value| pool(Work::Trip(value))),
        other => refuse(&format!("{other:?} cannot be counted, only burst and round_trip")),
    }
}

fn criterion_settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}
