//! The command line options, the same for all benches.
//!
//! `cargo bench` passes `--bench`, so the bench measures. Without it (`cargo test --benches`), or
//! with `--test`, every workload runs once with a small size, and only its results are checked.

#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;
use std::process;

use super::interleave::Contestant;
use super::json::Journal;
use super::rival::{self, Rival};

/// The parsed command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Check the results of small runs instead of measuring.
    pub(crate) test: bool,
    /// Use fewer rounds and shorter windows.
    pub(crate) quick: bool,
    /// Also run the same workloads under criterion, after the table.
    pub(crate) criterion: bool,
    /// `--count WORK RIVAL TASKS`: do only that, then exit.
    pub(crate) count: Option<(String, String, u64)>,
    /// The numbers of workers to measure. Empty means all that the bench has.
    pub(crate) workers: Vec<usize>,
    /// `--cell ROW WORKERS WHOSE`: measure only that, for the process that started this one.
    pub(crate) cell: Option<(String, usize, String)>,
    rounds: Option<usize>,
    rows: Vec<String>,
    rivals: Vec<String>,
    json: Option<PathBuf>,
}

impl Options {
    /// Reads the command line. A mistake in it ends the process with one clear line.
    pub(crate) fn read() -> Self {
        Self::parse(env::args().skip(1)).unwrap_or_else(|complaint| refuse(&complaint))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { criterion: asked_for_criterion(), ..Self::default() };
        let mut measure = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => measure = true,
                "--test" => options.test = true,
                "--quick" => options.quick = true,
                "--criterion" => options.criterion = true,
                "--rounds" => options.rounds = Some(number(&value()?)?),
                "--rows" => options.rows = list(&value()?),
                "--workers" => options.workers = numbers(&value()?)?,
                "--cell" => options.cell = Some((value()?, number(&value()?)?, value()?)),
                "--rivals" => options.rivals = list(&value()?),
                "--json" => options.json = Some(value()?.into()),
                "--count" => options.count = Some((value()?, value()?, number(&value()?)?)),
                // `cargo bench NAME` and the test harness's own flags arrive here too.
                flag if flag.starts_with('-') => eprintln!("{flag} means nothing here"),
                name => options.rows.push(name.to_owned()),
            }
        }
        options.test |= !measure;
        Ok(options)
    }

    /// How many rounds to run: the requested number, a few for a quick run, or one in a test.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        let usual = if self.quick { full.min(3) } else { full };
        self.rounds.unwrap_or(self.size(1, usual))
    }

    /// Picks the size for the mode.
    pub(crate) fn size<T>(&self, test: T, full: T) -> T {
        if self.test { test } else { full }
    }

    /// Whether this row is wanted. A test runs every row.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.test || self.rows.is_empty() || self.rows.iter().any(|part| row.contains(part))
    }

    /// The task pools that are wanted.
    pub(crate) fn contestants(&self, fits: impl Fn(&Rival) -> bool) -> Vec<Rival> {
        self.among(rival::all(), fits)
    }

    /// The wanted ones among the contestants.
    pub(crate) fn among<C: Contestant>(&self, all: Vec<C>, fits: impl Fn(&C) -> bool) -> Vec<C> {
        let wanted =
            |c: &C| self.rivals.is_empty() || self.rivals.iter().any(|name| name == c.name());
        all.into_iter().filter(|c| wanted(c) && fits(c)).collect()
    }

    /// Opens the file for measurements.
    pub(crate) fn journal(&self) -> Journal {
        Journal::open(self.json.as_deref())
            .unwrap_or_else(|error| refuse(&format!("cannot write {:?}: {error}", self.json)))
    }
}

/// Ends the process with one line that says what was wrong with the request.
pub(crate) fn refuse(complaint: &str) -> ! {
    eprintln!("{complaint}");
    process::exit(2)
}

fn asked_for_criterion() -> bool {
    env::var_os("COREPOOL_CRITERION").is_some_and(|value| value == "1")
}

fn list(words: &str) -> Vec<String> {
    words.split(',').map(str::to_owned).collect()
}

fn numbers(words: &str) -> Result<Vec<usize>, String> {
    words.split(',').map(number).collect()
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("{word:?} is not a number"))
}
