//! Measures every way in every round, in a different order each time, so that disturbances of the
//! machine affect all ways equally.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::load::{Load, ask_health};
use crate::options::Options;
use crate::usage::{self, Machine};
use crate::ways::{Serving, Way};

/// The results of one way in one round.
#[derive(Debug)]
pub(crate) struct Round {
    /// Latencies of `/health` without other load, and with it, sorted.
    pub(crate) unloaded: Vec<Duration>,
    pub(crate) loaded: Vec<Duration>,
    /// Answers of the computing routes per second.
    pub(crate) throughput: f64,
    /// Answers per second of CPU time of the whole process.
    pub(crate) efficiency: f64,
    /// The part of the machine that other processes used meanwhile.
    pub(crate) strangers: Option<f64>,
}

/// The results of one way in all rounds.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) way: Way,
    pub(crate) rounds: Vec<Round>,
}

pub(crate) fn measure(options: &Options) -> Vec<Run> {
    let run = |way: &Way| Run { way: *way, rounds: Vec::new() };
    let mut runs: Vec<Run> = options.ways.iter().map(run).collect();
    for round in 0..options.rounds {
        for at in order(round, runs.len()) {
            let measured = measure_once(runs[at].way, options);
            runs[at].rounds.push(measured);
        }
    }
    runs
}

/// Each round begins with a different way, and every other round runs backwards.
fn order(round: usize, ways: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ways).collect();
    order.rotate_left(round / 2 % ways.max(1));
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn measure_once(way: Way, options: &Options) -> Round {
    let server = Serving::start(way);
    let unloaded = ask_health(server.address, options.unloaded);
    let load = Load::start(server.address);
    let (machine, cpu) = (Machine::now(), usage::process().cpu);
    let (before, start) = (load.answers(), Instant::now());
    let loaded = ask_health(server.address, options.loaded);
    let answers = (load.answers() - before) as f64;
    Round {
        unloaded: sorted(unloaded),
        loaded: sorted(loaded),
        throughput: answers / start.elapsed().as_secs_f64(),
        efficiency: answers / (usage::process().cpu - cpu) * 1e6,
        strangers: machine.and_then(Machine::strangers),
    }
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}
