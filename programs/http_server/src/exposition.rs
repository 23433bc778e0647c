//! The metrics so far, in the text format that Prometheus reads.
#![forbid(unsafe_code)]

use std::fmt::{Display, Write};

use corepool::Metrics;
use corepool::metrics::Histogram;

use crate::traffic::Traffic;

/// The quantiles that are reported.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Writes all metrics, including those of the pool if there is one.
pub(crate) fn text(traffic: &Traffic, pool: Option<&Metrics>) -> String {
    let mut page = Page(String::new());
    page.family("http_requests_total", "counter", "Requests answered.");
    for ((route, status), count) in traffic.answers() {
        let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
        page.line("http_requests_total", &labels, count);
    }
    let open = "Requests without an answer yet, this one among them.";
    page.single("http_requests_open", "gauge", open, traffic.open());
    let gone = "Requests whose client went away before the answer.";
    page.single("http_requests_gone_total", "counter", gone, traffic.gone());
    if let Some(pool) = pool {
        page.pool(pool);
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        self.write(format_args!("{name}{labels} {value}\n"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(name, "", value);
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("memory takes every text");
    }

    fn pool(&mut self, pool: &Metrics) {
        self.family("corepool_tasks_total", "counter", "Tasks, by what came of them.");
        for (outcome, count) in [
            ("completed", pool.completed),
            ("panicked", pool.panicked),
            ("cancelled", pool.cancelled),
            ("expired", pool.expired),
            ("rejected", pool.rejected),
            ("lost", pool.lost),
        ] {
            let labels = format!("{{outcome=\"{outcome}\"}}");
            self.line("corepool_tasks_total", &labels, count);
        }
        self.single("corepool_queue_depth", "gauge", "Tasks that wait.", pool.queue_depth);
        self.single("corepool_workers", "gauge", "Workers of the pool.", pool.workers.len());
        self.family("corepool_worker_busy_seconds_total", "counter", "CPU time of a worker.");
        for worker in &pool.workers {
            let busy = worker.busy_time.unwrap_or_default().as_secs_f64();
            let labels = format!("{{worker=\"{}\"}}", worker.id);
            self.line("corepool_worker_busy_seconds_total", &labels, busy);
        }
        let waited = "Time that tasks waited for a worker.";
        self.times("corepool_task_wait_seconds", waited, pool.wait_time.as_ref());
        let ran = "Time that tasks ran.";
        self.times("corepool_task_run_seconds", ran, pool.run_time.as_ref());
    }

    fn times(&mut self, name: &str, help: &str, times: Option<&Histogram>) {
        let Some(times) = times else { return };
        self.family(name, "summary", help);
        for quantile in QUANTILES {
            let time = times.quantile(quantile).as_secs_f64();
            self.line(name, &format!("{{quantile=\"{quantile}\"}}"), time);
        }
        self.line(&format!("{name}_count"), "", times.count());
    }
}
