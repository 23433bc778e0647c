//! Measures rivals in turn: A B C, then B C A, so that drift of the machine affects all equally.
//!
//! Absolute times on a shared machine vary by half from one minute to the next, but the ratio of
//! two rivals within one round hardly does. So every round measures every contestant, the order
//! rotates and reverses, and the result is the median over the rounds of the ratio within each
//! round.

#![forbid(unsafe_code)]

use super::json::{Journal, Value};
use super::options::Options;
use super::rival::{REFERENCE, Role, Running};
use super::usage::Machine;

/// Measures one running pool. Returns one value per metric, in the row's order.
pub(crate) type Ask<'a> = &'a dyn Fn(&Running) -> Vec<f64>;

/// A contestant that takes turns with others.
pub(crate) trait Contestant {
    /// The name in tables and on the command line.
    fn name(&self) -> &'static str;
    fn role(&self) -> Role;
}

/// If other processes used more than this part of the machine, the report says so.
const DISTURBED: f64 = 0.05;

/// A row of the table: the bench, the workload, and what is measured, with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) name: &'static str,
    pub(crate) metrics: &'static [&'static str],
}

/// All rounds of one row.
pub(crate) struct Measured {
    row: Row,
    runs: Vec<Run>,
    /// The part of the machine that other processes used meanwhile. A compiler that runs next to
    /// the bench spoils the result.
    strangers: Option<f64>,
}

/// One contestant's rounds. Each round has one value per metric.
struct Run {
    name: &'static str,
    role: Role,
    rounds: Vec<Vec<f64>>,
}

/// The summary of one contestant and one metric.
struct Summary {
    median: f64,
    /// Relative to the baseline, if there is one.
    to_baseline: Option<f64>,
    /// Relative to the reference.
    ratio: Option<f64>,
    range: Option<(f64, f64)>,
}

/// Runs the rounds. `measure` returns one value per metric, in the row's order.
pub(crate) fn interleave<C: Contestant>(
    row: Row,
    rivals: &[C],
    rounds: usize,
    mut measure: impl FnMut(&C) -> Vec<f64>,
) -> Measured {
    let run = |rival: &C| Run { name: rival.name(), role: rival.role(), rounds: Vec::new() };
    let mut runs: Vec<Run> = rivals.iter().map(run).collect();
    let machine = Machine::now();
    for round in 0..rounds {
        for at in order(round, rivals.len()) {
            runs[at].rounds.push(measure(&rivals[at]));
        }
    }
    Measured { row, runs, strangers: machine.and_then(Machine::strangers) }
}

/// The order of the contestants: each round begins with a different one, and every other round runs
/// backwards.
fn order(round: usize, rivals: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rivals).collect();
    if rivals > 0 {
        order.rotate_left(round / 2 % rivals);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Measured {
    /// Prints and records the measurements. In a test it only prints that all went well.
    pub(crate) fn report(&self, options: &Options, journal: &mut Journal) {
        if options.test {
            return println!("{}: every result is right", self.row.name);
        }
        self.print();
        self.write(journal);
    }

    /// Prints one table per metric.
    fn print(&self) {
        for (metric, unit) in self.row.metrics.iter().enumerate() {
            println!("\n{}: {unit}", self.row.name);
            println!(
                "  {:<18} {:>12} {:>10} {:>8}   least to most",
                "", "median", "to plain", "ratio"
            );
            for run in &self.runs {
                let said = self.summary(run, metric);
                let number = |n: Option<f64>| n.map_or("-".to_owned(), |n| format!("{n:.2}"));
                let range = said.range.map(|(least, most)| format!("{least:.2} to {most:.2}"));
                println!(
                    "  {:<18} {:>12.2} {:>10} {:>8}   {}",
                    run.name,
                    said.median,
                    number(said.to_baseline),
                    number(said.ratio),
                    range.unwrap_or_default()
                );
            }
        }
        if let Some(part) = self.disturbed() {
            println!("  disturbed: other processes used {:.0} % of the machine", part * 100.0);
        }
    }

    /// The part of the machine that other processes used, if it was enough to spoil the row.
    pub(crate) fn disturbed(&self) -> Option<f64> {
        self.strangers.filter(|part| *part > DISTURBED)
    }

    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// Name, role and median of the row's first metric, for each contestant.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&'static str, Role, f64)> {
        self.runs.iter().map(|run| (run.name, run.role, self.summary(run, 0).median))
    }

    /// One contestant relative to another in the row's first metric: the median of the rounds'
    /// ratios.
    pub(crate) fn between(&self, name: &str, other: &str) -> Option<f64> {
        let find = |name| self.runs.iter().find(|run| run.name == name);
        quantile(&self.ratios(find(name)?, find(other), 0), 0.5)
    }

    /// Writes every value and the summary.
    pub(crate) fn write(&self, journal: &mut Journal) {
        journal.line(&[
            ("kind", Value::Word("conditions")),
            ("bench", Value::Word(self.row.bench)),
            ("row", Value::Word(self.row.name)),
            ("strangers", self.strangers.into()),
        ]);
        for (metric, unit) in self.row.metrics.iter().enumerate() {
            for run in &self.runs {
                self.write_samples(run, metric, unit, journal);
                let said = self.summary(run, metric);
                let mut line = self.heading("summary", run, unit);
                line.push(("median", Some(said.median).into()));
                line.push(("to_baseline", said.to_baseline.into()));
                line.push(("ratio", said.ratio.into()));
                line.push(("ratio_min", said.range.map(|range| range.0).into()));
                line.push(("ratio_max", said.range.map(|range| range.1).into()));
                journal.line(&line);
            }
        }
    }

    fn write_samples(&self, run: &Run, metric: usize, unit: &str, journal: &mut Journal) {
        for (round, values) in run.rounds.iter().enumerate() {
            let reference = self.reference().map(|reference| &reference.rounds[round]);
            let mut line = self.heading("sample", run, unit);
            line.push(("round", Some(round as f64).into()));
            line.push(("value", Some(values[metric]).into()));
            line.push(("ratio", ratio(values, reference, metric).into()));
            journal.line(&line);
        }
    }

    fn heading<'a>(
        &self,
        kind: &'a str,
        run: &Run,
        unit: &'a str,
    ) -> Vec<(&'static str, Value<'a>)> {
        vec![
            ("kind", Value::Word(kind)),
            ("bench", Value::Word(self.row.bench)),
            ("row", Value::Word(self.row.name)),
            ("metric", Value::Word(unit)),
            ("rival", Value::Word(run.name)),
            ("role", Value::Word(run.role.word())),
        ]
    }

    fn summary(&self, run: &Run, metric: usize) -> Summary {
        let values = sorted(run.rounds.iter().map(|round| round[metric]));
        let ratios = self.ratios(run, self.reference(), metric);
        Summary {
            median: quantile(&values, 0.5).unwrap_or(f64::NAN),
            to_baseline: quantile(&self.ratios(run, self.baseline(), metric), 0.5),
            ratio: quantile(&ratios, 0.5),
            range: ratios.first().copied().zip(ratios.last().copied()),
        }
    }

    fn reference(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == REFERENCE)
    }

    fn baseline(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.role == Role::Baseline)
    }

    /// The ratio within each round, sorted. Empty if the other did not take part.
    fn ratios(&self, run: &Run, other: Option<&Run>, metric: usize) -> Vec<f64> {
        let Some(other) = other else { return Vec::new() };
        let pairs = run.rounds.iter().zip(&other.rounds);
        sorted(pairs.filter_map(|(values, base)| ratio(values, Some(base), metric)))
    }
}

/// One round's value divided by another's, if that exists and is not zero.
fn ratio(values: &[f64], base: Option<&Vec<f64>>, metric: usize) -> Option<f64> {
    let base = base?[metric];
    (base > 0.0).then(|| values[metric] / base)
}

/// The sorted values.
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which `part` of the sorted values lie: 0.5 is the median.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = (last as f64 * part).round() as usize;
    sorted.get(place).copied()
}
