//! Compression, the same work for all: our example `compress`, pigz, gzp, chunks under rayon, and
//! flate2 alone.
//!
//! ```text
//! cargo bench --bench compress -- [--test] [--quick] [--rounds N] [--size MIB] [ROW]...
//! ```
//!
//! Each row is a corpus at a level; a row is run if its name contains one of the words. All run in
//! turns, and what counts is the median over the rounds of the ratio to pigz inside each round.
//! `CPU` is the processor time, which other processes disturb less than the clock.
#![forbid(unsafe_code)]

#[path = "compress/corpus.rs"]
mod corpus;
#[path = "compress/contestants.rs"]
mod contestants;
#[path = "compress/options.rs"]
mod options;
#[path = "compress/programs.rs"]
mod programs;
#[path = "compress/rounds.rs"]
mod rounds;

use contestants::Job;
use corpus::Corpus;
use options::Options;

fn main() {
    let options = Options::read();
    let place = corpus::Place::new();
    let corpora = Corpus::all(&place, options.bytes);
    for corpus in &corpora {
        println!("{}: {} bytes, {}", corpus.name, corpus.length, corpus.from);
    }
    for corpus in &corpora {
        for &level in corpus.levels {
            let job = Job::Compress(level);
            rounds::row(&format!("{} -{level}", corpus.name), corpus, job, &options);
        }
    }
    for corpus in corpora.iter().filter(|corpus| corpus.is_file()) {
        rounds::row(&format!("{} -d", corpus.name), corpus, Job::Decompress, &options);
    }
}
