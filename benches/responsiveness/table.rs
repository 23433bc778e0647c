//! Prints the results of all rounds in one table.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::rounds::{Round, Run};

/// Latencies are over all rounds together. The other figures are medians of the rounds, and ratios
/// are within each round.
pub(crate) fn print(runs: &[Run]) {
    println!("{:<14} {:^35}   {:^48}", "", "/health, µs, and p99 to idle", "answers of the rest");
    println!(
        "{:<14} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}   {:>9} {:>7} {:>9} {:>7} {:>9}",
        "",
        "idle",
        "p99",
        "p50",
        "p99",
        "p99.9",
        "to idle",
        "a second",
        "to best",
        "a CPU s",
        "to best",
        "strangers"
    );
    for run in runs {
        print_one(run, runs);
    }
}

fn print_one(run: &Run, runs: &[Run]) {
    let unloaded = pooled(run, |round| &round.unloaded);
    let loaded = pooled(run, |round| &round.loaded);
    let to_idle = |round: &Round| quantile(&round.loaded, 0.99) / quantile(&round.unloaded, 0.99);
    let of_all = |part: fn(&Round) -> f64| median(run.rounds.iter().map(part));
    let to_best = |part: fn(&Round) -> f64| {
        let rounds = run.rounds.iter().enumerate();
        median(rounds.map(|(at, round)| part(round) / best(runs, at, part)))
    };
    println!(
        "{:<14} {:>6.0} {:>6.0} {:>6.0} {:>6.0} {:>6.0} {:>7.2}   {:>9.0} {:>7.3} {:>9.0} {:>7.3} {:>9.2}",
        run.way.name,
        quantile(&unloaded, 0.5),
        quantile(&unloaded, 0.99),
        quantile(&loaded, 0.5),
        quantile(&loaded, 0.99),
        quantile(&loaded, 0.999),
        median(run.rounds.iter().map(to_idle)),
        of_all(|round| round.throughput),
        to_best(|round| round.throughput),
        of_all(|round| round.efficiency),
        to_best(|round| round.efficiency),
        of_all(|round| round.strangers.unwrap_or(f64::NAN)),
    );
}

/// The best value in this round.
fn best(runs: &[Run], round: usize, part: fn(&Round) -> f64) -> f64 {
    runs.iter().map(|run| part(&run.rounds[round])).fold(0.0, f64::max)
}

fn pooled(run: &Run, part: impl Fn(&Round) -> &Vec<Duration>) -> Vec<Duration> {
    let mut all: Vec<Duration> = run.rounds.iter().flat_map(part).copied().collect();
    all.sort_unstable();
    all
}

/// In microseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(place).map_or(f64::NAN, |time| time.as_nanos() as f64 / 1e3)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
