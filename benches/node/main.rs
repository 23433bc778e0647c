//! Our side of the comparison with Node: empty tasks, `fib(30)` 64 times, and 64 compressed blocks.
//!
//! ```text
//! benches/node/run.sh       both sides in turn, several rounds, and one table; wants node and npm
//! cargo bench --bench node  our side alone
//! ```
//!
//! `--round N` and `--json FILE` are for that script. `--test` runs everything once with small
//! sizes, and only checks the results.

#![forbid(unsafe_code)]

mod jobs;
#[path = "../support/json.rs"]
mod json;
mod text;

use std::env;
use std::path::PathBuf;
use std::process;

use jobs::{Jobs, Runner, Size};
use json::{Journal, Value};

/// Each value is the median of this many runs.
const RUNS: usize = 3;

/// The role of the measured contestant, as in benches/support.
const OURS: &str = "ours";

#[derive(Debug, Default)]
struct Options {
    test: bool,
    round: f64,
    json: Option<PathBuf>,
}

fn main() {
    let options = Options::read(env::args().skip(1)).unwrap_or_else(|complaint| refuse(&complaint));
    let journal = Journal::open(options.json.as_deref())
        .unwrap_or_else(|error| refuse(&format!("cannot write {:?}: {error}", options.json)));
    let mut samples = Samples { options: &options, journal };
    samples.measure("corepool", OURS, Runner::pool());
    samples.measure("one thread of Rust", "baseline", Runner::OneThread);
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut measure = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => measure = true,
                "--test" => options.test = true,
                "--json" => options.json = Some(value()?.into()),
                "--round" => {
                    let round = value()?;
                    options.round =
                        round.parse().map_err(|_| format!("{round:?} is not a number"))?;
                }
                surplus => eprintln!("{surplus} means nothing here"),
            }
        }
        options.test |= !measure;
        Ok(options)
    }

    fn size(&self) -> Size {
        if self.test {
            Size { tasks: 1_000, fib: 15, pieces: 4 }
        } else {
            Size { tasks: 200_000, fib: 30, pieces: 64 }
        }
    }
}

/// Where the samples go.
struct Samples<'a> {
    options: &'a Options,
    journal: Journal,
}

impl Samples<'_> {
    /// Measures all three jobs on one runner.
    fn measure(&mut self, name: &str, role: &str, runner: Runner) {
        let jobs = Jobs::new(runner, self.options.size());
        let mut note = |row, metric, value| self.sample(name, role, row, metric, value);
        // On one thread without a pool the compiler removes this work completely.
        if role == OURS {
            note("empty", "tasks a second", median(|| jobs.empty()));
        }
        note("fib", "ms", median(|| jobs.fib()));
        note("compress", "part left", jobs.part_left());
        note("compress", "MB/s", median(|| jobs.compress()));
        note("text", "checksum", f64::from(text::checksum(&jobs.text)));
    }

    fn sample(&mut self, rival: &str, role: &str, row: &str, metric: &str, value: f64) {
        if self.options.test {
            return println!("{rival}: {row}: the result is right");
        }
        println!("{rival}: {row}: {value:.2} {metric}");
        self.journal.line(&[
            ("kind", Value::Word("sample")),
            ("bench", Value::Word("node")),
            ("row", Value::Word(row)),
            ("metric", Value::Word(metric)),
            ("rival", Value::Word(rival)),
            ("role", Value::Word(role)),
            ("round", Value::Number(self.options.round)),
            ("value", Value::Number(value)),
        ]);
    }
}

/// Runs once without counting it, then takes the median.
fn median(mut run: impl FnMut() -> f64) -> f64 {
    run();
    let mut values: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    values.sort_by(f64::total_cmp);
    values[RUNS / 2]
}

/// Ends the process with one line that says what was wrong with the request.
fn refuse(complaint: &str) -> ! {
    eprintln!("{complaint}");
    process::exit(2)
}
