//! Measures rivals side by side: A B C, then B C A, so that drift of the machine hits all alike.
//!
//! Absolute times on a shared machine move by half from one minute to the next; the ratio of two
//! rivals inside one round hardly does. So every round measures everybody, the order rotates and
//! turns round, and what counts is the median over the rounds of the ratio inside each round.

#![forbid(unsafe_code)]

use super::json::{Journal, Value};
use super::options::Options;
use super::rival::{REFERENCE, Role, Running};
use super::usage::Machine;

/// Measures one running pool: one value a metric, in the row's order.
pub(crate) type Ask<'a> = &'a dyn Fn(&Running) -> Vec<f64>;

/// Who takes turns with others.
pub(crate) trait Contestant {
    /// What it is called in tables and on the command line.
    fn name(&self) -> &'static str;
    fn role(&self) -> Role;
}

/// More than this part of the machine in other hands is worth a word.
const DISTURBED: f64 = 0.05;

/// A row of the table: which bench, which workload, and what is measured in it, with the unit.
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
    /// The part of the machine that other processes used meanwhile: a compiler beside us spoils it.
    strangers: Option<f64>,
}

/// One contestant's rounds; each holds one value a metric.
struct Run {
    name: &'static str,
    role: Role,
    rounds: Vec<Vec<f64>>,
}

/// What is said of one contestant and one metric in the end.
struct Summary {
    median: f64,
    /// Against the baseline, if one takes part.
    to_baseline: Option<f64>,
    /// Against the reference.
    ratio: Option<f64>,
    range: Option<(f64, f64)>,
}

/// Runs the rounds. `measure` gives one value a metric, in the row's order.
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

/// Who comes when: a different first in each round, and every other round backwards.
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
    /// Prints and writes down what was measured; of a test, only that it went well.
    pub(crate) fn report(&self, options: &Options, journal: &mut Journal) {
        if options.test {
            return println!("{}: every result is right", self.row.name);
        }
        self.print();
        self.write(journal);
    }

    /// Prints one table a metric.
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

    /// The part of the machine that others used, if it was enough to spoil the row.
    pub(crate) fn disturbed(&self) -> Option<f64> {
        self.strangers.filter(|part| *part > DISTURBED)
    }

    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// Name, role and median of the row's first metric, contestant by contestant.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&'static str, Role, f64)> {
        self.runs.iter().map(|run| (run.name, run.role, self.summary(run, 0).median))
    }

    /// One contestant against another in the row's first metric: the median of the rounds' ratios.
    pub(crate) fn between(&self, name: &str, other: &str) -> Option<f64> {
        let find = |name| self.runs.iter().find(|run| run.name == name);
        quantile(&self.ratios(find(name)?, find(other), 0), 0.5)
    }

    /// Writes every value, and what they come to.
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

    /// The ratio inside each round, in order of size. None if the other did not take part.
    fn ratios(&self, run: &Run, other: Option<&Run>, metric: usize) -> Vec<f64> {
        let Some(other) = other else { return Vec::new() };
        let pairs = run.rounds.iter().zip(&other.rounds);
        sorted(pairs.filter_map(|(values, base)| ratio(values, Some(base), metric)))
    }
}

/// One round's value over another's, if that one is there and not zero.
fn ratio(values: &[f64], base: Option<&Vec<f64>>, metric: usize) -> Option<f64> {
    let base = base?[metric];
    (base > 0.0).then(|| values[metric] / base)
}

/// The values in order.
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value that `part` of the sorted values lie below: 0.5 is the median.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = (last as f64 * part).round() as usize;
    sorted.get(place).copied()
}
