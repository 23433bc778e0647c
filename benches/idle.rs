//! The cost of a pool that has nothing, or hardly anything, to do.
//!
//! ```text
//! cargo bench --bench idle
//! cargo bench --bench idle -- --quick
//! ```
//!
//! One pool is alive at a time. The counts are for the whole process. The main thread only sleeps
//! and submits; it is counted separately, and subtracted where a column says "workers".

use std::thread;
use std::time::Duration;

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use support::interleave::{Ask, Row, interleave};
use support::options::Options;
use support::rival::{Rival, Running};
use support::usage::{self, Usage};
use support::work::Work;

const IDLE: Row = Row {
    bench: "idle",
    name: "idle",
    metrics: &[
        "workers' switches in the first 100 ms",
        "workers' switches after that",
        "workers' cpu us after that",
    ],
};
const PACED: Row = Row {
    bench: "idle",
    name: "paced",
    metrics: &["workers' switches a second", "workers' cpu ms a second", "all cpu ms a second"],
};

/// How long a pool may take to fall asleep before it counts as idle.
const GRACE: Duration = Duration::from_millis(100);

fn main() {
    let options = Options::read();
    let rivals = options.contestants(|rival| rival.role.has_queue());
    let window = Duration::from_millis(if options.quick { 2_000 } else { 10_000 });
    let window = options.size(Duration::from_millis(10), window);
    // At most five seconds of pacing, because the count per second is steady long before.
    let ticks = u64::try_from(window.as_millis()).map_or(5_000, |ticks| ticks.min(5_000));
    let questions: [(Row, Ask<'_>); 2] =
        [(IDLE, &|pool| idle(pool, window)), (PACED, &|pool| paced(pool, ticks))];
    let mut journal = options.journal();
    for (row, ask) in questions.into_iter().filter(|(row, _)| options.wants(row.name)) {
        let measured = interleave(row, &rivals, 1, |rival: &Rival| rival.alone(ask));
        measured.report(&options, &mut journal);
    }
}

/// Gives the pool a little work, then only watches it.
fn idle(pool: &Running, window: Duration) -> Vec<f64> {
    pool(Work::Windows(20_000));
    let first = workers_during(|| thread::sleep(GRACE)).0;
    let rest = workers_during(|| thread::sleep(window)).0;
    vec![first.switches(), rest.switches(), rest.cpu]
}

/// A thousand tasks a second.
fn paced(pool: &Running, ticks: u64) -> Vec<f64> {
    // The first ticks wake pools that sleep deeply. Only the steady state is measured.
    pool(Work::Paced(ticks / 10));
    let (workers, all) = workers_during(|| pool(Work::Paced(ticks)));
    let seconds = ticks as f64 / 1e3;
    vec![workers.switches() / seconds, workers.cpu / 1e3 / seconds, all.cpu / 1e3 / seconds]
}

/// Returns what the other threads used during the work, and what the whole process used.
fn workers_during(work: impl FnOnce()) -> (Usage, Usage) {
    let before = (usage::process(), usage::thread());
    work();
    let all = usage::process() - before.0;
    let mut workers = all - (usage::thread() - before.1);
    // Both readings are truncated to a microsecond, so a result of zero can come out as -1.
    workers.cpu = workers.cpu.max(0.0);
    (workers, all)
}
