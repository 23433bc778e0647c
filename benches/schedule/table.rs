//! The printed tables and their verdicts.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::child::{CROWDS, End, Samples, crowd_name};
use super::support::json::{Journal, Value};
use super::support::options::Options;

/// Ours may take this many times as long as rayon, or ...
const TO_RAYON: f64 = 1.15;
/// ... this many times as long as a perfect schedule.
const TO_IDEAL: f64 = 1.3;
/// The limits for the processor time of a node with scopes or loops: relative to rayon's, and
/// relative to our own joins.
const NODE_TO_RAYON: f64 = 0.7;
const NODE_TO_JOINS: f64 = 1.2;
/// The limit for many workers on few cores, relative to one worker per core.
const CROWDED: f64 = 1.3;
/// If other processes used more than this part of the machine, the table says so.
const DISTURBED: f64 = 0.05;

/// Prints rows as they arrive, and remembers what to say at the end.
pub(crate) struct Table {
    journal: Journal,
    test: bool,
    headed: bool,
    rows: usize,
    missed: Vec<String>,
    /// Rows that pass only because rayon is no better.
    as_bad: Vec<String>,
    hung: Vec<String>,
}

impl Table {
    pub(crate) fn new(options: &Options) -> Self {
        let journal = options.journal();
        let (missed, as_bad, hung) = (Vec::new(), Vec::new(), Vec::new());
        Self { journal, test: options.test, headed: false, rows: 0, missed, as_bad, hung }
    }

    /// Adds a row of sleeping items with this many workers.
    pub(crate) fn sleeping(
        &mut self,
        name: &str,
        workers: usize,
        ideal: Option<Duration>,
        samples: &Samples,
    ) {
        let (ours, rayon) = (samples.median("ours"), samples.median("rayon"));
        let ratio = samples.between("ours", "rayon");
        let ideal = ideal.map(|ideal| ideal.as_secs_f64() * 1e3);
        let to_ideal = ours.zip(ideal).map(|(ours, ideal)| ours / ideal);
        let near_ideal = to_ideal.is_some_and(|to_ideal| to_ideal <= TO_IDEAL);
        let passes = near_ideal || ratio.is_some_and(|ratio| ratio <= TO_RAYON);
        let label = format!("{name}, {workers} workers");
        let verdict = match self.verdict(&label, samples.end, passes, ratio) {
            "PASS" if ideal.is_some() && !near_ideal => {
                self.as_bad.push(format!("{label}: {} of the ideal", number(to_ideal)));
                "PASS, as rayon"
            }
            verdict => verdict,
        };
        self.write(name, workers, "ms", samples, &["ours", "rayon"]);
        if self.test {
            return println!("{label}: {verdict}");
        }
        self.head();
        print!("{name:<30} {workers:>3} {:>9} {:>9} ", number(ours), number(rayon));
        print!("{:>6} {:>8} {:>6}  ", number(ratio), number(ideal), number(to_ideal));
        println!("{verdict}{}", remark(samples));
    }

    /// Prints the heading of the sleeping rows once.
    fn head(&mut self) {
        if !self.headed {
            println!("\nExpensive items sleep: milliseconds, medians. W: workers of either pool.");
            print!("{:<30} {:>3} {:>9} {:>9} ", "row", "W", "ours", "rayon");
            println!("{:>6} {:>8} {:>6}  verdict", "ratio", "ideal", "of it");
            self.headed = true;
        }
    }

    /// Adds the unbalanced tree.
    pub(crate) fn nodes(&mut self, samples: &Samples) {
        const SHAPES: [&str; 3] = ["scope", "loop", "joins"];
        if !self.test {
            println!(
                "\nAn unbalanced tree, 2 workers: nanoseconds of processor time a node, medians."
            );
            println!("by plain calls {}", number(samples.median("plain")));
            print!("{:<30} {:>9} {:>9} ", "by", "ours", "rayon");
            println!("{:>6} {:>12}  verdict", "ratio", "to our joins");
        }
        for shape in SHAPES {
            let (ours, rayon) = (format!("ours/{shape}"), format!("rayon/{shape}"));
            let ratio = samples.between(&ours, &rayon);
            let to_joins = samples.between(&ours, "ours/joins");
            let within = |value: Option<f64>, bound| value.is_some_and(|value| value <= bound);
            let passes = match shape {
                "joins" => within(ratio, 1.0),
                _ => within(ratio, NODE_TO_RAYON) && within(to_joins, NODE_TO_JOINS),
            };
            let verdict = self.verdict(&format!("nodes by {shape}"), samples.end, passes, ratio);
            self.write(&format!("nodes_{shape}"), 2, "ns a node", samples, &[&ours, &rayon]);
            if self.test {
                println!("nodes by {shape}: {verdict}");
                continue;
            }
            let (ours, rayon) = (samples.median(&ours), samples.median(&rayon));
            print!("{shape:<30} {:>9} {:>9} ", number(ours), number(rayon));
            println!("{:>6} {:>12}  {verdict}", number(ratio), number(to_joins));
        }
        self.remark(samples);
    }

    /// Adds the rows with more workers than cores.
    pub(crate) fn crowd(&mut self, samples: &Samples) {
        if !self.test {
            println!("\nfib(27) with more workers than cores: milliseconds, medians.");
            print!("{:<30} {:>3} {:>9} {:>9} ", "", "W", "ours", "rayon");
            println!("{:>10} {:>10}  verdict", "to ours/2", "to rayon/2");
        }
        for workers in CROWDS {
            let (ours, rayon) = (crowd_name("ours", workers), crowd_name("rayon", workers));
            let to_few = samples.between(&ours, &crowd_name("ours", CROWDS[0]));
            let rayon_to_few = samples.between(&rayon, &crowd_name("rayon", CROWDS[0]));
            let passes = to_few.is_some_and(|to_few| to_few <= CROWDED);
            let label = format!("crowd, {workers} workers");
            let verdict = self.verdict(&label, samples.end, passes, to_few);
            self.write("crowd", workers, "ms", samples, &[&ours, &rayon]);
            if self.test {
                println!("{label}: {verdict}");
                continue;
            }
            let (ours, rayon) = (samples.median(&ours), samples.median(&rayon));
            print!("{:<30} {workers:>3} {:>9} {:>9} ", "crowd", number(ours), number(rayon));
            println!("{:>10} {:>10}  {verdict}", number(to_few), number(rayon_to_few));
        }
        self.remark(samples);
    }

    /// The word in the last column. In a test it only says whether the results are right.
    fn verdict(&mut self, label: &str, end: End, passes: bool, ratio: Option<f64>) -> &'static str {
        self.rows += 1;
        match end {
            End::Whole if self.test => "every result is right",
            End::Whole if passes => "PASS",
            End::Whole => {
                self.missed.push(format!("{label}: {}", number(ratio)));
                "MISS"
            }
            End::Hung => {
                self.hung.push(label.to_owned());
                "HANG"
            }
            End::Failed => {
                self.hung.push(format!("{label} (failed)"));
                "FAIL"
            }
        }
    }

    fn remark(&self, samples: &Samples) {
        if !self.test {
            println!("{}", remark(samples));
        }
    }

    /// Writes what `ci/bench_table.sh` reads.
    fn write(&mut self, name: &str, workers: usize, unit: &str, samples: &Samples, whose: &[&str]) {
        let row = format!("{name}_{workers}");
        let rayon = whose[1];
        for name in whose {
            let rival = name.split('/').next().unwrap_or(name);
            let ours = rival == "ours";
            self.journal.line(&[
                ("kind", Value::Word("summary")),
                ("bench", Value::Word("schedule")),
                ("row", Value::Word(&row)),
                ("metric", Value::Word(unit)),
                ("rival", Value::Word(if ours { "corepool" } else { rival })),
                ("role", Value::Word(if ours { "ours" } else { "rival" })),
                ("median", samples.median(name).into()),
                ("ratio", samples.between(name, rayon).into()),
            ]);
        }
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.hung.is_empty()
    }

    /// Prints how many rows passed, and lists the others.
    pub(crate) fn end(&self) {
        let list = |what: &str, which: &[String]| {
            println!("\n{what}: {} of {} rows", which.len(), self.rows);
            which.iter().for_each(|row| println!("  {row}"));
        };
        if !self.test {
            list("missed", &self.missed);
            list("far from the ideal, but no worse than rayon", &self.as_bad);
        }
        if !self.test || self.has_failures() {
            list("hung or failed", &self.hung);
        }
    }
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
}

fn remark(samples: &Samples) -> String {
    let others = samples.strangers().filter(|part| *part > DISTURBED);
    others.map_or_else(String::new, |part| format!("  disturbed: {:.0} %", part * 100.0))
}
