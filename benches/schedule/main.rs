//! Whether work waits although workers are idle: rows in which expensive items sleep, compared with
//! rayon with the same number of threads.
//!
//! ```text
//! cargo bench --bench schedule                                    all rows: less than five minutes
//! cargo bench --bench schedule -- --rows list,loop --workers 4,64 some rows, some numbers of workers
//! cargo bench --bench schedule -- --rounds 9                      more than five samples of each
//! ```
//!
//! Items that sleep need no core, so a machine with two cores shows how 64 workers schedule them.
//! `ideal` is the time of a perfect schedule. A row passes if it takes at most 1.15 times rayon's
//! time, or at most 1.3 times the ideal. Each pair of row and worker count is measured by a
//! separate process, in which both pools take turns. A process that hangs is killed.
//!
//! Two more tables follow: the processor time per node of an unbalanced tree (`--rows nodes`), and
//! the slowdown with more workers than cores (`--rows crowd`).

use std::process;

mod child;
mod load;
mod nodes;
mod pools;
mod rows;
mod table;

#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "../rivals/mod.rs"]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "../support/mod.rs"]
mod support;

use child::{ALL, CROWD, End, NODES, Samples};
use rows::ROWS;
use support::WORKERS;
use support::options::Options;
use table::Table;

const ROUNDS: usize = 5;
const ALL_WORKERS: &[usize] = &[2, 4, 8, 16, 64];
const TEST_WORKERS: &[usize] = &[2, 8];

fn main() {
    let options = Options::read();
    if let Some((row, workers, whose)) = &options.cell {
        return child::measure(row, *workers, whose, &options);
    }
    let mut table = Table::new(&options);
    let all = options.size(TEST_WORKERS, ALL_WORKERS);
    let wanted = |workers: &&usize| options.workers.is_empty() || options.workers.contains(workers);
    for row in ROWS.iter().filter(|row| options.wants(row.name)) {
        for workers in all.iter().filter(wanted) {
            let samples = samples(row.name, *workers, &options);
            let ideal = row.load(*workers, options.test).ideal(*workers);
            table.sleeping(row.name, *workers, ideal, &samples);
        }
    }
    if options.wants(NODES) {
        table.nodes(&samples(NODES, WORKERS, &options));
    }
    if options.wants(CROWD) {
        table.crowd(&samples(CROWD, WORKERS, &options));
    }
    table.end();
    if options.test && table.has_failures() {
        process::exit(1);
    }
}

/// Measures a cell. If it hangs, measures the rival alone, so that its time is known anyway.
fn samples(row: &str, workers: usize, options: &Options) -> Samples {
    let mut samples = Samples::of(row, workers, ALL, options);
    if samples.end != End::Whole && !options.test {
        samples.add(Samples::of(row, workers, "rayon", options));
    }
    samples
}
