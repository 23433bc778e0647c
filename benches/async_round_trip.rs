//! The cost of awaiting a task from a tokio current-thread runtime, compared with the usual
//! alternatives.
//!
//! ```text
//! cargo bench --bench async_round_trip                         all rows
//! cargo bench --bench async_round_trip -- --quick --rows one   fewer rounds, some rows
//! ```
//!
//! The runtime's thread spawns and awaits, and the pools have two workers. At the end the bench
//! lists where corepool's median is slower than that of the fastest rival; the tails are in the
//! tables.

use std::time::Duration;

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use rivals::awaited::{self, Awaiter, Beside, Drivers, TOGETHER};
use support::interleave::{Row, interleave};
use support::options::Options;
use support::trips::{self, TRIP};
use support::verdict::Verdict;

/// One row of the table: how it is measured, and how many times in a test and in a real run.
struct Question {
    row: Row,
    drivers: Drivers,
    measured_by: Measure,
    test: u64,
    full: u64,
}

enum Measure {
    /// One task at a time, each after a pause.
    Trips(Duration),
    /// [`TOGETHER`] tasks at a time.
    Together(fn(&dyn Beside, u64) -> Duration),
}

/// As in `overhead`: many short rounds with new threads each say more than a few long ones.
const ROUNDS: usize = 21;

const MILLISECOND: Duration = Duration::from_millis(1);

const QUESTIONS: &[Question] = &[
    Question::trips("one_at_a_time", Drivers::None, Duration::ZERO, (1_000, 5_000)),
    Question::trips("one_with_drivers", Drivers::All, Duration::ZERO, (1_000, 5_000)),
    Question::trips("one_with_pause", Drivers::All, MILLISECOND, (20, 200)),
    Question::together("thousand_in_turn", |pair, times| pair.in_turn(times)),
    Question::together("thousand_at_once", |pair, times| pair.at_once(times)),
];

fn main() {
    let options = Options::read();
    let awaiters = options.among(awaited::all(), |_| true);
    let mut journal = options.journal();
    let mut verdict = Verdict::default();
    for question in QUESTIONS.iter().filter(|question| options.wants(question.row.name)) {
        let count = options.size(question.test, question.full);
        let ask = |awaiter: &Awaiter| question.ask(awaiter, count);
        let measured = interleave(question.row, &awaiters, options.rounds(ROUNDS), ask);
        measured.report(&options, &mut journal);
        verdict.note(&measured);
    }
    if !options.test {
        verdict.print();
    }
}

impl Question {
    const fn trips(
        name: &'static str,
        drivers: Drivers,
        pause: Duration,
        (test, full): (u64, u64),
    ) -> Self {
        let row = Row { bench: "async_round_trip", name, metrics: TRIP };
        Self { row, drivers, measured_by: Measure::Trips(pause), test, full }
    }

    const fn together(name: &'static str, collect: fn(&dyn Beside, u64) -> Duration) -> Self {
        let row = Row { bench: "async_round_trip", name, metrics: &["ns a task"] };
        let measured_by = Measure::Together(collect);
        Self { row, drivers: Drivers::All, measured_by, test: 2, full: 50 }
    }

    /// Returns one value per metric. Every contestant checks its results, so a small run is a test.
    fn ask(&self, awaiter: &Awaiter, count: u64) -> Vec<f64> {
        awaiter.alone(self.drivers, |pair| match self.measured_by {
            Measure::Trips(pause) => trips::said_of(|| pair.trips(count, pause)),
            Measure::Together(collect) => {
                vec![collect(pair, count).as_nanos() as f64 / (count * TOGETHER) as f64]
            }
        })
    }
}
