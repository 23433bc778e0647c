//! What the rounds come to, in one table.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::rounds::{Round, Run};

/// Latencies over all rounds together; ratios are medians of those inside each round.
pub(crate) fn print(runs: &[Run]) {
    println!(
        "{:<16} {:>10} {:>10}   {:>10} {:>10} {:>10}   {:>10}   {:>10} {:>10}",
        "/health, µs",
        "idle p50",
        "idle p99",
        "p50",
        "p99",
        "p99.9",
        "p99/idle",
        "answers/s",
        "to best"
    );
    for run in runs {
        let unloaded = pooled(run, |round| &round.unloaded);
        let loaded = pooled(run, |round| &round.loaded);
        let ratio = |round: &Round| quantile(&round.loaded, 0.99) / quantile(&round.unloaded, 0.99);
        let rounds = run.rounds.iter().enumerate();
        println!(
            "{:<16} {:>10.0} {:>10.0}   {:>10.0} {:>10.0} {:>10.0}   {:>10.2}   {:>10.0} {:>10.3}",
            run.way.name,
            quantile(&unloaded, 0.5),
            quantile(&unloaded, 0.99),
            quantile(&loaded, 0.5),
            quantile(&loaded, 0.99),
            quantile(&loaded, 0.999),
            median(run.rounds.iter().map(ratio)),
            median(run.rounds.iter().map(|round| round.throughput)),
            median(rounds.map(|(at, round)| round.throughput / best(runs, at))),
        );
    }
}

/// The throughput of the best way in this round.
fn best(runs: &[Run], round: usize) -> f64 {
    runs.iter().map(|run| run.rounds[round].throughput).fold(0.0, f64::max)
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
