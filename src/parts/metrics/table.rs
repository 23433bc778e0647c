//! Prints [`Metrics`] as a table for people.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::{Histogram, Metrics, WorkerMetrics};

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:>14}    {:<12} {:>14}", "tasks", "", "pool", "")?;
        let left = [
            ("spawned", self.spawned),
            ("completed", self.completed),
            ("panicked", self.panicked),
            ("cancelled", self.cancelled),
            ("expired", self.expired),
            ("rejected", self.rejected),
            ("lost", self.lost),
            ("jobs taken", self.jobs_taken),
        ];
        let right = [
            ("queued now", self.queue_depth as u64),
            ("want room", self.waiting_for_room as u64),
            ("stolen", self.stolen),
            ("parks", self.parks),
            ("wakes", self.wakes),
            ("jobs offered", self.jobs_offered),
            ("events lost", self.events_dropped),
            ("let loose", self.let_loose),
        ];
        for (row, (name, count)) in left.into_iter().enumerate() {
            write!(f, "  {name:<10} {count:>14}")?;
            if let Some((name, count)) = right.get(row) {
                write!(f, "      {name:<12} {count:>12}")?;
            }
            writeln!(f)?;
        }
        for (name, times) in [("wait", &self.wait_time), ("run", &self.run_time)] {
            if let Some(times) = times {
                write_times(f, name, times)?;
            }
        }
        write_workers(f, &self.workers, &self.spare_workers)
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, name: &str, times: &Histogram) -> fmt::Result {
    writeln!(
        f,
        "{name:<6} p50 {:>10}   p99 {:>10}   max {:>10}",
        short(times.quantile(0.5)),
        short(times.quantile(0.99)),
        short(times.max())
    )
}

fn write_workers(
    f: &mut fmt::Formatter<'_>,
    workers: &[WorkerMetrics],
    spares: &[WorkerMetrics],
) -> fmt::Result {
    write!(
        f,
        "{:<12} {:>10} {:>12} {:>12} {:>12}",
        "worker", "tasks run", "stolen", "parks", "busy"
    )?;
    let named = |worker: &WorkerMetrics| worker.id.to_string();
    let workers = workers.iter().map(|worker| (named(worker), worker));
    let spares = spares.iter().map(|worker| (named(worker) + " (spare)", worker));
    for (name, worker) in workers.chain(spares) {
        let busy = worker.busy_time.map_or_else(|| "?".to_owned(), short);
        write!(
            f,
            "\n{:<12} {:>10} {:>12} {:>12} {:>12}",
            name, worker.tasks_run, worker.stolen, worker.parks, busy
        )?;
    }
    Ok(())
}

/// Formats a duration with three digits, in the unit that suits it.
fn short(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    let (value, unit) = match time.as_nanos() {
        0..1_000 => return format!("{} ns", time.as_nanos()),
        1_000..1_000_000 => (nanoseconds / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}
